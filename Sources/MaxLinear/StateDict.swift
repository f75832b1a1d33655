/// Named tensors in order: what a module is filled from, and what it gives back.
///
///     try layer.loadStateDict(["weight": weight, "bias": bias])
///     let weight = try layer.stateDict()["weight"]?.tensor
public struct StateDict: Sendable, RandomAccessCollection, ExpressibleByDictionaryLiteral {
  /// The named tensors, in their order.
  public var entries: [WeightData]

  /// A state dict of these entries, in this order.
  public init(_ entries: [WeightData] = []) {
    self.entries = entries
  }

  /// Tensors that the layer copies, in the order of their names.
  public init(_ tensors: [String: Tensor]) {
    entries = tensors.sorted { $0.key < $1.key }.map { WeightData(name: $0.key, tensor: $0.value) }
  }

  /// Tensors that the layer copies, in the order they are written.
  public init(dictionaryLiteral elements: (String, Tensor)...) {
    entries = elements.map { WeightData(name: $0.0, tensor: $0.1) }
  }

  /// The entry of that name, told by its bytes; nil when there is none.
  public subscript(name: String) -> WeightData? {
    let wanted = ByteExactString(name)
    return entries.first { ByteExactString($0.name) == wanted }
  }

  /// The position of the first entry: 0.
  public var startIndex: Int { entries.startIndex }
  /// The position behind the last entry: the number of entries.
  public var endIndex: Int { entries.endIndex }
  /// The entry at a position from 0, which must be below `endIndex`.
  public subscript(position: Int) -> WeightData { entries[position] }
  /// The names of the entries, in their order.
  public var keys: [String] { entries.map(\.name) }
}

/// Where a module's weights come from.
protocol WeightSource {
  /// The data for a state dict key; nil when there is none.
  func data(forKey key: String) -> WeightData?
  /// How messages name a key: with the checkpoint's prefix.
  func fullName(_ key: String) -> String
  /// All keys there are, those of a checkpoint under its prefix only.
  var keys: [String] { get }
  /// All names there are, under any prefix.
  var names: [String] { get }
  /// How many `names` there are, without a list of them.
  var nameCount: Int { get }
  /// What messages call it.
  var noun: String { get }
}

extension WeightSource {
  /// `.missingKey`, naming the nearest key.
  func missing(_ key: String) -> MaxLinearError {
    let name = fullName(key)
    // Whoever asks whether there is a tensor asks often, and of large checkpoints.
    let compared = nameCount <= mostNamesCompared ? names : []
    let suggestion = nearestKey(to: name, among: compared).map { "; the nearest key is \"\($0)\"" } ?? ""
    return MaxLinearError(.missingKey, "\(name): missing, expected it in the \(noun)\(suggestion)")
  }
}

/// The entries of a state dict by their names.
struct StateDictSource: WeightSource {
  private let positions: [ByteExactString: Int]
  private let state: StateDict

  /// Throws `.invalidArgument` when a name comes twice.
  init(_ state: StateDict) throws(MaxLinearError) {
    var positions: [ByteExactString: Int] = [:]
    for (position, entry) in state.entries.enumerated() {
      guard positions.updateValue(position, forKey: ByteExactString(entry.name)) == nil else {
        throw MaxLinearError(.invalidArgument, "\(entry.name): comes twice, expected it once in the state dict")
      }
    }
    self.positions = positions
    self.state = state
  }

  func data(forKey key: String) -> WeightData? { positions[ByteExactString(key)].map { state.entries[$0] } }
  func fullName(_ key: String) -> String { key }
  var keys: [String] { state.keys }
  var names: [String] { state.keys }
  var nameCount: Int { state.count }
  var noun: String { "state dict" }
}

/// The tensors of a checkpoint whose names begin with a prefix.
struct CheckpointSource: WeightSource {
  let weights: Weights
  let prefix: String

  func data(forKey key: String) -> WeightData? { weights[prefix + key] }
  func fullName(_ key: String) -> String { prefix + key }
  var keys: [String] {
    let count = prefix.utf8.count
    return weights.names.filter { $0.utf8.starts(with: prefix.utf8) }.map {
      String(decoding: $0.utf8.dropFirst(count), as: UTF8.self)
    }
  }
  var names: [String] { weights.names }
  var nameCount: Int { weights.count }
  var noun: String { "checkpoint" }
}

extension Weights {
  /// `.missingKey`, naming the nearest tensor.
  package func missing(_ name: String) -> MaxLinearError {
    CheckpointSource(weights: self, prefix: "").missing(name)
  }
}

/// Among more names than this none is suggested.
private let mostNamesCompared = 4096

/// The key that takes the fewest edits to become `wanted`; nil when all take more than half as many as the longer one
/// has bytes.
func nearestKey(to wanted: String, among keys: [String]) -> String? {
  let target = Array(wanted.utf8)
  var best: (key: String, distance: Int)?
  for key in keys {
    let candidate = Array(key.utf8)
    let limit = min(best?.distance ?? .max, max(target.count, candidate.count) / 2 + 1)
    guard abs(candidate.count - target.count) < limit else { continue }
    if let distance = editDistance(target, candidate, below: limit) { best = (key, distance) }
  }
  return best?.key
}

/// Insertions, removals and replacements of bytes that make one sequence the other (Levenshtein); nil where they are `limit` or more.
private func editDistance(_ first: [UInt8], _ second: [UInt8], below limit: Int) -> Int? {
  // What both begin or end with takes no edits, and names of a checkpoint share much.
  let prefix = zip(first, second).prefix { $0 == $1 }.count
  let suffix = zip(first.dropFirst(prefix).reversed(), second.dropFirst(prefix).reversed()).prefix { $0 == $1 }.count
  let (first, second) = (first[prefix..<first.count - suffix], second[prefix..<second.count - suffix])
  var previous = Array(0...second.count)
  var current = previous
  for (row, left) in first.enumerated() {
    current[0] = row + 1
    var least = row + 1
    for (column, right) in second.enumerated() {
      let distance = min(previous[column + 1] + 1, current[column] + 1, previous[column] + (left == right ? 0 : 1))
      current[column + 1] = distance
      least = min(least, distance)
    }
    // No later row has less than the least of this one.
    if least >= limit { return nil }
    swap(&previous, &current)
  }
  return previous[second.count] < limit ? previous[second.count] : nil
}

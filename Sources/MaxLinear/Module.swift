/// A layer: weights under names, filled from a state dict, and a `forward`.
///
/// Modules are made, filled and prepared by one thread; `prepared()` gives what any number of threads may run.
open class Module {
  /// What `prepared()` built; nil before, and after a load.
  var current: (options: PrepareOptions, layer: PreparedLayer)?

  public init() {}

  /// The weights and their keys, in the order of the state dict.
  open var weights: [(key: String, weight: Weight)] { [] }

  /// The keys of the state dict, in order.
  public var stateKeys: [String] { weights.map(\.key) }

  /// Fills the layer. All keys must be there; strict refuses others, which are ignored otherwise.
  ///
  /// Tensors whose memory has an owner are kept without a copy, others are copied. A failed load changes nothing. A load
  /// after `prepared()` drops what was prepared; prepared layers that are in use go on with the old weights.
  ///
  /// Throws `.missingKey`, `.unexpectedKey`, `.invalidShape`, `.invalidDType`, each naming the key.
  public func loadStateDict(_ state: [String: Tensor], strict: Bool = true) throws {
    try load(state.mapValues { WeightData(name: "", tensor: $0) }, strict: strict, casts: false)
  }

  /// The same from tensors of a checkpoint, which are cast when they are of another float dtype.
  public func loadStateDict(_ state: [String: WeightData], strict: Bool = true) throws {
    try load(state, strict: strict, casts: true)
  }

  /// Fills the layer from a checkpoint's tensors named prefix + key, mapped, without a copy.
  ///
  /// strict refuses other tensors under a prefix that is not empty.
  public func loadWeights(_ weights: Weights, prefix: String = "", strict: Bool = false) throws {
    var state: [String: WeightData] = [:]
    for (key, _) in self.weights {
      if let data = weights[prefix + key] { state[key] = data }
    }
    if let missing = self.weights.first(where: { state[$0.key] == nil }) {
      throw Module.missing(prefix + missing.key, among: weights.names, in: "the checkpoint")
    }
    if strict && !prefix.isEmpty {
      let known = Set(state.keys.map { prefix + $0 })
      if let extra = weights.names.first(where: { $0.hasPrefix(prefix) && !known.contains($0) }) {
        throw MaxLinearError(.unexpectedKey, "\(extra): the layer has no such weight")
      }
    }
    try load(state, strict: true, casts: true)
  }

  /// The options of the last `prepared`; nil when there is none.
  package var preparedOptions: PrepareOptions? { current?.options }

  /// Calls the body; when it throws, weights and what was prepared are again as before.
  package func replacing(_ body: () throws -> Void) throws {
    let before = (current, weights.map { ($0.weight, $0.weight.storage) })
    do {
      try body()
    } catch {
      current = before.0
      for (weight, storage) in before.1 { weight.storage = storage }
      throw error
    }
  }

  package func load(_ state: [String: WeightData], strict: Bool, casts: Bool) throws {
    let weights = self.weights
    var accepted: [Tensor] = []
    for (key, weight) in weights {
      guard let data = state[key] else { throw Module.missing(key, among: Array(state.keys), in: "the state dict") }
      accepted.append(try weight.accept(data, key: key, casts: casts))
    }
    if strict, state.count > weights.count {
      let known = Set(weights.map(\.key))
      let extra = state.keys.filter { !known.contains($0) }.sorted()
      throw MaxLinearError(
        .unexpectedKey,
        "\(extra.first ?? ""): the layer has no such weight; its keys are \(stateKeys.joined(separator: ", "))")
    }
    for ((_, weight), tensor) in zip(weights, accepted) { weight.storage = .tensor(tensor) }
    current = nil
  }

  /// What was loaded, bit for bit. Throws `.notLoaded`, or with autoInitialize gives zeros for what was not.
  public func stateDict(autoInitialize: Bool = false) throws -> [String: Tensor] {
    var state: [String: Tensor] = [:]
    for (key, weight) in weights {
      if let tensor = try weight.loaded() {
        state[key] = tensor
      } else if autoInitialize {
        state[key] = try Tensor.zeros(shape: weight.storedShape, dtype: weight.dtype)
      } else {
        throw Module.notLoaded(key)
      }
    }
    return state
  }

  /// The layer as any number of threads may run it: kernels chosen, weights packed for them.
  ///
  /// The result is kept, so that asking again with the same options costs nothing.
  /// Throws `.notLoaded`, `.unsupported`, `.outOfMemory`.
  public func prepared(_ options: PrepareOptions = PrepareOptions()) throws -> PreparedLayer {
    if let current, current.options == options { return current.layer }
    let layer = try makePrepared(options)
    current = (options, layer)
    return layer
  }

  /// Builds what `prepared` keeps. Layers override it.
  open func makePrepared(_ options: PrepareOptions) throws -> PreparedLayer {
    throw MaxLinearError(.unsupported, "prepare: this module has no forward")
  }

  /// y = layer(x), in new memory, with x's dtype. Prepares the layer when that has not been done.
  open func callAsFunction(_ x: Tensor) throws -> Tensor { try (current?.layer ?? prepared())(x) }

  /// What the layer holds in memory.
  public var memory: LayerMemory {
    var memory = LayerMemory()
    for (_, weight) in weights {
      switch weight.storage {
      case .none: break
      case .tensor(let tensor): memory.add(tensor)
      case .packed(let matrix): memory.packed += current == nil ? matrix.byteCount : 0
      }
    }
    memory.packed += current?.layer.packedBytes ?? 0
    return memory
  }

  static func notLoaded(_ key: String) -> MaxLinearError {
    MaxLinearError(.notLoaded, "\(key): not loaded; load a state dict first")
  }

  private static func missing(_ key: String, among names: [String], in place: String) -> MaxLinearError {
    let nearest = names.count <= 10_000 ? names.min { distance($0, key) < distance($1, key) } : nil
    let hint = nearest.map { "; the nearest there is \($0)" } ?? ""
    return MaxLinearError(.missingKey, "\(key): missing in \(place)\(hint)")
  }

  /// Levenshtein's distance of two names.
  private static func distance(_ first: String, _ second: String) -> Int {
    let first = Array(first.utf8.prefix(200)), second = Array(second.utf8.prefix(200))
    var row = Array(0...second.count)
    for (i, a) in first.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for (j, b) in second.enumerated() {
        let substituted = diagonal + (a == b ? 0 : 1)
        diagonal = row[j + 1]
        row[j + 1] = min(substituted, row[j] + 1, diagonal + 1)
      }
    }
    return row[second.count]
  }
}

/// Bytes that a layer holds.
public struct LayerMemory: Hashable, Sendable {
  /// Allocated for packed weights and biases.
  public var packed = 0
  /// Copied or borrowed source weights that the layer still holds.
  public var source = 0
  /// File-mapped source weights that the layer refers to; resident only where touched.
  public var mapped = 0

  mutating func add(_ tensor: Tensor) {
    if tensor.isMapped {
      mapped += tensor.byteCount
    } else {
      source += tensor.byteCount
    }
  }
}

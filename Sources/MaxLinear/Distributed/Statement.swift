/// Something that must be the same on every rank.
struct Fact {
  /// How messages write a value.
  enum Form {
    case number
    /// major << 16 | minor << 8 | patch
    case version
    /// Of which only the difference is worth telling.
    case checksum
  }

  let name: String
  let value: UInt64
  let form: Form

  init(_ name: String, _ value: Int, as form: Form = .number) {
    self.name = name
    self.value = UInt64(truncatingIfNeeded: value)
    self.form = form
  }

  init(_ name: String, checksum: UInt64) {
    self.name = name
    value = checksum
    form = .checksum
  }

  fileprivate func text(_ value: UInt64) -> String {
    form == .version ? "\(value >> 16).\(value >> 8 & 255).\(value & 255)" : "\(value)"
  }
}

/// What a rank says before a step that all take together: which step, the facts, or why it cannot. 256 bytes, the same for every step, so that
/// ranks that are at different ones can tell.
struct Statement {
  static let byteCount = 256
  /// How many facts there is room for.
  static let mostFacts = 7
  private static let textOffset = 8 + 8 * mostFacts

  let step: Int32
  /// 0, or the status of the error that keeps this rank from going on.
  let status: Int32
  let facts: [UInt64]
  /// The error's message.
  let message: String

  init(_ step: Step, _ facts: [Fact], _ error: MaxLinearError?) {
    self.step = step.rawValue
    status = error?.status.rawValue ?? 0
    self.facts = facts.prefix(Self.mostFacts).map(\.value)
    message = error?.message ?? ""
  }

  init(_ bytes: ArraySlice<UInt8>) {
    let bytes = Array(bytes)
    func word(_ offset: Int, _ count: Int) -> UInt64 {
      (0..<count).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
    }
    step = Int32(truncatingIfNeeded: word(0, 4))
    status = Int32(truncatingIfNeeded: word(4, 4))
    facts = (0..<Self.mostFacts).map { word(8 + 8 * $0, 8) }
    message = String(decoding: bytes[Self.textOffset...].prefix { $0 != 0 }, as: UTF8.self)
  }

  var bytes: [UInt8] {
    var bytes: [UInt8] = []
    func append(_ value: UInt64, _ count: Int) {
      for shift in 0..<count { bytes.append(UInt8(truncatingIfNeeded: value >> UInt64(8 * shift))) }
    }
    append(UInt64(UInt32(bitPattern: step)), 4)
    append(UInt64(UInt32(bitPattern: status)), 4)
    for index in 0..<Self.mostFacts { append(index < facts.count ? facts[index] : 0, 8) }
    bytes += message.utf8.prefix(Self.byteCount - bytes.count)
    return bytes + [UInt8](repeating: 0, count: Self.byteCount - bytes.count)
  }

  /// Throws `.communication`, naming ranks, unless all can go on and state the same.
  static func compare(_ statements: [Statement], facts: [Fact]) throws(MaxLinearError) {
    if let rank = statements.firstIndex(where: { $0.status != 0 }) {
      throw MaxLinearError(.communication, "rank \(rank): \(statements[rank].message)")
    }
    try compare(statements.map { UInt64(UInt32(bitPattern: $0.step)) }) { values, reference in
      func name(_ value: UInt64) -> String { Step(rawValue: Int32(truncatingIfNeeded: value))?.description ?? "?" }
      return "step: \(values.map { "rank \($0.rank) \(name($0.value))" }.joined(separator: ", "))"
        + ", expected what rank \(reference.rank) does: it \(name(reference.value))"
    }
    for (index, fact) in facts.prefix(mostFacts).enumerated() {
      try compare(statements.map { $0.facts[index] }) { values, reference in
        guard fact.form != .checksum else {
          let ranks = values.map { "rank \($0.rank)" }.joined(separator: ", ")
          return "\(fact.name): that of \(ranks) differs, expected that of rank \(reference.rank)"
        }
        return "\(fact.name): is \(values.map { "\(fact.text($0.value)) on rank \($0.rank)" }.joined(separator: ", "))"
          + ", expected \(fact.text(reference.value)) as on rank \(reference.rank)"
      }
    }
  }

  /// A rank and what it states.
  private typealias Claim = (rank: Int, value: UInt64)

  /// Throws unless all are one; what most ranks have, and on a tie the lowest of them, is the reference.
  private static func compare(
    _ values: [UInt64], _ message: (_ others: [Claim], _ reference: Claim) -> String
  ) throws(MaxLinearError) {
    guard let first = values.first, values.contains(where: { $0 != first }) else { return }
    var reference = (rank: 0, value: first, count: 0)
    for (rank, value) in values.enumerated() where values.firstIndex(of: value) == rank {
      let count = values.reduce(0) { $0 + ($1 == value ? 1 : 0) }
      if count > reference.count { reference = (rank, value, count) }
    }
    let others = values.enumerated().filter { $0.element != reference.value }.prefix(8).map { ($0.offset, $0.element) }
    throw MaxLinearError(.communication, message(others, (reference.rank, reference.value)))
  }
}

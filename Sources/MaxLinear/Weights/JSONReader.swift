/// A strict pull reader of one JSON text (RFC 8259) in memory.
///
/// The caller walks the text and asks for what it expects:
///
///     try reader.enterObject()
///     while let key = try reader.nextKey() {
///       if key == "shape" { ... try reader.readInteger() ... } else { try reader.skipValue() }
///     }
///     try reader.finish()
///
/// so that a header of a million tensors is read without a tree; `readValue()` gives a tree where one is handy. The
/// rules are the same for both: containers nest at most 64 deep, no object has a key twice (compared unescaped, byte by
/// byte), strings are valid UTF-8 without lone surrogates, and nothing but whitespace follows the value. A byte order
/// mark, NaN, Infinity and comments are refused. Time and memory are proportional to the text. `Dialect.python` is for
/// texts that Python's json has written.
struct JSONReader {
  /// Which texts are taken.
  enum Dialect {
    case strict
    /// NaN, Infinity and -Infinity are numbers too, and an object may have a key several times.
    case python
  }

  static let maximumDepth = 64

  /// Longer numbers are refused where a `Double` is asked for; no shortest or exact decimal of a double is longer.
  static let maximumNumberLength = 1100

  /// Objects with more keys than this look for duplicates in a set, smaller ones by comparing with each key.
  private static let maximumListedKeys = 12

  /// What kind of value comes next.
  enum Kind: String {
    case object = "an object"
    case array = "an array"
    case string = "a string"
    case number = "a number"
    case bool = "true or false"
    case null = "null"
  }

  /// An open object or array.
  private struct Container {
    let isObject: Bool
    /// Where this object's keys begin in `keys`.
    let firstKey: Int
    var isEmpty = true
    /// All keys, once there are more than `maximumListedKeys`.
    var keySet: Set<ByteExactString>?
  }

  private let bytes: UnsafeBufferPointer<UInt8>
  private let source: String
  private let dialect: Dialect
  private(set) var position = 0
  private var containers: [Container] = []
  /// The keys of the open objects that have no set, innermost object last.
  private var keys: [ByteExactString] = []
  private var unescaped: [UInt8] = []

  /// The bytes must stay valid as long as the reader is used; `source` is what messages call them, such as a path.
  init(_ bytes: UnsafeRawBufferPointer, source: String, dialect: Dialect = .strict) {
    self.bytes = bytes.bindMemory(to: UInt8.self)
    self.source = source
    self.dialect = dialect
  }

  func failure(_ message: String, at offset: Int? = nil) -> MaxLinearError {
    MaxLinearError(.invalidFile, "\(source): byte \(offset ?? position): \(message)")
  }

  private func unexpected(_ expected: String) -> MaxLinearError {
    guard position < bytes.count else { return failure("the JSON text ends, expected \(expected)") }
    let byte = bytes[position]
    let isPrintable = byte > 0x20 && byte < 0x7f
    let came = isPrintable ? "\"\(Unicode.Scalar(byte))\"" : "a byte 0x\(String(byte, radix: 16))"
    return failure("\(came), expected \(expected)")
  }

  private func peekByte() -> UInt8? { position < bytes.count ? bytes[position] : nil }

  private mutating func skipWhitespace() {
    while position < bytes.count {
      switch bytes[position] {
      case 0x20, 0x09, 0x0a, 0x0d: position += 1
      default: return
      }
    }
  }

  private mutating func skipByte(_ character: Unicode.Scalar) -> Bool {
    guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  /// The kind of the value that comes next, which is not consumed.
  mutating func nextKind() throws -> Kind {
    skipWhitespace()
    switch peekByte() ?? 0 {
    case UInt8(ascii: "{"): return .object
    case UInt8(ascii: "["): return .array
    case UInt8(ascii: "\""): return .string
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number
    case UInt8(ascii: "t"), UInt8(ascii: "f"): return .bool
    case UInt8(ascii: "n"): return .null
    case UInt8(ascii: "N"), UInt8(ascii: "I"):
      guard dialect == .python else { throw unexpected("a value") }
      return .number
    default: throw unexpected("a value")
    }
  }

  private mutating func expect(_ expected: Kind) throws {
    let kind = try nextKind()
    guard kind == expected else { throw failure("\(kind.rawValue), expected \(expected.rawValue)") }
  }

  mutating func enterObject() throws { try enter(.object) }
  mutating func enterArray() throws { try enter(.array) }

  private mutating func enter(_ kind: Kind) throws {
    try expect(kind)
    guard containers.count < Self.maximumDepth else {
      throw failure("objects and arrays nest deeper, expected at most \(Self.maximumDepth) in one another")
    }
    position += 1
    containers.append(Container(isObject: kind == .object, firstKey: keys.count))
  }

  /// Consumes what lies between two elements of the innermost container, or its end. False at the end.
  private mutating func advance(isObject: Bool) throws -> Bool {
    guard let container = containers.last, container.isObject == isObject else {
      throw failure("is elsewhere, expected to be inside \(isObject ? "an object" : "an array")")
    }
    skipWhitespace()
    if skipByte(isObject ? "}" : "]") {
      keys.removeLast(keys.count - container.firstKey)
      containers.removeLast()
      return false
    }
    if container.isEmpty {
      containers[containers.count - 1].isEmpty = false
    } else {
      guard skipByte(",") else { throw unexpected(isObject ? "\",\" or \"}\"" : "\",\" or \"]\"") }
      skipWhitespace()
    }
    return true
  }

  /// True when another element of the innermost array comes next; false consumes the array's end.
  mutating func nextElement() throws -> Bool { try advance(isObject: false) }

  /// The next key of the innermost object, whose value comes next; nil consumes the object's end.
  mutating func nextKey() throws -> String? {
    guard try advance(isObject: true) else { return nil }
    let start = position
    guard peekByte() == UInt8(ascii: "\"") else { throw unexpected("a key in quotes") }
    let key = try readString()
    guard dialect == .python || insertKey(ByteExactString(key)) else {
      throw failure("the key \"\(key)\" comes twice, expected it once", at: start)
    }
    skipWhitespace()
    guard skipByte(":") else { throw unexpected("\":\"") }
    return key
  }

  /// False when the innermost object already has the key.
  private mutating func insertKey(_ key: ByteExactString) -> Bool {
    let last = containers.count - 1
    if containers[last].keySet != nil {
      return containers[last].keySet?.insert(key).inserted ?? false
    }
    let listed = keys[containers[last].firstKey...]
    if listed.contains(key) { return false }
    if listed.count < Self.maximumListedKeys {
      keys.append(key)
    } else {
      containers[last].keySet = Set(listed).union([key])
      keys.removeLast(listed.count)
    }
    return true
  }

  /// Checks that nothing but whitespace follows.
  mutating func finish() throws {
    skipWhitespace()
    guard position == bytes.count else { throw unexpected("the end of the JSON text") }
  }

  /// Checks the next value and passes over it.
  mutating func skipValue() throws {
    let depth = containers.count
    repeat {
      switch try nextKind() {
      case .object: try enterObject()
      case .array: try enterArray()
      case .string: _ = try readString()
      case .number: _ = try scanNumber()
      case .bool: _ = try readBool()
      case .null: try readNull()
      }
      // On to the next value inside, leaving the containers that end here.
      while containers.count > depth {
        let isObject = containers[containers.count - 1].isObject
        if isObject ? try nextKey() != nil : try nextElement() { break }
      }
    } while containers.count > depth
  }

  mutating func readString() throws -> String {
    try expect(.string)
    position += 1
    let start = position
    var index = position
    var union: UInt8 = 0
    // Most strings need no unescaping: they are taken as they lie, and not validated again when they are ASCII.
    while index < bytes.count {
      let byte = bytes[index]
      if byte == UInt8(ascii: "\"") {
        position = index + 1
        let text = UnsafeBufferPointer(rebasing: bytes[start..<index])
        return union < 0x80 ? String(decoding: text, as: UTF8.self) : try validated(text, at: start)
      }
      if byte == UInt8(ascii: "\\") || byte < 0x20 { break }
      union |= byte
      index += 1
    }
    position = index
    return try readEscapedString(from: start)
  }

  private func validated(_ text: UnsafeBufferPointer<UInt8>, at start: Int) throws -> String {
    guard let string = String(validating: text, as: UTF8.self) else {
      throw failure("the string that begins here is something else, expected valid UTF-8", at: start)
    }
    return string
  }

  /// The string that began at `start`; the bytes up to `position` need no unescaping.
  private mutating func readEscapedString(from start: Int) throws -> String {
    unescaped.removeAll(keepingCapacity: true)
    unescaped.append(contentsOf: bytes[start..<position])
    while position < bytes.count {
      let byte = bytes[position]
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return try unescaped.withUnsafeBufferPointer { try validated($0, at: start) }
      case UInt8(ascii: "\\"):
        position += 1
        try unescape()
      case 0..<0x20:
        throw unexpected("no control character inside a string")
      default:
        unescaped.append(byte)
        position += 1
      }
    }
    throw unexpected("a string's closing quote")
  }

  /// Appends what the escape sequence means whose backslash was just consumed.
  private mutating func unescape() throws {
    let expected = "one of \" \\ / b f n r t u after a backslash"
    guard let byte = peekByte() else { throw unexpected(expected) }
    let meaning: UInt8
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): meaning = byte
    case UInt8(ascii: "b"): meaning = 0x08
    case UInt8(ascii: "f"): meaning = 0x0c
    case UInt8(ascii: "n"): meaning = 0x0a
    case UInt8(ascii: "r"): meaning = 0x0d
    case UInt8(ascii: "t"): meaning = 0x09
    case UInt8(ascii: "u"):
      position += 1
      return try unescapeScalar()
    default: throw unexpected(expected)
    }
    unescaped.append(meaning)
    position += 1
  }

  private mutating func unescapeScalar() throws {
    let start = position
    var scalar = try readHexadecimal()
    if scalar & 0xfc00 == 0xd800, skipByte("\\"), skipByte("u") {
      let low = try readHexadecimal()
      guard low & 0xfc00 == 0xdc00 else { throw failure("a lone surrogate \\u escape, expected a pair", at: start) }
      scalar = 0x10000 + (scalar & 0x3ff) << 10 + low & 0x3ff
    }
    guard let scalar = Unicode.Scalar(scalar) else {
      throw failure("a lone surrogate \\u escape, expected a pair", at: start)
    }
    unescaped.append(contentsOf: scalar.utf8)
  }

  private mutating func readHexadecimal() throws -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard let byte = peekByte(), let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
        throw unexpected("four hexadecimal digits after \\u")
      }
      value = value << 4 | UInt32(digit)
      position += 1
    }
    return value
  }

  private mutating func skipDigits() throws {
    let start = position
    while position < bytes.count, bytes[position] &- UInt8(ascii: "0") < 10 { position += 1 }
    guard position > start else { throw unexpected("a digit") }
  }

  /// Consumes one of the words that Python's json writes for numbers that are not finite. False where there is none.
  private mutating func skipNotFinite() -> Bool {
    for word in ["NaN", "Infinity", "-Infinity"] where bytes[position...].starts(with: word.utf8) {
      position += word.utf8.count
      return true
    }
    return false
  }

  /// Consumes a number. Its bytes, and whether it has neither fraction nor exponent.
  private mutating func scanNumber() throws -> (text: Range<Int>, isInteger: Bool) {
    try expect(.number)
    let start = position
    if dialect == .python, skipNotFinite() { return (start..<position, false) }
    var isInteger = true
    _ = skipByte("-")
    if skipByte("0") {
      if let byte = peekByte(), byte &- UInt8(ascii: "0") < 10 { throw unexpected("no digit after a leading zero") }
    } else {
      try skipDigits()
    }
    if skipByte(".") {
      isInteger = false
      try skipDigits()
    }
    if skipByte("e") || skipByte("E") {
      isInteger = false
      if !skipByte("+") { _ = skipByte("-") }
      try skipDigits()
    }
    return (start..<position, isInteger)
  }

  /// The integer written in these bytes; nil when it does not fit 64 bits.
  private func integer(_ text: Range<Int>) -> Int? {
    let isNegative = bytes[text.lowerBound] == UInt8(ascii: "-")
    var value = 0
    for byte in bytes[text].dropFirst(isNegative ? 1 : 0) {
      let digit = Int(byte &- UInt8(ascii: "0"))
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (sum, carry) = product.addingReportingOverflow(isNegative ? -digit : digit)
      if overflow || carry { return nil }
      value = sum
    }
    return value
  }

  private func double(_ text: Range<Int>) throws -> Double {
    guard text.count <= Self.maximumNumberLength else {
      throw failure(
        "a number of \(text.count) characters, expected at most \(Self.maximumNumberLength)", at: text.lowerBound)
    }
    guard let value = Double(String(decoding: bytes[text], as: UTF8.self)), value.isFinite || dialect == .python
    else {
      throw failure("a number, expected one in the range of 64-bit floating point", at: text.lowerBound)
    }
    return value
  }

  /// A number without fraction and exponent that fits 64 bits.
  mutating func readInteger() throws -> Int {
    let (text, isInteger) = try scanNumber()
    guard isInteger else { throw failure("a fraction or exponent, expected an integer", at: text.lowerBound) }
    guard let value = integer(text) else { throw failure("an integer, expected one of 64 bits", at: text.lowerBound) }
    return value
  }

  mutating func readDouble() throws -> Double { try double(try scanNumber().text) }

  private mutating func skipWord(_ word: StaticString) throws {
    let end = position + word.utf8CodeUnitCount
    let equal = word.withUTF8Buffer { end <= bytes.count && $0.elementsEqual(bytes[position..<end]) }
    guard equal else { throw unexpected("the word \"\(word)\"") }
    position = end
  }

  mutating func readBool() throws -> Bool {
    try expect(.bool)
    let value = peekByte() == UInt8(ascii: "t")
    try skipWord(value ? "true" : "false")
    return value
  }

  mutating func readNull() throws {
    try expect(.null)
    try skipWord("null")
  }

  /// The next value as a tree. Integers that fit 64 bits stay exact, other numbers become doubles.
  mutating func readValue() throws -> JSONValue {
    switch try nextKind() {
    case .object:
      var members: [JSONValue.Member] = []
      try enterObject()
      while let key = try nextKey() { members.append(JSONValue.Member(key: key, value: try readValue())) }
      return .object(members)
    case .array:
      var elements: [JSONValue] = []
      try enterArray()
      while try nextElement() { elements.append(try readValue()) }
      return .array(elements)
    case .string: return .string(try readString())
    case .bool: return .bool(try readBool())
    case .null:
      try readNull()
      return .null
    case .number:
      let (text, isInteger) = try scanNumber()
      if isInteger, let value = integer(text) { return .integer(value) }
      return .number(try double(text))
    }
  }
}

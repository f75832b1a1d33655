/// One entry of a GGUF file's metadata.
public struct GGUFMetadata: Sendable {
  /// Such as "general.architecture".
  public let key: String
  /// The value and its type.
  public let value: GGUFValue

  /// An entry of this key and value.
  public init(_ key: String, _ value: GGUFValue) {
    self.key = key
    self.value = value
  }
}

/// A typed value of GGUF's metadata, kept as the bytes that a file holds: what was read is written again bit for bit, and
/// arrays of a whole vocabulary stay in the mapped file.
public struct GGUFValue: Sendable {
  /// The types, with the format's numbers.
  public enum Kind: UInt32, Sendable, CaseIterable {
    /// Unsigned, 8 bits.
    case uint8 = 0
    /// Signed, 8 bits.
    case int8 = 1
    /// Unsigned, 16 bits.
    case uint16 = 2
    /// Signed, 16 bits.
    case int16 = 3
    /// Unsigned, 32 bits.
    case uint32 = 4
    /// Signed, 32 bits.
    case int32 = 5
    /// IEEE binary32.
    case float32 = 6
    /// A byte, 0 or 1.
    case bool = 7
    /// A length of 64 bits, then UTF-8.
    case string = 8
    /// A type, a length of 64 bits, then values of that type.
    case array = 9
    /// Unsigned, 64 bits.
    case uint64 = 10
    /// Signed, 64 bits.
    case int64 = 11
    /// IEEE binary64.
    case float64 = 12
  }

  private enum Storage: Sendable {
    case made([UInt8])
    case mapped(FileMapping, Range<Int>)
  }

  /// The type of the value.
  public let kind: Kind
  private let storage: Storage

  private init(_ kind: Kind, _ bytes: [UInt8]) {
    self.kind = kind
    storage = .made(bytes)
  }

  /// A value that lies in a file whose reader has checked it.
  init(_ kind: Kind, in file: FileMapping, at range: Range<Int>) {
    self.kind = kind
    storage = .mapped(file, range)
  }

  /// An unsigned number of 8 bits.
  public static func uint8(_ value: UInt8) -> GGUFValue { GGUFValue(.uint8, [value]) }
  /// A signed number of 8 bits.
  public static func int8(_ value: Int8) -> GGUFValue { GGUFValue(.int8, value.littleEndianBytes) }
  /// An unsigned number of 16 bits.
  public static func uint16(_ value: UInt16) -> GGUFValue { GGUFValue(.uint16, value.littleEndianBytes) }
  /// A signed number of 16 bits.
  public static func int16(_ value: Int16) -> GGUFValue { GGUFValue(.int16, value.littleEndianBytes) }
  /// An unsigned number of 32 bits.
  public static func uint32(_ value: UInt32) -> GGUFValue { GGUFValue(.uint32, value.littleEndianBytes) }
  /// A signed number of 32 bits.
  public static func int32(_ value: Int32) -> GGUFValue { GGUFValue(.int32, value.littleEndianBytes) }
  /// An unsigned number of 64 bits.
  public static func uint64(_ value: UInt64) -> GGUFValue { GGUFValue(.uint64, value.littleEndianBytes) }
  /// A signed number of 64 bits.
  public static func int64(_ value: Int64) -> GGUFValue { GGUFValue(.int64, value.littleEndianBytes) }
  /// A float of 32 bits.
  public static func float32(_ value: Float) -> GGUFValue { GGUFValue(.float32, value.bitPattern.littleEndianBytes) }
  /// A float of 64 bits.
  public static func float64(_ value: Double) -> GGUFValue { GGUFValue(.float64, value.bitPattern.littleEndianBytes) }
  /// A truth value.
  public static func bool(_ value: Bool) -> GGUFValue { GGUFValue(.bool, [value ? 1 : 0]) }

  /// A string, as UTF-8.
  public static func string(_ value: String) -> GGUFValue {
    GGUFValue(.string, UInt64(value.utf8.count).littleEndianBytes + Array(value.utf8))
  }

  /// Values of one kind, side by side. Throws `.invalidArgument` when an element is of another kind.
  public static func array(of kind: Kind, _ elements: [GGUFValue]) throws -> GGUFValue {
    var bytes = kind.rawValue.littleEndianBytes + UInt64(elements.count).littleEndianBytes
    for (index, element) in elements.enumerated() {
      guard element.kind == kind else {
        throw MaxLinearError(.invalidArgument, "array: element \(index) is \(element.kind), expected \(kind)")
      }
      element.withBytes { bytes.append(contentsOf: $0) }
    }
    return GGUFValue(.array, bytes)
  }

  /// The value as the file holds it, after its type.
  func withBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
    switch storage {
    case .made(let bytes): return try bytes.withUnsafeBytes(body)
    case .mapped(let file, let range):
      defer { withExtendedLifetime(file) {} }
      return try body(UnsafeRawBufferPointer(rebasing: file.bytes[range]))
    }
  }

  /// The kind and the number of an array's elements; nil for a value that is none.
  package var arrayShape: (kind: Kind, count: UInt64)? {
    guard kind == .array else { return nil }
    return withBytes { bytes in
      guard bytes.count >= 12 else { return nil }
      let kind = Kind(rawValue: UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self)))
      let count = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt64.self))
      return kind.map { ($0, count) }
    }
  }

  /// The number of a value that is an integer from 0; nil for another.
  var naturalNumber: Int? {
    switch kind {
    case .float32, .float64, .bool, .string, .array: return nil
    case .uint8, .int8, .uint16, .int16, .uint32, .int32, .uint64, .int64: break
    }
    let isSigned = kind == .int8 || kind == .int16 || kind == .int32 || kind == .int64
    return withBytes { bytes in
      guard let last = bytes.last, !isSigned || last < 0x80 else { return nil }
      return Int(exactly: bytes.reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
    }
  }
}

extension FixedWidthInteger {
  var littleEndianBytes: [UInt8] { withUnsafeBytes(of: littleEndian) { Array($0) } }
}

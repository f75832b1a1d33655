/// The GGUF format, versions 2 and 3, little-endian:
///
///     "GGUF", u32 version, u64 number of tensors, u64 number of metadata entries
///     metadata    string key, u32 type, value: a number, a bool, a string, or an array of one type
///     tensors     string name, u32 number of dimensions, u64 each dimension, u32 type, u64 offset
///     padding     to a multiple of general.alignment, 32 unless said otherwise
///     data        each tensor at its offset from here, itself a multiple of the alignment
///
/// A string is a u64 length and so many bytes of UTF-8; converters have written a vocabulary's tokens as other bytes, so strings in arrays
/// are not held to it. https://github.com/ggml-org/ggml/blob/master/docs/gguf.md describes it.
///
/// Dimensions are stored with the innermost first; they are reported reversed, as numpy and MAX do. A tensor of blocks is
/// reported as uint8, (rows, row bytes), under its encoding's name, whether or not a kernel for it is there.
enum GGUF {
  static let format = CheckpointFormat(
    description: "GGUF (\"GGUF\", version 2 or 3)", recognizes: recognizes, fileExtension: ".gguf", read: read)

  static let magic = Array("GGUF".utf8)
  static let alignmentKey = "general.alignment"
  static let defaultAlignment = 32
  private static let maximumRank = 4
  /// Bytes of a tensor's name: 64 with the end that ggml keeps behind it. Longer ones are read.
  static let longestName = 63

  static func recognizes(_ bytes: UnsafeRawBufferPointer) -> Bool { bytes.starts(with: magic) }

  /// A tensor type: dense, or blocks of so many elements in so many bytes.
  private enum TensorType {
    case dense(DType)
    case blocks(name: String, elements: Int, bytes: Int)
  }

  /// By the format's numbers.
  private static let types: [UInt32: TensorType] = [
    0: .dense(.float32), 1: .dense(.float16), 24: .dense(.int8), 25: .dense(.int16), 26: .dense(.int32),
    27: .dense(.int64), 28: .dense(.float64), 30: .dense(.bfloat16),
    2: .blocks(name: "Q4_0", elements: 32, bytes: 18), 3: .blocks(name: "Q4_1", elements: 32, bytes: 20),
    6: .blocks(name: "Q5_0", elements: 32, bytes: 22), 7: .blocks(name: "Q5_1", elements: 32, bytes: 24),
    8: .blocks(name: "Q8_0", elements: 32, bytes: 34), 9: .blocks(name: "Q8_1", elements: 32, bytes: 36),
    10: .blocks(name: "Q2_K", elements: 256, bytes: 84), 11: .blocks(name: "Q3_K", elements: 256, bytes: 110),
    12: .blocks(name: "Q4_K", elements: 256, bytes: 144), 13: .blocks(name: "Q5_K", elements: 256, bytes: 176),
    14: .blocks(name: "Q6_K", elements: 256, bytes: 210), 15: .blocks(name: "Q8_K", elements: 256, bytes: 292),
    16: .blocks(name: "IQ2_XXS", elements: 256, bytes: 66), 17: .blocks(name: "IQ2_XS", elements: 256, bytes: 74),
    18: .blocks(name: "IQ3_XXS", elements: 256, bytes: 98), 19: .blocks(name: "IQ1_S", elements: 256, bytes: 50),
    20: .blocks(name: "IQ4_NL", elements: 32, bytes: 18), 21: .blocks(name: "IQ3_S", elements: 256, bytes: 110),
    22: .blocks(name: "IQ2_S", elements: 256, bytes: 82), 23: .blocks(name: "IQ4_XS", elements: 256, bytes: 136),
    29: .blocks(name: "IQ1_M", elements: 256, bytes: 56), 34: .blocks(name: "TQ1_0", elements: 256, bytes: 54),
    35: .blocks(name: "TQ2_0", elements: 256, bytes: 66), 39: .blocks(name: "MXFP4", elements: 32, bytes: 17),
  ]

  /// The format's blocks of this name: so many elements in so many bytes; nil where it has none.
  static func block(of encoding: String) -> (elements: Int, bytes: Int)? {
    for type in types.values {
      if case .blocks(let name, let elements, let bytes) = type, name == encoding { return (elements, bytes) }
    }
    return nil
  }

  /// What the header of a file says of a tensor, and how many bytes it takes.
  static func stored(_ info: GGUFWriter.TensorInfo) throws -> (type: UInt32, dimensions: [Int], byteCount: Int) {
    func failure(_ status: MaxLinearError.Status, _ message: String) -> MaxLinearError {
      MaxLinearError(status, "tensor \"\(info.name)\": \(message)")
    }
    guard info.shape.count <= maximumRank else {
      throw failure(.unsupported, "has \(info.shape.count) dimensions, expected at most \(maximumRank)")
    }
    var shape = info.shape
    let known = types.first { type in
      switch type.value {
      case .dense(let dtype): info.encoding == nil && dtype == info.dtype
      case .blocks(let name, _, _): info.encoding == name
      }
    }
    guard let known else {
      throw failure(.unsupported, "is \(info.encoding ?? info.dtype.name), expected a type of GGUF")
    }
    if case .blocks(let name, let elements, let bytes) = known.value {
      guard info.dtype == .uint8 else {
        throw failure(.invalidDType, "dtype is \(info.dtype.name), expected uint8 for blocks")
      }
      guard let last = shape.last, last % bytes == 0,
        case let (columns, overflow) = (last / bytes).multipliedReportingOverflow(by: elements), !overflow
      else {
        throw failure(
          .invalidShape, "shape is \(info.shape), expected rows of whole \(name) blocks of \(bytes) bytes")
      }
      shape[shape.count - 1] = columns
    }
    var byteCount = info.dtype.bits / 8
    for dimension in info.shape {
      let (product, overflow) = byteCount.multipliedReportingOverflow(by: dimension)
      guard dimension >= 0, !overflow else {
        throw failure(.invalidShape, "shape is \(info.shape), expected one that a file can hold")
      }
      byteCount = product
    }
    return (known.key, shape.reversed(), byteCount)
  }

  static func read(_ mapping: FileMapping) throws -> Checkpoint {
    var header = HeaderReader(mapping)
    try header.readCounts()
    let metadata = try header.readMetadata()
    var tensors: [HeaderTensor] = []
    for index in 0..<header.tensorCount { tensors.append(try header.readTensor(index)) }
    let alignment = try alignment(metadata.text, mapping.path)
    let (padded, overflow) = header.position.addingReportingOverflow(alignment - 1)
    let dataBegin = padded / alignment * alignment
    guard !overflow, tensors.isEmpty || dataBegin <= mapping.bytes.count else {
      throw header.failure("the file ends, expected its data")
    }
    let entries = try tensors.map { try entry($0, dataBegin: dataBegin, alignment: alignment, mapping) }
    try checkApart(entries, mapping.path)
    return Checkpoint(
      entries: entries.sorted { $0.range.lowerBound < $1.range.lowerBound }, metadata: metadata.text,
      ggufMetadata: metadata.values)
  }

  private static func alignment(_ metadata: [String: String], _ path: String) throws -> Int {
    guard let text = metadata[alignmentKey] else { return defaultAlignment }
    guard let alignment = Int(text), isAlignment(alignment) else {
      throw MaxLinearError(
        .invalidFile, "\(path): \(alignmentKey) is \(text), expected a power of two from 8 on")
    }
    return alignment
  }

  static func isAlignment(_ number: Int) -> Bool { number >= 8 && number <= 1 << 30 && number & (number - 1) == 0 }

  /// What the header says of a tensor; dimensions innermost first.
  private struct HeaderTensor {
    let name: String
    let dimensions: [Int]
    let type: UInt32
    let offset: UInt64
  }

  private static func entry(
    _ tensor: HeaderTensor, dataBegin: Int, alignment: Int, _ mapping: FileMapping
  ) throws -> CheckpointEntry {
    func failure(_ message: String) -> MaxLinearError {
      MaxLinearError(.invalidFile, "\(mapping.path): tensor \"\(tensor.name)\": \(message)")
    }
    guard let type = types[tensor.type] else {
      throw MaxLinearError(
        .unsupported, "\(mapping.path): tensor \"\(tensor.name)\": type is \(tensor.type), expected a known one")
    }
    var shape = Array(tensor.dimensions.reversed())
    let dtype: DType
    var encoding: String?
    switch type {
    case .dense(let known): dtype = known
    case .blocks(let name, let elements, let bytes):
      guard let last = shape.last, last % elements == 0 else {
        throw failure(
          "shape is \(shape), expected rows of \(name)'s blocks of \(elements); \(QuantizationEncoding.holders(columns: shape.last ?? 0))"
        )
      }
      let (rowBytes, overflow) = (last / elements).multipliedReportingOverflow(by: bytes)
      guard !overflow else { throw failure("shape is \(shape), expected one that memory can hold") }
      shape[shape.count - 1] = rowBytes
      dtype = .uint8
      encoding = name
    }
    // Dimensions of 0 count as 1 for the overflow, because strides are products too.
    var bytes = dtype.bits / 8
    for dimension in shape {
      let (product, overflow) = bytes.multipliedReportingOverflow(by: max(dimension, 1))
      guard !overflow else { throw failure("shape is \(shape), expected one that memory can hold") }
      bytes = product
    }
    if shape.contains(0) { bytes = 0 }
    guard tensor.offset % UInt64(alignment) == 0 else {
      throw failure("offset is \(tensor.offset), expected a multiple of the alignment, \(alignment)")
    }
    let room = UInt64(mapping.bytes.count - min(dataBegin, mapping.bytes.count))
    guard tensor.offset <= room, UInt64(bytes) <= room - tensor.offset else {
      throw failure(
        "has \(bytes) bytes at offset \(tensor.offset), expected them within the file's \(room) bytes of data")
    }
    let begin = dataBegin + Int(tensor.offset)
    return CheckpointEntry(
      name: tensor.name, dtype: dtype, shape: shape, range: begin..<begin + bytes, encoding: encoding)
  }

  /// Throws when two tensors share bytes.
  private static func checkApart(_ entries: [CheckpointEntry], _ path: String) throws {
    let ordered = entries.filter { !$0.range.isEmpty }.sorted { $0.range.lowerBound < $1.range.lowerBound }
    for (first, second) in zip(ordered, ordered.dropFirst()) where second.range.lowerBound < first.range.upperBound {
      throw MaxLinearError(
        .invalidFile,
        "\(path): tensors \"\(first.name)\" and \"\(second.name)\" overlap, expected bytes of its own for each")
    }
  }

  /// Reads the header from front to back; every length is checked against what is left.
  private struct HeaderReader {
    private let bytes: UnsafeRawBufferPointer
    private let mapping: FileMapping
    private var path: String { mapping.path }
    private(set) var position = 4
    private(set) var tensorCount = 0
    private var metadataCount = 0
    private static let maximumDepth = 8

    init(_ mapping: FileMapping) {
      bytes = mapping.bytes
      self.mapping = mapping
    }

    func failure(_ message: String) -> MaxLinearError {
      MaxLinearError(.invalidFile, "\(path): \(message) (byte \(position))")
    }

    private mutating func read<Number: FixedWidthInteger>(_ type: Number.Type) throws -> Number {
      let size = MemoryLayout<Number>.size
      guard bytes.count - position >= size else { throw failure("the file ends, expected more of its header") }
      defer { position += size }
      return Number(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: Number.self))
    }

    /// A count of things that take at least `size` bytes each: more than are left is a lie.
    private mutating func readCount(_ what: String, size: Int) throws -> Int {
      let count = try read(UInt64.self)
      guard count <= UInt64((bytes.count - position) / size) else {
        throw failure("there are \(count) \(what), expected no more than the rest of the file can hold")
      }
      return Int(count)
    }

    private mutating func readString(_ what: String) throws -> String {
      let count = try readCount("bytes of \(what)", size: 1)
      let range = position..<position + count
      guard let text = String(validating: bytes[range], as: UTF8.self) else {
        throw failure("\(what) is not UTF-8, expected that it is")
      }
      position += count
      return text
    }

    mutating func readCounts() throws {
      guard bytes.count >= 24, GGUF.recognizes(bytes) else { throw failure("is another kind of file, expected GGUF") }
      let version = try read(UInt32.self)
      guard version == 2 || version == 3 else {
        let swapped = version.byteSwapped == 2 || version.byteSwapped == 3
        throw MaxLinearError(
          .unsupported, "\(path): GGUF version is \(version)\(swapped ? ", big-endian" : ""), expected 2 or 3")
      }
      tensorCount = try readCount("tensors", size: 24)
      metadataCount = try readCount("metadata entries", size: 13)
    }

    /// Numbers, bools and strings as text, arrays read over; and all of them as they are, in the file's order.
    mutating func readMetadata() throws -> (text: [String: String], values: [GGUFMetadata]) {
      var text: [String: String] = [:]
      var values: [GGUFMetadata] = []
      var keys = Set<ByteExactString>()
      for _ in 0..<metadataCount {
        let key = try readString("a metadata key")
        let type = try read(UInt32.self)
        let begin = position
        let value = try readValue(type, depth: 0)
        guard keys.insert(ByteExactString(key)).inserted else {
          throw failure("the metadata key \"\(key)\" comes twice, expected it once")
        }
        if text[key] == nil { text[key] = value ?? "" }
        guard let kind = GGUFValue.Kind(rawValue: type) else {
          throw failure("metadata type is \(type), expected a known one")
        }
        values.append(GGUFMetadata(key, GGUFValue(kind, in: mapping, at: begin..<position)))
      }
      return (text, values)
    }

    /// A value as text; nil for an array, whose strings are passed over.
    private mutating func readValue(_ type: UInt32, depth: Int) throws -> String? {
      switch type {
      case 0: return "\(try read(UInt8.self))"
      case 1: return "\(try read(Int8.self))"
      case 2: return "\(try read(UInt16.self))"
      case 3: return "\(try read(Int16.self))"
      case 4: return "\(try read(UInt32.self))"
      case 5: return "\(try read(Int32.self))"
      case 6: return "\(Float(bitPattern: try read(UInt32.self)))"
      case 7:
        let bool = try read(UInt8.self)
        guard bool <= 1 else { throw failure("a bool is \(bool), expected 0 or 1") }
        return bool == 1 ? "true" : "false"
      case 8:
        guard depth == 0 else {
          position += try readCount("bytes of a string in an array", size: 1)
          return nil
        }
        return try readString("a metadata string")
      case 9:
        guard depth < Self.maximumDepth else {
          throw failure("arrays are nested deeper, expected at most \(Self.maximumDepth) in one another")
        }
        let elements = try read(UInt32.self)
        for _ in 0..<(try readCount("array elements", size: 1)) { _ = try readValue(elements, depth: depth + 1) }
        return nil
      case 10: return "\(try read(UInt64.self))"
      case 11: return "\(try read(Int64.self))"
      case 12: return "\(Double(bitPattern: try read(UInt64.self)))"
      default: throw failure("metadata type is \(type), expected a known one")
      }
    }

    mutating func readTensor(_ index: Int) throws -> HeaderTensor {
      let name = try readString("the name of tensor \(index)")
      guard !name.utf8.contains(0) else { throw failure("the name of tensor \(index) has a NUL byte, expected none") }
      let rank = try read(UInt32.self)
      guard rank <= UInt32(GGUF.maximumRank) else {
        throw failure("tensor \"\(name)\" has \(rank) dimensions, expected at most \(GGUF.maximumRank)")
      }
      var dimensions: [Int] = []
      for _ in 0..<rank {
        let dimension = try read(UInt64.self)
        guard let dimension = Int(exactly: dimension) else {
          throw failure("tensor \"\(name)\" has a dimension of \(dimension), expected at most \(Int.max)")
        }
        dimensions.append(dimension)
      }
      return HeaderTensor(
        name: name, dimensions: dimensions, type: try read(UInt32.self), offset: try read(UInt64.self))
    }
  }
}

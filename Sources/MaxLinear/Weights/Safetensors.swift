/// The safetensors format:
///
///     8 bytes     N, the header's length, little-endian
///     N bytes     the header, a JSON object, perhaps padded with spaces:
///                 {"__metadata__": {"key": "value", ...},
///                  "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end]}, ...}
///     the rest    the data; offsets count from its first byte
///
/// https://github.com/huggingface/safetensors describes it. Where that description and its reference reader (0.8.0) differ
/// or leave room, this reader does the following:
///
/// - Keys of a tensor other than the three are passed over, as the reference does; they still must be valid JSON.
/// - A name or metadata key that comes twice is refused, as the description says; the reference takes the last one.
/// - The header's first byte must be "{", as the description says; the reference also takes whitespace before it.
/// - After the object, any JSON whitespace is taken as padding, as the reference does.
/// - `"__metadata__": null` and a tensor written as an array instead of an object are refused; the reference takes both.
/// - Names with a NUL byte are refused, because C could not tell them from shorter ones.
/// - Shapes whose nonzero dimensions overflow 64 bits are refused wherever a 0 stands; the reference goes by the order.
/// - Tensors of more than 16 dimensions, and the two FNUZ dtypes, are well formed but unsupported.
enum Safetensors {
  static let format = CheckpointFormat(
    description: "safetensors (a header length of 8 bytes, then \"{\")",
    recognizes: recognizes,
    fileExtension: ".safetensors",
    read: read)

  static let maximumHeaderLength = 100_000_000
  private static let lengthBytes = 8

  /// All dtypes of the format that the library has.
  private static let dtypes: [(name: String, dtype: DType)] = [
    ("F64", .float64), ("F32", .float32), ("F16", .float16), ("BF16", .bfloat16), ("F8_E5M2", .float8E5M2),
    ("F8_E4M3", .float8E4M3), ("F8_E8M0", .float8E8M0), ("F6_E2M3", .float6E2M3), ("F6_E3M2", .float6E3M2),
    ("F4", .float4E2M1), ("C64", .complex64), ("I64", .int64), ("I32", .int32), ("I16", .int16), ("I8", .int8),
    ("U64", .uint64), ("U32", .uint32), ("U16", .uint16), ("U8", .uint8), ("BOOL", .bool),
  ]
  private static let unsupportedDTypes = ["F8_E4M3FNUZ", "F8_E5M2FNUZ"]

  /// What the format calls a dtype; nil where it has none.
  static func name(of dtype: DType) -> String? { dtypes.first { $0.dtype == dtype }?.name }

  static func recognizes(_ bytes: UnsafeRawBufferPointer) -> Bool {
    guard bytes.count > lengthBytes, bytes[lengthBytes] == UInt8(ascii: "{") else { return false }
    return headerLength(bytes) <= UInt64(maximumHeaderLength)
  }

  private static func headerLength(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
    UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
  }

  static func read(_ mapping: FileMapping) throws -> Checkpoint {
    let header = try headerRange(mapping)
    let data = header.upperBound..<mapping.bytes.count
    var reader = HeaderReader(mapping: mapping, header: header, dataCount: data.count)
    try reader.read()
    try checkCoverage(&reader.tensors, dataCount: data.count, path: mapping.path)
    let entries = reader.tensors.map {
      CheckpointEntry(
        name: $0.name, dtype: $0.dtype, shape: $0.shape,
        range: data.lowerBound + $0.begin..<data.lowerBound + $0.end)
    }
    return Checkpoint(entries: entries, metadata: reader.metadata)
  }

  /// Where the header lies in the file.
  private static func headerRange(_ mapping: FileMapping) throws -> Range<Int> {
    let bytes = mapping.bytes
    func failure(_ message: String) -> MaxLinearError { MaxLinearError(.invalidFile, "\(mapping.path): \(message)") }
    guard bytes.count >= lengthBytes else {
      throw failure("has \(bytes.count) bytes, expected 8 bytes of header length first")
    }
    if bytes.starts(with: "version https://git-lfs".utf8) {
      throw failure("is a Git LFS pointer, expected the file itself: fetch it with git lfs pull")
    }
    let length = headerLength(bytes)
    guard length <= UInt64(maximumHeaderLength) else {
      throw failure("the header length is \(length), expected at most \(maximumHeaderLength)")
    }
    let end = lengthBytes + Int(length)
    guard end <= bytes.count else {
      throw failure(
        "the header length is \(length), expected at most the \(bytes.count - lengthBytes) bytes that follow in the file"
      )
    }
    guard length > 0, bytes[lengthBytes] == UInt8(ascii: "{") else {
      throw failure("the header begins with something else, expected \"{\"")
    }
    return lengthBytes..<end
  }

  /// Orders the tensors by their data, and checks that they cover all of it without overlap or hole.
  private static func checkCoverage(_ tensors: inout [HeaderTensor], dataCount: Int, path: String) throws {
    tensors.sort { ($0.begin, $0.end, $0.index) < ($1.begin, $1.end, $1.index) }
    var covered = 0
    var previous = "the beginning of the data"
    for tensor in tensors {
      guard tensor.begin == covered else {
        let fault = tensor.begin < covered ? "overlaps" : "leaves a hole of \(tensor.begin - covered) bytes after"
        throw MaxLinearError(
          .invalidFile,
          "\(path): tensor \"\(tensor.name)\": begins at byte \(tensor.begin) of the data and \(fault) \(previous), expected "
            + "its end, \(covered)")
      }
      covered = tensor.end
      previous = "tensor \"\(tensor.name)\""
    }
    guard covered == dataCount else {
      throw MaxLinearError(
        .invalidFile, "\(path): the tensors cover \(covered) bytes of data, expected the file's \(dataCount)")
    }
  }

  /// A tensor as the header describes it; begin and end count from the first byte of the data.
  private struct HeaderTensor {
    let name: String
    let index: Int
    let dtype: DType
    let shape: [Int]
    let begin: Int
    let end: Int
  }

  /// Reads the JSON header, and checks each tensor by itself.
  private struct HeaderReader {
    var tensors: [HeaderTensor] = []
    var metadata: [String: String] = [:]
    private var json: JSONReader
    private let path: String
    private let dataCount: Int

    init(mapping: FileMapping, header: Range<Int>, dataCount: Int) {
      json = JSONReader(
        UnsafeRawBufferPointer(rebasing: mapping.bytes[header]), source: "\(mapping.path): safetensors header")
      path = mapping.path
      self.dataCount = dataCount
    }

    mutating func read() throws {
      try json.enterObject()
      while let name = try json.nextKey() {
        if name == "__metadata__" { try readMetadata() } else { try readTensor(name) }
      }
      try json.finish()
    }

    private mutating func readMetadata() throws {
      guard try json.nextKind() == .object else {
        throw json.failure("__metadata__ is something else, expected an object of strings")
      }
      try json.enterObject()
      while let key = try json.nextKey() {
        guard try json.nextKind() == .string else {
          throw json.failure("__metadata__: \"\(key)\" is something else, expected a string")
        }
        metadata[key] = try json.readString()
      }
    }

    private func failure(_ name: String, _ message: String) -> MaxLinearError {
      MaxLinearError(.invalidFile, "\(path): tensor \"\(name)\": \(message)")
    }

    private mutating func readTensor(_ name: String) throws {
      guard !name.utf8.contains(0) else { throw failure(name, "the name has a NUL byte, expected none") }
      var dtype: DType?
      var shape: [Int]?
      var offsets: [Int]?
      guard try json.nextKind() == .object else {
        throw failure(name, "is something else, expected an object with dtype, shape, data_offsets")
      }
      try json.enterObject()
      while let key = try json.nextKey() {
        switch key {
        case "dtype": dtype = try readDType(name)
        case "shape": shape = try readSizes(name, key)
        case "data_offsets": offsets = try readSizes(name, key)
        default: try json.skipValue()
        }
      }
      guard let dtype else { throw failure(name, "has no dtype, expected one") }
      guard let shape else { throw failure(name, "has no shape, expected one") }
      guard let offsets else { throw failure(name, "has no data_offsets, expected them") }
      guard offsets.count == 2 else {
        throw failure(name, "data_offsets has \(offsets.count) numbers, expected 2: begin and end")
      }
      try check(name, dtype, shape, begin: offsets[0], end: offsets[1])
      tensors.append(
        HeaderTensor(
          name: name, index: tensors.count, dtype: dtype, shape: shape, begin: offsets[0], end: offsets[1]))
    }

    private mutating func readDType(_ name: String) throws -> DType {
      guard try json.nextKind() == .string else { throw failure(name, "dtype is something else, expected a string") }
      let text = try json.readString()
      if let known = dtypes.first(where: { $0.name == text }) { return known.dtype }
      if unsupportedDTypes.contains(text) {
        throw MaxLinearError(
          .unsupported, "\(path): tensor \"\(name)\": dtype is \(text), expected one that is supported")
      }
      let names = dtypes.map(\.name).joined(separator: ", ")
      throw failure(name, "dtype is \"\(text)\", expected one of \(names)")
    }

    /// An array of integers >= 0.
    private mutating func readSizes(_ name: String, _ key: String) throws -> [Int] {
      guard try json.nextKind() == .array else { throw failure(name, "\(key) is something else, expected an array") }
      var sizes: [Int] = []
      try json.enterArray()
      while try json.nextElement() {
        guard try json.nextKind() == .number else {
          throw failure(name, "\(key)[\(sizes.count)] is something else, expected a number")
        }
        let size: Int
        do {
          size = try json.readInteger()
        } catch let error as MaxLinearError {
          throw failure(name, "\(key)[\(sizes.count)]: \(error.message)")
        }
        guard size >= 0 else { throw failure(name, "\(key)[\(sizes.count)] is \(size), expected 0 or more") }
        sizes.append(size)
      }
      return sizes
    }

    private func check(_ name: String, _ dtype: DType, _ shape: [Int], begin: Int, end: Int) throws {
      guard begin <= end else {
        throw failure(name, "data_offsets are [\(begin), \(end)], expected the begin before the end")
      }
      guard end <= dataCount else {
        throw failure(
          name, "data_offsets are [\(begin), \(end)], expected them within the file's \(dataCount) bytes of data")
      }
      guard shape.count <= Tensor.maximumRank else {
        throw MaxLinearError(
          .unsupported,
          "\(path): tensor \"\(name)\": has \(shape.count) dimensions, expected at most \(Tensor.maximumRank)")
      }
      // Dimensions of 0 count as 1 for the overflow, because strides are products too.
      var bits = dtype.bits
      for dimension in shape {
        let (product, overflow) = bits.multipliedReportingOverflow(by: max(dimension, 1))
        guard !overflow else {
          throw failure(name, "shape is \(shape) of \(dtype.name), expected one that memory can hold")
        }
        bits = product
      }
      if shape.contains(0) { bits = 0 }
      guard bits % 8 == 0 else {
        throw failure(name, "shape is \(shape) of \(dtype.name), \(bits) bits, expected whole bytes")
      }
      guard bits / 8 == end - begin else {
        throw failure(
          name,
          "data_offsets are [\(begin), \(end)], \(end - begin) bytes, expected the \(bits / 8) that shape \(shape) of \(dtype.name) takes"
        )
      }
    }
  }
}

/// Writes a safetensors file, tensor by tensor, so that no more than a part of one need be in memory:
///
///     let writer = try SafetensorsWriter(path: "model.safetensors", tensors: infos)
///     for (index, tensor) in tensors.enumerated() { try writer.write(tensor, to: index) }
///     try writer.finish()
///
/// The data lie by the width of their elements, the widest first, as the format's own package has them, so that each is aligned. The file
/// appears once it is whole; a writer that is cancelled or let go leaves nothing behind. Not Sendable: one thread at a time.
public final class SafetensorsWriter {
  /// What the header says of a tensor.
  public struct TensorInfo: Sendable {
    /// The tensor's name, unique in the file.
    public let name: String
    /// The dtype of the elements.
    public let dtype: DType
    /// The dimensions, in C order.
    public let shape: [Int]

    /// What the file says of a tensor; the writer checks it.
    public init(name: String, dtype: DType, shape: [Int]) {
      self.name = name
      self.dtype = dtype
      self.shape = shape
    }
  }

  private struct Place {
    let info: TensorInfo
    let begin: Int
    let end: Int
    var written = 0
  }

  private let file: ReplacingFile
  private var places: [Place] = []
  private let dataBegin: Int

  /// Begins the file and writes its header.
  ///
  /// - Parameters:
  ///   - path: the file, which appears once it is whole.
  ///   - metadata: the file's strings, in this order.
  ///   - tensors: what the file will hold.
  /// - Throws: `.invalidArgument` for a name or key that comes twice, a name with a NUL byte or "__metadata__", or a path that is no place
  ///   for a file; `.invalidShape` or `.invalidDType` for a tensor that the format cannot hold; `.io` when the file cannot be made.
  public init(path: String, metadata: [(key: String, value: String)] = [], tensors: [TensorInfo]) throws {
    let widths = Set(tensors.map(\.dtype.bits)).sorted(by: >)
    var offset = 0
    var placed = [Place?](repeating: nil, count: tensors.count)
    for width in widths {
      for (index, info) in tensors.enumerated() where info.dtype.bits == width {
        let end = offset.addingReportingOverflow(try Self.byteCount(info))
        guard !end.overflow else {
          throw MaxLinearError(
            .invalidShape, "tensor \"\(info.name)\": the file would be larger than files can be, expected fewer bytes")
        }
        placed[index] = Place(info: info, begin: offset, end: end.partialValue)
        offset = end.partialValue
      }
    }
    places = placed.compactMap { $0 }
    let header = try Self.header(metadata, places)
    dataBegin = header.count
    file = try ReplacingFile(path: path)
    try header.withUnsafeBytes { try file.write($0, at: 0) }
  }

  /// Writes the next elements of tensor number `index`, in C order: all of them or a part.
  ///
  /// Throws `.invalidArgument` when there is no such tensor or it has fewer left, `.invalidDType` for another dtype than the header's,
  /// `.outOfMemory`; `.io`, which cancels the file.
  public func write(_ values: Tensor, to index: Int) throws {
    guard places.indices.contains(index) else {
      throw MaxLinearError(
        .invalidArgument, "index: is \(index), expected less than the \(places.count) tensors of \(file.path)")
    }
    let place = places[index]
    guard values.dtype == place.info.dtype else {
      throw MaxLinearError(
        .invalidDType,
        "tensor \"\(place.info.name)\": dtype is \(values.dtype.name), expected \(place.info.dtype.name)")
    }
    let values = try values.inCOrder("values")
    let left = place.end - place.begin - place.written
    guard values.byteCount <= left else {
      throw MaxLinearError(
        .invalidArgument,
        "tensor \"\(place.info.name)\": \(values.byteCount) bytes came, expected at most the \(left) left")
    }
    try values.withCTensor { view in
      try file.write(
        UnsafeRawBufferPointer(start: view.data, count: values.byteCount), at: dataBegin + place.begin + place.written)
    }
    places[index].written += values.byteCount
  }

  /// Gives the file its name, once every tensor is written and the disk has the bytes. `beforeNaming` is run in between, for what must be
  /// there when the file appears; when it throws, the file does not.
  ///
  /// Throws `.invalidArgument` when tensors are missing; `.io`, which cancels the file.
  public func finish(beforeNaming: () throws -> Void = {}) throws {
    guard let missing = places.first(where: { $0.written < $0.end - $0.begin }) else {
      try file.settle()
      do {
        try beforeNaming()
      } catch {
        cancel()
        throw error
      }
      return try file.finish()
    }
    throw MaxLinearError(
      .invalidArgument, "\(file.path): tensor \"\(missing.info.name)\" is not written whole, expected all of it")
  }

  /// Removes what was written. Does nothing after `finish`.
  public func cancel() { file.cancel() }

  /// Whole bytes of a tensor.
  private static func byteCount(_ info: TensorInfo) throws(MaxLinearError) -> Int {
    var bits = info.dtype.bits
    for dimension in info.shape {
      let product = bits.multipliedReportingOverflow(by: dimension)
      guard dimension >= 0, !product.overflow else {
        throw MaxLinearError(
          .invalidShape, "tensor \"\(info.name)\": shape is \(info.shape), expected one that a file can hold")
      }
      bits = product.partialValue
    }
    guard bits % 8 == 0 else {
      throw MaxLinearError(.invalidShape, "tensor \"\(info.name)\": has \(bits) bits, expected whole bytes")
    }
    return bits / 8
  }

  /// The header with its length in front, filled up with blanks so that the data begin at a multiple of 8.
  private static func header(_ metadata: [(key: String, value: String)], _ places: [Place]) throws -> [UInt8] {
    var members: [(String, JSONText)] = []
    var names = Set<ByteExactString>()
    if !metadata.isEmpty {
      var keys = Set<ByteExactString>()
      for (key, _) in metadata where !keys.insert(ByteExactString(key)).inserted {
        throw MaxLinearError(.invalidArgument, "metadata: the key \"\(key)\" comes twice, expected it once")
      }
      members.append(("__metadata__", .object(metadata.map { ($0.key, .string($0.value)) })))
    }
    for place in places {
      let name = place.info.name
      guard name != "__metadata__", !name.utf8.contains(0) else {
        throw MaxLinearError(.invalidArgument, "tensor \"\(name)\": is no name of a tensor, expected one")
      }
      guard names.insert(ByteExactString(name)).inserted else {
        throw MaxLinearError(.invalidArgument, "tensor \"\(name)\": comes twice, expected it once")
      }
      guard let dtype = Safetensors.name(of: place.info.dtype) else {
        throw MaxLinearError(
          .invalidDType, "tensor \"\(name)\": dtype is \(place.info.dtype.name), expected one that safetensors name")
      }
      members.append(
        (
          name,
          .object([
            ("dtype", .string(dtype)), ("shape", .array(place.info.shape.map { .integer($0) })),
            ("data_offsets", .array([.integer(place.begin), .integer(place.end)])),
          ])
        ))
    }
    var text = Array(JSONText.object(members).text.utf8)
    text += [UInt8](repeating: UInt8(ascii: " "), count: (8 - text.count % 8) % 8)
    guard text.count <= Safetensors.maximumHeaderLength else {
      throw MaxLinearError(
        .invalidArgument,
        "metadata: makes a header of \(text.count) bytes, expected at most \(Safetensors.maximumHeaderLength)")
    }
    return UInt64(text.count).littleEndianBytes + text
  }
}

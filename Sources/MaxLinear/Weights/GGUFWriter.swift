/// Writes a GGUF file of version 3, tensor by tensor, so that no more than a part of one need be in memory:
///
///     let writer = try GGUFWriter(path: "model.gguf", metadata: metadata, tensors: infos)
///     for tensor in tensors { try writer.write(tensor) }
///     try writer.finish()
///
/// The bytes go to a temporary file in the same folder, which `finish` gives the file's name, in one step, once the disk
/// has them. Until then whatever had that name stays, and a writer that is cancelled or let go leaves nothing behind.
/// Not Sendable: one thread at a time.
public final class GGUFWriter {
  /// What the header says of a tensor, in the terms of `WeightData`: blocks are uint8 (rows, row bytes).
  public struct TensorInfo: Sendable {
    /// The tensor's name, unique in the file.
    public let name: String
    /// The dtype of the elements; `.uint8` of blocks.
    public let dtype: DType
    /// The shape in numpy's order, of blocks [rows, row bytes]; GGUF stores it reversed.
    public let shape: [Int]
    /// The name of the encoding of blocks; nil for dense tensors.
    public let encoding: String?

    /// What the file says of a tensor; the writer checks it.
    public init(name: String, dtype: DType, shape: [Int], encoding: String? = nil) {
      self.name = name
      self.dtype = dtype
      self.shape = shape
      self.encoding = encoding
    }
  }

  private struct Place {
    let info: TensorInfo
    let type: UInt32
    /// Innermost first, in elements.
    let dimensions: [Int]
    let offset: Int
    let byteCount: Int
  }

  /// The file that appears when the writer has finished.
  public let path: String
  private let alignment: Int
  private let places: [Place]
  private let file: ReplacingFile
  /// Small pieces of the header, until they are worth a call.
  private var pending: [UInt8] = []
  private var position = 0
  private var current = 0
  private var written = 0
  private static let pendingLimit = 1 << 16

  /// Begins the file and writes its header. `general.alignment` of the metadata is honoured; without it, 32.
  ///
  /// - Throws: `.invalidArgument` for a name or key that comes twice or holds a NUL byte, an alignment that is no power of
  ///   two from 8 on, or a path that is no place for a file; `.invalidShape`, `.invalidDType` or `.unsupported` for a
  ///   tensor that GGUF cannot hold; `.io` when the file cannot be made.
  public init(path: String, metadata: [GGUFMetadata], tensors: [TensorInfo]) throws {
    self.path = path
    alignment = try Self.alignment(metadata)
    places = try Self.places(tensors, alignment: alignment)
    try Self.checkKeys(metadata)
    file = try ReplacingFile(path: path)
    try writeHeader(metadata)
  }

  /// Writes the next elements, in C order: a whole tensor or a part of one, in the order of the header.
  ///
  /// Throws `.invalidArgument` when there are no more or the tensor has fewer left, `.invalidDType` for another dtype than
  /// the header's, `.outOfMemory`; `.io`, which cancels the file.
  public func write(_ values: Tensor) throws {
    try checkOpen()
    passOverEmpty()
    let values = try values.inCOrder("values")
    if values.byteCount == 0 { return }
    guard current < places.count else {
      throw MaxLinearError(
        .invalidArgument, "\(path): more values came, expected none after the \(places.count) tensors")
    }
    let place = places[current]
    guard values.dtype == place.info.dtype else {
      throw MaxLinearError(
        .invalidDType,
        "tensor \"\(place.info.name)\": dtype is \(values.dtype.name), expected \(place.info.dtype.name)")
    }
    guard values.byteCount <= place.byteCount - written else {
      throw MaxLinearError(
        .invalidArgument,
        "tensor \"\(place.info.name)\": \(values.byteCount) bytes came, expected at most the \(place.byteCount - written) left"
      )
    }
    try values.withCTensor { view in
      try write(UnsafeRawBufferPointer(start: view.data, count: values.byteCount))
    }
    written += values.byteCount
    if written == place.byteCount {
      try pad()
      current += 1
      written = 0
    }
  }

  /// Gives the file its name, once every tensor is written and the disk has the bytes.
  ///
  /// Throws `.invalidArgument` when tensors are missing; `.io`, which cancels the file.
  public func finish() throws {
    try checkOpen()
    passOverEmpty()
    guard current == places.count else {
      throw MaxLinearError(
        .invalidArgument, "\(path): tensor \"\(places[current].info.name)\" is not written whole, expected all of it")
    }
    try flush()
    try file.finish()
  }

  /// Removes what was written. Does nothing after `finish`.
  public func cancel() { file.cancel() }
}

// What the header says.
extension GGUFWriter {
  private static func alignment(_ metadata: [GGUFMetadata]) throws -> Int {
    guard let value = metadata.first(where: { $0.key == GGUF.alignmentKey })?.value else {
      return GGUF.defaultAlignment
    }
    guard let alignment = value.naturalNumber, GGUF.isAlignment(alignment) else {
      throw MaxLinearError(
        .invalidArgument, "\(GGUF.alignmentKey): is another number, expected a power of two from 8 to \(1 << 30)")
    }
    return alignment
  }

  private static func checkKeys(_ metadata: [GGUFMetadata]) throws {
    var keys = Set<ByteExactString>()
    for entry in metadata {
      guard !entry.key.utf8.contains(0) else {
        throw MaxLinearError(
          .invalidArgument, "metadata: the key \"\(entry.key)\" has a NUL byte, expected none")
      }
      guard keys.insert(ByteExactString(entry.key)).inserted else {
        throw MaxLinearError(.invalidArgument, "metadata: the key \"\(entry.key)\" comes twice, expected it once")
      }
    }
  }

  private static func places(_ tensors: [TensorInfo], alignment: Int) throws -> [Place] {
    var names = Set<ByteExactString>()
    var offset = 0
    return try tensors.map { info in
      guard names.insert(ByteExactString(info.name)).inserted else {
        throw MaxLinearError(.invalidArgument, "tensor \"\(info.name)\": comes twice, expected it once")
      }
      guard !info.name.utf8.contains(0) else {
        throw MaxLinearError(.invalidArgument, "tensor \"\(info.name)\": the name has a NUL byte, expected none")
      }
      guard info.name.utf8.count <= GGUF.longestName else {
        throw MaxLinearError(
          .unsupported,
          "tensor \"\(info.name)\": the name has \(info.name.utf8.count) bytes, expected at most \(GGUF.longestName), which readers of GGUF have room for"
        )
      }
      let stored = try GGUF.stored(info)
      let place = Place(
        info: info, type: stored.type, dimensions: stored.dimensions, offset: offset, byteCount: stored.byteCount)
      let end = offset.addingReportingOverflow(stored.byteCount)
      let padded = end.partialValue.addingReportingOverflow(alignment - 1)
      guard !end.overflow, !padded.overflow else {
        throw MaxLinearError(
          .invalidShape, "tensor \"\(info.name)\": the file would be larger than files can be, expected fewer bytes")
      }
      offset = padded.partialValue / alignment * alignment
      return place
    }
  }

  private func writeHeader(_ metadata: [GGUFMetadata]) throws {
    try append(GGUF.magic)
    try append(UInt32(3).littleEndianBytes)
    try append(UInt64(places.count).littleEndianBytes)
    try append(UInt64(metadata.count).littleEndianBytes)
    for entry in metadata {
      try append(entry.key)
      try append(entry.value.kind.rawValue.littleEndianBytes)
      try entry.value.withBytes { try write($0) }
    }
    for place in places {
      try append(place.info.name)
      try append(UInt32(place.dimensions.count).littleEndianBytes)
      for dimension in place.dimensions { try append(UInt64(dimension).littleEndianBytes) }
      try append(place.type.littleEndianBytes)
      try append(UInt64(place.offset).littleEndianBytes)
    }
    try pad()
    try flush()
  }

  /// Tensors without elements have no bytes to write.
  private func passOverEmpty() {
    while current < places.count, places[current].byteCount == 0 { current += 1 }
  }
}

// Bytes and files.
extension GGUFWriter {
  private func append(_ text: String) throws {
    try append(UInt64(text.utf8.count).littleEndianBytes)
    try append(Array(text.utf8))
  }

  private func append(_ bytes: [UInt8]) throws {
    pending += bytes
    position += bytes.count
    if pending.count >= Self.pendingLimit { try flush() }
  }

  private func write(_ bytes: UnsafeRawBufferPointer) throws {
    guard bytes.count >= Self.pendingLimit else { return try append(Array(bytes)) }
    try flush()
    try file.write(bytes)
    position += bytes.count
  }

  private func pad() throws {
    try append([UInt8](repeating: 0, count: (alignment - position % alignment) % alignment))
  }

  private func flush() throws {
    try pending.withUnsafeBytes { try file.write($0) }
    pending.removeAll(keepingCapacity: true)
  }

  private func checkOpen() throws {
    guard file.isOpen else { throw MaxLinearError(.invalidArgument, "\(path): is closed, expected an open file") }
  }
}

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

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
    public let name: String
    public let dtype: DType
    public let shape: [Int]
    /// The name of the encoding of blocks; nil for dense tensors.
    public let encoding: String?

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

  public let path: String
  private let alignment: Int
  private let places: [Place]
  private let temporary: String
  /// -1 once the file is closed.
  private var descriptor: Int32 = -1
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
    try Self.checkPath(path)
    (descriptor, temporary) = try Self.openTemporary(beside: path)
    do {
      try writeHeader(metadata)
    } catch {
      cancel()
      throw error
    }
  }

  deinit { cancel() }

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
      throw MaxLinearError(.invalidArgument, "\(path): all \(places.count) tensors are written")
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
        "tensor \"\(place.info.name)\": \(values.byteCount) bytes more than its \(place.byteCount - written) left")
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
      throw MaxLinearError(.invalidArgument, "\(path): tensor \"\(places[current].info.name)\" is not written whole")
    }
    try flush()
    guard fsync(descriptor) == 0 else { throw cancelled(errno) }
    let closing = descriptor
    descriptor = -1
    guard close(closing) == 0 else {
      let code = errno
      unlink(temporary)
      throw Self.failure(path, "write", code)
    }
    guard rename(temporary, path) == 0 else {
      let code = errno
      unlink(temporary)
      throw Self.failure(path, "name", code)
    }
    Self.syncFolder(of: path)
  }

  /// Removes what was written. Does nothing after `finish`.
  public func cancel() {
    guard descriptor >= 0 else { return }
    _ = close(descriptor)
    unlink(temporary)
    descriptor = -1
  }
}

// What the header says.
extension GGUFWriter {
  private static func alignment(_ metadata: [GGUFMetadata]) throws -> Int {
    guard let value = metadata.first(where: { $0.key == GGUF.alignmentKey })?.value else {
      return GGUF.defaultAlignment
    }
    guard let alignment = value.naturalNumber, GGUF.isAlignment(alignment) else {
      throw MaxLinearError(.invalidArgument, "\(GGUF.alignmentKey): expected a power of two from 8 to \(1 << 30)")
    }
    return alignment
  }

  private static func checkKeys(_ metadata: [GGUFMetadata]) throws {
    var keys = Set<ByteExactString>()
    for entry in metadata where !keys.insert(ByteExactString(entry.key)).inserted {
      throw MaxLinearError(.invalidArgument, "the metadata key \"\(entry.key)\" comes twice")
    }
  }

  private static func places(_ tensors: [TensorInfo], alignment: Int) throws -> [Place] {
    var names = Set<ByteExactString>()
    var offset = 0
    return try tensors.map { info in
      guard names.insert(ByteExactString(info.name)).inserted else {
        throw MaxLinearError(.invalidArgument, "tensor \"\(info.name)\" comes twice")
      }
      guard !info.name.utf8.contains(0) else {
        throw MaxLinearError(.invalidArgument, "tensor \"\(info.name)\": the name has a NUL byte")
      }
      let stored = try GGUF.stored(info)
      let place = Place(
        info: info, type: stored.type, dimensions: stored.dimensions, offset: offset, byteCount: stored.byteCount)
      let end = offset.addingReportingOverflow(stored.byteCount)
      let padded = end.partialValue.addingReportingOverflow(alignment - 1)
      guard !end.overflow, !padded.overflow else {
        throw MaxLinearError(.invalidShape, "tensor \"\(info.name)\": the file would be larger than files can be")
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
    try writeOut(bytes)
    position += bytes.count
  }

  private func pad() throws {
    try append([UInt8](repeating: 0, count: (alignment - position % alignment) % alignment))
  }

  private func flush() throws {
    try pending.withUnsafeBytes { try writeOut($0) }
    pending.removeAll(keepingCapacity: true)
  }

  private func writeOut(_ bytes: UnsafeRawBufferPointer) throws {
    var rest = bytes[...]
    while !rest.isEmpty {
      let part = UnsafeRawBufferPointer(rebasing: rest)
      #if canImport(Glibc)
        let count = Glibc.write(descriptor, part.baseAddress, part.count)
      #elseif canImport(Musl)
        let count = Musl.write(descriptor, part.baseAddress, part.count)
      #else
        let count = Darwin.write(descriptor, part.baseAddress, part.count)
      #endif
      if count < 0 {
        let code = errno
        if code == EINTR { continue }
        throw cancelled(code)
      }
      rest = rest.dropFirst(count)
    }
  }

  private func checkOpen() throws {
    guard descriptor >= 0 else { throw MaxLinearError(.invalidArgument, "\(path): the file is closed") }
  }

  /// The error of a file that cannot be written: a part of it may be missing, so it must not be finished.
  private func cancelled(_ code: Int32) -> MaxLinearError {
    cancel()
    return Self.failure(path, "write", code)
  }

  private static func checkPath(_ path: String) throws {
    guard !path.utf8.contains(0) else { throw MaxLinearError(.invalidArgument, "\(path): the path has a NUL byte") }
    guard !path.isEmpty, !path.utf8.elementsEqual("/".utf8), path.utf8.last != UInt8(ascii: "/") else {
      throw MaxLinearError(.invalidArgument, "\"\(path)\": expected the path of a file")
    }
    // A device or a folder must not be replaced by a file.
    var information = stat()
    if stat(path, &information) == 0, information.st_mode & S_IFMT != S_IFREG {
      throw MaxLinearError(.invalidArgument, "\(path): is there and is no regular file")
    }
  }

  private static func openTemporary(beside path: String) throws -> (Int32, String) {
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? ""
    var attempt = 0
    while true {
      let temporary = "\(folder).maxlinear-\(getpid())-\(attempt).partial"
      let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
      if descriptor >= 0 { return (descriptor, temporary) }
      let code = errno
      switch code {
      case EINTR: continue
      // Another writer's, or left by a process that was killed.
      case EEXIST where attempt < 10_000: attempt += 1
      default: throw failure(path, "make", code)
      }
    }
  }

  /// The new name should survive a power cut too; where a folder cannot be synchronized, the file is complete all the same.
  private static func syncFolder(of path: String) {
    let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
    let descriptor = open(folder, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    _ = fsync(descriptor)
    _ = close(descriptor)
  }

  private static func failure(_ path: String, _ action: String, _ code: Int32) -> MaxLinearError {
    let reason = strerror(code).map { String(cString: $0) } ?? "error \(code)"
    return MaxLinearError(.io, "\(path): cannot \(action) the file: \(reason)")
  }
}

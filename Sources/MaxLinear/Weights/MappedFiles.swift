import Kernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The files that are mapped now, found by an address inside them, so that tensors that went through C are found too.
///
/// Memory of a file that was truncated raises SIGBUS where it is read, which no code of a library can turn into an error. So the file is
/// looked at before its tensors are read, and again before what was made of them is used.
enum MappedFiles {
  /// A file as it was when it was opened.
  private struct File {
    let path: String
    let addresses: Range<UInt>
    /// Open as long as the file is mapped: the path may lead to another file by now.
    let descriptor: Int32
    let opened: Stamp
    weak var mapping: FileMapping?
  }

  /// What changes when a file does.
  struct Stamp: Equatable {
    let size: Int
    private let seconds: Int
    private let nanoseconds: Int

    init(_ information: stat) {
      size = Int(clamping: information.st_size)
      #if canImport(Darwin)
        let modified = information.st_mtimespec
      #else
        let modified = information.st_mtim
      #endif
      seconds = Int(modified.tv_sec)
      nanoseconds = Int(modified.tv_nsec)
    }
  }

  // Read and written under the lock that `withFiles` takes.
  private nonisolated(unsafe) static var files: [File] = []

  /// Not under a `Mutex`, which a child process may find locked after fork by a thread that it does not have.
  private static func withFiles<Result>(_ body: (inout [File]) -> Result) -> Result {
    mxlk_files_lock()
    defer { mxlk_files_unlock() }
    return body(&files)
  }

  static func add(_ mapping: FileMapping, descriptor: Int32, opened: Stamp) {
    let start = UInt(bitPattern: mapping.bytes.baseAddress)
    let file = File(
      path: mapping.path, addresses: start..<start + UInt(mapping.bytes.count), descriptor: descriptor, opened: opened,
      mapping: mapping)
    withFiles { $0.append(file) }
  }

  /// The file that is mapped at this address; nil when none of ours is.
  static func mapping(at address: UnsafeRawPointer?) -> FileMapping? {
    let address = UInt(bitPattern: address)
    // Let go of outside the lock, should it have become the last reference.
    return withFiles { $0.first { $0.addresses.contains(address) }?.mapping }
  }

  /// Forgets the file mapped at these bytes, and closes its descriptor.
  static func remove(bytes: UnsafeRawBufferPointer) {
    let start = UInt(bitPattern: bytes.baseAddress)
    let descriptor = withFiles { files -> Int32? in
      guard let index = files.firstIndex(where: { $0.addresses.lowerBound == start }) else { return nil }
      return files.remove(at: index).descriptor
    }
    if let descriptor { _ = close(descriptor) }
  }

  /// Throws `.io` when the file that is mapped at this address has another size or time of modification than when it was opened. An address
  /// in no file of ours is fine.
  static func check(_ address: UnsafeRawPointer?) throws(MaxLinearError) {
    let address = UInt(bitPattern: address)
    // The lock keeps the descriptor open.
    let changed = withFiles { files -> (file: File, now: Stamp?)? in
      guard let file = files.first(where: { $0.addresses.contains(address) }) else { return nil }
      var information = stat()
      let now = fstat(file.descriptor, &information) == 0 ? Stamp(information) : nil
      return now == file.opened ? nil : (file, now)
    }
    guard let changed else { return }
    let (file, now) = changed
    let difference =
      now.map { now in
        now.size == file.opened.size
          ? "was written to" : "had \(file.opened.size) bytes and has \(now.size)"
      } ?? "can no longer be looked at"
    throw MaxLinearError(
      .io, "\(file.path): the file \(difference) since it was opened, expected it unchanged: open it again")
  }
}

extension WeightData {
  /// Throws `.io` when the file that the tensor is mapped from, if any, has changed since it was opened.
  package func checkFile() throws(MaxLinearError) { try MappedFiles.check(tensor.pointer) }
}

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A whole file, mapped read-only. Pages are read from disk when they are first touched.
///
/// The mapping ends with the last reference: whoever keeps a pointer into it keeps the object, as `Tensor` does with its
/// owner. The file stays open with it, so that `MappedFiles` can tell whether it is still what was opened. Files that are replaced by
/// renaming, as downloads are, or removed, stay intact.
package final class FileMapping: Sendable {
  package let path: String
  // Read-only memory that lives exactly as long as this object.
  package nonisolated(unsafe) let bytes: UnsafeRawBufferPointer

  /// Maps the file. `.io` when the operating system refuses or the path is no regular file, `.invalidFile` when the file
  /// is empty.
  package init(path: String) throws {
    guard !path.utf8.contains(0) else {
      throw MaxLinearError(.invalidArgument, "path: is \(path) with a NUL byte, expected the path of a file")
    }
    let descriptor = try Self.openForReading(path)
    var isKept = false
    defer { if !isKept { _ = close(descriptor) } }
    var information = stat()
    guard fstat(descriptor, &information) == 0 else { throw Self.failure(path, "measured", errno) }
    guard information.st_mode & S_IFMT == S_IFREG else {
      throw MaxLinearError(.io, "\(path): is a folder or device, expected a regular file")
    }
    guard let count = Int(exactly: information.st_size), count > 0 else {
      throw MaxLinearError(.invalidFile, "\(path): is empty, expected a file with contents")
    }
    guard let address = mmap(nil, count, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
      throw Self.failure(path, "mapped", errno)
    }
    self.path = path
    bytes = UnsafeRawBufferPointer(start: address, count: count)
    MappedFiles.add(self, descriptor: descriptor, opened: MappedFiles.Stamp(information))
    isKept = true
  }

  deinit {
    MappedFiles.remove(bytes: bytes)
    if let start = bytes.baseAddress { munmap(UnsafeMutableRawPointer(mutating: start), bytes.count) }
  }

  /// The file that is mapped at this address; nil when none is.
  package static func mapped(at address: UnsafeRawPointer?) -> FileMapping? { MappedFiles.mapping(at: address) }

  /// The folder that a path's last part lies in, absolute where there is one, with a "/" behind it. A link is not followed: what belongs to it lies
  /// beside it.
  static func folder(of path: String) -> String {
    let parent = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "./"
    guard let absolute = realpath(parent, nil) else { return parent }
    defer { free(absolute) }
    let folder = String(cString: absolute)
    return folder.hasSuffix("/") ? folder : folder + "/"
  }

  /// Whether there is something of that name.
  static func exists(path: String) -> Bool {
    var information = stat()
    return !path.utf8.contains(0) && stat(path, &information) == 0
  }

  /// Whether two paths lead to one file that is there.
  static func areOne(_ path: String, _ other: String) -> Bool {
    var (first, second) = (stat(), stat())
    return stat(path, &first) == 0 && stat(other, &second) == 0 && first.st_dev == second.st_dev
      && first.st_ino == second.st_ino
  }

  private static func openForReading(_ path: String) throws -> Int32 {
    while true {
      // O_NONBLOCK does nothing to a regular file, and keeps a FIFO without a writer from blocking here for ever.
      let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
      if descriptor >= 0 { return descriptor }
      let code = errno
      guard code == EINTR else { throw failure(path, "opened", code) }
    }
  }

  private static func failure(_ path: String, _ action: String, _ code: Int32) -> MaxLinearError {
    let reason = strerror(code).map { String(cString: $0) } ?? "error \(code)"
    return MaxLinearError(.io, "\(path.isEmpty ? "path" : path): \(reason), expected a file that can be \(action)")
  }
}

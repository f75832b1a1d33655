#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A file that appears whole or not at all. The bytes go to a temporary file in the same folder, which `finish` gives the file's name, in
/// one step, once the disk has them. Until then whatever had that name stays, and a file that is cancelled or let go leaves nothing behind.
/// A link stays: what it leads to is replaced.
/// Not Sendable: one thread at a time.
package final class ReplacingFile {
  package let path: String
  /// The path, or where it leads.
  private let target: String
  private let temporary: String
  /// -1 once the file is closed.
  private var descriptor: Int32
  /// The temporary file is there.
  private var exists = true

  /// Makes the temporary file.
  ///
  /// Throws `.invalidArgument` for a path that is no place for a file, `.io` when it cannot be made.
  package init(path: String) throws(MaxLinearError) {
    try Self.checkPath(path)
    self.path = path
    target = try Self.target(of: path)
    (descriptor, temporary) = try Self.openTemporary(beside: target, named: path)
  }

  deinit { cancel() }

  var isOpen: Bool { descriptor >= 0 }

  /// Writes behind what was written so. Throws `.io`, which cancels the file.
  package func write(_ bytes: UnsafeRawBufferPointer) throws(MaxLinearError) {
    try all(of: bytes) { descriptor, part, _ in
      #if canImport(Glibc)
        Glibc.write(descriptor, part.baseAddress, part.count)
      #elseif canImport(Musl)
        Musl.write(descriptor, part.baseAddress, part.count)
      #else
        Darwin.write(descriptor, part.baseAddress, part.count)
      #endif
    }
  }

  /// Writes at a place, counted from the file's first byte. Throws `.io`, which cancels the file.
  func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) throws(MaxLinearError) {
    try all(of: bytes) { descriptor, part, done in
      pwrite(descriptor, part.baseAddress, part.count, off_t(offset + done))
    }
  }

  private func all(
    of bytes: UnsafeRawBufferPointer, _ write: (Int32, UnsafeRawBufferPointer, Int) -> Int
  ) throws(MaxLinearError) {
    guard isOpen else { throw MaxLinearError(.invalidArgument, "\(path): is closed, expected an open file") }
    var done = 0
    while done < bytes.count {
      let count = write(descriptor, UnsafeRawBufferPointer(rebasing: bytes[done...]), done)
      if count < 0 {
        let code = errno
        if code == EINTR { continue }
        throw cancelled("written", code)
      }
      done += count
    }
  }

  /// Closes the file once the disk has the bytes; it has its name only after `finish`. Throws `.io`, which cancels the file.
  func settle() throws(MaxLinearError) {
    guard isOpen else { return }
    guard fsync(descriptor) == 0 else { throw cancelled("written", errno) }
    let closing = descriptor
    descriptor = -1
    guard close(closing) == 0 else { throw cancelled("written", errno) }
  }

  /// Settles the file and gives it its name. Throws `.io`, which cancels the file.
  package func finish() throws(MaxLinearError) {
    try settle()
    guard exists else { throw MaxLinearError(.invalidArgument, "\(path): is closed, expected an open file") }
    guard rename(temporary, target) == 0 else { throw cancelled("named", errno) }
    exists = false
    Self.syncFolder(of: target)
  }

  /// Removes what was written. Does nothing after `finish`.
  package func cancel() {
    if isOpen { _ = close(descriptor) }
    if exists { unlink(temporary) }
    descriptor = -1
    exists = false
  }

  /// The error of a file that cannot be written: a part of it may be missing, so it must not be finished.
  private func cancelled(_ action: String, _ code: Int32) -> MaxLinearError {
    cancel()
    return Self.failure(path, action, code)
  }

  private static func checkPath(_ path: String) throws(MaxLinearError) {
    guard !path.utf8.contains(0) else {
      throw MaxLinearError(.invalidArgument, "path: is \(path) with a NUL byte, expected the path of a file")
    }
    guard !path.isEmpty, !path.utf8.elementsEqual("/".utf8), path.utf8.last != UInt8(ascii: "/") else {
      throw MaxLinearError(.invalidArgument, "path: is \"\(path)\", expected the path of a file")
    }
    // A device or a folder must not be replaced by a file.
    var information = stat()
    if stat(path, &information) == 0, information.st_mode & S_IFMT != S_IFREG {
      throw MaxLinearError(.invalidArgument, "\(path): is a folder or device, expected a regular file or none")
    }
  }

  /// Where a link leads, which may be through others; a path that is none as it is.
  private static func target(of path: String) throws(MaxLinearError) -> String {
    var information = stat()
    guard lstat(path, &information) == 0, information.st_mode & S_IFMT == S_IFLNK else { return path }
    guard let target = realpath(path, nil) else {
      throw MaxLinearError(.invalidArgument, "\(path): is a link that leads nowhere, expected a regular file or none")
    }
    defer { free(target) }
    return String(cString: target)
  }

  private static func openTemporary(
    beside target: String, named path: String
  ) throws(MaxLinearError) -> (Int32, String) {
    let folder = target.lastIndex(of: "/").map { String(target[...$0]) } ?? ""
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
      default: throw failure(path, "made", code)
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
    return MaxLinearError(.io, "\(path): \(reason), expected a file that can be \(action)")
  }
}

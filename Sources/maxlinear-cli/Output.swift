import MaxLinear
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Without Foundation, which would make the command four times as large.
extension String {
  /// With spaces behind it, up to so many characters.
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }

  /// Without control characters, which a terminal would obey: names come from files.
  var printable: String {
    String(String.UnicodeScalarView(unicodeScalars.map { $0.properties.generalCategory == .control ? "\u{fffd}" : $0 }))
  }

  /// Whether a shell's pattern fits: *, ? and [].
  func matches(_ glob: String) -> Bool { fnmatch(glob, self, 0) == 0 }
}

/// Opens /dev/null in place of those of standard input, output and error that are closed: the next file that is opened would be given
/// the number, and messages would go into it.
func openStandardDescriptors() {
  while true {
    let lowest = open("/dev/null", O_RDWR)
    if lowest > STDERR_FILENO { _ = close(lowest) }
    guard 0..<STDERR_FILENO ~= lowest else { return }
  }
}

/// The errno of the first write to standard output that failed, 0 for none. It waits for the work to be done: a checkpoint that is
/// nearly quantized is worth more than the lines about it.
private let outputFailure = Mutex<Int32>(0)

/// Text on standard output, at once: whoever reads from a pipe waits for it.
func writeOutput(_ text: String) {
  // A reader that went away has read what it wanted.
  guard let code = writeAll(text, to: STDOUT_FILENO), code != EPIPE else { return }
  outputFailure.withLock { if $0 == 0 { $0 = code } }
}

/// Throws `.io` where something has not reached standard output.
func checkOutput() throws(MaxLinearError) {
  let code = outputFailure.withLock { $0 }
  guard code != 0 else { return }
  let reason = strerror(code).map { String(cString: $0) } ?? "error \(code)"
  throw MaxLinearError(.io, "standard output: \(reason), expected one that can be written")
}

/// A line on standard error.
func writeError(_ line: String) { _ = writeAll(line + "\n", to: STDERR_FILENO) }

/// The errno of a write that failed, nil for none.
private func writeAll(_ text: String, to descriptor: Int32) -> Int32? {
  Array(text.utf8).withUnsafeBytes { bytes in
    var done = 0
    while done < bytes.count {
      let count = write(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done)
      if count >= 0 {
        done += count
        continue
      }
      let code = errno
      switch code {
      case EINTR: continue
      case EAGAIN:
        // Whoever shares the descriptor has made it one that does not wait.
        var waiting = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = poll(&waiting, 1, -1)
      default: return code
      }
    }
    return nil
  }
}

/// C's printf of numbers into a line of at most 255 bytes.
func formatted(_ format: String, _ numbers: any CVarArg...) -> String {
  withVaList(numbers) { list in
    String(
      unsafeUninitializedCapacity: 256,
      initializingUTF8With: { bytes in
        let length = bytes.withMemoryRebound(to: CChar.self) { vsnprintf($0.baseAddress, $0.count, format, list) }
        return min(max(0, Int(length)), bytes.count - 1)
      })
  }
}

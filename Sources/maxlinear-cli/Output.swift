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

/// Whoever reads from a pipe waits for the line.
func flushOutput() { fflush(nil) }

/// A line on standard error.
func writeError(_ line: String) {
  flushOutput()
  _ = Array((line + "\n").utf8).withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
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

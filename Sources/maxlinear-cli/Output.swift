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
}

/// Whoever reads from a pipe waits for the line.
func flushOutput() { fflush(nil) }

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

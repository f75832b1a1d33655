#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// A string that equals another only when their UTF-8 bytes are the same.
///
/// Swift's `String` compares by canonical equivalence: "é" as one scalar equals "e" with a combining accent. Names in
/// checkpoints and JSON keys are told apart by their bytes, as every other reader of these files does.
struct ByteExactString: Hashable, Sendable {
  let text: String

  init(_ text: String) {
    self.text = text
  }

  static func == (left: ByteExactString, right: ByteExactString) -> Bool {
    let count = left.text.utf8.count
    guard count == right.text.utf8.count else { return false }
    let equal = left.text.utf8.withContiguousStorageIfAvailable { leftBytes in
      right.text.utf8.withContiguousStorageIfAvailable { rightBytes -> Bool in
        guard let leftStart = leftBytes.baseAddress, let rightStart = rightBytes.baseAddress else { return count == 0 }
        return memcmp(leftStart, rightStart, count) == 0
      }
    }
    return equal.flatMap { $0 } ?? left.text.utf8.elementsEqual(right.text.utf8)
  }

  func hash(into hasher: inout Hasher) {
    let done: Void? = text.utf8.withContiguousStorageIfAvailable {
      hasher.combine(bytes: UnsafeRawBufferPointer($0))
    }
    if done == nil {
      for byte in text.utf8 { hasher.combine(byte) }
    }
  }
}

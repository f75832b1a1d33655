import Kernels

/// Memory from the library's one fallible allocator, freed with the last reference.
///
/// Unchecked: the address never changes and the memory is freed once. Who writes to it while others read orders that,
/// as with every pointer.
final class HeapMemory: @unchecked Sendable {
  let pointer: UnsafeMutableRawPointer
  let byteCount: Int

  /// Contents are undefined. At least 64-byte aligned. `purpose` is what the message says could not be allocated.
  init(byteCount: Int, purpose: @autoclosure () -> String) throws(MaxLinearError) {
    guard let pointer = mxlk_allocate(max(byteCount, 1)) else {
      throw MaxLinearError(.outOfMemory, "\(purpose()): memory ran out, expected \(byteCount) bytes")
    }
    self.pointer = pointer
    self.byteCount = byteCount
  }

  deinit { mxlk_free(pointer) }
}

import Kernels

/// Who keeps a tensor's memory, and what may be done with it once the tensor is no longer needed.
package protocol MemoryOwner: AnyObject, Sendable {
  /// Whether it is a read-only mapping of a file, whose pages may be given back.
  var isMapped: Bool { get }
}

/// Memory from the library's allocator, freed with the last reference.
final class TensorMemory: MemoryOwner {
  // Written before the object is shared, or by whoever holds the tensor.
  nonisolated(unsafe) let pointer: UnsafeMutableRawPointer
  let byteCount: Int
  package var isMapped: Bool { false }

  /// Contents are undefined. Throws `.outOfMemory`.
  init(byteCount: Int, for purpose: @autoclosure () -> String) throws {
    guard let pointer = mxlk_allocate(max(byteCount, 1)) else {
      throw MaxLinearError(.outOfMemory, "\(purpose()): \(byteCount) bytes of memory were refused")
    }
    self.pointer = pointer
    self.byteCount = byteCount
  }

  deinit { mxlk_free(pointer) }
}

extension FileMapping: MemoryOwner {
  package var isMapped: Bool { true }
}

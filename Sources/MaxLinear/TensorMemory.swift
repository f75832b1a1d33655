import Kernels

/// Who keeps a tensor's memory, and what may be done with it once the tensor is no longer needed.
protocol MemoryOwner: AnyObject, Sendable {
  var kind: MemoryKind { get }
}

enum MemoryKind: Sendable {
  /// Allocated by the library.
  case owned
  /// Somebody else's.
  case borrowed
  /// A read-only mapping of a file, whose pages may be given back.
  case mapped
}

/// Memory from the library's allocator, freed with the last reference.
final class TensorMemory: MemoryOwner {
  // Written before the object is shared, or by whoever holds the tensor.
  nonisolated(unsafe) let pointer: UnsafeMutableRawPointer
  let byteCount: Int
  var kind: MemoryKind { .owned }

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
  var kind: MemoryKind { .mapped }
}

// What an mxl_weights holds.
import CHandles
import MaxLinear
import Synchronization

/// A checkpoint behind a handle, and the C form of its entries, which are made when first asked for.
final class WeightsHandle: Sendable {
  let weights: Weights
  /// By the bytes of the name.
  private let entries = Mutex<[[UInt8]: EntryMemory]>([:])

  private init(_ weights: Weights) { self.weights = weights }

  static func create(_ weights: Weights) -> UnsafeMutablePointer<mxl_weights> {
    let handle = UnsafeMutablePointer<mxl_weights>.allocate(capacity: 1)
    let object = Unmanaged.passRetained(WeightsHandle(weights)).toOpaque()
    handle.initialize(to: mxl_weights(magic: MXL_WEIGHTS_MAGIC, object: object))
    return handle
  }

  static func of(_ handle: UnsafePointer<mxl_weights>?) throws(MaxLinearError) -> WeightsHandle {
    guard let handle, handle.pointee.magic == MXL_WEIGHTS_MAGIC, let object = handle.pointee.object else {
      throw MaxLinearError(
        .invalidHandle, handle == nil ? "weights: is NULL" : "weights: is no checkpoint's handle, or was destroyed")
    }
    return Unmanaged<WeightsHandle>.fromOpaque(object).takeUnretainedValue()
  }

  static func destroy(_ handle: UnsafeMutablePointer<mxl_weights>) {
    guard handle.pointee.magic == MXL_WEIGHTS_MAGIC, let object = handle.pointee.object else { return }
    handle.pointee = mxl_weights(magic: 0, object: nil)
    handle.deallocate()
    Unmanaged<WeightsHandle>.fromOpaque(object).release()
  }

  /// Entry number `index`, valid as long as the handle.
  func entry(at index: Int) throws(MaxLinearError) -> mxl_entry {
    guard let data = weights.entry(at: index) else {
      throw MaxLinearError(
        .invalidArgument, "index: is \(UInt(bitPattern: index)), expected less than the \(weights.count) tensors")
    }
    return entry(data)
  }

  /// The entry of that name, valid as long as the handle.
  func entry(named name: String) throws(MaxLinearError) -> mxl_entry {
    guard let data = weights[name] else { throw weights.missing(name) }
    return entry(data)
  }

  private func entry(_ data: WeightData) -> mxl_entry {
    entries.withLock { known in
      let name = Array(data.name.utf8)
      if let memory = known[name] { return memory.borrowed }
      let memory = EntryMemory(data)
      known[name] = memory
      return memory.borrowed
    }
  }
}

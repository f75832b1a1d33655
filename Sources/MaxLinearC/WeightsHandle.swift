// What an mxl_weights holds.
import CHandles
import MaxLinear
import Synchronization

/// A checkpoint behind a handle, and the C form of its entries, which are made when first asked for.
final class WeightsHandle: HandleObject {
  typealias Handle = mxl_weights
  static let kind = MXLH_WEIGHTS

  let weights: Weights
  /// By the bytes of the name.
  private let entries = Mutex<[[UInt8]: EntryMemory]>([:])

  private init(_ weights: Weights) { self.weights = weights }

  /// A new handle. Throws `.outOfMemory`.
  static func create(_ weights: Weights) throws(MaxLinearError) -> UnsafeMutablePointer<mxl_weights> {
    try WeightsHandle(weights).handedOut()
  }

  static func of(_ handle: UnsafePointer<mxl_weights>?) throws(MaxLinearError) -> WeightsHandle {
    try of(handle, "weights")
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

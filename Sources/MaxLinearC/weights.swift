import CHandles
import CMaxLinear
import MaxLinear

/// What an mxl_weights points to: the checkpoint, and its entries as C sees them.
final class WeightsHandle: Sendable {
  let weights: Weights
  let entries: [EntryHolder]

  init(_ weights: Weights) {
    self.weights = weights
    entries = weights.items().map { EntryHolder($0, storage: MXL_STORAGE_MAP) }
  }

  /// The object behind a handle. Throws `.invalidHandle` for another type's, a destroyed one's or NULL.
  static func of(_ handle: UnsafePointer<mxl_weights>?) throws -> WeightsHandle {
    guard let handle, handle.pointee.magic == MXL_WEIGHTS_MAGIC, let object = handle.pointee.object else {
      throw MaxLinearError(.invalidHandle, "weights: is not a live mxl_weights")
    }
    return Unmanaged<WeightsHandle>.fromOpaque(object).takeUnretainedValue()
  }
}

@_cdecl("mxl_weights_open") @implementation
public func mxl_weights_open(
  _ paths: UnsafePointer<UnsafePointer<CChar>?>?, _ count: Int,
  _ weights: UnsafeMutablePointer<UnsafeMutablePointer<mxl_weights>?>?, _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let result = try required(weights, "weights")
    guard count > 0 else { throw MaxLinearError(.invalidArgument, "count: is \(count), expected 1 or more") }
    let paths = try required(paths, "paths")
    let names = try (0..<count).map { try text(paths[$0], "paths[\($0)]") }
    let object = WeightsHandle(try Weights.open(names))
    let handle = UnsafeMutablePointer<mxl_weights>.allocate(capacity: 1)
    handle.initialize(to: mxl_weights(magic: MXL_WEIGHTS_MAGIC, object: Unmanaged.passRetained(object).toOpaque()))
    result.pointee = handle
  }
}

@_cdecl("mxl_weights_count") @implementation
public func mxl_weights_count(
  _ weights: UnsafePointer<mxl_weights>?, _ count: UnsafeMutablePointer<Int>?, _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let weights = try WeightsHandle.of(weights)
    try required(count, "count").pointee = weights.entries.count
  }
}

@_cdecl("mxl_weights_entry") @implementation
public func mxl_weights_entry(
  _ weights: UnsafePointer<mxl_weights>?, _ index: Int, _ entry: UnsafeMutablePointer<mxl_entry>?,
  _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let weights = try WeightsHandle.of(weights)
    let result = try required(entry, "entry")
    guard weights.entries.indices.contains(index) else {
      throw MaxLinearError(
        .invalidArgument, "index: is \(UInt(bitPattern: index)), but there are \(weights.entries.count) tensors")
    }
    result.pointee = weights.entries[index].borrowed
  }
}

@_cdecl("mxl_weights_find") @implementation
public func mxl_weights_find(
  _ weights: UnsafePointer<mxl_weights>?, _ name: UnsafePointer<CChar>?, _ entry: UnsafeMutablePointer<mxl_entry>?,
  _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let weights = try WeightsHandle.of(weights)
    let name = try text(name, "name")
    let result = try required(entry, "entry")
    guard let index = weights.weights.index(of: name), weights.entries.indices.contains(index) else {
      throw MaxLinearError(.missingKey, "\(name): the checkpoint has no such tensor")
    }
    result.pointee = weights.entries[index].borrowed
  }
}

@_cdecl("mxl_weights_memory") @implementation
public func mxl_weights_memory(
  _ weights: UnsafePointer<mxl_weights>?, _ mapped: UnsafeMutablePointer<UInt64>?,
  _ resident: UnsafeMutablePointer<UInt64>?, _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let weights = try WeightsHandle.of(weights).weights
    mapped?.pointee = UInt64(weights.mappedBytes)
    if let resident { resident.pointee = UInt64(weights.residentBytes) }
  }
}

@_cdecl("mxl_weights_destroy") @implementation
public func mxl_weights_destroy(_ weights: UnsafeMutablePointer<mxl_weights>?) {
  guard let weights, weights.pointee.magic == MXL_WEIGHTS_MAGIC, let object = weights.pointee.object else { return }
  weights.pointee.magic = 0
  weights.pointee.object = nil
  Unmanaged<WeightsHandle>.fromOpaque(object).release()
  weights.deallocate()
}

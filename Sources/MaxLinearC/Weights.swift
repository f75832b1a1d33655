// maxlinear/weights.h
import CHandles
import MaxLinear

@_cdecl("mxl_weights_open") @implementation
public func mxl_weights_open(
  _ paths: UnsafePointer<UnsafePointer<CChar>?>!, _ count: Int,
  _ weights: UnsafeMutablePointer<UnsafeMutablePointer<mxl_weights>?>!, _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let weights = try required(weights, "weights")
    let paths = try required(paths, "paths")
    guard count > 0 else {
      throw MaxLinearError(.invalidArgument, "count: is \(UInt(bitPattern: count)), expected at least one path")
    }
    var names: [String] = []
    for index in 0..<count { names.append(try requiredText(paths[index], "paths[\(index)]")) }
    weights.pointee = try WeightsHandle.create(try typed { try Weights.open(names) })
  }
}

@_cdecl("mxl_weights_count") @implementation
public func mxl_weights_count(
  _ weights: UnsafePointer<mxl_weights>!, _ count: UnsafeMutablePointer<Int>!, _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let handle = try WeightsHandle.of(weights)
    try required(count, "count").pointee = handle.weights.count
  }
}

@_cdecl("mxl_weights_entry") @implementation
public func mxl_weights_entry(
  _ weights: UnsafePointer<mxl_weights>!, _ index: Int, _ entry: UnsafeMutablePointer<mxl_entry>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let handle = try WeightsHandle.of(weights)
    let entry = try required(entry, "entry")
    entry.pointee = try handle.entry(at: index)
  }
}

@_cdecl("mxl_weights_find") @implementation
public func mxl_weights_find(
  _ weights: UnsafePointer<mxl_weights>!, _ name: UnsafePointer<CChar>!, _ entry: UnsafeMutablePointer<mxl_entry>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let handle = try WeightsHandle.of(weights)
    let name = try requiredText(name, "name")
    let entry = try required(entry, "entry")
    entry.pointee = try handle.entry(named: name)
  }
}

@_cdecl("mxl_weights_quantization") @implementation
public func mxl_weights_quantization(
  _ weights: UnsafePointer<mxl_weights>!, _ quantization: UnsafeMutablePointer<mxl_quantization>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let handle = try WeightsHandle.of(weights)
    let quantization = try required(quantization, "quantization")
    let size = try checkedSize(UnsafePointer(quantization), "quantization")
    var value = try handle.quantization()
    value.struct_size = quantization.pointee.struct_size
    write(value, to: quantization, size: size)
  }
}

@_cdecl("mxl_weights_memory") @implementation
public func mxl_weights_memory(
  _ weights: UnsafePointer<mxl_weights>!, _ mapped: UnsafeMutablePointer<UInt64>!,
  _ resident: UnsafeMutablePointer<UInt64>!, _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let handle = try WeightsHandle.of(weights)
    if let mapped { mapped.pointee = UInt64(handle.weights.mappedBytes) }
    if let resident { resident.pointee = UInt64(handle.weights.residentBytes) }
  }
}

@_cdecl("mxl_weights_destroy") @implementation
public func mxl_weights_destroy(_ weights: UnsafeMutablePointer<mxl_weights>!) {
  if let weights { WeightsHandle.end(weights) }
}

// maxlinear/layers.h: layers on several devices
import CHandles
import MaxLinear

@_cdecl("mxl_distributed_mlp_create") @implementation
public func mxl_distributed_mlp_create(
  _ options: UnsafePointer<mxl_mlp_options>!, _ layer: UnsafeMutablePointer<UnsafeMutablePointer<mxl_layer>?>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let layer = try required(layer, "layer")
    let options = try MLPOptions(options)
    layer.pointee = try LayerHandle.create(
      try typed {
        try DistributedMLP(
          dtype: options.dtype, quantizationEncoding: try options.encoding.map(QuantizationEncoding.init),
          hiddenDim: options.hiddenDim, feedForwardLength: options.feedForwardLength, devices: options.devices,
          hasBias: options.hasBias, activationFunction: options.activation, quantizationConfig: options.quantization,
          reduce: options.reduce, communicator: options.communicator)
      })
  }
}

/// What `mxl_parallel_options` say.
private struct ParallelOptions {
  let linear: LinearOptions
  let devices: [DeviceRef]
  let gather: Bool
  let communicator: Communicator?

  init(_ pointer: UnsafePointer<mxl_parallel_options>?) throws(MaxLinearError) {
    let options = try copied(required(pointer, "options"), "options")
    linear = try LinearOptions(required(options.linear, "linear"))
    devices = try MaxLinearC.devices(options.devices, options.device_count)
    gather = try flag(options.gather, "gather")
    communicator = try CommunicatorHandle.optional(options.communicator)
  }
}

@_cdecl("mxl_column_parallel_create") @implementation
public func mxl_column_parallel_create(
  _ options: UnsafePointer<mxl_parallel_options>!, _ layer: UnsafeMutablePointer<UnsafeMutablePointer<mxl_layer>?>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let layer = try required(layer, "layer")
    let options = try ParallelOptions(options)
    let linear = options.linear
    layer.pointee = try LayerHandle.create(
      try typed {
        try ColumnParallelLinear(
          inDim: linear.inDim, outDim: linear.outDim, dtype: linear.dtype, devices: options.devices,
          hasBias: linear.hasBias,
          quantizationEncoding: try linear.encoding.map(QuantizationEncoding.init), name: linear.name,
          clipWeight: linear.clip, quantizationConfig: linear.quantization, gather: options.gather,
          communicator: options.communicator)
      })
  }
}

@_cdecl("mxl_row_parallel_create") @implementation
public func mxl_row_parallel_create(
  _ options: UnsafePointer<mxl_parallel_options>!, _ layer: UnsafeMutablePointer<UnsafeMutablePointer<mxl_layer>?>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let layer = try required(layer, "layer")
    let options = try ParallelOptions(options)
    let linear = options.linear
    layer.pointee = try LayerHandle.create(
      try typed {
        try RowParallelLinear(
          inDim: linear.inDim, outDim: linear.outDim, dtype: linear.dtype, devices: options.devices,
          hasBias: linear.hasBias,
          quantizationEncoding: try linear.encoding.map(QuantizationEncoding.init), name: linear.name,
          clipWeight: linear.clip, quantizationConfig: linear.quantization, communicator: options.communicator)
      })
  }
}

@_cdecl("mxl_layer_forward_devices") @implementation
public func mxl_layer_forward_devices(
  _ layer: UnsafePointer<mxl_layer>!, _ options: UnsafePointer<mxl_run_options>!, _ xs: UnsafePointer<mxl_tensor>!,
  _ ys: UnsafeMutablePointer<mxl_tensor>!, _ count: Int, _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let prepared = try LayerHandle.preparedLayer(layer)
    var run = mxl_run_options()
    var accumulate = false
    do throws(MaxLinearError) {
      guard count == prepared.deviceCount else {
        throw MaxLinearError(
          .invalidArgument,
          "count: is \(UInt(bitPattern: count)), expected the layer's \(prepared.deviceCount) devices")
      }
      _ = (try required(xs, "xs"), try required(ys, "ys"))
      if let options { run = try copied(options, "options") }
      accumulate = try flag(run.accumulate, "accumulate")
    } catch {
      throw prepared.told(error)
    }
    try prepared.forward(
      devices: Array(UnsafeBufferPointer(start: xs, count: count)),
      into: Array(UnsafeBufferPointer(start: ys, count: count)), accumulate: accumulate, threads: Int(run.threads))
  }
}

@_cdecl("mxl_layer_shard") @implementation
public func mxl_layer_shard(
  _ layer: UnsafePointer<mxl_layer>!, _ index: Int, _ count: UnsafeMutablePointer<Int>!,
  _ begin: UnsafeMutablePointer<Int64>!, _ end: UnsafeMutablePointer<Int64>!, _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let shards = try LayerHandle.preparedLayer(layer).shards
    guard shards.indices.contains(index) || (index == 0 && shards.isEmpty) else {
      throw MaxLinearError(
        .invalidArgument, "index: is \(UInt(bitPattern: index)), expected less than the \(shards.count) devices")
    }
    if let count { count.pointee = shards.count }
    guard !shards.isEmpty else { return }
    if let begin { begin.pointee = Int64(shards[index].lowerBound) }
    if let end { end.pointee = Int64(shards[index].upperBound) }
  }
}

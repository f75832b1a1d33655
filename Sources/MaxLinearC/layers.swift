import CHandles
import CMaxLinear
import MaxLinear

@_cdecl("mxl_linear_create") @implementation
public func mxl_linear_create(
  _ options: UnsafePointer<mxl_linear_options>?, _ layer: UnsafeMutablePointer<UnsafeMutablePointer<mxl_layer>?>?,
  _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let result = try required(layer, "layer")
    let given = try MaxLinearC.options(
      try required(options, "options"), "options", first: MemoryLayout<mxl_linear_options>.size)
    result.pointee = LayerHandle.make(
      try LinearV2(
        inDim: Int(given.in_dim), outDim: Int(given.out_dim), dtype: try dtype(given.dtype, "options.dtype"),
        device: try DeviceRef(given.device, "options.device"),
        hasBias: try flag(given.has_bias, "options.has_bias"),
        quantizationEncoding: try given.encoding.map { try QuantizationEncoding(try text($0, "options.encoding")) },
        name: try given.name.map { try text($0, "options.name") }, clipWeight: given.clip_weight?.pointee))
  }
}

@_cdecl("mxl_linear_v1_create") @implementation
public func mxl_linear_v1_create(
  _ options: UnsafePointer<mxl_linear_v1_options>?, _ layer: UnsafeMutablePointer<UnsafeMutablePointer<mxl_layer>?>?,
  _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let result = try required(layer, "layer")
    let given = try MaxLinearC.options(
      try required(options, "options"), "options", first: MemoryLayout<mxl_linear_v1_options>.size)
    let weight = try IncomingEntry(try required(given.weight, "options.weight").pointee, "options.weight")
    let bias = try given.bias.map { try IncomingEntry($0.pointee, "options.bias") }
    let encoding = try given.encoding.map { try QuantizationEncoding(try text($0, "options.encoding")) }
    var (inFeatures, outFeatures) = (Int(given.in_features), Int(given.out_features))
    if inFeatures == 0 && outFeatures == 0 {
      let made = try Linear.create(weight.data, encoding: encoding)
      (inFeatures, outFeatures) = (made.inDim, made.outDim)
    }
    let expected = given.dtype == 0 ? weight.data.dtype : try dtype(given.dtype, "options.dtype")
    let made = try Linear.create(
      dtype: expected, quantizationEncoding: encoding, inFeatures: inFeatures, outFeatures: outFeatures,
      weights: weight.data, bias: bias?.data)
    weight.memory?.arm()
    bias?.memory?.arm()
    result.pointee = LayerHandle.make(made)
  }
}

@_cdecl("mxl_mlp_create") @implementation
public func mxl_mlp_create(
  _ options: UnsafePointer<mxl_mlp_options>?, _ layer: UnsafeMutablePointer<UnsafeMutablePointer<mxl_layer>?>?,
  _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let result = try required(layer, "layer")
    let given = try MaxLinearC.options(
      try required(options, "options"), "options", first: MemoryLayout<mxl_mlp_options>.size)
    guard given.device_count == 0 || given.devices != nil else {
      throw MaxLinearError(.invalidArgument, "options.devices: is NULL, expected \(given.device_count) devices")
    }
    guard given.device_count <= 4096 else {
      throw MaxLinearError(.invalidArgument, "options.device_count: is \(given.device_count), expected at most 4096")
    }
    let devices = try (0..<Int(given.device_count)).map { try DeviceRef(given.devices[$0], "options.devices[\($0)]") }
    result.pointee = LayerHandle.make(
      try MLPV2(
        dtype: try dtype(given.dtype, "options.dtype"),
        quantizationEncoding: try given.encoding.map { try QuantizationEncoding(try text($0, "options.encoding")) },
        hiddenDim: Int(given.hidden_dim), feedForwardLength: Int(given.feed_forward_length), devices: devices,
        hasBias: try flag(given.has_bias, "options.has_bias"),
        activationFunction: try enumerator(given.activation, "options.activation", Activation.self)))
  }
}

@_cdecl("mxl_mlp_create_from") @implementation
public func mxl_mlp_create_from(
  _ gate: UnsafeMutablePointer<mxl_layer>?, _ down: UnsafeMutablePointer<mxl_layer>?,
  _ up: UnsafeMutablePointer<mxl_layer>?, _ activation: Int32,
  _ layer: UnsafeMutablePointer<UnsafeMutablePointer<mxl_layer>?>?, _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let result = try required(layer, "layer")
    let parts = try [(gate, "gate"), (down, "down"), (up, "up")].map { try LayerHandle.of($0.0, $0.1) }
    let made = MLP(
      gate: parts[0].module, down: parts[1].module, up: parts[2].module,
      activation: try enumerator(activation, "activation", Activation.self))
    result.pointee = LayerHandle.make(made, lock: parts)
  }
}

@_cdecl("mxl_layer_entry_count") @implementation
public func mxl_layer_entry_count(
  _ layer: UnsafePointer<mxl_layer>?, _ count: UnsafeMutablePointer<Int>?, _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let layer = try LayerHandle.of(layer)
    try required(count, "count").pointee = layer.locked { $0.weights.count }
  }
}

@_cdecl("mxl_layer_entry") @implementation
public func mxl_layer_entry(
  _ layer: UnsafePointer<mxl_layer>?, _ index: Int, _ entry: UnsafeMutablePointer<mxl_entry>?,
  _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let layer = try LayerHandle.of(layer)
    let result = try required(entry, "entry")
    result.pointee = try layer.locked { module in try EntryHolder(stateOf: module, index).given }
  }
}

@_cdecl("mxl_layer_load") @implementation
public func mxl_layer_load(
  _ layer: UnsafeMutablePointer<mxl_layer>?, _ entries: UnsafePointer<mxl_entry>?, _ count: Int, _ flags: UInt32,
  _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let layer = try LayerHandle.of(layer)
    guard count >= 0, count <= 1 << 20 else {
      throw MaxLinearError(.invalidArgument, "count: is \(UInt(bitPattern: count)), expected at most \(1 << 20)")
    }
    let incoming = try MaxLinearC.incoming(entries, count)
    let state = Dictionary(incoming.map { ($0.data.name, $0.data) }) { first, _ in first }
    try layer.load(flags) { module, strict in try module.load(state, strict: strict, casts: false) }
    // Entries that the layer ignored are given back at once: their memory goes with `incoming`.
    for entry in incoming { entry.memory?.arm() }
  }
}

@_cdecl("mxl_layer_load_weights") @implementation
public func mxl_layer_load_weights(
  _ layer: UnsafeMutablePointer<mxl_layer>?, _ weights: UnsafePointer<mxl_weights>?, _ prefix: UnsafePointer<CChar>?,
  _ flags: UInt32, _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let layer = try LayerHandle.of(layer)
    let weights = try WeightsHandle.of(weights).weights
    let prefix = try prefix.map { try text($0, "prefix") } ?? ""
    try layer.load(flags) { module, strict in try module.loadWeights(weights, prefix: prefix, strict: strict) }
  }
}

@_cdecl("mxl_layer_prepare") @implementation
public func mxl_layer_prepare(
  _ layer: UnsafeMutablePointer<mxl_layer>?, _ options: UnsafePointer<mxl_prepare_options>?,
  _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let layer = try LayerHandle.of(layer)
    var prepare = PrepareOptions()
    if let options {
      let given = try MaxLinearC.options(options, "options", first: MemoryLayout<mxl_prepare_options>.size)
      prepare.compute = try enumerator(given.compute, "options.compute", PrepareOptions.Compute.self)
      prepare.pack = try enumerator(given.pack, "options.pack", PrepareOptions.Pack.self)
      prepare.threads = Int(given.threads)
    }
    try layer.prepare(prepare)
  }
}

@_cdecl("mxl_layer_kernel") @implementation
public func mxl_layer_kernel(
  _ layer: UnsafePointer<mxl_layer>?, _ name: UnsafeMutablePointer<UnsafePointer<CChar>?>?,
  _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let layer = try LayerHandle.of(layer)
    try required(name, "name").pointee = try layer.prepared().kernelName
  }
}

@_cdecl("mxl_layer_forward") @implementation
public func mxl_layer_forward(
  _ layer: UnsafePointer<mxl_layer>?, _ options: UnsafePointer<mxl_run_options>?, _ x: UnsafePointer<mxl_tensor>?,
  _ y: UnsafeMutablePointer<mxl_tensor>?, _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let layer = try LayerHandle.of(layer).prepared()
    var run = RunOptions()
    if let options {
      let given = try MaxLinearC.options(options, "options", first: MemoryLayout<mxl_run_options>.size)
      run.threads = Int(given.threads)
      run.accumulate = try flag(given.accumulate, "options.accumulate")
    }
    try layer.forward(try required(x, "x").pointee, into: try required(y, "y").pointee, options: run)
  }
}

@_cdecl("mxl_layer_memory") @implementation
public func mxl_layer_memory(
  _ layer: UnsafePointer<mxl_layer>?, _ memory: UnsafeMutablePointer<mxl_memory>?,
  _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let layer = try LayerHandle.of(layer)
    let result = try required(memory, "memory")
    let known = try MaxLinearC.options(UnsafePointer(result), "memory", first: MemoryLayout<mxl_memory>.size)
    let held = layer.locked { $0.memory }
    result.pointee = mxl_memory(
      struct_size: known.struct_size, reserved: known.reserved, packed: UInt64(held.packed), source: UInt64(held.source),
      mapped: UInt64(held.mapped))
  }
}

@_cdecl("mxl_gate") @implementation
public func mxl_gate(
  _ activation: Int32, _ gate: UnsafePointer<mxl_tensor>?, _ up: UnsafePointer<mxl_tensor>?,
  _ hidden: UnsafeMutablePointer<mxl_tensor>?, _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let function = try enumerator(activation, "activation", Activation.self)
    try function.gate(
      try required(gate, "gate").pointee, try required(up, "up").pointee, into: try required(hidden, "hidden").pointee)
  }
}

@_cdecl("mxl_layer_retain") @implementation
public func mxl_layer_retain(_ layer: UnsafeMutablePointer<mxl_layer>?) { LayerHandle.retain(layer) }

@_cdecl("mxl_layer_destroy") @implementation
public func mxl_layer_destroy(_ layer: UnsafeMutablePointer<mxl_layer>?) { LayerHandle.destroy(layer) }

@_cdecl("mxl_threads") @implementation
public func mxl_threads() -> Int32 { Int32(clamping: Threads.count) }

@_cdecl("mxl_set_threads") @implementation
public func mxl_set_threads(_ threads: Int32, _ error: UnsafeMutablePointer<mxl_error>?) -> mxl_status {
  status(error) { try Threads.setCount(Int(threads)) }
}

@_cdecl("mxl_info") @implementation
public func mxl_info(
  _ text: UnsafeMutablePointer<CChar>?, _ capacity: Int, _ length: UnsafeMutablePointer<Int>?,
  _ error: UnsafeMutablePointer<mxl_error>?
) -> mxl_status {
  status(error) {
    let bytes = Array(try Info.current().json.utf8)
    length?.pointee = bytes.count
    guard let text else {
      guard capacity == 0 else { throw MaxLinearError(.invalidArgument, "text: is NULL with a capacity of \(capacity)") }
      return
    }
    guard capacity > bytes.count else {
      throw MaxLinearError(.invalidArgument, "capacity: is \(capacity), expected at least \(bytes.count + 1)")
    }
    for (index, byte) in (bytes + [0]).enumerated() { text[index] = CChar(bitPattern: byte) }
  }
}

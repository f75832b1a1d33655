// maxlinear/layers.h
import CHandles
import MaxLinear

@_cdecl("mxl_linear_create") @implementation
public func mxl_linear_create(
  _ options: UnsafePointer<mxl_linear_options>!, _ layer: UnsafeMutablePointer<UnsafeMutablePointer<mxl_layer>?>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let layer = try required(layer, "layer")
    layer.pointee = try LayerHandle.create(try linearLayer(try LinearOptions(options)))
  }
}

private func linearLayer(_ options: LinearOptions) throws(MaxLinearError) -> sending LinearV2 {
  try typed {
    try LinearV2.make(
      inDim: options.inDim, outDim: options.outDim, dtype: options.dtype, device: options.device,
      hasBias: options.hasBias, quantizationEncoding: try options.encoding.map(QuantizationEncoding.init),
      name: options.name, clipWeight: options.clip, quantizationConfig: options.quantization)
  }
}

@_cdecl("mxl_can_run") @implementation
public func mxl_can_run(
  _ options: UnsafePointer<mxl_linear_options>!, _ prepare: UnsafePointer<mxl_prepare_options>!,
  _ kernel: UnsafeMutablePointer<UnsafePointer<CChar>?>!, _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let layer = try linearLayer(try LinearOptions(options))
    let name = try layer.kernelName(whenPrepared: try prepareOptions(prepare))
    if let kernel { kernel.pointee = name }
  }
}

@_cdecl("mxl_linear_v1_create") @implementation
public func mxl_linear_v1_create(
  _ options: UnsafePointer<mxl_linear_v1_options>!, _ layer: UnsafeMutablePointer<UnsafeMutablePointer<mxl_layer>?>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let layer = try required(layer, "layer")
    let options = try copied(required(options, "options"), "options")
    var lent = LentEntries()
    try lent.append(required(options.weight, "weight").pointee, "weight", name: "weight")
    if let bias = options.bias { try lent.append(bias.pointee, "bias", name: "bias") }
    let dtype = options.dtype == MXL_DTYPE_NONE.rawValue ? nil : try dtype(options.dtype, "dtype")
    let encoding = try text(options.encoding, "encoding")
    let config = try quantization(options.quantization)
    if let order = options.perm_idx { try lent.append(order.pointee, "perm_idx", name: "perm_idx") }
    if let scale = options.weight_scale { try lent.append(scale.pointee, "weight_scale", name: "weight_scale") }
    let linear = try typed { () throws -> Linear in
      if let config {
        guard lent["weight_scale"] == nil else {
          throw MaxLinearError(.unsupported, "weight_scale: GPTQ weights bring their own scales, expected NULL")
        }
        guard encoding == nil || encoding == QuantizationEncoding.gptq.name else {
          throw MaxLinearError(
            .invalidArgument, "encoding: is \(encoding ?? ""), expected GPTQ or NULL beside a quantization")
        }
        return try GPTQLinear(
          weight: lent.entries[0], bias: lent["bias"], quantizationConfig: config, permIdx: lent["perm_idx"])
      }
      guard encoding != QuantizationEncoding.gptq.name, lent.entries[0].encoding != QuantizationEncoding.gptq.name
      else {
        throw MaxLinearError(.invalidArgument, "quantization: is NULL, expected that of the GPTQ weight")
      }
      guard lent["perm_idx"] == nil else {
        throw MaxLinearError(.invalidArgument, "perm_idx: is given, expected NULL without a quantization")
      }
      let (weight, bias, scale) = (lent.entries[0], lent["bias"], lent["weight_scale"])
      guard encoding != nil || weight.encoding != nil else {
        return try Linear(weight: weight, bias: bias, weightScale: scale)
      }
      guard scale == nil else {
        throw MaxLinearError(.unsupported, "weight_scale: encoded weights bring their own scales, expected NULL")
      }
      return try QLinear(
        weight: weight, bias: bias, quantizationEncoding: try encoding.map(QuantizationEncoding.init))
    }
    if let dtype, linear.weight.quantizationEncoding == nil { try linear.check(dtype: dtype, encoding: nil) }
    switch (Int(options.in_features), Int(options.out_features)) {
    case (0, 0): break
    case (let one, 0), (0, let one): try linear.check(dimension: one)
    case (let inFeatures, let outFeatures): try linear.check(inFeatures: inFeatures, outFeatures: outFeatures)
    }
    layer.pointee = try LayerHandle.create(linear)
    lent.take()
  }
}

@_cdecl("mxl_layer_entry_count") @implementation
public func mxl_layer_entry_count(
  _ layer: UnsafePointer<mxl_layer>!, _ count: UnsafeMutablePointer<Int>!, _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let handle = try LayerHandle.of(layer)
    try required(count, "count").pointee = handle.entryCount
  }
}

@_cdecl("mxl_layer_entry") @implementation
public func mxl_layer_entry(
  _ layer: UnsafePointer<mxl_layer>!, _ index: Int, _ entry: UnsafeMutablePointer<mxl_entry>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let handle = try LayerHandle.of(layer)
    let entry = try required(entry, "entry")
    entry.pointee = try handle.entry(at: index)
  }
}

/// The options that flags set. Throws unless only known ones are.
private func loadOptions(_ flags: UInt32) throws(MaxLinearError) -> LoadOptions {
  guard flags & ~(MXL_LOAD_STRICT | MXL_LOAD_REPLACE | MXL_LOAD_OVERRIDE_ENCODING) == 0 else {
    throw MaxLinearError(.invalidArgument, "flags: is \(flags), expected MXL_LOAD_* ored together, or 0")
  }
  return LoadOptions(
    strict: flags & MXL_LOAD_STRICT != 0, replace: flags & MXL_LOAD_REPLACE != 0,
    overrideQuantizationEncoding: flags & MXL_LOAD_OVERRIDE_ENCODING != 0)
}

@_cdecl("mxl_layer_load") @implementation
public func mxl_layer_load(
  _ layer: UnsafeMutablePointer<mxl_layer>!, _ entries: UnsafePointer<mxl_entry>!, _ count: Int, _ flags: UInt32,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let handle = try LayerHandle.of(layer)
    let options: LoadOptions
    var lent = LentEntries()
    do throws(MaxLinearError) {
      options = try loadOptions(flags)
      guard count >= 0, count == 0 || entries != nil else {
        throw MaxLinearError(
          .invalidArgument,
          count < 0
            ? "count: is \(UInt(bitPattern: count)), expected no more than memory holds"
            : "entries: is NULL, expected \(count) entries")
      }
      for index in 0..<count { try lent.append(entries[index], "entries[\(index)]") }
    } catch {
      throw handle.toldOfLoading(error, replace: flags & MXL_LOAD_REPLACE != 0)
    }
    let state = StateDict(lent.entries)
    try handle.load { try $0.loadKeepingRetired(state, options) }
    lent.take()
  }
}

@_cdecl("mxl_layer_load_weights") @implementation
public func mxl_layer_load_weights(
  _ layer: UnsafeMutablePointer<mxl_layer>!, _ weights: UnsafePointer<mxl_weights>!, _ prefix: UnsafePointer<CChar>!,
  _ flags: UInt32, _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let handle = try LayerHandle.of(layer)
    let checkpoint: Weights
    let known: (prefix: String, options: LoadOptions)
    do throws(MaxLinearError) {
      checkpoint = try WeightsHandle.of(weights).weights
      known = (try text(prefix, "prefix") ?? "", try loadOptions(flags))
    } catch {
      throw handle.toldOfLoading(error, replace: flags & MXL_LOAD_REPLACE != 0)
    }
    let (prefix, options) = known
    try handle.load { try $0.loadKeepingRetired(checkpoint, prefix: prefix, options) }
  }
}

@_cdecl("mxl_layer_prepare") @implementation
public func mxl_layer_prepare(
  _ layer: UnsafeMutablePointer<mxl_layer>!, _ options: UnsafePointer<mxl_prepare_options>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let handle = try LayerHandle.of(layer)
    let known: PrepareOptions
    do throws(MaxLinearError) { known = try prepareOptions(options) } catch { throw handle.toldOfPreparing(error) }
    try handle.prepare(known)
  }
}

@_cdecl("mxl_layer_kernel") @implementation
public func mxl_layer_kernel(
  _ layer: UnsafePointer<mxl_layer>!, _ name: UnsafeMutablePointer<UnsafePointer<CChar>?>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let name = try required(name, "name")
    name.pointee = try LayerHandle.preparedLayer(layer).kernelName
  }
}

@_cdecl("mxl_layer_forward") @implementation
public func mxl_layer_forward(
  _ layer: UnsafePointer<mxl_layer>!, _ options: UnsafePointer<mxl_run_options>!, _ x: UnsafePointer<mxl_tensor>!,
  _ y: UnsafeMutablePointer<mxl_tensor>!, _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let prepared = try LayerHandle.preparedLayer(layer)
    var threads = 0
    var accumulate = false
    var views = (x: mxl_tensor(), y: mxl_tensor())
    do throws(MaxLinearError) {
      views = (try required(x, "x").pointee, try required(y, "y").pointee)
      if let options {
        let options = try copied(options, "options")
        threads = Int(options.threads)
        accumulate = try flag(options.accumulate, "accumulate")
      }
    } catch {
      throw prepared.told(error)
    }
    try prepared.forward(views.x, into: views.y, accumulate: accumulate, threads: threads)
  }
}

@_cdecl("mxl_layers_forward") @implementation
public func mxl_layers_forward(
  _ layers: UnsafePointer<UnsafePointer<mxl_layer>?>!, _ count: Int, _ options: UnsafePointer<mxl_run_options>!,
  _ x: UnsafePointer<mxl_tensor>!, _ ys: UnsafeMutablePointer<mxl_tensor>!, _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    guard count > 0, count <= 1024 else {
      throw MaxLinearError(.invalidArgument, "count: is \(UInt(bitPattern: count)), expected 1 to 64 layers")
    }
    let layers = try required(layers, "layers")
    var prepared: [PreparedLayer] = []
    for index in 0..<count {
      do throws(MaxLinearError) {
        prepared.append(try LayerHandle.preparedLayer(layers[index]))
      } catch {
        throw MaxLinearError(error.status, "layers[\(index)]\(error.message.dropFirst("layer".count))")
      }
    }
    let x = try required(x, "x")
    let ys = try required(ys, "ys")
    let options = options == nil ? mxl_run_options() : try copied(options, "options")
    try PreparedLayer.forwardTogether(
      prepared, x.pointee, into: Array(UnsafeBufferPointer(start: ys, count: count)),
      accumulate: flag(options.accumulate, "accumulate"), threads: Int(options.threads))
  }
}

@_cdecl("mxl_layer_memory") @implementation
public func mxl_layer_memory(
  _ layer: UnsafePointer<mxl_layer>!, _ memory: UnsafeMutablePointer<mxl_memory>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let handle = try LayerHandle.of(layer)
    let memory = try required(memory, "memory")
    let size = try checkedSize(UnsafePointer(memory), "memory")
    let held = handle.memory()
    var value = mxl_memory()
    value.struct_size = memory.pointee.struct_size
    value.packed = UInt64(held.packed)
    value.source = UInt64(held.source)
    value.mapped = UInt64(held.mapped)
    write(value, to: memory, size: size)
  }
}

@_cdecl("mxl_layer_retain") @implementation
public func mxl_layer_retain(_ layer: UnsafeMutablePointer<mxl_layer>!) {
  if let handle = try? LayerHandle.of(layer) { handle.retain() }
}

@_cdecl("mxl_layer_destroy") @implementation
public func mxl_layer_destroy(_ layer: UnsafeMutablePointer<mxl_layer>!) {
  if let layer { LayerHandle.destroy(layer) }
}

@_cdecl("mxl_threads") @implementation
public func mxl_threads() -> Int32 { Int32(Threads.count) }

@_cdecl("mxl_set_threads") @implementation
public func mxl_set_threads(_ threads: Int32, _ error: UnsafeMutablePointer<mxl_error>!) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in try typed { try Threads.set(Int(threads)) } }
}

@_cdecl("mxl_info") @implementation
public func mxl_info(
  _ text: UnsafeMutablePointer<CChar>!, _ capacity: Int, _ length: UnsafeMutablePointer<Int>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let length = try required(length, "length")
    let capacity = UInt(bitPattern: capacity)
    guard text != nil || capacity == 0 else {
      throw MaxLinearError(.invalidArgument, "text: is NULL, expected \(capacity) bytes")
    }
    var json = try typed { try Machine.current() }.json
    let needed = json.withUTF8 { $0.count }
    length.pointee = needed
    guard let text else { return }
    guard capacity > UInt(needed) else {
      throw MaxLinearError(.invalidArgument, "capacity: is \(capacity), expected \(needed + 1) bytes or more")
    }
    json.withUTF8 { bytes in
      if let start = bytes.baseAddress { UnsafeMutableRawPointer(text).copyMemory(from: start, byteCount: needed) }
    }
    text[needed] = 0
  }
}

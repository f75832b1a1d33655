// The options of layers, checked.
import CHandles
import MaxLinear

/// What `mxl_linear_options` say.
struct LinearOptions {
  let inDim: Int
  let outDim: Int
  let dtype: DType
  let hasBias: Bool
  let device: DeviceRef
  let encoding: String?
  let name: String?
  let clip: Float?
  let quantization: QuantizationConfig?

  init(_ pointer: UnsafePointer<mxl_linear_options>?) throws(MaxLinearError) {
    let options = try copied(required(pointer, "options"), "options")
    inDim = Int(options.in_dim)
    outDim = Int(options.out_dim)
    dtype = try MaxLinearC.dtype(options.dtype, "dtype")
    hasBias = try flag(options.has_bias, "has_bias")
    device = try DeviceRef(options.device, argument: "device")
    encoding = try text(options.encoding, "encoding")
    name = try text(options.name, "name")
    clip = options.clip_weight?.pointee
    quantization = try MaxLinearC.quantization(options.quantization)
    try checkQuantization(quantization, encoding)
  }
}

/// Throws `.invalidArgument` for a quantization of weights that it says nothing about. One that is missing is the layer's to refuse.
private func checkQuantization(_ quantization: QuantizationConfig?, _ encoding: String?) throws(MaxLinearError) {
  guard quantization == nil || encoding == QuantizationEncoding.gptq.name else {
    throw MaxLinearError(
      .invalidArgument, "quantization: is given beside encoding \(encoding ?? "NULL"), expected NULL, or encoding GPTQ")
  }
}

/// What `mxl_mlp_options` say.
struct MLPOptions {
  let dtype: DType
  let hiddenDim: Int
  let feedForwardLength: Int
  let hasBias: Bool
  let activation: Activation
  let encoding: String?
  let devices: [DeviceRef]
  let quantization: QuantizationConfig?
  let reduce: Bool
  let communicator: Communicator?

  init(_ pointer: UnsafePointer<mxl_mlp_options>?) throws(MaxLinearError) {
    let options = try copied(required(pointer, "options"), "options")
    dtype = try MaxLinearC.dtype(options.dtype, "dtype")
    hiddenDim = Int(options.hidden_dim)
    feedForwardLength = Int(options.feed_forward_length)
    hasBias = try flag(options.has_bias, "has_bias")
    activation = try MaxLinearC.activation(options.activation)
    encoding = try text(options.encoding, "encoding")
    devices = try MaxLinearC.devices(options.devices, options.device_count)
    quantization = try MaxLinearC.quantization(options.quantization)
    try checkQuantization(quantization, encoding)
    reduce = try flag(options.reduce, "reduce")
    communicator = try CommunicatorHandle.optional(options.communicator)
  }
}

/// What `mxl_prepare_options` say; NULL leaves the choice.
func prepareOptions(_ pointer: UnsafePointer<mxl_prepare_options>?) throws(MaxLinearError) -> PrepareOptions {
  guard let pointer else { return PrepareOptions() }
  let options = try copied(pointer, "options")
  guard let compute = Compute(rawValue: options.compute) else {
    throw MaxLinearError(.invalidArgument, "compute: is \(options.compute), expected an mxl_compute of 0 to 2")
  }
  guard let packing = Packing(rawValue: options.pack) else {
    throw MaxLinearError(.invalidArgument, "pack: is \(options.pack), expected an mxl_pack of 0 to 2")
  }
  return PrepareOptions(compute: compute, packing: packing, threads: Int(options.threads))
}

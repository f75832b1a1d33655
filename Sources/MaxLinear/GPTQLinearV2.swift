/// y = x Wᵀ + b from a GPTQ or AWQ checkpoint's tensors, w = scale · (code − zero), with the tensors from a state dict.
///
///     let layer = try GPTQLinearV2(
///       inDim: 4096, outDim: 11008, dtype: .float16, quantizationConfig: QuantizationConfig(bits: 4, groupSize: 128))
///     try layer.load(weights, prefix: "model.layers.0.mlp.up_proj.")
///     let y = try layer(x)
///
/// Keys, with groups = inDim / groupSize, rounded up:
///
/// - "qweight", int32 [bits inDim / 32, outDim], codes packed along K, least significant first; of AWQ [inDim, outDim / 8].
/// - "scales", float16, bfloat16 or float32 [groups, outDim].
/// - "qzeros", int32 [groups, bits outDim / 32, rounded up], packed along N; may be absent where sym.
/// - "g_idx", int32 [inDim], each column's group, or "perm_idx", int32 [inDim], the columns in the order of their groups; both may be absent
///   without act-order.
/// - "bias", (outDim), where there is one.
///
/// 2, 3, 4 or 8 bits, any group size that is at least 1, ragged last groups, -1 for one group. A `quantizationConfig` of quantMethod "awq" makes
/// it AWQ's, of 4 bits.
///
/// Activations are quantized to 8 bits on the way; prepare with compute `.float32` to keep them in float32. Groups that are no multiple of 32
/// columns always compute in float32. Everything else is as in ``LinearV2``.
open class GPTQLinearV2: LinearV2 {
  /// How the tensors are quantized.
  public final let quantizationConfig: QuantizationConfig
  final let tensors: GPTQWeights

  /// A layer without contents.
  ///
  /// - Parameters:
  ///   - inDim: K: whole words of qweight, a multiple of 8 for 4 bits, 16 for 2, 32 for 3 and 4 for 8; AWQ takes any, and outDim a multiple of 8.
  ///   - outDim: N, at least 1.
  ///   - dtype: of the bias: float32, float16 or bfloat16; uint8 leaves it float32. The tensors have dtypes of their own.
  ///   - device: nil for the CPU.
  ///   - hasBias: whether there is a b.
  ///   - quantizationEncoding: nil or `.gptq`.
  ///   - quantizationConfig: how the checkpoint is quantized.
  /// - Throws: `.invalidArgument`, `.invalidShape`, `.unsupported` (bits, quant_method, checkpoint_format), `.noDevice`.
  public init(
    inDim: Int, outDim: Int, dtype: DType, device: DeviceRef? = nil, hasBias: Bool = false,
    quantizationEncoding: QuantizationEncoding? = nil, quantizationConfig: QuantizationConfig
  ) throws {
    guard quantizationEncoding == nil || quantizationEncoding == .gptq else {
      throw MaxLinearError(
        .invalidArgument, "quantization_encoding: is \(quantizationEncoding?.name ?? ""), expected GPTQ or none")
    }
    let device = device ?? .cpu()
    try device.check("device")
    let biasDType = dtype == .uint8 ? .float32 : dtype
    try LinearRules.checkFloat(biasDType, argument: "dtype")
    let tensors = try GPTQWeights(inDim: inDim, outDim: outDim, config: quantizationConfig, device: device)
    let bias = hasBias ? try Weight(name: "bias", dtype: biasDType, shape: [outDim], device: device) : nil
    self.tensors = tensors
    self.quantizationConfig = quantizationConfig
    super.init(
      weight: try tensors.description(), bias: bias, clipWeight: nil, device: device)
  }

  /// The same contents, shared.
  init(
    sharing tensors: GPTQWeights, bias: Weight?, device: DeviceRef,
    prepared: (layer: PreparedLayer, options: PrepareOptions)?
  ) throws(MaxLinearError) {
    self.tensors = GPTQWeights(sharing: tensors)
    quantizationConfig = tensors.config
    super.init(
      weight: try tensors.description(), bias: bias.map(Weight.init(sharing:)), clipWeight: nil, device: device)
    if let prepared { restore(prepared) }
  }

  override var shardUnit: Int { GPTQShapes(quantizationConfig).shardUnit }

  /// The state dict's order: "qweight", "scales", "qzeros", "g_idx", "perm_idx", and "bias" where there is one.
  open override var weights: [Weight] { tensors.all + (bias.map { [$0] } ?? []) }

  override func checkContents() throws(MaxLinearError) {
    _ = try tensors.layout()
    if let bias { try LinearRules.check(bias: bias, outDim: tensors.outDim) }
  }

  package override func sharingContents() throws(MaxLinearError) -> Layer? {
    guard type(of: self) == GPTQLinearV2.self else { return nil }
    return try GPTQLinearV2(sharing: tensors, bias: bias, device: device, prepared: currentPreparation)
  }

  override func plan(_ options: PrepareOptions, features: UInt64) throws(MaxLinearError) -> LinearPlan {
    try checkNoClip()
    try tensors.checkRoom()
    return try LinearPlan(tensors, block: tensors.regularBlock, bias: bias, options: options, features: features)
  }

  private func checkNoClip() throws(MaxLinearError) {
    guard clipWeight == nil else {
      throw MaxLinearError(.unsupported, "clip_weight: encoded weights cannot be clipped, expected none")
    }
  }

  override func prepare(_ options: PrepareOptions) throws(MaxLinearError) -> Preparation {
    try checkNoClip()
    if let inputShards { return try Preparation(inputs: inputShards, tensors, bias: bias, options: options) }
    return try Preparation(tensors, bias: bias, options: options, shards: outputShards)
  }
}

extension Layer.Preparation {
  /// The one GPTQ computation, as both `GPTQLinear` and `GPTQLinearV2` prepare it.
  init(
    _ tensors: GPTQWeights, bias: Weight?, options: PrepareOptions, shards: Shards? = nil
  ) throws(MaxLinearError) {
    let result = try PreparedLinear.prepare(
      tensors, bias: bias, options: options, features: try KernelSelection.allowedFeatures(), shards: shards)
    layer = PreparedLayer(result.layer)
    contents = result.contents
  }

  /// The sum of linears of some of the inputs each, every column in its own group. The tensors keep their source.
  init(
    inputs: Shards, _ tensors: GPTQWeights, bias: Weight?, options: PrepareOptions
  ) throws(MaxLinearError) {
    let features = try KernelSelection.allowedFeatures()
    // A ragged last group keeps the whole layer from int8, so also those parts that it is not in.
    let whole = try LinearPlan(
      tensors, block: tensors.layout().block, bias: bias, options: options, features: features)
    var own = options
    if whole.compute == .float32 { own.compute = .float32 }
    let codes = try tensors.qweight.source()
    var parts: [PreparedLinear] = []
    for (device, range) in zip(inputs.first..., inputs.own) {
      parts.append(
        try PreparedLinear.prepare(
          tensors, bias: device == 0 ? bias : nil, options: own, features: features, columns: range
        ).layer)
    }
    layer = PreparedLayer(PreparedRowParallel(parts: parts, inputs: inputs.own, options: options))
    contents = [(tensors.qweight, .source(codes))]
  }
}

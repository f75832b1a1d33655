/// y = x clamp(W, ±clipWeight)ᵀ + b, with W and b from a state dict.
///
///     let layer = try LinearV2(inDim: 384, outDim: 1536, dtype: .float32, hasBias: true)
///     try layer.load(weights, prefix: "encoder.layer.0.intermediate.dense.")
///     let y = try layer(x)
///
/// - W is (outDim, inDim), b is (outDim), both of the layer's dtype. Keys: "weight", "bias", behind "name." when a name
///   is given.
/// - Where the dtype is `.float8E4M3` or `.float8E5M2` there is a key "weight_scale" too: y = (x Wᵀ) · scale + b, one scale of the tensor
///   ([] or [1]) or one a row ([outDim] or [outDim, 1]), of any float dtype, finite; a state dict without it means 1. W may come as uint8, b is
///   float32 or another float.
/// - x is (..., inDim), float32, float16 or bfloat16, of any rank from 1; y is (..., outDim), of x's dtype, accumulated in
///   float32. The bits of a row of y do not depend on the other rows, on the number of threads, or on the CPU.
///
/// Errors: those of loading (`Module.loadStateDict`), preparing (`Layer.prepared`) and calling (`PreparedLayer`).
/// One thread at a time; `prepared()` gives a layer that any number of threads may call.
///
/// See also: ``Linear``, for tensors at hand.
open class LinearV2: Layer {
  /// (outDim, inDim). Assigning makes the next call prepare anew.
  public final var weight: Weight { didSet { parametersChanged() } }
  /// (outDim), or nil. Assigning makes the next call prepare anew.
  public final var bias: Weight? { didSet { parametersChanged() } }
  /// Of a float8 weight; nil for others.
  public final var weightScale: Weight? { didSet { parametersChanged() } }
  /// Weights are clamped to ±this by compare and select; nil leaves them as they are. Must be finite and above 0.
  public final var clipWeight: Float? { didSet { parametersChanged() } }
  /// The CPU: layers on several devices are ``ColumnParallelLinear`` and ``RowParallelLinear``.
  public final let device: DeviceRef
  /// The outputs of each device, where several share the layer. Where they are ranks, a prepared layer has the own ones alone.
  final var outputShards: Shards? { didSet { parametersChanged() } }
  /// What `outputShards` begin at multiples of.
  var shardUnit: Int { 1 }
  /// The inputs of each device, where their results are summed.
  final var inputShards: Shards? { didSet { parametersChanged() } }

  /// A layer without contents.
  ///
  /// - Parameters:
  ///   - inDim: K, at least 1.
  ///   - outDim: N, at least 1.
  ///   - dtype: of the weight and the bias: float32, float16, bfloat16, or a float8, beside which the bias is float32. With an encoding,
  ///     that of the bias, or uint8.
  ///   - device: nil for the CPU.
  ///   - hasBias: whether there is a b.
  ///   - quantizationEncoding: of the weight; nil for dense.
  ///   - name: prefix of the state dict's keys: "lin" gives lin.weight, lin.bias.
  ///   - clipWeight: see the field.
  /// - Throws: `.invalidArgument`, `.invalidShape`, `.unsupported` (dtype, encoding), `.noDevice`.
  public init(
    inDim: Int, outDim: Int, dtype: DType, device: DeviceRef? = nil, hasBias: Bool = false,
    quantizationEncoding: QuantizationEncoding? = nil, name: String? = nil, clipWeight: Float? = nil
  ) throws {
    try LinearRules.checkDimension(inDim, "in_dim")
    try LinearRules.checkDimension(outDim, "out_dim")
    try LinearRules.check(clip: clipWeight, encoding: quantizationEncoding, dtype: dtype)
    guard quantizationEncoding != .gptq else {
      throw MaxLinearError(
        .unsupported,
        "quantization_encoding: is GPTQ, expected a block encoding: GPTQ is GPTQLinearV2's, with its quantization_config"
      )
    }
    if quantizationEncoding == nil {
      try LinearRules.checkDense(dtype, argument: "dtype")
    } else if dtype != .uint8 {
      try LinearRules.checkFloat(dtype, argument: "dtype")
    }
    let device = device ?? .cpu()
    try device.check("device")
    let prefix = name.map { "\($0)." } ?? ""
    weight = try Weight(
      name: "\(prefix)weight", dtype: dtype, shape: [outDim, inDim], device: device,
      quantizationEncoding: quantizationEncoding)
    // Blocks are bytes; a bias beside them is float32 unless the dtype says otherwise.
    let biasDType = dtype == .uint8 || dtype.isFloat8 ? .float32 : dtype
    bias = hasBias ? try Weight(name: "\(prefix)bias", dtype: biasDType, shape: [outDim], device: device) : nil
    if dtype.isFloat8 { bias?.otherDTypes = DType.floats }
    weightScale =
      quantizationEncoding == nil
      ? try WeightScale.weight(for: dtype, name: "\(prefix)weight_scale", outDim: outDim, device: device) : nil
    self.clipWeight = clipWeight
    self.device = device
  }

  /// A layer of a weight and a bias that somebody else made, in this state.
  init(
    weight: Weight, bias: Weight?, weightScale: Weight? = nil, clipWeight: Float?, device: DeviceRef,
    prepared: (layer: PreparedLayer, options: PrepareOptions)? = nil
  ) {
    self.weight = weight
    self.bias = bias
    self.weightScale = weightScale
    self.clipWeight = clipWeight
    self.device = device
    super.init()
    if let prepared { restore(prepared) }
  }

  package override func sharingContents() throws(MaxLinearError) -> Layer? {
    guard type(of: self) == LinearV2.self else { return nil }
    return LinearV2(
      weight: Weight(sharing: weight), bias: bias.map(Weight.init(sharing:)),
      weightScale: weightScale.map(Weight.init(sharing:)), clipWeight: clipWeight, device: device,
      prepared: currentPreparation)
  }

  /// K, the inputs: the last dimension of x.
  public final var inDim: Int { weight.shape.last ?? 0 }
  /// N, the outputs: the last dimension of y.
  public final var outDim: Int { weight.shape.first ?? 0 }

  /// "weight", then "bias" and "weight_scale" where there are such.
  open override var weights: [Weight] {
    [weight] + (bias.map { [$0] } ?? []) + (weightScale.map { [$0] } ?? [])
  }

  override func checkContents() throws(MaxLinearError) {
    try WeightScale.checkFinite(weightScale)
    if let inputShards { try weight.checkWholeBlocks(inputShards.ranges) }
  }

  /// What preparing decides as far as that does not depend on what the weights hold.
  func plan(_ options: PrepareOptions, features: UInt64) throws(MaxLinearError) -> LinearPlan {
    try LinearPlan(
      weight: weight, bias: bias, scale: weightScale, clip: clipWeight, options: options, features: features)
  }

  override func prepare(_ options: PrepareOptions) throws(MaxLinearError) -> Preparation {
    if let inputShards {
      return try Preparation(
        inputs: inputShards, weight: weight, bias: bias, scale: weightScale, clip: clipWeight, options: options)
    }
    return try Preparation(
      weight: weight, bias: bias, scale: weightScale, clip: clipWeight, options: options, shards: outputShards)
  }
}

extension Layer.Preparation {
  /// The one linear computation, as both `Linear` and `LinearV2` prepare it.
  init(
    weight: Weight, bias: Weight?, scale: Weight?, clip: Float?, options: PrepareOptions, shards: Shards? = nil
  ) throws(MaxLinearError) {
    let result = try PreparedLinear.prepare(
      weight: weight, bias: bias, scale: scale, clip: clip, options: options,
      features: try KernelSelection.allowedFeatures(),
      shards: shards)
    layer = PreparedLayer(result.layer)
    var contents = [(weight, result.weightContents)]
    if let bias, let biasContents = result.biasContents { contents.append((bias, biasContents)) }
    if let scale, let scaleContents = result.scaleContents { contents.append((scale, scaleContents)) }
    self.contents = contents
  }

  /// The sum of linears of some of the inputs each. The weight keeps its source. Where weights have scales, the whole sum gets
  /// them, and then the bias.
  init(
    inputs: Shards, weight: Weight, bias: Weight?, scale: Weight?, clip: Float?, options: PrepareOptions
  ) throws(MaxLinearError) {
    try LinearRules.check(weight: weight, bias: bias, scale: scale, clip: clip)
    try inputs.check(divide: weight, dimension: 1)
    let packedScale = try Weight.packed(scale: scale, outDim: weight.shape[0])
    let packedBias =
      scale == nil ? nil : try bias.map { bias throws(MaxLinearError) in try PackedBias(for: bias) }
    try packedBias?.fill(from: bias)
    let features = try KernelSelection.allowedFeatures()
    let source = try weight.source()
    var parts: [PreparedLinear] = []
    for (device, range) in zip(inputs.first..., inputs.own) {
      let part = try weight.columns(range, of: source)
      parts.append(
        try PreparedLinear.prepare(
          weight: part, bias: device == 0 && scale == nil ? bias : nil, clip: clip, options: options, features: features
        ).layer)
    }
    layer = PreparedLayer(
      PreparedRowParallel(
        parts: parts, inputs: inputs.own, options: options, scale: packedScale, bias: packedBias))
    contents = [(weight, .source(source))]
  }
}

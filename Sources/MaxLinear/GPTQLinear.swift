/// y = x Wᵀ + b from GPTQ tensors at hand.
///
///     let layer = try GPTQLinear(weights: weights.path("model.layers.0.mlp.up_proj"), quantizationConfig: config)
///
/// The weight is a checkpoint's prefix of "qweight", "scales", "qzeros" and "g_idx", or one uint8 tensor as MAX builds it of 4 bits: [inDim / 2 +
/// 2 groups, outDim], qweight's bytes, then those of float16 scales, with zeros of 8. Everything else is as in ``GPTQLinearV2``.
open class GPTQLinear: QLinear {
  /// How the tensors are quantized.
  public final let quantizationConfig: QuantizationConfig
  final let tensors: GPTQWeights

  /// From one uint8 tensor, as MAX builds it.
  ///
  /// - Parameters:
  ///   - weight: uint8 [inDim / 2 + 2 groups, outDim].
  ///   - bias: (outDim), or nil.
  ///   - quantizationEncoding: nil or `.gptq`.
  ///   - quantizationConfig: how the tensor is quantized: GPTQ of 4 bits.
  ///   - permIdx: int32 (inDim): the columns in the order of their groups; nil where that is the order they are in.
  /// - Throws: `.invalidShape`, `.invalidDType`, `.invalidArgument`, `.unsupported`.
  public init(
    weight: any WeightConvertible, bias: (any WeightConvertible)? = nil,
    quantizationEncoding: QuantizationEncoding? = nil,
    quantizationConfig: QuantizationConfig, permIdx: (any WeightConvertible)? = nil
  ) throws {
    try Self.check(quantizationEncoding)
    guard let data = try weight.makeWeight(named: "weight").data() else {
      throw MaxLinearError(.notLoaded, "weight: has no contents, expected a loaded one")
    }
    var state = try Self.parts(of: data, config: quantizationConfig)
    let inDim = 8 * (state["qweight"]?.shape.first ?? 0)
    if var order = try permIdx?.makeWeight(named: "perm_idx").data() {
      order.name = "perm_idx"
      state.entries.append(order)
    }
    // The order is what desc_act speaks of: without one, groups are consecutive.
    var config = quantizationConfig
    config.descAct = config.descAct && permIdx != nil
    config.sym = true
    tensors = try GPTQWeights(inDim: inDim, outDim: data.shape[1], config: config, device: .cpu())
    try tensors.fill(from: state)
    self.quantizationConfig = quantizationConfig
    try super.init(unchecked: tensors.description(), bias: bias?.makeWeight(named: "bias"))
    try checkContents()
  }

  /// From a checkpoint's tensors under a prefix: "qweight", "scales", and where they are there "qzeros", "g_idx" or "perm_idx" and "bias".
  ///
  /// Throws as the other, and `.missingKey`.
  public init(
    weights: WeightsPath, bias: (any WeightConvertible)? = nil, quantizationEncoding: QuantizationEncoding? = nil,
    quantizationConfig: QuantizationConfig
  ) throws {
    try Self.check(quantizationEncoding)
    try quantizationConfig.check()
    let (inDim, outDim) = try GPTQShapes(quantizationConfig).dimensions(
      qweight: weights.path("qweight").data().shape, argument: "\(weights.name).qweight")
    tensors = try GPTQWeights(inDim: inDim, outDim: outDim, config: quantizationConfig, device: .cpu())
    var state = StateDict()
    for weight in tensors.all where weights.path(weight.name).exists() {
      var data = try weights.path(weight.name).data()
      data.name = weight.name
      state.entries.append(data)
    }
    try tensors.fill(from: state)
    self.quantizationConfig = quantizationConfig
    let stored = weights.path("bias")
    let found: (any WeightConvertible)? = bias ?? (stored.exists() ? stored : nil)
    try super.init(unchecked: tensors.description(), bias: found?.makeWeight(named: "bias"))
    try checkContents()
  }

  private static func check(_ encoding: QuantizationEncoding?) throws(MaxLinearError) {
    guard encoding == nil || encoding == .gptq else {
      throw MaxLinearError(
        .invalidArgument, "quantization_encoding: is \(encoding?.name ?? ""), expected GPTQ or none")
    }
  }

  /// qweight and scales of MAX's one tensor, as views of it.
  private static func parts(of data: WeightData, config: QuantizationConfig) throws -> StateDict {
    try config.check()
    guard config.bits == 4, !config.isAWQ else {
      throw MaxLinearError(
        .unsupported,
        "weight: one tensor as MAX builds it is GPTQ of 4 bits, expected the checkpoint's prefix for \(config.quantMethod) of \(config.bits)"
      )
    }
    guard data.dtype == .uint8, data.shape.count == 2, data.tensor.isContiguous, data.encoding == nil else {
      throw MaxLinearError(
        .invalidShape,
        "weight: is \(data.dtype.name) of shape \(data.shape), expected uint8 [in_dim / 2 + 2 groups, out_dim] in C order"
      )
    }
    let (rows, outDim) = (data.shape[0], data.shape[1])
    // Rows grow with in_dim, a multiple of 8: the last that needs no more than there are, by halving.
    func needed(_ inDim: Int) -> Int {
      inDim / 2 + 2 * GPTQWeights.groupCount(inDim: inDim, groupSize: config.groupSize)
    }
    var (fits, exceeds) = (0, rows / 4 + 1)
    while exceeds - fits > 1 {
      let middle = fits + (exceeds - fits) / 2
      if needed(8 * middle) <= rows { fits = middle } else { exceeds = middle }
    }
    let inDim = 8 * fits
    guard inDim > 0, needed(inDim) == rows, outDim > 0 else {
      throw MaxLinearError(
        .invalidShape,
        "weight: shape is \(data.shape), expected in_dim / 2 + 2 groups rows for groups of \(config.groupSize) columns")
    }
    let groups = GPTQWeights.groupCount(inDim: inDim, groupSize: config.groupSize)
    let start = data.tensor.pointer
    func view(_ name: String, _ offset: Int, _ dtype: DType, _ shape: [Int]) throws -> WeightData {
      let tensor = try Tensor(
        pointer: start.map { UnsafeRawPointer($0 + offset) }, dtype: dtype, shape: shape, owner: data.tensor.owner)
      return WeightData(name: name, tensor: tensor, storage: data.storage)
    }
    return StateDict([
      try view("qweight", 0, .int32, [inDim / 8, outDim]),
      try view("scales", inDim / 2 * outDim, .float16, [groups, outDim]),
    ])
  }

  /// The state dict's order: "qweight", "scales", "qzeros", "g_idx", "perm_idx", and "bias" where there is one.
  open override var weights: [Weight] { tensors.all + (bias.map { [$0] } ?? []) }

  override func checkContents() throws(MaxLinearError) {
    _ = try tensors.layout()
    if let bias { try LinearRules.check(bias: bias, outDim: tensors.outDim) }
  }

  package override func sharingContents() throws(MaxLinearError) -> Layer? {
    guard type(of: self) == GPTQLinear.self else { return nil }
    return try GPTQLinearV2(sharing: tensors, bias: bias, device: .cpu(), prepared: currentPreparation)
  }

  override func prepare(_ options: PrepareOptions) throws(MaxLinearError) -> Preparation {
    try Preparation(tensors, bias: bias, options: options)
  }
}

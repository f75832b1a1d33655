/// y = x clamp(W, ±clipWeight)ᵀ + b, with W (outDim, inDim) and b (outDim) from a state dict.
///
/// Keys: `weight`, `bias`, behind "name." when a name is given. x is (..., inDim) in float32, float16 or bfloat16, y
/// (..., outDim) in x's dtype, accumulated in float32 (docs/NUMERICS.md).
///
///     let layer = try LinearV2(inDim: 4096, outDim: 14336, dtype: .float32, hasBias: true)
///     try layer.loadStateDict(["weight": weight, "bias": bias])
///     let y = try layer(x)
///
open class LinearV2: Module {
  public let inDim: Int
  public let outDim: Int
  public let device: DeviceRef
  public let name: String?
  /// (outDim, inDim).
  public let weight: Weight
  /// (outDim), or nil.
  public let bias: Weight?
  /// Weights are clamped to ± this; dense weights only.
  public let clipWeight: Float?

  /// - Parameters:
  ///   - inDim, outDim: each at least 1.
  ///   - dtype: of weight and bias: float32, float16 or bfloat16. With an encoding, uint8 or the bias's dtype.
  ///   - quantizationEncoding: nil for dense weights.
  ///   - name: prefix of the state dict's keys.
  ///   - clipWeight: finite and above 0.
  ///
  /// Throws `.invalidShape`, `.invalidArgument`, `.unsupported` (dtype; a clip on encoded weights), `.noDevice`.
  public init(
    inDim: Int, outDim: Int, dtype: DType, device: DeviceRef? = nil, hasBias: Bool = false,
    quantizationEncoding: QuantizationEncoding? = nil, name: String? = nil, clipWeight: Float? = nil
  ) throws {
    for (dimension, argument) in [(inDim, "in_dim"), (outDim, "out_dim")] where dimension < 1 {
      throw MaxLinearError(.invalidShape, "\(argument): is \(dimension), expected 1 or more")
    }
    guard dtype.isComputable || (quantizationEncoding != nil && dtype == .uint8) else {
      let also = quantizationEncoding == nil ? "" : ", or uint8 with an encoding"
      throw MaxLinearError(
        .unsupported, "dtype: is \(dtype.name), expected float32, float16 or bfloat16\(also)")
    }
    if let clipWeight {
      guard quantizationEncoding == nil else {
        throw MaxLinearError(.unsupported, "clip_weight: only dense weights can be clipped, not encoded ones")
      }
      guard clipWeight.isFinite, clipWeight > 0 else {
        throw MaxLinearError(.invalidArgument, "clip_weight: is \(clipWeight), expected a finite number above 0")
      }
    }
    let device = device ?? .cpu()
    try device.check("device")
    self.inDim = inDim
    self.outDim = outDim
    self.device = device
    self.name = name
    self.clipWeight = clipWeight
    let prefix = name.map { "\($0)." } ?? ""
    weight = try Weight(
      name: prefix + "weight", dtype: dtype, shape: [outDim, inDim], device: device,
      quantizationEncoding: quantizationEncoding)
    bias =
      hasBias
      ? try Weight(name: prefix + "bias", dtype: dtype == .uint8 ? .float32 : dtype, shape: [outDim], device: device) : nil
  }

  public var quantizationEncoding: QuantizationEncoding? { weight.quantizationEncoding }

  override open var weights: [(key: String, weight: Weight)] {
    [(weight.name, weight)] + (bias.map { [($0.name, $0)] } ?? [])
  }

  override open func makePrepared(_ options: PrepareOptions) throws -> PreparedLayer {
    PreparedLayer(
      .linear(try PreparedLinear(weight: weight, bias: bias, clip: clipWeight, options: options)))
  }
}

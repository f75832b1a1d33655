/// y = x Wᵀ + b, from encoded blocks: W is uint8, (outDim, row bytes), in one of the block encodings.
///
///     let layer = try QLinear(weight: weights["blk.0.ffn_up.weight"])
///     let y = try layer(x)
///
/// Activations are quantized to 8 bits on the way (docs/NUMERICS.md); prepare with compute `.float32` to keep them in
/// float32. Everything else is as in ``Linear``.
open class QLinear: Linear {
  /// - Parameters:
  ///   - weight: blocks, with their own encoding or without one.
  ///   - bias: (outDim), or nil.
  ///   - quantizationEncoding: of blocks that do not say it themselves.
  /// - Throws: `.invalidArgument` when nothing says the encoding, `.invalidDType` when the two differ, and as
  ///   `Linear.init`.
  public init(
    weight: any WeightConvertible, bias: (any WeightConvertible)? = nil,
    quantizationEncoding: QuantizationEncoding? = nil
  ) throws {
    var found = try weight.makeWeight(named: "weight")
    if found.quantizationEncoding == nil, let quantizationEncoding, let data = try found.data() {
      found = try Weight(
        WeightData(name: "weight", tensor: data.tensor, encoding: quantizationEncoding.name, storage: data.storage))
    }
    guard let encoding = found.quantizationEncoding else {
      throw MaxLinearError(
        .invalidArgument,
        "quantization_encoding: is missing, expected an encoding, as the weight does not bring its own")
    }
    if let quantizationEncoding, encoding != quantizationEncoding {
      throw MaxLinearError(.invalidDType, "weight: encoding is \(encoding), expected \(quantizationEncoding)")
    }
    try super.init(weight: found, bias: bias)
  }

  override init(unchecked weight: Weight, bias: Weight?) throws { try super.init(unchecked: weight, bias: bias) }

  /// How the weight is encoded.
  public final var quantizationEncoding: QuantizationEncoding? { weight.quantizationEncoding }
}

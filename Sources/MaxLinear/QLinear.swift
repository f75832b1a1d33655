/// y = x Wᵀ + b from encoded blocks: W is uint8 (outDim, row bytes).
///
/// The weight's own encoding counts, else the one given; neither is an error.
open class QLinear: Linear {
  /// Throws `.invalidArgument` without an encoding, `.invalidDType` when the two differ, `.invalidShape`.
  public init(weight: WeightData, bias: WeightData? = nil, quantizationEncoding: QuantizationEncoding? = nil) throws {
    guard let encoding = weight.quantizationEncoding ?? quantizationEncoding else {
      throw MaxLinearError(.invalidArgument, "quantization_encoding: none given, and the weight has none of its own")
    }
    if let quantizationEncoding, encoding != quantizationEncoding {
      throw MaxLinearError(.invalidDType, "weight: encoding is \(encoding), expected \(quantizationEncoding)")
    }
    try super.init(
      weight: WeightData(name: weight.name, tensor: weight.tensor, quantizationEncoding: encoding), bias: bias)
  }

  public var quantizationEncoding: QuantizationEncoding? { weight.quantizationEncoding }
}

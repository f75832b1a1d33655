/// y = x Wᵀ + b from tensors at hand. `QLinear` does the same from encoded blocks; `create` picks.
///
/// W is (outDim, inDim), b (outDim). x is (..., inDim) in float32, float16 or bfloat16, y (..., outDim) in x's dtype.
open class Linear: Module {
  public let weight: Weight
  public let bias: Weight?

  /// Throws `.invalidShape`, `.invalidDType`.
  public convenience init(weight: Tensor, bias: Tensor? = nil) throws {
    try self.init(
      weight: WeightData(name: "weight", tensor: weight), bias: bias.map { WeightData(name: "bias", tensor: $0) })
  }

  /// Throws `.invalidShape`, `.invalidDType`.
  public init(weight: WeightData, bias: WeightData? = nil) throws {
    let weight = try Weight(weight, name: "weight")
    guard weight.shape.count == 2, weight.shape.allSatisfy({ $0 > 0 }) else {
      throw MaxLinearError(
        .invalidShape, "weight: shape is \(weight.shape), expected (out_dim, in_dim), each 1 or more")
    }
    guard weight.quantizationEncoding != nil || weight.dtype.isComputable else {
      throw MaxLinearError(
        .invalidDType, "weight: dtype is \(weight.dtype.name), expected float32, float16 or bfloat16")
    }
    let made = try bias.map { try Weight($0, name: "bias") }
    if let made {
      guard made.shape == [weight.shape[0]] else {
        throw MaxLinearError(.invalidShape, "bias: shape is \(made.shape), expected [\(weight.shape[0])]")
      }
      guard made.dtype.isComputable else {
        throw MaxLinearError(
          .invalidDType, "bias: dtype is \(made.dtype.name), expected float32, float16 or bfloat16")
      }
    }
    self.weight = weight
    self.bias = made
  }

  public var inDim: Int { weight.shape[1] }
  public var outDim: Int { weight.shape[0] }

  /// The layer for a stored weight: a `Linear` when it is dense, a `QLinear` when it is encoded.
  ///
  /// - Parameters:
  ///   - dtype: what a dense weight's dtype must be.
  ///   - quantizationEncoding: what the weight's encoding must be; nil takes the weight's own.
  ///   - inFeatures, outFeatures: the stored weight's two dimensions, in either order: MAX passes the rows first. y = x Wᵀ
  ///     follows the stored weight.
  ///
  /// Throws `.invalidShape`, `.invalidDType`, each naming the argument.
  public static func create(
    dtype: DType, quantizationEncoding: QuantizationEncoding?, inFeatures: Int, outFeatures: Int, weights: WeightData,
    bias: WeightData? = nil
  ) throws -> Linear {
    let encoding = weights.quantizationEncoding ?? quantizationEncoding
    let data = WeightData(name: weights.name, tensor: weights.tensor, quantizationEncoding: encoding)
    let layer = encoding == nil ? try Linear(weight: data, bias: bias) : try QLinear(weight: data, bias: bias)
    if let quantizationEncoding, encoding != quantizationEncoding {
      throw MaxLinearError(
        .invalidDType, "weights: encoding is \(encoding?.name ?? "none"), expected \(quantizationEncoding)")
    }
    guard encoding != nil || weights.dtype == dtype else {
      throw MaxLinearError(.invalidDType, "weights: dtype is \(weights.dtype.name), expected \(dtype.name)")
    }
    let stored = [layer.outDim, layer.inDim]
    guard stored == [outFeatures, inFeatures] || stored == [inFeatures, outFeatures] else {
      throw MaxLinearError(
        .invalidShape,
        "weights: is (\(layer.outDim), \(layer.inDim)), expected in_features \(inFeatures) and out_features \(outFeatures) in either order")
    }
    return layer
  }

  /// The layer for a weight, whose own encoding counts, else the one given.
  package static func create(_ weight: WeightData, encoding: QuantizationEncoding?) throws -> Linear {
    weight.quantizationEncoding == nil && encoding == nil
      ? try Linear(weight: weight) : try QLinear(weight: weight, quantizationEncoding: encoding)
  }

  override open var weights: [(key: String, weight: Weight)] {
    [("weight", weight)] + (bias.map { [("bias", $0)] } ?? [])
  }

  override open func makePrepared(_ options: PrepareOptions) throws -> PreparedLayer {
    PreparedLayer(.linear(try PreparedLinear(weight: weight, bias: bias, clip: nil, options: options)))
  }
}

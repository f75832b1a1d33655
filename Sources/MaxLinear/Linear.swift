/// y = x Wᵀ + b, from tensors at hand.
///
///     let layer = try Linear(weight: weight, bias: bias)
///     let y = try layer(x)
///
/// - W is (outDim, inDim), b is (outDim) or nil: float32, float16 or bfloat16. Encoded weights are a ``QLinear``.
/// - W may be float8 too, E4M3 or E5M2, with a scale of the tensor ([] or [1]) or one a row ([outDim] or [outDim, 1]), finite:
///   y = (x Wᵀ) · scale + b; none means 1.
/// - x is (..., inDim), of one of these dtypes and any rank from 1; y is (..., outDim), of x's dtype. The bits of a row of y do not depend
///   on the other rows, on the number of threads, or on the CPU.
///
/// Errors: those of preparing (`Layer.prepared`) and calling (`PreparedLayer`).
/// One thread at a time; `prepared()` gives a layer that any number of threads may call.
///
/// See also: ``LinearV2``, which is filled from a state dict and can clip its weights.
open class Linear: Layer {
  /// (outDim, inDim). Assigning makes the next call prepare anew.
  public final var weight: Weight { didSet { parametersChanged() } }
  /// (outDim), or nil. Assigning makes the next call prepare anew.
  public final var bias: Weight? { didSet { parametersChanged() } }
  /// Of a float8 weight, or nil for 1. Assigning makes the next call prepare anew.
  public final var weightScale: Weight? { didSet { parametersChanged() } }

  /// A layer of a weight and a bias: a `Tensor` (copied), a `WeightData` (kept as its storage says), a `Weight`, or the
  /// `WeightsPath` of a checkpoint's tensor (mapped). Without a `weightScale`, a path to a float8 weight takes the checkpoint's beside it.
  ///
  /// - Throws: `.invalidShape`, `.invalidDType`, `.unsupported` for parameters that do not fit together or that no
  ///   kernel takes, `.missingKey` for a path that leads nowhere, `.outOfMemory`.
  public init(
    weight: any WeightConvertible, bias: (any WeightConvertible)? = nil, weightScale: (any WeightConvertible)? = nil
  ) throws {
    self.weight = try weight.makeWeight(named: "weight")
    self.bias = try bias?.makeWeight(named: "bias")
    self.weightScale = try (weightScale ?? weight.scaleBeside())?.makeWeight(named: "weight_scale")
    try LinearRules.check(weight: self.weight, bias: self.bias, scale: self.weightScale, clip: nil)
    try WeightScale.checkFinite(self.weightScale)
  }

  /// Of a weight that a subclass has checked.
  init(unchecked weight: Weight, bias: Weight?) throws {
    self.weight = weight
    self.bias = bias
  }

  /// The layer that fits the weights: a `Linear` for dense ones, a `QLinear` for encoded ones, a `GPTQLinear` for a prefix that has
  /// a "qweight".
  ///
  /// - Parameters:
  ///   - dtype: what a dense weight's dtype must be.
  ///   - quantizationEncoding: what the weight's encoding must be; nil takes the weight's own.
  ///   - inFeatures: with `outFeatures`, the stored weight's two dimensions in either order: y = x Wᵀ follows the
  ///     stored weight.
  ///   - outFeatures: see `inFeatures`.
  ///   - weights: as in `init`; a path may also be that of a prefix of ".weight".
  ///   - bias: as in `init`; a path may also be that of a prefix of ".bias" or ".weight".
  ///   - quantizationConfig: of GPTQ tensors. Without a "qweight" below the path, the layer is that of any other weight.
  /// - Throws: as `init`.
  public static func create(
    dtype: DType, quantizationEncoding: QuantizationEncoding? = nil, inFeatures: Int, outFeatures: Int,
    weights: any WeightConvertible, bias: (any WeightConvertible)? = nil, quantizationConfig: QuantizationConfig? = nil
  ) throws -> Linear {
    var quantizationEncoding = quantizationEncoding
    if quantizationEncoding == .gptq || quantizationConfig != nil {
      guard let quantizationConfig else {
        throw MaxLinearError(.invalidArgument, "quantization_config: is missing, expected that of the GPTQ checkpoint")
      }
      if let path = weights as? WeightsPath, path.path("qweight").exists() {
        let layer = try GPTQLinear(weights: path, bias: bias, quantizationConfig: quantizationConfig)
        try layer.check(inFeatures: inFeatures, outFeatures: outFeatures)
        return layer
      }
      // GPTQ checkpoints leave some layers dense.
      quantizationEncoding = nil
    }
    let weight = try weights.makeWeight(named: "weight")
    let isEncoded = weight.quantizationEncoding != nil || quantizationEncoding != nil
    let layer =
      isEncoded
      ? try QLinear(weight: weight, bias: bias, quantizationEncoding: quantizationEncoding)
      : try Linear(weight: weight, bias: bias, weightScale: weights.scaleBeside())
    if !isEncoded { try layer.check(dtype: dtype, encoding: nil) }
    try layer.check(inFeatures: inFeatures, outFeatures: outFeatures)
    return layer
  }

  /// K, the inputs: the last dimension of x.
  public final var inDim: Int { weight.shape.last ?? 0 }
  /// N, the outputs: the last dimension of y.
  public final var outDim: Int { weight.shape.first ?? 0 }

  /// "weight", then "bias" and "weight_scale" where there are such.
  open override var weights: [Weight] {
    [weight] + (bias.map { [$0] } ?? []) + (weightScale.map { [$0] } ?? [])
  }

  package override func sharingContents() throws(MaxLinearError) -> Layer? {
    guard type(of: self) == Linear.self || type(of: self) == QLinear.self else { return nil }
    return LinearV2(
      weight: Weight(sharing: weight), bias: bias.map(Weight.init(sharing:)),
      weightScale: weightScale.map(Weight.init(sharing:)), clipWeight: nil, device: weight.device,
      prepared: currentPreparation)
  }

  override func checkContents() throws(MaxLinearError) { try WeightScale.checkFinite(weightScale) }

  override func prepare(_ options: PrepareOptions) throws(MaxLinearError) -> Preparation {
    try Preparation(weight: weight, bias: bias, scale: weightScale, clip: nil, options: options)
  }

  /// Throws `.invalidDType` unless the weight has this dtype and this encoding.
  package func check(dtype: DType, encoding: String?) throws(MaxLinearError) {
    let found = weight.quantizationEncoding?.name
    guard found == encoding else {
      throw MaxLinearError(
        .invalidDType, "weight: encoding is \(found ?? "none"), expected \(encoding ?? "none")")
    }
    guard weight.dtype == dtype else {
      throw MaxLinearError(.invalidDType, "weight: dtype is \(weight.dtype.name), expected \(dtype.name)")
    }
  }

  /// Throws `.invalidShape` unless this is one of the stored weight's dimensions.
  package func check(dimension: Int) throws(MaxLinearError) {
    guard weight.shape.contains(dimension) else {
      throw MaxLinearError(
        .invalidShape, "weight: shape is \(weight.shape), expected one with the given features, \(dimension)")
    }
  }

  /// Throws `.invalidShape` unless these are the stored weight's two dimensions, in either order.
  package func check(inFeatures: Int, outFeatures: Int) throws(MaxLinearError) {
    guard weight.shape == [outFeatures, inFeatures] || weight.shape == [inFeatures, outFeatures] else {
      throw MaxLinearError(
        .invalidShape,
        "weight: shape is \(weight.shape), expected in_features = \(inFeatures) and out_features = \(outFeatures) "
          + "in either order")
    }
  }
}

/// What a layer's constructor takes as a weight or a bias.
public protocol WeightConvertible {
  /// The weight. `name` is its key, "weight" or "bias", where it does not bring one. Throws what keeps it from being one.
  func makeWeight(named name: String) throws -> Weight
}

extension Weight: WeightConvertible {
  /// The weight itself, under its own name.
  public func makeWeight(named name: String) -> Weight { self }
}

extension WeightData: WeightConvertible {
  /// A weight of the data, under this name. Errors as those of `Weight.init`.
  public func makeWeight(named name: String) throws -> Weight { try Weight(self, name: name) }
}

extension Tensor: WeightConvertible {
  /// A dense weight that copies the tensor, under this name. Errors as those of `Weight.init`.
  public func makeWeight(named name: String) throws -> Weight {
    try Weight(WeightData(name: name, tensor: self))
  }
}

extension WeightsPath: WeightConvertible {
  /// The tensor of this path, or the one below it: ".weight", for a bias ".bias" first. Throws `.missingKey` where there is none.
  public func makeWeight(named name: String) throws -> Weight {
    let below = [self, path(name), path("weight")].first { $0.exists() }
    return try Weight(try (below ?? self).data(), name: name)
  }
}

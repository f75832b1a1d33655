/// What the parameters of a linear layer must be to fit together.
enum LinearRules {
  /// Throws `.unsupported` unless some kernel takes dense weights of the dtype.
  static func checkDense(_ dtype: DType, argument: String) throws(MaxLinearError) {
    guard dtype.denseEncodingName != nil else { throw unsupportedDType(argument, dtype) }
  }

  /// Throws `.unsupported` unless it is a dtype of values that are converted.
  static func checkFloat(_ dtype: DType, argument: String) throws(MaxLinearError) {
    guard dtype.isFloat else {
      throw MaxLinearError(.unsupported, "\(argument): is \(dtype.name), expected float32, float16 or bfloat16")
    }
  }

  static func unsupportedDType(_ argument: String, _ dtype: DType) -> MaxLinearError {
    let supported = DType.denseWeights.map(\.name).joined(separator: ", ")
    return MaxLinearError(
      .unsupported, "\(argument): dense \(dtype.name) weights are not supported, expected \(supported)")
  }

  /// Throws `.invalidShape` unless the dimension is at least 1.
  static func checkDimension(_ value: Int, _ argument: String) throws(MaxLinearError) {
    guard value >= 1 else {
      throw MaxLinearError(.invalidShape, "\(argument): is \(value), expected 1 or more")
    }
  }

  /// Throws `.invalidArgument` unless the clip is finite and above 0, `.unsupported` when the weight is encoded.
  static func check(clip: Float?, encoding: QuantizationEncoding?, dtype: DType? = nil) throws(MaxLinearError) {
    guard let clip else { return }
    guard clip.isFinite, clip > 0 else {
      throw MaxLinearError(
        .invalidArgument,
        "clip_weight: is \(clip), expected a finite number above 0, or none to leave weights as they are")
    }
    guard encoding == nil else {
      throw MaxLinearError(.unsupported, "clip_weight: encoded weights cannot be clipped, expected none")
    }
    guard dtype?.isFloat8 != true else {
      throw MaxLinearError(.unsupported, "clip_weight: float8 weights cannot be clipped, expected none")
    }
  }

  /// Throws unless weight is (out_dim, in_dim), bias, when there is one, (out_dim), and scale one of float8 weights.
  static func check(weight: Weight, bias: Weight?, scale: Weight? = nil, clip: Float?) throws(MaxLinearError) {
    guard weight.shape.count == 2 else {
      throw MaxLinearError(.invalidShape, "\(weight.name): shape is \(weight.shape), expected [out_dim, in_dim]")
    }
    for dimension in weight.shape where dimension < 1 {
      throw MaxLinearError(
        .invalidShape, "\(weight.name): shape is \(weight.shape), expected dimensions of 1 or more")
    }
    guard weight.quantizationEncoding != .gptq else {
      throw MaxLinearError(
        .unsupported,
        "\(weight.name): encoding is GPTQ, expected a dense weight or one of blocks: GPTQ is GPTQLinear's, with its quantization_config"
      )
    }
    if weight.quantizationEncoding == nil { try checkDense(weight.dtype, argument: weight.name) }
    try check(clip: clip, encoding: weight.quantizationEncoding, dtype: weight.dtype)
    // One that is not loaded may stand beside a weight that was float8 before a load.
    let isFloat8 = weight.quantizationEncoding == nil && weight.dtype.isFloat8
    if let scale, scale.isLoaded || isFloat8 { try WeightScale.check(scale, of: weight) }
    if let bias { try check(bias: bias, outDim: weight.shape[0]) }
  }

  /// Throws unless the bias is (outDim) of a float dtype.
  static func check(bias: Weight, outDim: Int) throws(MaxLinearError) {
    guard bias.shape == [outDim] else {
      throw MaxLinearError(.invalidShape, "\(bias.name): shape is \(bias.shape), expected [\(outDim)]")
    }
    guard bias.quantizationEncoding == nil, bias.dtype.isFloat else {
      let expected = DType.floats.map(\.name).joined(separator: ", ")
      throw MaxLinearError(.invalidDType, "\(bias.name): dtype is \(bias.dtype.name), expected one of \(expected)")
    }
  }
}

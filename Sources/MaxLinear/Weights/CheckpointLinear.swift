/// A linear layer of a checkpoint, by the name of its tensors without ".weight" or ".qweight".
struct CheckpointLinear {
  let dtype: DType
  /// (outDim, inDim)
  let shape: [Int]
  let encoding: QuantizationEncoding?
  let entries: [WeightData]
  private let name: String
  private let config: QuantizationConfig?

  /// `part` is the path of its keys, "" for none.
  init(
    _ name: String, as part: String, in weights: Weights, quantizationConfig: QuantizationConfig?
  ) throws {
    self.name = name
    var found: [WeightData] = []
    for tensor in [
      "weight", "qweight", "scales", "qzeros", "g_idx", "perm_idx", "bias", "weight_scale", "weight_scale_inv",
    ] {
      guard var data = weights["\(name).\(tensor)"] else { continue }
      data.name = part.isEmpty ? tensor : "\(part).\(tensor)"
      found.append(data)
    }
    guard let first = found.first, first.name.hasSuffix("weight") else { throw weights.missing("\(name).weight") }
    entries = found
    if first.name.hasSuffix("qweight") {
      guard let config = try quantizationConfig ?? weights.quantizationConfigOfTensors() else {
        throw MaxLinearError(
          .invalidArgument,
          "quantization_config: is missing, expected that of \(name): it is GPTQ or AWQ, and no quantize_config.json, quant_config.json or "
            + "config.json beside it says how"
        )
      }
      try config.check()
      let (inDim, outDim) = try GPTQShapes(config).dimensions(qweight: first.shape, argument: "\(name).qweight")
      self.config = config
      encoding = .gptq
      dtype = .uint8
      shape = [outDim, inDim]
    } else {
      let weight = try Weight(first, name: "\(name).weight")
      guard weight.shape.count == 2 else {
        throw MaxLinearError(.invalidShape, "\(name).weight: shape is \(weight.shape), expected two dimensions")
      }
      config = nil
      encoding = weight.quantizationEncoding
      dtype = weight.dtype
      shape = weight.shape
    }
  }

  func linear(inDim: Int, outDim: Int, device: DeviceRef) throws -> LinearV2 {
    guard shape == [outDim, inDim] else {
      throw MaxLinearError(
        .invalidShape, "\(name).weight: shape is \(shape), expected \([outDim, inDim]) to fit the gate")
    }
    let hasBias = entries.contains { $0.name.hasSuffix("bias") }
    if let config {
      return try GPTQLinearV2(
        inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias, quantizationConfig: config)
    }
    let linear = try LinearV2(
      inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias, quantizationEncoding: encoding)
    // As it is stored, whatever the weight is: float16 has no room for what float32 may hold.
    linear.bias?.otherDTypes = DType.floats
    return linear
  }
}

extension LinearV2 {
  /// A linear layer of a checkpoint, mapped, with the bias and the scale that lie beside its weight.
  ///
  /// - Parameter name: of its weight, or that without ".weight" or ".qweight".
  /// - Throws: `.missingKey`; `.invalidArgument` for GPTQ tensors without a config; `.invalidShape`; `.unsupported`.
  package static func fromWeights(_ weights: Weights, name: String) throws -> LinearV2 {
    let found = try CheckpointLinear(CheckpointLinear.stem(of: name), as: "", in: weights, quantizationConfig: nil)
    let linear = try found.linear(inDim: found.shape[1], outDim: found.shape[0], device: .cpu())
    try linear.loadStateDict(StateDict(found.entries))
    return linear
  }
}

extension CheckpointLinear {
  /// "GPTQ" or "AWQ"; nil for others.
  var quantizationName: String? { config.map { $0.isAWQ ? "AWQ" : "GPTQ" } }

  /// The values of GPTQ's or AWQ's tensors, float32 (outDim, inDim). Errors as those of loading them.
  func gptqValues() throws -> Tensor {
    let linear = try linear(inDim: shape[1], outDim: shape[0], device: .cpu())
    try linear.loadStateDict(StateDict(entries))
    guard let gptq = linear as? GPTQLinearV2 else {
      throw MaxLinearError(.internal, "\(name): has no qweight, expected a GPTQ layer")
    }
    return try gptq.tensors.values()
  }

  /// The name of a linear's main tensor without ".weight" or ".qweight".
  static func stem(of name: String) -> String {
    for suffix in MLPNames.tensors where name.hasSuffix(suffix) { return String(name.dropLast(suffix.count)) }
    return name
  }
}

/// The gated MLP of a checkpoint's layer: what its three linears are, and their tensors.
struct CheckpointMLP {
  private let gate: CheckpointLinear
  private let down: CheckpointLinear
  private let up: CheckpointLinear

  init(_ weights: Weights, layer: Int, quantizationConfig: QuantizationConfig?) throws {
    let names = try MLPNames.find(in: weights, layer: layer)
    func part(_ name: String, _ part: String) throws -> CheckpointLinear {
      try CheckpointLinear(name, as: part, in: weights, quantizationConfig: quantizationConfig)
    }
    gate = try part(names.gate, "gate_proj")
    down = try part(names.down, "down_proj")
    up = try part(names.up, "up_proj")
  }

  var dtype: DType { gate.dtype }
  var encoding: QuantizationEncoding? { gate.encoding }
  var hiddenDim: Int { gate.shape[1] }
  var feedForwardLength: Int { gate.shape[0] }
  var state: StateDict { StateDict(gate.entries + down.entries + up.entries) }

  /// Makes the three in their order, each of its own kind.
  var linearClass: MLPV2.LinearClass {
    var remaining = [gate, down, up][...]
    return { inDim, outDim, _, device, _, _ in
      guard let part = remaining.popFirst() else {
        throw MaxLinearError(.internal, "fromWeights: there is no linear left, expected one")
      }
      return try part.linear(inDim: inDim, outDim: outDim, device: device)
    }
  }
}

/// A linear layer of a checkpoint, by the name of its tensors without ".weight" or ".qweight".
private struct CheckpointLinear {
  let dtype: DType
  /// (outDim, inDim)
  let shape: [Int]
  let encoding: QuantizationEncoding?
  let entries: [WeightData]
  private let name: String
  private let config: QuantizationConfig?

  /// `part` is the path of its keys.
  init(
    _ name: String, as part: String, in weights: Weights, quantizationConfig: QuantizationConfig?
  ) throws {
    self.name = name
    var found: [WeightData] = []
    for tensor in [
      "weight", "qweight", "scales", "qzeros", "g_idx", "perm_idx", "bias", "weight_scale", "weight_scale_inv",
    ] {
      guard var data = weights["\(name).\(tensor)"] else { continue }
      data.name = "\(part).\(tensor)"
      found.append(data)
    }
    guard let first = found.first, first.name.hasSuffix("weight") else { throw weights.missing("\(name).weight") }
    entries = found
    if first.name.hasSuffix(".qweight") {
      guard let config = try quantizationConfig ?? weights.quantizationConfig() else {
        throw MaxLinearError(
          .invalidArgument,
          "quantization_config: is nil, expected that of \(name): it is GPTQ or AWQ, and no quantize_config.json, quant_config.json or "
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
    let hasBias = entries.contains { $0.name.hasSuffix(".bias") }
    if let config {
      return try GPTQLinearV2(
        inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias, quantizationConfig: config)
    }
    return try LinearV2(
      inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias, quantizationEncoding: encoding)
  }
}

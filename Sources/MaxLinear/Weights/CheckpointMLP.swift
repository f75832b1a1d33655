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

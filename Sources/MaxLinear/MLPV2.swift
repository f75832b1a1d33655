/// y = down(activation(gate x) · (up x)), with the weights from a state dict.
///
///     let layer = try MLPV2(
///       dtype: .uint8, quantizationEncoding: QuantizationEncoding("Q4_K"), hiddenDim: 4096, feedForwardLength: 14336)
///     try layer.load(weights, prefix: "model.layers.0.mlp.")
///     let y = try layer(x)
///
/// Shapes, keys and numerics as in ``MLP``; x is (..., hiddenDim) of any rank from 1.
open class MLPV2: MLP {
  /// Makes one of the three linears.
  public typealias LinearClass = (
    _ inDim: Int, _ outDim: Int, _ dtype: DType, _ device: DeviceRef, _ quantizationEncoding: QuantizationEncoding?,
    _ hasBias: Bool
  ) throws -> LinearV2

  public final let hiddenDim: Int
  public final let feedForwardLength: Int
  public final let devices: [DeviceRef]

  /// A layer without contents.
  ///
  /// - Parameters:
  ///   - dtype: of weights and biases; see `LinearV2.init`.
  ///   - quantizationEncoding: of the three weights; nil for dense.
  ///   - linearClass: called for gate, down and up, in that order; nil for `LinearV2`.
  ///   - devices: the first is used; none means the CPU.
  ///   - hasBias: whether the three have biases.
  /// - Throws: as `LinearV2.init`.
  public init(
    dtype: DType, quantizationEncoding: QuantizationEncoding? = nil, hiddenDim: Int, feedForwardLength: Int,
    linearClass: LinearClass? = nil, devices: [DeviceRef] = [], hasBias: Bool = false,
    activationFunction: Activation = .silu
  ) throws {
    for device in devices { try device.check("devices") }
    let device = devices.first ?? .cpu()
    let make =
      linearClass ?? { inDim, outDim, dtype, device, encoding, hasBias in
        try LinearV2(
          inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias, quantizationEncoding: encoding)
      }
    let gate = try make(hiddenDim, feedForwardLength, dtype, device, quantizationEncoding, hasBias)
    let down = try make(feedForwardLength, hiddenDim, dtype, device, quantizationEncoding, hasBias)
    let up = try make(hiddenDim, feedForwardLength, dtype, device, quantizationEncoding, hasBias)
    self.hiddenDim = hiddenDim
    self.feedForwardLength = feedForwardLength
    self.devices = [device] + devices.dropFirst()
    super.init(gate: gate, down: down, up: up, activation: activationFunction)
  }
  /// The MLP of a layer of a checkpoint, mapped, found by the names of Hugging Face (model.layers.0.mlp.gate_proj.weight) or GGUF
  /// (blk.0.ffn_gate.weight) behind any prefix; dense or encoded, each of the three in its own encoding, with the biases it has.
  ///
  /// - Parameters:
  ///   - layer: its number.
  ///   - devices: the first is used; none means the CPU.
  /// - Throws: `.missingKey`; `.invalidArgument` when several prefixes have that layer; `.invalidShape`; `.unsupported` for an
  ///   encoding without a kernel.
  public static func fromWeights(
    _ weights: Weights, layer: Int = 0, devices: [DeviceRef] = [], activationFunction: Activation = .silu
  ) throws -> MLPV2 {
    let names = try MLPNames.find(in: weights, layer: layer)
    let parts = [("gate_proj", names.gate), ("down_proj", names.down), ("up_proj", names.up)]
    var remaining = try parts.map { part, name in try CheckpointLinear(name, as: part, in: weights) }[...]
    guard let gate = remaining.first else { throw MaxLinearError(.internal, "fromWeights: no gate") }
    let state = StateDict(remaining.flatMap(\.entries))
    let mlp = try MLPV2(
      dtype: gate.weight.dtype, quantizationEncoding: gate.weight.quantizationEncoding, hiddenDim: gate.weight.shape[1],
      feedForwardLength: gate.weight.shape[0],
      linearClass: { inDim, outDim, _, device, _, _ in
        guard let part = remaining.popFirst() else { throw MaxLinearError(.internal, "fromWeights: no linear") }
        return try part.linear(inDim: inDim, outDim: outDim, device: device)
      }, devices: devices, activationFunction: activationFunction)
    try mlp.loadStateDict(state)
    return mlp
  }
}

/// A linear layer of a checkpoint, by the name of its tensors without ".weight".
private struct CheckpointLinear {
  let weight: Weight
  let entries: [WeightData]
  private let name: String

  /// `part` is the path of its keys.
  init(_ name: String, as part: String, in weights: Weights) throws(MaxLinearError) {
    self.name = name
    var found: [WeightData] = []
    for tensor in ["weight", "bias"] {
      guard var data = weights["\(name).\(tensor)"] else { continue }
      data.name = "\(part).\(tensor)"
      found.append(data)
    }
    guard let first = found.first, first.name.hasSuffix(".weight") else { throw weights.missing("\(name).weight") }
    entries = found
    do { weight = try Weight(first, name: "\(name).weight") } catch let error as MaxLinearError { throw error } catch {
      throw MaxLinearError(.internal, "\(name): \(error)")
    }
    guard weight.shape.count == 2 else {
      throw MaxLinearError(.invalidShape, "\(name).weight: shape is \(weight.shape), expected two dimensions")
    }
  }

  func linear(inDim: Int, outDim: Int, device: DeviceRef) throws -> LinearV2 {
    guard weight.shape == [outDim, inDim] else {
      throw MaxLinearError(
        .invalidShape, "\(name).weight: shape is \(weight.shape), expected \([outDim, inDim]) to fit the gate")
    }
    return try LinearV2(
      inDim: inDim, outDim: outDim, dtype: weight.dtype, device: device, hasBias: entries.count > 1,
      quantizationEncoding: weight.quantizationEncoding)
  }
}

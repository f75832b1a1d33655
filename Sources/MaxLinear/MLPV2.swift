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
  public final internal(set) var devices: [DeviceRef]

  /// A layer without contents.
  ///
  /// - Parameters:
  ///   - dtype: of weights and biases; see `LinearV2.init`.
  ///   - quantizationEncoding: of the three weights; nil for dense.
  ///   - linearClass: called for gate, down and up, in that order; nil for `LinearV2`, or with encoding `.gptq` `GPTQLinearV2`.
  ///   - devices: the first is used; none means the CPU.
  ///   - hasBias: whether the three have biases.
  ///   - quantizationConfig: of GPTQ weights.
  /// - Throws: as `LinearV2.init`.
  public init(
    dtype: DType, quantizationEncoding: QuantizationEncoding? = nil, hiddenDim: Int, feedForwardLength: Int,
    linearClass: LinearClass? = nil, devices: [DeviceRef] = [], hasBias: Bool = false,
    activationFunction: Activation = .silu, quantizationConfig: QuantizationConfig? = nil
  ) throws {
    for device in devices { try device.check("devices") }
    let device = devices.first ?? .cpu()
    let make =
      linearClass ?? { inDim, outDim, dtype, device, encoding, hasBias in
        guard encoding == .gptq else {
          return try LinearV2(
            inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias, quantizationEncoding: encoding
          )
        }
        guard let quantizationConfig else {
          throw MaxLinearError(.invalidArgument, "quantization_config: is nil, expected that of the GPTQ checkpoint")
        }
        return try GPTQLinearV2(
          inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias,
          quantizationConfig: quantizationConfig)
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
  /// (blk.0.ffn_gate.weight) behind any prefix; dense, encoded or GPTQ, each of the three in its own encoding, with the biases it has.
  ///
  /// - Parameters:
  ///   - layer: its number.
  ///   - devices: the first is used; none means the CPU.
  ///   - quantizationConfig: of GPTQ tensors; nil for what the checkpoint's folder says.
  /// - Throws: `.missingKey`; `.invalidArgument` when several prefixes have that layer, or for GPTQ tensors without a config;
  ///   `.invalidShape`; `.unsupported` for an encoding without a kernel.
  public static func fromWeights(
    _ weights: Weights, layer: Int = 0, devices: [DeviceRef] = [], activationFunction: Activation = .silu,
    quantizationConfig: QuantizationConfig? = nil
  ) throws -> MLPV2 {
    let names = try MLPNames.find(in: weights, layer: layer)
    let parts = [("gate_proj", names.gate), ("down_proj", names.down), ("up_proj", names.up)]
    var remaining = try parts.map { part, name in
      try CheckpointLinear(name, as: part, in: weights, quantizationConfig: quantizationConfig)
    }[...]
    guard let gate = remaining.first else { throw MaxLinearError(.internal, "fromWeights: no gate") }
    let state = StateDict(remaining.flatMap(\.entries))
    let mlp = try MLPV2(
      dtype: gate.dtype, quantizationEncoding: gate.encoding, hiddenDim: gate.shape[1],
      feedForwardLength: gate.shape[0],
      linearClass: { inDim, outDim, _, device, _, _ in
        guard let part = remaining.popFirst() else { throw MaxLinearError(.internal, "fromWeights: no linear") }
        return try part.linear(inDim: inDim, outDim: outDim, device: device)
      }, devices: devices, activationFunction: activationFunction)
    try mlp.loadStateDict(state)
    return mlp
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
    for tensor in ["weight", "qweight", "scales", "qzeros", "g_idx", "perm_idx", "bias"] {
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
          "quantization_config: \(name) is GPTQ, and neither quantize_config.json nor config.json beside the checkpoint says how"
        )
      }
      guard first.shape.count == 2, case let rows = first.shape[0].multipliedReportingOverflow(by: GPTQWeights.perWord),
        !rows.overflow
      else {
        throw MaxLinearError(.invalidShape, "\(name).qweight: shape is \(first.shape), expected two dimensions")
      }
      self.config = config
      encoding = .gptq
      dtype = .uint8
      shape = [first.shape[1], rows.partialValue]
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
    let hasBias = entries.last?.name.hasSuffix(".bias") ?? false
    if let config {
      return try GPTQLinearV2(
        inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias, quantizationConfig: config)
    }
    return try LinearV2(
      inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias, quantizationEncoding: encoding)
  }
}

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

  /// The last dimension of x and y.
  public final let hiddenDim: Int
  /// The last dimension of h, between the linears.
  public final let feedForwardLength: Int
  /// The devices; of an `MLPV2` the first is used, of a ``DistributedMLP`` all.
  public final internal(set) var devices: [DeviceRef]

  /// A layer without contents.
  ///
  /// - Parameters:
  ///   - dtype: of weights and biases; see `LinearV2.init`.
  ///   - quantizationEncoding: of the three weights; nil for dense.
  ///   - hiddenDim: the last dimension of x and y, at least 1.
  ///   - feedForwardLength: the last dimension of h, at least 1.
  ///   - linearClass: called for gate, down and up, in that order; nil for `LinearV2`, or with encoding `.gptq` `GPTQLinearV2`.
  ///   - devices: the first is used, none of the others looked at; none means the CPU.
  ///   - hasBias: whether the three have biases.
  ///   - activationFunction: what gate's outputs go through.
  ///   - quantizationConfig: of GPTQ weights.
  /// - Throws: as `LinearV2.init`.
  public init(
    dtype: DType, quantizationEncoding: QuantizationEncoding? = nil, hiddenDim: Int, feedForwardLength: Int,
    linearClass: LinearClass? = nil, devices: [DeviceRef] = [], hasBias: Bool = false,
    activationFunction: Activation = .silu, quantizationConfig: QuantizationConfig? = nil
  ) throws {
    try LinearRules.checkDimension(hiddenDim, "hidden_dim")
    try LinearRules.checkDimension(feedForwardLength, "feed_forward_length")
    let device = devices.first ?? .cpu()
    try device.check("devices")
    let make =
      linearClass ?? { inDim, outDim, dtype, device, encoding, hasBias in
        guard encoding == .gptq else {
          return try LinearV2(
            inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias, quantizationEncoding: encoding
          )
        }
        guard let quantizationConfig else {
          throw MaxLinearError(
            .invalidArgument, "quantization_config: is missing, expected that of the GPTQ checkpoint")
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
  ///   - weights: the whole checkpoint.
  ///   - layer: its number.
  ///   - devices: the first is used; none means the CPU.
  ///   - activationFunction: what gate's outputs go through; checkpoints do not say.
  ///   - quantizationConfig: of GPTQ tensors; nil for what the checkpoint's folder says.
  /// - Throws: `.missingKey`; `.invalidArgument` when several prefixes have that layer, or for GPTQ tensors without a config;
  ///   `.invalidShape`; `.unsupported` for an encoding without a kernel.
  open class func fromWeights(
    _ weights: Weights, layer: Int = 0, devices: [DeviceRef] = [], activationFunction: Activation = .silu,
    quantizationConfig: QuantizationConfig? = nil
  ) throws -> MLPV2 {
    let found = try CheckpointMLP(weights, layer: layer, quantizationConfig: quantizationConfig)
    let mlp = try MLPV2(
      dtype: found.dtype, quantizationEncoding: found.encoding, hiddenDim: found.hiddenDim,
      feedForwardLength: found.feedForwardLength, linearClass: found.linearClass, devices: devices,
      activationFunction: activationFunction)
    try mlp.loadStateDict(found.state)
    return mlp
  }
}

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
}

/// y = down(activation(gate x) · up x), with the weights from a state dict.
///
/// Keys: `gate_proj.weight`, `gate_proj.bias`, `down_proj.…`, `up_proj.…`. gate and up are (feedForwardLength, hiddenDim), down is
/// (hiddenDim, feedForwardLength). x is (..., hiddenDim) of any rank from 1 up.
open class MLPV2: MLP {
  /// Makes one of the three linears; `LinearV2.init` by default.
  public typealias LinearClass = (
    _ inDim: Int, _ outDim: Int, _ dtype: DType, _ device: DeviceRef, _ quantizationEncoding: QuantizationEncoding?,
    _ hasBias: Bool
  ) throws -> LinearV2

  public let hiddenDim: Int
  public let feedForwardLength: Int
  public let devices: [DeviceRef]
  public let activationFunction: Activation

  /// - Parameters:
  ///   - dtype: of weights and biases: float32, float16 or bfloat16; with an encoding, uint8 or the biases' dtype.
  ///   - linearClass: called for gate, down and up, in that order.
  ///   - devices: the first is used; none means the CPU.
  ///
  /// Throws as `LinearV2.init`.
  public init(
    dtype: DType, quantizationEncoding: QuantizationEncoding?, hiddenDim: Int, feedForwardLength: Int,
    linearClass: LinearClass? = nil, devices: [DeviceRef] = [], hasBias: Bool = false,
    activationFunction: Activation = .silu
  ) throws {
    let device = devices.first ?? .cpu()
    for device in devices { try device.check("devices") }
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
    self.devices = devices.isEmpty ? [device] : devices
    self.activationFunction = activationFunction
    super.init(gate: gate, down: down, up: up, activation: activationFunction)
  }
}

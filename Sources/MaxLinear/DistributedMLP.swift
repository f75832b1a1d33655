/// ``MLPV2`` on several devices: called with one x a device, it returns one y a device.
///
///     let layer = try DistributedMLP(
///       dtype: .uint8, quantizationEncoding: QuantizationEncoding("Q4_K"), hiddenDim: 4096, feedForwardLength: 14336,
///       devices: [.cpu(id: 0), .cpu(id: 1)])
///     try layer.load(weights, prefix: "model.layers.0.mlp.")
///     let ys = try layer([x, x])
///
/// A device is a CPU device of this process: a part of a call's threads, which pack its shard, touch it first and compute it. All three matrices are
/// split by their outputs, gate and up at multiples of 256 where h is quantized; shards may be uneven, nothing is dropped. So the bits are those
/// of `MLPV2`, for any number of devices and threads. The state dict is the undivided one.
///
/// With `reduce`, down is split by its inputs instead and the devices' results are summed in their order, in float32: y is the same from run to run, and its
/// bits depend on the number of devices.
open class DistributedMLP: MLPV2 {
  /// Whether down is split by its inputs, and the devices' results are summed.
  public final let reduce: Bool

  /// - Parameters:
  ///   - dtype: as in ``MLPV2``.
  ///   - quantizationEncoding: as in ``MLPV2``.
  ///   - hiddenDim: as in ``MLPV2``.
  ///   - feedForwardLength: as in ``MLPV2``.
  ///   - linearClass: as in ``MLPV2``.
  ///   - devices: CPU devices with different ids; none means one.
  ///   - hasBias: as in ``MLPV2``.
  ///   - activationFunction: as in ``MLPV2``.
  ///   - quantizationConfig: as in ``MLPV2``.
  ///   - reduce: split down by its inputs.
  /// - Throws: as `MLPV2.init`; `.invalidArgument` for more devices than units of work or a device that comes twice, `.noDevice` for a GPU.
  public init(
    dtype: DType, quantizationEncoding: QuantizationEncoding? = nil, hiddenDim: Int, feedForwardLength: Int,
    linearClass: LinearClass? = nil, devices: [DeviceRef] = [], hasBias: Bool = false,
    activationFunction: Activation = .silu, quantizationConfig: QuantizationConfig? = nil, reduce: Bool = false
  ) throws {
    self.reduce = reduce
    let devices = try DeviceRef.checked(distributed: devices)
    try super.init(
      dtype: dtype, quantizationEncoding: quantizationEncoding, hiddenDim: hiddenDim,
      feedForwardLength: feedForwardLength,
      linearClass: linearClass, hasBias: hasBias,
      activationFunction: activationFunction, quantizationConfig: quantizationConfig)
    self.devices = devices
    try divide()
  }

  /// `MLPV2.fromWeights`, on all of `devices`. Errors as those of `MLPV2.fromWeights` and `init`.
  open override class func fromWeights(
    _ weights: Weights, layer: Int = 0, devices: [DeviceRef] = [], activationFunction: Activation = .silu,
    quantizationConfig: QuantizationConfig? = nil
  ) throws -> DistributedMLP {
    try fromWeights(
      weights, layer: layer, devices: devices, activationFunction: activationFunction,
      quantizationConfig: quantizationConfig, reduce: false)
  }

  /// `MLPV2.fromWeights`, on all of `devices`; `reduce` as in `init`. Errors as those of both.
  public static func fromWeights(
    _ weights: Weights, layer: Int = 0, devices: [DeviceRef] = [], activationFunction: Activation = .silu,
    quantizationConfig: QuantizationConfig? = nil, reduce: Bool
  ) throws -> DistributedMLP {
    let found = try CheckpointMLP(weights, layer: layer, quantizationConfig: quantizationConfig)
    let mlp = try DistributedMLP(
      dtype: found.dtype, quantizationEncoding: found.encoding, hiddenDim: found.hiddenDim,
      feedForwardLength: found.feedForwardLength, linearClass: found.linearClass, devices: devices,
      activationFunction: activationFunction, reduce: reduce)
    try mlp.loadStateDict(found.state)
    return mlp
  }

  /// Gives each linear its shards.
  private func divide() throws {
    let count = devices.count
    func isEncoded(_ layer: Layer) -> Bool { (layer as? LinearV2)?.weight.quantizationEncoding != nil }
    func unit(_ layer: Layer) -> Int { max(isEncoded(layer) ? 8 : 1, (layer as? LinearV2)?.shardUnit ?? 1) }
    let hiddenUnit = max(unit(gateProjection), unit(upProjection))
    let hidden = try Sharding(
      feedForwardLength, unit: isEncoded(downProjection) ? 256 : hiddenUnit, devices: count,
      argument: "feed_forward_length")
    let output = try Sharding(
      hiddenDim, unit: unit(downProjection), devices: count, argument: "hidden_dim")
    for layer in [gateProjection, upProjection] { (layer as? LinearV2)?.outputShards = hidden.ranges }
    if reduce {
      (downProjection as? LinearV2)?.inputShards = hidden.ranges
    } else {
      (downProjection as? LinearV2)?.outputShards = output.ranges
    }
  }

  /// One y a device, in new tensors of x's dtype, for the same x on every device. Prepares on first use. Errors are those of `Layer`, and
  /// `.invalidArgument` for x that differ.
  open func callAsFunction(_ xs: [Tensor]) throws -> [Tensor] {
    guard isOfLibraryLayers else { return try xs.map { try self($0) } }
    return try prepared()(devices: xs)
  }

  override var hiddenShards: [Range<Int>] { (gateProjection as? LinearV2)?.outputShards ?? [] }
}

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
/// With a `communicator`, the devices are its ranks instead, each a process, with the same bits: every rank makes the layer, loads the same checkpoint
/// and calls it with the same x, `layer(x)`, and each gets the whole y. A rank packs its own shard alone and keeps the source for the state dict, so
/// weights should be mapped. See ``Communicator``.
///
/// With `reduce`, down is split by its inputs instead and the devices' results are summed in their order, in float32: y is the same from run to run, and its
/// bits depend on the number of devices.
open class DistributedMLP: MLPV2 {
  /// Whether down is split by its inputs, and the devices' results are summed.
  public final let reduce: Bool
  /// The processes that are the devices, where there is one.
  public final let communicator: Communicator?

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
  ///   - communicator: the processes that are the devices, beside no `devices`; library layers only.
  /// - Throws: as `MLPV2.init`; `.invalidArgument` for more devices than units of work or a device that comes twice, `.noDevice` for a GPU.
  public init(
    dtype: DType, quantizationEncoding: QuantizationEncoding? = nil, hiddenDim: Int, feedForwardLength: Int,
    linearClass: LinearClass? = nil, devices: [DeviceRef] = [], hasBias: Bool = false,
    activationFunction: Activation = .silu, quantizationConfig: QuantizationConfig? = nil, reduce: Bool = false,
    communicator: Communicator? = nil
  ) throws {
    self.reduce = reduce
    self.communicator = communicator
    let devices = try DeviceRef.checked(distributed: devices, beside: communicator)
    try super.init(
      dtype: dtype, quantizationEncoding: quantizationEncoding, hiddenDim: hiddenDim,
      feedForwardLength: feedForwardLength,
      linearClass: linearClass, hasBias: hasBias,
      activationFunction: activationFunction, quantizationConfig: quantizationConfig)
    self.devices = devices
    guard communicator == nil || isOfLibraryLayers else {
      throw MaxLinearError(
        .unsupported,
        "linear_cls: makes layers with a forward of their own, expected the library's, which ranks can divide")
    }
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

  /// `MLPV2.fromWeights`, on all of `devices`; `reduce` and `communicator` as in `init`. Errors as those of both.
  public static func fromWeights(
    _ weights: Weights, layer: Int = 0, devices: [DeviceRef] = [], activationFunction: Activation = .silu,
    quantizationConfig: QuantizationConfig? = nil, reduce: Bool, communicator: Communicator? = nil
  ) throws -> DistributedMLP {
    let found = try CheckpointMLP(weights, layer: layer, quantizationConfig: quantizationConfig)
    let mlp = try DistributedMLP(
      dtype: found.dtype, quantizationEncoding: found.encoding, hiddenDim: found.hiddenDim,
      feedForwardLength: found.feedForwardLength, linearClass: found.linearClass, devices: devices,
      activationFunction: activationFunction, reduce: reduce, communicator: communicator)
    try mlp.loadStateDict(found.state)
    return mlp
  }

  /// Gives each linear its shards.
  private func divide() throws {
    let count = communicator?.size ?? devices.count
    let (rank, noun) = (communicator?.rank, communicator == nil ? "devices" : "ranks")
    func isEncoded(_ layer: Layer) -> Bool { (layer as? LinearV2)?.weight.quantizationEncoding != nil }
    func unit(_ layer: Layer) -> Int { max(isEncoded(layer) ? 8 : 1, (layer as? LinearV2)?.shardUnit ?? 1) }
    let hiddenUnit = max(unit(gateProjection), unit(upProjection))
    let hidden = try Sharding(
      feedForwardLength, unit: isEncoded(downProjection) ? 256 : hiddenUnit, devices: count,
      argument: "feed_forward_length", noun: noun)
    let output = try Sharding(
      hiddenDim, unit: unit(downProjection), devices: count, argument: "hidden_dim", noun: noun)
    for layer in [gateProjection, upProjection] {
      (layer as? LinearV2)?.outputShards = Shards(hidden.ranges, rank: rank)
    }
    if reduce {
      (downProjection as? LinearV2)?.inputShards = Shards(hidden.ranges, rank: rank)
    } else {
      (downProjection as? LinearV2)?.outputShards = Shards(output.ranges, rank: rank)
    }
  }

  /// One y a device, in new tensors of x's dtype, for the same x on every device. Prepares on first use. Errors are those of `Layer`, and
  /// `.invalidArgument` for x that differ.
  open func callAsFunction(_ xs: [Tensor]) throws -> [Tensor] {
    guard isOfLibraryLayers else { return try xs.map { try self($0) } }
    return try prepared(preparedOptions)(devices: xs)
  }

  override var hiddenShards: [Range<Int>] { (gateProjection as? LinearV2)?.outputShards?.ranges ?? [] }

  override var ranksCommunicator: Communicator? { communicator }
  override func prepare(_ options: PrepareOptions) throws(MaxLinearError) -> Preparation {
    guard let communicator else { return try super.prepare(options) }
    return try communicator.prepare(
      self, kind: "DistributedMLP \(activationFunction) \(reduce)",
      dimensions: [("hidden_dim", hiddenDim), ("feed_forward_length", feedForwardLength)], options
    ) { ranks throws(MaxLinearError) in
      let (linears, contents) = try prepareLinears(options)
      let down: PreparedRankedMLP.Down
      switch linears.down {
      case let part as PreparedRowParallel: down = .inputs(part)
      case let linear as PreparedLinear:
        down = .outputs(linear, (downProjection as? LinearV2)?.outputShards?.ranges ?? [])
      default: throw MaxLinearError(.unsupported, "down_proj: expected a linear layer")
      }
      let mlp = PreparedRankedMLP(
        PreparedHidden(gate: linears.gate, up: linears.up, activation: activationFunction), down: down,
        columns: hiddenShards, outDim: hiddenDim, options: options, ranks: ranks)
      return Preparation(layer: PreparedLayer(mlp), contents: contents)
    }
  }
}

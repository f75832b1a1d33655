/// y = x Wᵀ + b with W split among devices by its outputs: called with one x a device, the same for all.
///
/// Where there is a `communicator`, the devices are its ranks, as in ``DistributedMLP``: `layer(x)` gives the whole y, `layer([x])` what this rank gets.
///
/// Where it gathers, each device gets the whole y, with the bits of the undivided layer; else its own outputs, `shards`. Keys "weight" and "bias", or those of
/// ``GPTQLinearV2``: the undivided ones. Devices are those of ``DistributedMLP``.
open class ColumnParallelLinear: Layer {
  /// The undivided layer, which holds the weights.
  public final let linear: LinearV2
  /// The devices that share the layer, in the order of their shards.
  public final let devices: [DeviceRef]
  /// The processes that are the devices, where there is one.
  public final let communicator: Communicator?
  /// Whether each device gets the whole y, and not its own outputs alone.
  public final let gather: Bool
  /// The outputs of each device.
  public final let shards: [Range<Int>]

  /// A layer without contents, split by its outputs.
  ///
  /// Parameters as those of `LinearV2.init`, with encoding `.gptq` of `GPTQLinearV2.init`; `devices` as in `DistributedMLP.init`; with `gather` each
  /// device gets the whole y.
  ///
  /// - Throws: as `LinearV2.init` or `GPTQLinearV2.init`; `.invalidArgument` for more devices than outputs or a device that comes twice.
  public init(
    inDim: Int, outDim: Int, dtype: DType, devices: [DeviceRef] = [], hasBias: Bool = false,
    quantizationEncoding: QuantizationEncoding? = nil, name: String? = nil, clipWeight: Float? = nil,
    quantizationConfig: QuantizationConfig? = nil, gather: Bool = true, communicator: Communicator? = nil
  ) throws {
    self.devices = try DeviceRef.checked(distributed: devices, beside: communicator)
    self.communicator = communicator
    self.gather = gather
    linear = try LinearV2.make(
      inDim: inDim, outDim: outDim, dtype: dtype, hasBias: hasBias, quantizationEncoding: quantizationEncoding,
      name: name,
      clipWeight: clipWeight, quantizationConfig: quantizationConfig)
    let unit = linear.shardUnit
    shards = try Sharding(outDim, unit: unit, communicator, self.devices, argument: "out_dim").ranges
    linear.outputShards = Shards(shards, rank: communicator?.rank)
    super.init()
  }

  /// Those of the undivided layer.
  open override var weights: [Weight] { linear.weights }
  override func checkContents() throws(MaxLinearError) { try linear.checkContents() }

  override var parts: [Layer] { [linear] }
  override var ranksCommunicator: Communicator? { communicator }
  override func prepare(_ options: PrepareOptions) throws(MaxLinearError) -> Preparation {
    guard let communicator else {
      return try Preparation(of: PreparedLinear.self, linear, options) {
        PreparedColumnParallel($0, outputs: shards, gathers: gather)
      }
    }
    return try communicator.prepare(
      self, kind: "ColumnParallelLinear \(gather)", dimensions: [("in_dim", linear.inDim), ("out_dim", linear.outDim)],
      options
    ) { ranks throws(MaxLinearError) in
      try Preparation(of: PreparedLinear.self, linear, options) {
        PreparedRankedColumn($0, outputs: shards, gathers: gather, ranks: ranks)
      }
    }
  }

  /// One y a device: (..., outDim), or without `gather` its own outputs. Prepares on first use. Errors as `PreparedLayer`'s.
  open func callAsFunction(_ xs: [Tensor]) throws -> [Tensor] { try prepared(preparedOptions)(devices: xs) }
}

/// y = x Wᵀ + b with W split among devices by its inputs: called with one x a device, its own columns (`shards`), it returns one y a device, each
/// the whole sum.
///
/// Where there is a `communicator`, the devices are its ranks, as in ``DistributedMLP``: `layer(x)` takes the whole x, `layer([x])` this rank's columns.
///
/// The devices' results are summed in their order, in float32, b with the first: y is the same from run to run, and its bits depend on the number of devices.
/// Keys as in ``ColumnParallelLinear``.
open class RowParallelLinear: Layer {
  /// The undivided layer, which holds the weights.
  public final let linear: LinearV2
  /// The devices that share the layer, in the order of their shards.
  public final let devices: [DeviceRef]
  /// The processes that are the devices, where there is one.
  public final let communicator: Communicator?
  /// The inputs of each device: multiples of 256 but for the last end.
  public final let shards: [Range<Int>]

  /// A layer without contents, split by its inputs. Parameters as those of `ColumnParallelLinear.init`.
  ///
  /// - Throws: as `LinearV2.init` or `GPTQLinearV2.init`; `.invalidArgument` for more devices than 256 inputs each or a device that comes twice.
  public init(
    inDim: Int, outDim: Int, dtype: DType, devices: [DeviceRef] = [], hasBias: Bool = false,
    quantizationEncoding: QuantizationEncoding? = nil, name: String? = nil, clipWeight: Float? = nil,
    quantizationConfig: QuantizationConfig? = nil, communicator: Communicator? = nil
  ) throws {
    self.devices = try DeviceRef.checked(distributed: devices, beside: communicator)
    self.communicator = communicator
    linear = try LinearV2.make(
      inDim: inDim, outDim: outDim, dtype: dtype, hasBias: hasBias, quantizationEncoding: quantizationEncoding,
      name: name,
      clipWeight: clipWeight, quantizationConfig: quantizationConfig)
    let unit = quantizationEncoding == nil ? 1 : 256
    shards = try Sharding(inDim, unit: unit, communicator, self.devices, argument: "in_dim").ranges
    linear.inputShards = Shards(shards, rank: communicator?.rank)
    super.init()
  }

  /// Those of the undivided layer.
  open override var weights: [Weight] { linear.weights }
  override func checkContents() throws(MaxLinearError) { try linear.checkContents() }
  override var parts: [Layer] { [linear] }
  override var ranksCommunicator: Communicator? { communicator }
  override func prepare(_ options: PrepareOptions) throws(MaxLinearError) -> Preparation {
    guard let communicator else { return try linear.prepare(options) }
    return try communicator.prepare(
      self, kind: "RowParallelLinear", dimensions: [("in_dim", linear.inDim), ("out_dim", linear.outDim)], options
    ) { ranks throws(MaxLinearError) in
      try Preparation(of: PreparedRowParallel.self, linear, options) {
        PreparedRankedRow($0, inputs: shards, ranks: ranks)
      }
    }
  }

  /// One y (..., outDim) a device, each the whole sum. Prepares on first use. Errors as `PreparedLayer`'s.
  open func callAsFunction(_ xs: [Tensor]) throws -> [Tensor] { try prepared(preparedOptions)(devices: xs) }
}

extension Sharding {
  /// Among the ranks of a communicator, or where there is none among devices.
  fileprivate init(
    _ count: Int, unit: Int, _ communicator: Communicator?, _ devices: [DeviceRef], argument: String
  ) throws(MaxLinearError) {
    try self.init(
      count, unit: unit, devices: communicator?.size ?? devices.count, argument: argument,
      noun: communicator == nil ? "devices" : "ranks")
  }
}

extension Layer.Preparation {
  /// That of a linear layer, put into another computation.
  fileprivate init<Part: PreparedComputation>(
    of _: Part.Type, _ linear: LinearV2, _ options: PrepareOptions, _ body: (Part) -> any PreparedComputation
  ) throws(MaxLinearError) {
    let part = try linear.prepare(options)
    guard let computation = part.layer.computation as? Part else {
      throw MaxLinearError(.internal, "prepare: there is no linear, expected one")
    }
    self.init(layer: PreparedLayer(body(computation)), contents: part.contents)
  }
}

extension LinearV2 {
  /// A `LinearV2`, or with encoding `.gptq` a `GPTQLinearV2`.
  package static func make(
    inDim: Int, outDim: Int, dtype: DType, device: DeviceRef? = nil, hasBias: Bool,
    quantizationEncoding: QuantizationEncoding?, name: String? = nil, clipWeight: Float?,
    quantizationConfig: QuantizationConfig?
  ) throws -> LinearV2 {
    guard quantizationEncoding == .gptq else {
      return try LinearV2(
        inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias,
        quantizationEncoding: quantizationEncoding, name: name, clipWeight: clipWeight)
    }
    guard let quantizationConfig else {
      throw MaxLinearError(.invalidArgument, "quantization_config: is missing, expected that of the GPTQ checkpoint")
    }
    guard clipWeight == nil else {
      throw MaxLinearError(.unsupported, "clip_weight: encoded weights cannot be clipped, expected none")
    }
    guard name == nil else {
      throw MaxLinearError(.unsupported, "name: is \"\(name ?? "")\", expected none: GPTQ layers have none")
    }
    return try GPTQLinearV2(
      inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias,
      quantizationConfig: quantizationConfig)
  }
}

/// y = x Wᵀ + b with W split among devices by its outputs: called with one x a device, the same for all.
///
/// Where it gathers, each device gets the whole y, with the bits of the undivided layer; else its own outputs, `shards`. Keys "weight" and "bias", or those of
/// ``GPTQLinearV2``: the undivided ones. Devices are those of ``DistributedMLP``.
open class ColumnParallelLinear: Layer {
  public final let linear: LinearV2
  public final let devices: [DeviceRef]
  public final let gather: Bool
  /// The outputs of each device.
  public final let shards: [Range<Int>]

  /// - Throws: as `LinearV2.init` or `GPTQLinearV2.init`; `.invalidArgument` for more devices than outputs or a device that comes twice.
  public init(
    inDim: Int, outDim: Int, dtype: DType, devices: [DeviceRef] = [], hasBias: Bool = false,
    quantizationEncoding: QuantizationEncoding? = nil, name: String? = nil, clipWeight: Float? = nil,
    quantizationConfig: QuantizationConfig? = nil, gather: Bool = true
  ) throws {
    self.devices = try DeviceRef.checked(distributed: devices)
    self.gather = gather
    linear = try LinearV2.make(
      inDim: inDim, outDim: outDim, dtype: dtype, hasBias: hasBias, quantizationEncoding: quantizationEncoding,
      name: name,
      clipWeight: clipWeight, quantizationConfig: quantizationConfig)
    let unit = linear.shardUnit
    shards = try Sharding(outDim, unit: unit, devices: self.devices.count, argument: "out_dim").ranges
    linear.outputShards = shards
    super.init()
  }

  open override var weights: [Weight] { linear.weights }
  override func checkContents() throws(MaxLinearError) { try linear.checkContents() }

  override func prepare(_ options: PrepareOptions) throws(MaxLinearError) -> Preparation {
    let part = try linear.prepare(options)
    guard let computation = part.layer.computation as? PreparedLinear else {
      throw MaxLinearError(.internal, "prepare: there is no linear, expected one")
    }
    let whole = PreparedColumnParallel(computation, outputs: shards, gathers: gather)
    return Preparation(layer: PreparedLayer(whole), contents: part.contents)
  }

  /// One y a device. Prepares on first use.
  open func callAsFunction(_ xs: [Tensor]) throws -> [Tensor] { try prepared()(devices: xs) }
}

/// y = x Wᵀ + b with W split among devices by its inputs: called with one x a device, its own columns (`shards`), it returns one y a device, each
/// the whole sum.
///
/// The devices' results are summed in their order, in float32, b with the first: y is the same from run to run, and its bits depend on the number of devices.
/// Keys as in ``ColumnParallelLinear``.
open class RowParallelLinear: Layer {
  public final let linear: LinearV2
  public final let devices: [DeviceRef]
  /// The inputs of each device: multiples of 256 but for the last end.
  public final let shards: [Range<Int>]

  /// - Throws: as `LinearV2.init` or `GPTQLinearV2.init`; `.invalidArgument` for more devices than 256 inputs each or a device that comes twice.
  public init(
    inDim: Int, outDim: Int, dtype: DType, devices: [DeviceRef] = [], hasBias: Bool = false,
    quantizationEncoding: QuantizationEncoding? = nil, name: String? = nil, clipWeight: Float? = nil,
    quantizationConfig: QuantizationConfig? = nil
  ) throws {
    self.devices = try DeviceRef.checked(distributed: devices)
    linear = try LinearV2.make(
      inDim: inDim, outDim: outDim, dtype: dtype, hasBias: hasBias, quantizationEncoding: quantizationEncoding,
      name: name,
      clipWeight: clipWeight, quantizationConfig: quantizationConfig)
    let unit = quantizationEncoding == nil ? 1 : 256
    shards = try Sharding(inDim, unit: unit, devices: self.devices.count, argument: "in_dim").ranges
    linear.inputShards = shards
    super.init()
  }

  open override var weights: [Weight] { linear.weights }
  override func checkContents() throws(MaxLinearError) { try linear.checkContents() }
  override func prepare(_ options: PrepareOptions) throws(MaxLinearError) -> Preparation { try linear.prepare(options) }

  /// One y a device, each the whole sum. Prepares on first use.
  open func callAsFunction(_ xs: [Tensor]) throws -> [Tensor] { try prepared()(devices: xs) }
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
      throw MaxLinearError(.invalidArgument, "quantization_config: is nil, expected that of the GPTQ checkpoint")
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

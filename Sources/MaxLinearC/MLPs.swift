// maxlinear/layers.h: gated MLPs
import CHandles
import MaxLinear

func activation(_ value: Int32) throws(MaxLinearError) -> Activation {
  guard let activation = Activation(rawValue: value) else {
    throw MaxLinearError(.invalidArgument, "activation: is \(value), expected an mxl_activation")
  }
  return activation
}

@_cdecl("mxl_mlp_create") @implementation
public func mxl_mlp_create(
  _ options: UnsafePointer<mxl_mlp_options>!, _ layer: UnsafeMutablePointer<UnsafeMutablePointer<mxl_layer>?>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let layer = try required(layer, "layer")
    let options = try MLPOptions(options)
    guard options.communicator == nil else {
      throw MaxLinearError(
        .invalidArgument, "communicator: is given, expected NULL: it is for mxl_distributed_mlp_create")
    }
    guard !options.reduce else {
      throw MaxLinearError(.invalidArgument, "reduce: is 1, expected 0: it is for mxl_distributed_mlp_create")
    }
    layer.pointee = try LayerHandle.create(
      try typed {
        try MLPV2(
          dtype: options.dtype, quantizationEncoding: try options.encoding.map(QuantizationEncoding.init),
          hiddenDim: options.hiddenDim, feedForwardLength: options.feedForwardLength, devices: options.devices,
          hasBias: options.hasBias, activationFunction: options.activation, quantizationConfig: options.quantization)
      })
  }
}

@_cdecl("mxl_mlp_create_from") @implementation
public func mxl_mlp_create_from(
  _ gate: UnsafePointer<mxl_layer>!, _ down: UnsafePointer<mxl_layer>!, _ up: UnsafePointer<mxl_layer>!,
  _ activation: Int32, _ layer: UnsafeMutablePointer<UnsafeMutablePointer<mxl_layer>?>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let layer = try required(layer, "layer")
    let activation = try MaxLinearC.activation(activation)
    let parts = try (part(gate, "gate"), part(down, "down"), part(up, "up"))
    layer.pointee = try LayerHandle.create(
      try MLP.sharing(gate: parts.0, down: parts.1, up: parts.2, activation: activation))
  }
}

/// A linear layer of its own that shares the contents of a handle's.
private func part(_ handle: UnsafePointer<mxl_layer>?, _ argument: StaticString) throws(MaxLinearError) -> sending Layer
{
  guard let layer = try LayerHandle.of(handle, argument).sharingContents() else {
    throw MaxLinearError(.unsupported, "\(argument): is a layer of another kind, expected a linear layer")
  }
  return layer
}

@_cdecl("mxl_mlp_create_from_weights") @implementation
public func mxl_mlp_create_from_weights(
  _ weights: UnsafePointer<mxl_weights>!, _ number: Int64, _ options: UnsafePointer<mxl_mlp_weights_options>!,
  _ layer: UnsafeMutablePointer<UnsafeMutablePointer<mxl_layer>?>!, _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let layer = try required(layer, "layer")
    let checkpoint = try WeightsHandle.of(weights).weights
    let options = options == nil ? mxl_mlp_weights_options() : try copied(options, "options")
    let activation = try activation(options.activation)
    let devices = try devices(options.devices, options.device_count)
    let config = try quantization(options.quantization)
    let isDistributed = try flag(options.distributed, "distributed")
    let reduce = try flag(options.reduce, "reduce")
    let communicator = try CommunicatorHandle.optional(options.communicator)
    guard isDistributed || communicator == nil else {
      throw MaxLinearError(.invalidArgument, "communicator: is given, expected NULL beside distributed = 0")
    }
    guard isDistributed || !reduce else {
      throw MaxLinearError(.invalidArgument, "reduce: is 1, expected 0 beside distributed = 0")
    }
    layer.pointee = try LayerHandle.create(
      try typed {
        isDistributed
          ? try DistributedMLP.fromWeights(
            checkpoint, layer: Int(number), devices: devices, activationFunction: activation,
            quantizationConfig: config, reduce: reduce, communicator: communicator)
          : try MLPV2.fromWeights(
            checkpoint, layer: Int(number), devices: devices, activationFunction: activation,
            quantizationConfig: config)
      })
  }
}

@_cdecl("mxl_gate") @implementation
public func mxl_gate(
  _ activation: Int32, _ gate: UnsafePointer<mxl_tensor>!, _ up: UnsafePointer<mxl_tensor>!,
  _ hidden: UnsafeMutablePointer<mxl_tensor>!, _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let activation = try MaxLinearC.activation(activation)
    let gate = try required(gate, "gate")
    let up = try required(up, "up")
    try activation.run(gate: gate.pointee, up: up.pointee, into: required(hidden, "hidden").pointee)
  }
}

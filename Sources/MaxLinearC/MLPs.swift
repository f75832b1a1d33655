// maxlinear/layers.h: gated MLPs
import CHandles
import MaxLinear

private func activation(_ value: Int32) throws(MaxLinearError) -> Activation {
  guard let activation = Activation(rawValue: value) else {
    throw MaxLinearError(.invalidArgument, "activation: is \(value), which is no mxl_activation")
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
    let options = try copied(required(options, "options"), "options")
    let dtype = try dtype(options.dtype, "dtype")
    let hasBias = try flag(options.has_bias, "has_bias")
    let activation = try activation(options.activation)
    let encoding = try text(options.encoding, "encoding")
    guard options.device_count >= 0, options.device_count <= 1024 else {
      throw MaxLinearError(
        .invalidArgument, "device_count: is \(UInt(bitPattern: options.device_count)), expected at most 1024")
    }
    guard options.device_count == 0 || options.devices != nil else {
      throw MaxLinearError(.invalidArgument, "devices: is NULL, expected \(options.device_count) devices")
    }
    var devices: [DeviceRef] = []
    for index in 0..<options.device_count {
      devices.append(try DeviceRef(options.devices[index], argument: "devices[\(index)]"))
    }
    layer.pointee = LayerHandle.create(
      try typed {
        try MLPV2(
          dtype: dtype, quantizationEncoding: try encoding.map(QuantizationEncoding.init),
          hiddenDim: Int(options.hidden_dim), feedForwardLength: Int(options.feed_forward_length), devices: devices,
          hasBias: hasBias, activationFunction: activation)
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

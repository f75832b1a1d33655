import Testing

@testable import MaxLinear

@Suite("Float8 weights")
struct Float8Tests {
  static let dtypes: [DType] = [.float8E4M3, .float8E5M2]
  static let scalings: [Float8Scaling] = [.none, .tensor, .row]

  /// ((x Wᵀ) · scale + b), in double precision, of what was quantized.
  private func expected(_ x: [Float], _ tensors: Float8Tensors, _ bias: [Float]?) throws -> [Double] {
    let (outDim, inDim) = (tensors.weight.shape[0], tensors.weight.shape[1])
    let weight = try Float8Tensors(weight: tensors.weight).dequantized().floats()
    let scale = try tensors.weightScale?.floats() ?? [1]
    var y = reference(x, weight, nil, inDim: inDim, outDim: outDim)
    for index in y.indices {
      let column = index % outDim
      y[index] = y[index] * Double(scale[scale.count == 1 ? 0 : column]) + Double(bias?[column] ?? 0)
    }
    return y
  }

  private func codes(_ tensor: Tensor) throws -> [UInt8] { try tensor.bytes(as: .uint8).array(of: UInt8.self) }

  @Test("compute the formula, whoever makes the layer, and give back what was loaded", arguments: dtypes, scalings)
  func formula(dtype: DType, scaling: Float8Scaling) throws {
    let tensors = try Float8Tensors(quantizing: randomTensor([37, 300], seed: 1), to: dtype, scaling: scaling)
    let bias = try randomTensor([37], seed: 2)
    let x = try randomTensor([5, 300], seed: 3)
    let layer = try LinearV2(inDim: 300, outDim: 37, dtype: dtype, hasBias: true)
    var state = tensors.stateDict()
    state.entries.append(WeightData(name: "bias", tensor: bias))
    try layer.loadStateDict(state, strict: true)
    let y = try layer(x)
    #expect(relativeError(try y.floats(), try expected(x.floats(), tensors, bias.floats())) < 6e-7)
    let arrays = try Linear(weight: tensors.weight, bias: bias, weightScale: tensors.weightScale)
    #expect(try bits(arrays(x)) == bits(y))
    let again = try layer.stateDict()
    #expect(again.keys == (scaling == .none ? ["weight", "bias"] : ["weight", "bias", "weight_scale"]))
    #expect(try again["weight"].map { try codes($0.tensor) } == codes(tensors.weight))
    if let scale = tensors.weightScale { #expect(try again["weight_scale"].map { try bits($0.tensor) } == bits(scale)) }
  }

  @Test("have the same bits in an MLP as in its three linears, whole and on devices", arguments: dtypes)
  func mlp(dtype: DType) throws {
    var state = StateDict()
    var linears: [Linear] = []
    for (index, (part, shape)) in [("gate_proj", [70, 40]), ("down_proj", [40, 70]), ("up_proj", [70, 40])].enumerated()
    {
      let tensors = try Float8Tensors(quantizing: randomTensor(shape, seed: UInt64(index)), to: dtype)
      state.entries += tensors.stateDict(prefix: "\(part).")
      linears.append(try Linear(weight: tensors.weight, weightScale: tensors.weightScale))
    }
    let x = try randomTensor([3, 40], seed: 9)
    let hidden = try Activation.silu.gate(linears[0](x), linears[2](x))
    let expected = try bits(linears[1](hidden))
    let mlp = try MLPV2(dtype: dtype, hiddenDim: 40, feedForwardLength: 70)
    try mlp.loadStateDict(state, strict: true)
    #expect(try bits(mlp(x)) == expected)
    #expect(
      try bits(MLP(gateProjection: linears[0], downProjection: linears[1], upProjection: linears[2])(x)) == expected)
    let devices = (0..<3).map { DeviceRef.cpu(id: $0) }
    let distributed = try DistributedMLP(dtype: dtype, hiddenDim: 40, feedForwardLength: 70, devices: devices)
    try distributed.loadStateDict(state, strict: true)
    for y in try distributed([x, x, x]) { #expect(try bits(y) == expected) }
  }

  @Test("take the scale that a checkpoint holds beside them, and refuse scales of blocks")
  func checkpoint() throws {
    let folder = try TemporaryFolder()
    let codes = [UInt8](repeating: 0x38, count: 4)  // 1
    func file(_ scale: String) throws -> Weights {
      let header =
        "{\"a.weight\":{\"dtype\":\"F8_E4M3\",\"shape\":[2,2],\"data_offsets\":[0,4]},"
        + "\"\(scale)\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[4,12]}}"
      let scales: [UInt8] = [0, 0, 0, 0x40, 0, 0, 0x80, 0x40]  // 2, 4
      return try Weights.open([try folder.write("\(scale).safetensors", safetensors(header, data: codes + scales))])
    }
    let x = try Tensor([1, 2], shape: [2])
    let good = try file("a.weight_scale")
    #expect(try Linear(weight: good.path("a.weight"))(x).floats() == [6, 12])
    #expect(try Linear(weight: good.path("a"))(x).floats() == [6, 12])
    let blocks = try file("a.weight_scale_inv")
    let message =
      "a.weight_scale_inv: shape is [2, 1], expected a.weight_scale, one of the whole tensor or one a row "
      + "of it: scales of blocks of weights are not supported"
    expectError(.unsupported, message) { _ = try Linear(weight: blocks.path("a.weight")) }
    let layer = try LinearV2(inDim: 2, outDim: 2, dtype: .float8E4M3)
    expectError(.unsupported, message.replacing("expected a.", with: "expected ")) {
      try layer.load(blocks, prefix: "a.")
    }
  }

  @Test("refuse a scale that is not finite when it is loaded, whoever made the layer")
  func notFinite() throws {
    let tensors = try Float8Tensors(quantizing: randomTensor([4, 32], seed: 1), scaling: .tensor)
    let layers: [Layer] = [
      try Linear(weight: tensors.weight, weightScale: tensors.weightScale),
      try LinearV2(inDim: 32, outDim: 4, dtype: .float8E4M3),
    ]
    for layer in layers {
      try layer.loadStateDict(tensors.stateDict())
      var state = tensors.stateDict()
      for index in state.entries.indices where state.entries[index].name == "weight_scale" {
        state.entries[index].tensor = try Tensor([.nan])
      }
      expectError(.invalidArgument, "weight_scale: number 0 is nan, expected a finite number") {
        try layer.loadStateDict(state)
      }
      #expect(try layer.stateDict()["weight_scale"]?.tensor.floats() == tensors.weightScale?.floats())
    }
  }

  @Test("round values to nearest, and say of what is not finite where it is")
  func quantize() throws {
    let tensors = try Float8Tensors(quantizing: Tensor([1, -448, 3, 0.5], shape: [2, 2]), scaling: .row)
    #expect(try tensors.weightScale?.floats() == [1, 3 / 448])
    #expect(try tensors.dequantized().floats() == [1, -448, 448 * (3 / 448), 72 * (3 / 448)])
    var floats = [Float](repeating: 1, count: 6)
    floats[4] = .nan
    expectError(.invalidArgument, "values: row 1, column 1 is not finite, expected a number that a scale serves") {
      _ = try Float8Tensors(quantizing: Tensor(floats, shape: [2, 3]))
    }
    expectError(.invalidDType, "weight: dtype is uint8, expected float8_e4m3fn or float8_e5m2") {
      _ = try Float8Tensors(quantizing: Tensor(floats, shape: [2, 3]), to: .uint8)
    }
  }
}

import Testing

@testable import MaxLinear

@Suite("Gated MLPs")
struct MLPTests {
  static let hidden = 64
  static let length = 96

  /// A state dict of reproducible numbers between -1 and 1.
  static func state(hasBias: Bool, seed: UInt64 = 7) throws -> [String: Tensor] {
    var random = SystemlessGenerator(seed: seed)
    var state: [String: Tensor] = [:]
    for (name, rows, columns) in [
      ("gate_proj", length, hidden), ("down_proj", hidden, length), ("up_proj", length, hidden),
    ] {
      state["\(name).weight"] = try Tensor((0..<rows * columns).map { _ in random.next() / 8 }, shape: [rows, columns])
      if hasBias { state["\(name).bias"] = try Tensor((0..<rows).map { _ in random.next() }, shape: [rows]) }
    }
    return state
  }

  static func x(_ rows: Int) throws -> Tensor {
    var random = SystemlessGenerator(seed: 3)
    return try Tensor((0..<rows * hidden).map { _ in random.next() * 3 }, shape: [rows, hidden])
  }

  @Test("equal their three linears, bit for bit", arguments: Activation.allCases, [false, true])
  func fusion(activation: Activation, hasBias: Bool) throws {
    let state = try Self.state(hasBias: hasBias)
    let mlp = try MLPV2(
      dtype: .float32, hiddenDim: Self.hidden, feedForwardLength: Self.length, hasBias: hasBias,
      activationFunction: activation)
    try mlp.loadStateDict(state, strict: true)
    func linear(_ name: String) throws -> Linear {
      try Linear(weight: try #require(state["\(name).weight"]), bias: state["\(name).bias"])
    }
    let (gate, down, up) = (try linear("gate_proj"), try linear("down_proj"), try linear("up_proj"))
    for rows in [1, 2, 5, 33, 70] {
      let x = try Self.x(rows)
      let hidden = try activation.gate(gate(x), up(x))
      #expect(try mlp(x).floats() == down(hidden).floats(), "\(rows) rows")
    }
  }

  @Test("use the first device alone, and name their own arguments and keys")
  func arguments() throws {
    let mlp = try MLPV2(
      dtype: .float32, hiddenDim: Self.hidden, feedForwardLength: Self.length, devices: [.cpu(), .cpu(id: 1)])
    expectError(
      .notLoaded,
      "gate_proj.weight: not loaded, expected a state dict that is loaded before the layer is prepared or called"
    ) { _ = try mlp(Self.x(1)) }
    try mlp.loadStateDict(Self.state(hasBias: false))
    #expect(try mlp(Self.x(2)).shape == [2, Self.hidden])
    expectError(.invalidShape, "hidden_dim: is -3, expected 1 or more") {
      _ = try MLPV2(dtype: .float32, hiddenDim: -3, feedForwardLength: 4)
    }
    expectError(.invalidShape, "feed_forward_length: is 0, expected 1 or more") {
      _ = try MLPV2(dtype: .float32, hiddenDim: 4, feedForwardLength: 0)
    }
    expectError(.noDevice, "devices: is cpu:1, expected cpu:0: no device plugin for further CPU devices is loaded") {
      _ = try MLPV2(dtype: .float32, hiddenDim: 4, feedForwardLength: 4, devices: [.cpu(id: 1)])
    }
  }

  @Test("give a row of a batch the bits of the row alone")
  func batches() throws {
    let mlp = try MLPV2(dtype: .float32, hiddenDim: Self.hidden, feedForwardLength: Self.length)
    try mlp.loadStateDict(Self.state(hasBias: false))
    let x = try Self.x(70)
    let all = try mlp(x).floats()
    let numbers = try x.floats()
    for row in 0..<70 {
      let alone = try Tensor(Array(numbers[row * Self.hidden..<(row + 1) * Self.hidden]), shape: [Self.hidden])
      #expect(try mlp(alone).floats() == Array(all[row * Self.hidden..<(row + 1) * Self.hidden]))
    }
  }

  @Test("take any rank, accumulate, and keep their state dict")
  func rest() throws {
    let mlp = try MLPV2(dtype: .float32, hiddenDim: Self.hidden, feedForwardLength: Self.length, hasBias: true)
    let state = try Self.state(hasBias: true)
    try mlp.loadStateDict(state, strict: true)
    let x = try Self.x(6)
    let y = try mlp(x).floats()
    let cube = try Tensor(try x.floats(), shape: [1, 2, 3, Self.hidden])
    #expect(try mlp(cube).shape == [1, 2, 3, Self.hidden])
    #expect(try mlp(cube).floats() == y)
    let sum = try Tensor([Float](repeating: 1, count: y.count), shape: [6, Self.hidden])
    try mlp.forward(x, into: sum, accumulate: true)
    #expect(try sum.floats() == y.map { 1 + $0 })
    #expect(
      mlp.namedWeights().map(\.key) == [
        "gate_proj.weight", "gate_proj.bias", "down_proj.weight", "down_proj.bias", "up_proj.weight", "up_proj.bias",
      ])
    for entry in try mlp.stateDict() { #expect(try entry.tensor.floats() == state[entry.name]?.floats()) }
  }

  @Test("whose weights were assigned since they were prepared stay behind when a load fails")
  func failedLoad() throws {
    let one = try Tensor([1], shape: [1])
    func weight(_ code: UInt8) throws -> Weight {
      let codes = try Tensor(elements: [UInt8](repeating: code, count: 32 * 32), shape: [32, 32])
      return try Weight(WeightData(name: "weight", tensor: codes.bytes(as: .float8E4M3)))
    }
    func linear(_ code: UInt8) throws -> Linear { try Linear(weight: weight(code), weightScale: one) }
    let (gate, down, up) = (try linear(0x38), try linear(0x38), try linear(0x38))  // 1
    let mlp = MLP(gateProjection: gate, downProjection: down, upProjection: up)
    let x = try Tensor([Float](repeating: 1, count: 32))
    let before = try mlp(x).floats()
    gate.weight = try weight(0x40)  // 2
    let expected = try MLP(gateProjection: linear(0x40), downProjection: linear(0x38), upProjection: linear(0x38))(x)
    var state = try mlp.stateDict()
    for index in state.entries.indices where state.entries[index].name == "up_proj.weight_scale" {
      state.entries[index].tensor = try Tensor([.nan], shape: [1])
    }
    expectError(.invalidArgument, "weight_scale: number 0 is nan, expected a finite number") {
      try mlp.loadStateDict(state, replace: true)
    }
    #expect(try mlp(x).floats() == expected.floats())
    #expect(try expected.floats() != before)
  }

  @Test("honour a bias of gate or of up alone")
  func oneBias() throws {
    let state = try Self.state(hasBias: true)
    func linear(_ name: String, _ hasBias: Bool) throws -> Linear {
      try Linear(weight: try #require(state["\(name).weight"]), bias: hasBias ? state["\(name).bias"] : nil)
    }
    let x = try Self.x(3)
    for (gateBias, upBias) in [(true, false), (false, true)] {
      let (gate, up) = (try linear("gate_proj", gateBias), try linear("up_proj", upBias))
      let down = try linear("down_proj", false)
      let expected = try down(Activation.silu.gate(gate(x), up(x))).floats()
      #expect(try MLP(gateProjection: gate, downProjection: down, upProjection: up)(x).floats() == expected)
    }
  }

  final class Doubled: LinearV2 {
    override func callAsFunction(_ x: Tensor) throws -> Tensor {
      let y = try super.callAsFunction(x)
      return try Tensor(y.floats().map { 2 * $0 }, shape: y.shape)
    }
  }

  @Test("of a checkpoint keep biases as they are stored, whatever their weights are")
  func storedBiases() throws {
    let folder = try TemporaryFolder()
    let half = try Tensor([Float](repeating: 0.5, count: 32 * 32)).converted(to: DType.float16, purpose: "weight")
    let bias = [Float](repeating: 1e5, count: 32)
    let bytes = contents(half, count: 2 * 32 * 32) + bias.withUnsafeBytes { Array($0) }
    var header: [String] = []
    var data: [UInt8] = []
    for part in ["gate", "up", "down"] {
      let (begin, middle) = (data.count, data.count + 2 * 32 * 32)
      data += bytes
      header.append(tensorText("model.layers.0.mlp.\(part)_proj.weight", "F16", [32, 32], begin, middle))
      header.append(tensorText("model.layers.0.mlp.\(part)_proj.bias", "F32", [32], middle, data.count))
    }
    let path = try folder.write(
      "m.safetensors", safetensors("{" + header.joined(separator: ",") + "}", data: data))
    let mlp = try MLPV2.fromWeights(Weights.open([path]))
    #expect(try mlp.stateDict()["down_proj.bias"]?.tensor.floats() == bias)
  }

  @Test("refuse x that is no float where a linear class is one's own, and threads that are no number of them")
  func badCalls() throws {
    let weight = try Tensor([Float](repeating: 1, count: 32 * 32), shape: [32, 32])
    let own = try Doubled(inDim: 32, outDim: 32, dtype: .float32)
    try own.loadStateDict(["weight": weight])
    let mlp = try MLP(
      gate: own, down: Linear(weight: weight), up: Linear(weight: weight), activation: .silu)
    expectError(.invalidDType, "x: dtype is uint8, expected float32, float16 or bfloat16") {
      _ = try mlp(Tensor(elements: [UInt8](repeating: 1, count: 32), shape: [32]))
    }
    let whole = MLP(
      gateProjection: try Linear(weight: weight), downProjection: try Linear(weight: weight),
      upProjection: try Linear(weight: weight))
    expectError(.invalidArgument, "threads: is -5, expected 1 to 1024, or 0 for the default") {
      try whole.prepared(PrepareOptions(threads: -5))
    }
    try whole.prepared(PrepareOptions(threads: 1))
  }

  @Test("call the forward of a linear class of one's own")
  func subclass() throws {
    func make(_ doubled: Bool) throws -> MLPV2 {
      let mlp = try MLPV2(
        dtype: .float32, hiddenDim: Self.hidden, feedForwardLength: Self.length,
        linearClass: { inDim, outDim, dtype, device, _, hasBias in
          doubled && outDim == Self.hidden
            ? try Doubled(inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias)
            : try LinearV2(inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias)
        })
      try mlp.loadStateDict(Self.state(hasBias: false))
      return mlp
    }
    let x = try Self.x(4)
    #expect(try make(true)(x).floats() == make(false)(x).floats().map { 2 * $0 })
    expectError(
      .unsupported,
      "down_proj: is a Doubled with a forward of its own, expected a layer of the library: a prepared MLP would pass that forward by; call the MLP"
    ) { try make(true).prepared() }
  }

  @Test("see that a linear of theirs has changed")
  func changes() throws {
    let state = try Self.state(hasBias: false)
    let other = try #require(try Self.state(hasBias: true, seed: 77)["up_proj.weight"])
    func linear(_ name: String) throws -> Linear { try Linear(weight: try #require(state["\(name).weight"])) }
    let (gate, down, up) = (try linear("gate_proj"), try linear("down_proj"), try linear("up_proj"))
    let mlp = MLP(gateProjection: gate, downProjection: down, upProjection: up)
    let x = try Self.x(3)
    let before = try mlp(x).floats()
    let expected = try down(Activation.silu.gate(gate(x), Linear(weight: other)(x))).floats()
    try up.loadStateDict(["weight": other], replace: true)
    #expect(try mlp(x).floats() == expected)
    up.weight = try WeightData(name: "weight", tensor: #require(state["up_proj.weight"])).makeWeight(named: "weight")
    #expect(try mlp(x).floats() == before)
    try mlp.loadStateDict(
      [
        "gate_proj.weight": state["gate_proj.weight"], "down_proj.weight": state["down_proj.weight"],
        "up_proj.weight": other,
      ]
      .compactMapValues { $0 }, replace: true)
    #expect(try mlp(x).floats() == expected)
    #expect(try up(x).floats() == Linear(weight: other)(x).floats())
  }

  @Test("share what their linears have prepared")
  func sharing() throws {
    let state = try Self.state(hasBias: true)
    let layers = try ["gate_proj", "down_proj", "up_proj"].map { name in
      try Linear(weight: try #require(state["\(name).weight"]), bias: state["\(name).bias"])
    }
    for layer in layers { try layer.prepared() }
    let mlp = try MLP.sharing(gate: layers[0], down: layers[1], up: layers[2], activation: .gelu)
    let x = try Self.x(3)
    let expected = try layers[1](Activation.gelu.gate(layers[0](x), layers[2](x))).floats()
    #expect(try mlp(x).floats() == expected)
    try layers[2].loadStateDict(
      ["weight": Tensor.zeros(shape: [Self.length, Self.hidden]), "bias": Tensor.zeros(shape: [Self.length])],
      replace: true)
    #expect(try mlp(x).floats() == expected)
    #expect(try mlp.stateDict()["up_proj.weight"]?.tensor.floats() == state["up_proj.weight"]?.floats())
  }

  @Test("hold what their linears have prepared, and prepare new weights in the same way")
  func preparedLinears() throws {
    let encoding = try QuantizationEncoding("Q4_K")
    let blocks = try (0..<3).map { try encoding.quantize(randomTensor([256, 256], seed: UInt64($0))) }
    let linears = try blocks.map { blocks in
      let linear = try LinearV2(inDim: 256, outDim: 256, dtype: .float32, quantizationEncoding: encoding)
      try linear.loadStateDict(StateDict([WeightData(name: "weight", tensor: blocks)]))
      try linear.prepared(PrepareOptions(compute: .float32))
      return linear
    }
    let mlp = try MLP.sharing(gate: linears[0], down: linears[1], up: linears[2], activation: .silu)
    let packed = mlp.memory().packed
    #expect(packed > 0)
    let x = try randomTensor([3, 256], seed: 7)
    let before = try bits(mlp(x))
    #expect(mlp.memory().packed == packed)
    let state = StateDict(
      zip(["gate_proj", "down_proj", "up_proj"], blocks).map { WeightData(name: "\($0).weight", tensor: $1) })
    try mlp.loadStateDict(state, replace: true)
    #expect(try bits(mlp(x)) == before)
  }

  @Test("refuse linears that do not fit each other, activations and devices that are not there")
  func refusals() throws {
    let state = try Self.state(hasBias: false)
    let gate = try Linear(weight: try #require(state["gate_proj.weight"]))
    let down = try Linear(weight: try #require(state["down_proj.weight"]))
    #expect(throws: MaxLinearError.self) {
      try MLP(gateProjection: gate, downProjection: down, upProjection: down).prepared()
    }
    #expect(throws: MaxLinearError.self) {
      try MLP(gateProjection: gate, downProjection: gate, upProjection: gate).prepared()
    }
    #expect(throws: MaxLinearError.self) { try Activation(named: "nonsense") }
    #expect(throws: MaxLinearError.self) {
      try MLPV2(dtype: .float32, hiddenDim: 4, feedForwardLength: 4, devices: [.gpu()])
    }
    #expect(throws: MaxLinearError.self) {
      try MLPV2(
        dtype: .uint8, quantizationEncoding: QuantizationEncoding("Q4_K"), hiddenDim: 384, feedForwardLength: 256)
    }
  }

  @Test("compute on float16 and bfloat16 x, with y of x's dtype", arguments: [DType.float16, .bfloat16])
  func narrow(dtype: DType) throws {
    let mlp = try MLPV2(dtype: .float32, hiddenDim: Self.hidden, feedForwardLength: Self.length)
    try mlp.loadStateDict(Self.state(hasBias: false))
    let x = try Self.x(5).converted(to: dtype, purpose: "x")
    let y = try mlp(x)
    #expect(y.dtype == dtype)
    let wide = try mlp(x.converted(to: .float32, purpose: "x"))
    let expected = try wide.converted(to: dtype, purpose: "y").converted(to: .float32, purpose: "y").floats()
    #expect(try y.converted(to: .float32, purpose: "y").floats() == expected)
  }
}

/// Reproducible numbers between -1 and 1 (xorshift, Marsaglia 2003).
struct SystemlessGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 | 1 }

  mutating func next() -> Float {
    state ^= state << 13
    state ^= state >> 7
    state ^= state << 17
    return Float(Int32(truncatingIfNeeded: state >> 32)) / Float(1 << 31)
  }
}

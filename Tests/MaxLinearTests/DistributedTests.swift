import Testing

@testable import MaxLinear

@Suite("Layers on several devices")
struct DistributedTests {
  static let hidden = 256
  static let length = 1792

  static func devices(_ count: Int) -> [DeviceRef] { (0..<count).map { .cpu(id: $0) } }

  /// The three linears' tensors, dense or encoded.
  static func state(_ encoding: QuantizationEncoding?) throws -> StateDict {
    var state = StateDict()
    for (seed, (name, rows, columns)) in [
      ("gate_proj", length, hidden), ("down_proj", hidden, length), ("up_proj", length, hidden),
    ].enumerated() {
      let values = try randomTensor([rows, columns], seed: UInt64(seed))
      switch encoding {
      case nil: state.entries.append(WeightData(name: "\(name).weight", tensor: values))
      case .gptq?: state.entries += try GPTQTests.config.quantize(values).stateDict(prefix: "\(name).")
      case let encoding?:
        state.entries.append(
          WeightData(name: "\(name).weight", tensor: try encoding.quantize(values), encoding: encoding.name))
      }
    }
    return state
  }

  @Test(
    "have the bits of the undivided layer", arguments: [nil, try QuantizationEncoding("Q4_K"), .gptq])
  func bitsOfTheWhole(encoding: QuantizationEncoding?) throws {
    let dtype: DType = encoding == nil ? .float32 : .uint8
    let config = encoding == .gptq ? GPTQTests.config : nil
    let state = try Self.state(encoding)
    let whole = try MLPV2(
      dtype: dtype, quantizationEncoding: encoding, hiddenDim: Self.hidden, feedForwardLength: Self.length,
      quantizationConfig: config)
    try whole.loadStateDict(state)
    for count in [1, 2, 3, 5, 7] {
      let mlp = try DistributedMLP(
        dtype: dtype, quantizationEncoding: encoding, hiddenDim: Self.hidden, feedForwardLength: Self.length,
        devices: Self.devices(count), quantizationConfig: config)
      try mlp.loadStateDict(state)
      for rows in [1, 34] {
        let x = try randomTensor([rows, Self.hidden], seed: 4)
        let expected = try bits(whole(x))
        let ys = try mlp([Tensor](repeating: x, count: count))
        #expect(ys.count == count)
        for y in ys { #expect(try bits(y) == expected) }
      }
      #expect(try mlp.stateDict().keys == whole.stateDict().keys)
    }
  }

  @Test("divide the weight that is there, and prepare anew for fields of the undivided layer")
  func assigned() throws {
    let made = try TestLayer(inDim: 8, outDim: 6)
    let x = try randomTensor([3, 8], seed: 7)
    let column = try ColumnParallelLinear(inDim: 8, outDim: 6, dtype: .float32, devices: Self.devices(2))
    let row = try RowParallelLinear(inDim: 8, outDim: 6, dtype: .float32, devices: Self.devices(2))
    for layer in [column, row] as [Layer] { try layer.loadStateDict(["weight": made.weight]) }
    let before = try bits(column(x))
    column.linear.clipWeight = 0.1
    let clipped = try LinearV2(inDim: 8, outDim: 6, dtype: .float32, clipWeight: 0.1)
    try clipped.loadStateDict(["weight": made.weight])
    #expect(try bits(column(x)) == bits(clipped(x)) && bits(clipped(x)) != before)
    column.linear.weight = try Weight(WeightData(name: "weight", tensor: randomTensor([4, 8], seed: 1)))
    expectError(.invalidShape, "weight: shape is [4, 8], expected 6 outputs, which the devices divide") {
      _ = try column(x)
    }
    row.linear.weight = try Weight(WeightData(name: "weight", tensor: randomTensor([6, 4], seed: 1)))
    expectError(.invalidShape, "weight: shape is [6, 4], expected 8 inputs, which the devices divide") {
      _ = try row.prepared()
    }
  }

  @Test("compute in float32 on all devices where a ragged last group keeps the whole from int8")
  func ragged() throws {
    let (inDim, outDim) = (296, 40)
    let state = try GPTQTests.config.quantize(randomTensor([outDim, inDim], seed: 1)).stateDict()
    let whole = try GPTQLinearV2(
      inDim: inDim, outDim: outDim, dtype: .float32, quantizationConfig: GPTQTests.config)
    let row = try RowParallelLinear(
      inDim: inDim, outDim: outDim, dtype: .float32, devices: Self.devices(2), quantizationEncoding: .gptq,
      quantizationConfig: GPTQTests.config)
    for layer in [whole, row] as [Layer] { try layer.loadStateDict(state) }
    let x = try randomTensor([2, inDim], seed: 2)
    #expect(relativeError(try row(x).floats(), try whole(x).floats().map(Double.init)) < 1e-6)
    #expect(try bits(row(x)) == bits(row(x)))
  }

  @Test("stay prepared as they were, whoever calls and whatever their parts were", arguments: [false, true])
  func options(reduce: Bool) throws {
    let encoding = try QuantizationEncoding("Q8_0")
    let x = try randomTensor([2, Self.hidden], seed: 4)
    func make() throws -> DistributedMLP {
      let mlp = try DistributedMLP(
        dtype: .uint8, quantizationEncoding: encoding, hiddenDim: Self.hidden, feedForwardLength: Self.length,
        devices: Self.devices(2), reduce: reduce)
      try mlp.loadStateDict(Self.state(encoding))
      return mlp
    }
    let wide = try make()
    try wide.prepared(PrepareOptions(compute: .float32))
    #expect(try bits(wide([x, x])[1]) == bits(wide(x)))
    let mixed = try make()
    try (mixed.gateProjection as? LinearV2)?.prepared(PrepareOptions(compute: .float32))
    #expect(try bits(mixed(x)) == bits(mixed(x)))
    #expect(try bits(mixed([x, x])[0]) == bits(mixed(x)))
  }

  @Test("column and row parallel linears are a linear, and a sum in the order of the devices")
  func parallel() throws {
    let made = try TestLayer(inDim: 96, outDim: 50)
    let x = try randomTensor([3, 96], seed: 7)
    let column = try ColumnParallelLinear(
      inDim: 96, outDim: 50, dtype: .float32, devices: Self.devices(4), hasBias: true)
    try column.loadStateDict(made.state)
    #expect(column.shards == [0..<13, 13..<26, 26..<38, 38..<50])
    for y in try column([Tensor](repeating: x, count: 4)) { #expect(try bits(y) == bits(made.layer(x))) }
    let row = try RowParallelLinear(inDim: 96, outDim: 50, dtype: .float32, devices: Self.devices(2), hasBias: true)
    try row.loadStateDict(made.state)
    let numbers = try x.floats()
    let parts = try row.shards.map { range in
      try Tensor((0..<3).flatMap { numbers[$0 * 96 + range.lowerBound..<$0 * 96 + range.upperBound] }, shape: [3, 48])
    }
    for y in try row(parts) { #expect(relativeError(try y.floats(), try made.reference(numbers)) < 6e-7) }
  }

  /// Layers of 96 inputs and 96 outputs on three devices, and whether the x and the y of each are its shard alone.
  static func three() throws -> [(layer: PreparedLayer, splitsX: Bool, splitsY: Bool)] {
    let devices = devices(3)
    let linear = StateDict([WeightData(name: "weight", tensor: try randomTensor([96, 96], seed: 1))])
    let column = try ColumnParallelLinear(inDim: 96, outDim: 96, dtype: .float32, devices: devices)
    let own = try ColumnParallelLinear(inDim: 96, outDim: 96, dtype: .float32, devices: devices, gather: false)
    let row = try RowParallelLinear(inDim: 96, outDim: 96, dtype: .float32, devices: devices)
    for layer in [column, own, row] { try layer.loadStateDict(linear) }
    let matrices = try ["gate_proj", "down_proj", "up_proj"].enumerated().map { seed, name in
      WeightData(name: "\(name).weight", tensor: try randomTensor([96, 96], seed: UInt64(seed)))
    }
    let mlps = try [false, true].map { reduces in
      let mlp = try DistributedMLP(
        dtype: .float32, hiddenDim: 96, feedForwardLength: 96, devices: devices, reduce: reduces)
      try mlp.loadStateDict(StateDict(matrices))
      return (try mlp.prepared(), false, false)
    }
    return [
      (try column.prepared(), false, false), (try own.prepared(), false, true), (try row.prepared(), true, false),
    ]
      + mlps
  }

  /// Columns of a matrix of three rows.
  static func columns(_ range: Range<Int>, of tensor: Tensor) throws -> [Float] {
    let numbers = try tensor.floats()
    return (0..<3).flatMap { numbers[$0 * 96 + range.lowerBound..<$0 * 96 + range.upperBound] }
  }

  @Test("write or add to each y, of whatever dtype, what the undivided call writes or adds", arguments: [false, true])
  func eachY(accumulate: Bool) throws {
    let x = try randomTensor([3, 96], seed: 9)
    let dtypes: [DType] = [.bfloat16, .float32, .float16]
    for (layer, splitsX, splitsY) in try Self.three() {
      let shards = (0..<3).map { 32 * $0..<32 * ($0 + 1) }
      let xs = try shards.map { splitsX ? try Tensor(Self.columns($0, of: x), shape: [3, 32]) : x }
      let before = try (0..<3).map { try randomTensor([3, 96], seed: UInt64(20 + $0)) }
      let ys = try (0..<3).map { device in
        let numbers = try splitsY ? Self.columns(shards[device], of: before[device]) : before[device].floats()
        return try Tensor(numbers, shape: [3, numbers.count / 3]).converted(to: dtypes[device], purpose: "y")
      }
      try layer.forward(devices: xs, into: ys, accumulate: accumulate)
      for device in 0..<3 {
        let whole = try before[device].converted(to: dtypes[device], purpose: "y")
        try layer.forward(x, into: whole, accumulate: accumulate)
        let wide = try whole.converted(to: .float32, purpose: "y")
        let expected = try splitsY ? Self.columns(shards[device], of: wide) : wide.floats()
        #expect(try bits(ys[device].converted(to: .float32, purpose: "y")) == bits(expected))
      }
    }
  }

  @Test("take bfloat16 x with the bits of the undivided call, split by inputs too")
  func narrowRows() throws {
    let weight = try randomTensor([64, 512], seed: 1).converted(to: .bfloat16, purpose: "weight")
    let row = try RowParallelLinear(inDim: 512, outDim: 64, dtype: .bfloat16, devices: Self.devices(2))
    try row.loadStateDict(StateDict([WeightData(name: "weight", tensor: weight)]))
    let layer = try row.prepared()
    let x = try randomTensor([1, 512], seed: 2).converted(to: .bfloat16, purpose: "x")
    let halves = try [0, 256].map { try x.view(offset: 2 * $0, shape: [1, 256]) }
    let ys = try (0..<2).map { _ in try randomTensor([1, 64], seed: 3) }
    let whole = try randomTensor([1, 64], seed: 3)
    try layer.forward(devices: halves, into: ys)
    try layer.forward(x, into: whole)
    for y in ys { #expect(try bits(y) == bits(whole)) }
  }

  @Test("write columns of one array")
  func columnsOfOne() throws {
    let x = try randomTensor([3, 96], seed: 9)
    for (layer, splitsX, splitsY) in try Self.three() where splitsY && !splitsX {
      let all = try randomTensor([3, 96], seed: 1)
      let ys = try (0..<3).map { device in
        try Tensor(
          pointer: all.pointer.map { $0 + 4 * 32 * device }, dtype: .float32, shape: [3, 32], strides: [96, 1],
          owner: all.owner)
      }
      try layer.forward(devices: [x, x, x], into: ys)
      let whole = try randomTensor([3, 96], seed: 1)
      try layer.forward(x, into: whole)
      #expect(try bits(all) == bits(whole))
      expectError(.invalidArgument, "ys[1]: overlaps ys[0], expected memory of its own") {
        try layer.forward(devices: [x, x, x], into: [ys[0], ys[0], ys[2]])
      }
    }
  }

  @Test("take the same x on every device of a layer that is split by outputs")
  func sameX() throws {
    let (x, other) = (try randomTensor([3, 96], seed: 9), try randomTensor([3, 96], seed: 10))
    for (layer, splitsX, splitsY) in try Self.three() where !splitsX {
      let ys = try (0..<3).map { _ in try randomTensor([3, splitsY ? 32 : 96], seed: 11) }
      expectError(.invalidArgument, "xs[2]: differs from xs[0], expected the same x for every device") {
        try layer.forward(devices: [x, x, other], into: ys)
      }
      for y in ys { #expect(try bits(y) == bits(randomTensor(y.shape, seed: 11))) }
    }
  }

  @Test("refuse devices that are no division, and say why")
  func refused() throws {
    func mlp(_ devices: [DeviceRef]) throws {
      _ = try DistributedMLP(dtype: .float32, hiddenDim: 4, feedForwardLength: 80, devices: devices)
    }
    expectError(
      .invalidArgument, "devices: there are 5, expected at most 4, as hidden_dim = 4 has so many units"
    ) { try mlp(Self.devices(5)) }
    expectError(.invalidArgument, "devices: there are 65, expected at most 64 in one process") {
      try mlp(Self.devices(65))
    }
    expectError(.invalidArgument, "devices[1]: cpu:0 comes twice, expected each device once") {
      try mlp([.cpu(), .cpu()])
    }
    expectError(.invalidArgument, "devices[0]: id is -1, expected 0 or more") { try mlp([.cpu(id: -1)]) }
  }
}

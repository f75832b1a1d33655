import Testing

@testable import MaxLinear

@Suite("What a load may bring")
struct LoadedEntriesTests {
  /// Bytes in an encoding that nothing of this layer may have.
  static func blocks(_ name: String, _ shape: [Int], _ encoding: String = "Q4_K") throws -> WeightData {
    WeightData(name: name, tensor: try Tensor(uninitialized: shape, dtype: .uint8, purpose: name), encoding: encoding)
  }

  @Test("is no other encoding for GPTQ's own tensors", arguments: ["qweight", "scales", "qzeros", "g_idx"])
  func encodedGPTQ(name: String) throws {
    let layer = try GPTQLinearV2(inDim: 256, outDim: 2048, dtype: .float32, quantizationConfig: GPTQTests.config)
    let tensors = try GPTQTests.config.quantize(randomTensor([2048, 256], seed: 1))
    let state = StateDict(
      try tensors.stateDict().entries.map { entry in
        guard entry.name == name else { return entry }
        return try Self.blocks(name, entry.shape.dropLast() + [(entry.shape.last ?? 0) / 256 * 144])
      })
    expectError(.invalidDType, "\(name): encoding is Q4_K, expected none") {
      try layer.loadStateDict(state, overrideQuantizationEncoding: true)
    }
    #expect(!layer.tensors.qweight.isLoaded)
  }

  @Test("as plain bytes are blocks of the layer's encoding when they are given back")
  func plainBytes() throws {
    let encoding = try QuantizationEncoding("Q8_0")
    let blocks = try encoding.quantize(randomTensor([4, 32], seed: 1))
    let layer = try LinearV2(inDim: 32, outDim: 4, dtype: .uint8, quantizationEncoding: encoding)
    for storage in [WeightStorage.copy, .borrow] {
      try layer.loadStateDict(StateDict([WeightData(name: "weight", tensor: blocks, storage: storage)]))
      #expect(try layer.stateDict()["weight"]?.encoding == "Q8_0")
    }
    try layer.prepared()
    #expect(try layer.stateDict()["weight"]?.encoding == "Q8_0")
  }

  @Test("is an encoding where weights were to be float8, which then have no scale")
  func encodedFloat8() throws {
    let values = try randomTensor([4, 256], seed: 1)
    let blocks = try QuantizationEncoding("Q4_K").quantize(values)
    let layer = try LinearV2(inDim: 256, outDim: 4, dtype: .float8E4M3)
    try layer.loadStateDict(
      StateDict([WeightData(name: "weight", tensor: blocks, encoding: "Q4_K")]), overrideQuantizationEncoding: true)
    let same = try LinearV2(
      inDim: 256, outDim: 4, dtype: .uint8, quantizationEncoding: QuantizationEncoding("Q4_K"))
    try same.loadStateDict(StateDict([WeightData(name: "weight", tensor: blocks)]))
    let x = try randomTensor([3, 256], seed: 2)
    #expect(try bits(layer(x)) == bits(same(x)))
  }

  @Test("is no encoding for a bias or a scale")
  func encodedVectors() throws {
    let layer = try LinearV2(inDim: 32, outDim: 32, dtype: .float32, hasBias: true)
    let weight = WeightData(name: "weight", tensor: try randomTensor([32, 32], seed: 1))
    expectError(.invalidDType, "bias: encoding is Q8_0, expected none") {
      try layer.loadStateDict(
        StateDict([weight, Self.blocks("bias", [34], "Q8_0")]), overrideQuantizationEncoding: true)
    }
    #expect(!layer.weight.isLoaded)
  }

  @Test("may have any strides where there is one row")
  func oneRow() throws {
    let config = QuantizationConfig(bits: 4, groupSize: -1)
    let tensors = try config.quantize(randomTensor([8, 8], seed: 3), scales: .float32)
    let layers = try [tensors.stateDict(), tensors.stateDict()].enumerated().map { index, state in
      var state = state
      for place in state.entries.indices where index == 1 && state.entries[place].shape.count == 2 {
        let tensor = state.entries[place].tensor
        let view = try Tensor(
          pointer: tensor.pointer, dtype: tensor.dtype, shape: tensor.shape, strides: [Int(1) << 62, 1],
          owner: tensor.owner)
        state.entries[place] = WeightData(name: state.entries[place].name, tensor: view, storage: .borrow)
      }
      let layer = try GPTQLinearV2(inDim: 8, outDim: 8, dtype: .float32, quantizationConfig: config)
      try layer.loadStateDict(state)
      return try layer.prepared(PrepareOptions(compute: .float32))
    }
    let x = try randomTensor([2, 8], seed: 4)
    #expect(try bits(layers[0](x)) == bits(layers[1](x)))
  }

  @Test("are whole blocks for each device where the inputs are divided")
  func dividedBlocks() throws {
    let blocks = try QuantizationEncoding("Q4_K").quantize(randomTensor([8, 768], seed: 5))
    let state = StateDict([WeightData(name: "weight", tensor: blocks, encoding: "Q4_K")])
    let devices = DistributedTests.devices(2)
    let dense = try RowParallelLinear(inDim: 768, outDim: 8, dtype: .float32, devices: devices)
    expectError(
      .invalidShape,
      "weight: inputs 0..<384 of a device, expected whole Q4_K blocks of 256: a layer that is made with this encoding is divided so"
    ) { try dense.loadStateDict(state, overrideQuantizationEncoding: true) }
    #expect(!dense.linear.weight.isLoaded)
    // Four devices of 192, of 512 inputs whole blocks.
    let short = try QuantizationEncoding("Q4_0").quantize(randomTensor([8, 768], seed: 5))
    let four = try RowParallelLinear(inDim: 768, outDim: 8, dtype: .float32, devices: DistributedTests.devices(4))
    try four.loadStateDict(
      StateDict([WeightData(name: "weight", tensor: short, encoding: "Q4_0")]), overrideQuantizationEncoding: true)
    let whole = try LinearV2(
      inDim: 768, outDim: 8, dtype: .float32, quantizationEncoding: QuantizationEncoding("Q4_0"))
    try whole.loadStateDict(StateDict([WeightData(name: "weight", tensor: short)]))
    let x = try randomTensor([2, 768], seed: 6)
    let exact = try whole.prepared(PrepareOptions(compute: .float32))(x).floats().map(Double.init)
    #expect(relativeError(try four.prepared(PrepareOptions(compute: .float32))(x).floats(), exact) < 1e-6)
  }

  @Test("of GPTQ in one tensor has outputs, and is refused at once where it has none")
  func emptyGPTQ() throws {
    let empty = try Tensor(uninitialized: [1 << 58, 0], dtype: .uint8, purpose: "weight")
    let error = #expect(throws: MaxLinearError.self) {
      try GPTQLinear(weight: WeightData(name: "weight", tensor: empty), quantizationConfig: GPTQTests.config)
    }
    #expect(error?.status == .invalidShape)
  }
}

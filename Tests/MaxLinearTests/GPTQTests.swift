import Testing

@testable import MaxLinear

@Suite("GPTQ")
struct GPTQTests {
  static let config = QuantizationConfig(bits: 4, groupSize: 128)

  static func weight(_ outDim: Int, _ inDim: Int, seed: UInt64 = 5) throws -> Tensor {
    try randomTensor([outDim, inDim], seed: seed)
  }

  /// scale (code - zero) of format v1, by the format's definition.
  static func values(_ tensors: GPTQTensors, outDim: Int, inDim: Int) throws -> [Float] {
    let words = try tensors.qweight.array(of: Int32.self).map { UInt32(bitPattern: $0) }
    let zeros = try tensors.qzeros.array(of: Int32.self).map { UInt32(bitPattern: $0) }
    let groupOf = try tensors.gIdx.array(of: Int32.self).map(Int.init)
    let scales = try tensors.scales.floats()
    let zeroWords = tensors.qzeros.shape[1]
    var values: [Float] = []
    for n in 0..<outDim {
      for k in 0..<inDim {
        let code = words[k / 8 * outDim + n] >> UInt32(4 * (k % 8)) & 15
        let zero = (zeros[groupOf[k] * zeroWords + n / 8] >> UInt32(4 * (n % 8)) & 15) + 1
        values.append(scales[groupOf[k] * outDim + n] * (Float(code) - Float(zero)))
      }
    }
    return values
  }

  @Test("are described by a model's config.json, whatever numbers Python has written beside")
  func foreignConfig() throws {
    let folder = try TemporaryFolder()
    let path = try folder.write("model.safetensors", safetensors("{}"))
    let own = "{\"bits\": 3, \"group_size\": 64, \"quant_method\": \"gptq\"}"
    _ = try folder.write(
      "config.json",
      "{\"time_step_limit\": [0.0, Infinity, -Infinity, NaN], \"a\": 1, \"a\": 2, \"quantization_config\": \(own)}")
    #expect(try Weights.open([path]).quantizationConfig() == QuantizationConfig(bits: 3, groupSize: 64))
    // Neither nothing nor another method is GPTQ.
    for other in [
      "null", "{\"quant_method\": \"fp8\"}", "{\"quant_method\": \"compressed-tensors\", \"config_groups\": {}}",
    ] {
      _ = try folder.write("config.json", "{\"quantization_config\": \(other)}")
      #expect(try Weights.open([path]).quantizationConfig() == nil)
    }
    // What is about the quantization alone stays strict.
    _ = try folder.write("quantize_config.json", "{\"bits\": 4, \"group_size\": 32, \"damp\": Infinity}")
    let error = thrownError { _ = try Weights.open([path]).quantizationConfig() }
    #expect(error?.status == .invalidFile)
  }

  @Test("are left out of some layers, which are then what any weight makes")
  func otherLayers() throws {
    let dense = try Tensor([1, 2, 3, 4], shape: [2, 2]).converted(to: DType.bfloat16, purpose: "weight")
    func create(_ weight: WeightData, _ dtype: DType, _ inDim: Int, _ outDim: Int) throws -> Linear {
      try Linear.create(
        dtype: dtype, inFeatures: inDim, outFeatures: outDim, weights: weight, quantizationConfig: Self.config)
    }
    #expect(try type(of: create(WeightData(name: "weight", tensor: dense), .bfloat16, 2, 2)) == Linear.self)
    expectError(.invalidDType, "weight: dtype is bfloat16, expected float32") {
      _ = try create(WeightData(name: "weight", tensor: dense), .float32, 2, 2)
    }
    let blocks = try QuantizationEncoding("Q8_0").quantize(Self.weight(4, 32))
    let encoded = try create(WeightData(name: "weight", tensor: blocks, encoding: "Q8_0"), .float32, 32, 4)
    #expect(type(of: encoded) == QLinear.self)
  }

  @Test("rounded to nearest, computes what its tensors say", arguments: [-1, 32, 100, 128], [false, true])
  func roundTrip(groupSize: Int, sym: Bool) throws {
    let (outDim, inDim) = (43, 256)
    let config = QuantizationConfig(bits: 4, groupSize: groupSize, sym: sym)
    let source = try Self.weight(outDim, inDim)
    let tensors = try config.quantize(source, scales: .float32, threads: 1)
    let values = try Self.values(tensors, outDim: outDim, inDim: inDim)
    #expect(relativeError(values, try source.floats().map(Double.init)) < 0.11)
    #expect(
      try config.quantize(source, scales: .float32, threads: 3).qweight.array(of: Int32.self)
        == tensors.qweight.array(of: Int32.self))
    let bias = try randomTensor([outDim], seed: 9)
    var state = tensors.stateDict()
    state.entries.append(WeightData(name: "bias", tensor: bias))
    let x = try randomTensor([3, inDim], seed: 2)
    let exact = reference(try x.floats(), values, try bias.floats(), inDim: inDim, outDim: outDim)
    for compute in [Compute.int8, .float32] where compute == .float32 || groupSize != 100 {
      let layer = try GPTQLinearV2(
        inDim: inDim, outDim: outDim, dtype: .float32, hasBias: true, quantizationConfig: config)
      try layer.loadStateDict(state)
      let y = try layer.prepared(PrepareOptions(compute: compute))(x).floats()
      #expect(relativeError(y, exact) <= (compute == .int8 ? 1.2e-2 : 6e-7))
      let saved = try layer.stateDict()
      #expect(saved.keys == ["qweight", "scales", "qzeros", "g_idx", "bias"])
      for key in ["qweight", "qzeros", "g_idx"] {
        #expect(try saved[key]?.tensor.array(of: Int32.self) == state[key]?.tensor.array(of: Int32.self))
      }
      #expect(try saved["scales"]?.tensor.floats() == tensors.scales.floats())
    }
  }

  @Test("keeps scales of any dtype as they come, whatever was loaded before", arguments: [WeightStorage.copy, .map])
  func scales(storage: WeightStorage) throws {
    let source = try Self.weight(8, 256)
    let x = try randomTensor([2, 256], seed: 3)
    for first in DType.floats {
      let layer = try GPTQLinearV2(inDim: 256, outDim: 8, dtype: .float32, quantizationConfig: Self.config)
      try layer.loadStateDict(Self.config.quantize(source, scales: first).stateDict())
      for second in DType.floats {
        var state = try Self.config.quantize(source, scales: second).stateDict()
        for index in state.entries.indices { state.entries[index].storage = storage }
        try layer.loadStateDict(state, replace: true)
        #expect(try layer.stateDict()["scales"]?.dtype == second)
        let fresh = try GPTQLinearV2(inDim: 256, outDim: 8, dtype: .float32, quantizationConfig: Self.config)
        try fresh.loadStateDict(state)
        #expect(try bits(layer(x)) == bits(fresh(x)), "\(second) behind \(first)")
      }
    }
  }

  @Test("refuses what it cannot read, and says why")
  func refused() throws {
    let source = try Self.weight(8, 64)
    expectError(.unsupported, "quantization_config: bits is 5, expected 2, 3, 4 or 8") {
      _ = try QuantizationConfig(bits: 5, groupSize: 32).quantize(source)
    }
    expectError(
      .unsupported,
      "quantization_config: desc_act is true, expected false: rounding to nearest knows no better order of columns"
    ) { _ = try QuantizationConfig(bits: 4, groupSize: 32, descAct: true).quantize(source) }
    expectError(.invalidShape, "values: shape is [64], expected [out_dim, in_dim]") {
      _ = try Self.config.quantize(randomTensor([64], seed: 1))
    }
    expectError(.invalidShape, "in_dim: is 60, expected a multiple of 8: so many codes are one word of qweight") {
      _ = try GPTQLinearV2(inDim: 60, outDim: 8, dtype: .float32, quantizationConfig: Self.config)
    }
    let layer = try GPTQLinearV2(inDim: 256, outDim: 8, dtype: .float32, quantizationConfig: Self.config)
    let tensors = try Self.config.quantize(Self.weight(8, 256))
    tensors.gIdx.pointer?.storeBytes(of: Int32(2), toByteOffset: 4 * 7, as: Int32.self)
    let before = try? layer.stateDict()
    expectError(.invalidArgument, "g_idx: column 7 is in group 2, expected 0 to 1") {
      try layer.loadStateDict(tensors.stateDict())
    }
    #expect((try? layer.stateDict())?.keys == before?.keys)
    expectError(
      .unsupported, "pack: is never, expected always: GPTQ tensors lie column by column, which no kernel reads in place"
    ) {
      tensors.gIdx.pointer?.storeBytes(of: Int32(0), toByteOffset: 4 * 7, as: Int32.self)
      try layer.loadStateDict(tensors.stateDict())
      _ = try layer.prepared(PrepareOptions(packing: .never))
    }
  }
}

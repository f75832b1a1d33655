import Kernels
import Testing

@testable import MaxLinear

@Suite("Linear and LinearV2")
struct LinearTests {
  @Test("agree with float64 within 6e-7", arguments: [(1, 1), (3, 2), (64, 64), (257, 33), (1000, 7), (4096, 31)])
  func accuracy(_ inDim: Int, _ outDim: Int) throws {
    let made = try TestLayer(inDim: inDim, outDim: outDim)
    for rows in [1, 2, 5, 17] {
      let x = randomFloats(rows * inDim, seed: 7)
      let y = try made.layer(Tensor(x, shape: [rows, inDim]))
      #expect(relativeError(try y.floats(), try made.reference(x)) <= 6e-7)
    }
  }

  @Test("are the same computation")
  func same() throws {
    let made = try TestLayer(inDim: 70, outDim: 45)
    let x = try randomTensor([4, 70], seed: 9)
    let expected = try bits(made.layer(x))
    let bias = try #require(made.bias)
    #expect(try bits(Linear(weight: made.weight, bias: bias)(x)) == expected)
    let created = try Linear.create(
      dtype: .float32, inFeatures: 70, outFeatures: 45, weights: made.weight, bias: bias)
    #expect(try bits(created(x)) == expected)
    let swapped = try Linear.create(
      dtype: .float32, inFeatures: 45, outFeatures: 70, weights: made.weight, bias: bias)
    #expect(try bits(swapped(x)) == expected)
    let sharing = try Linear(weight: made.layer.weight, bias: made.layer.bias)
    #expect(try bits(sharing(x)) == expected)
    #expect(try bits(made.layer(x)) == expected)
  }

  @Test("every CPU variant gives the same bits")
  func variants() throws {
    let made = try TestLayer(inDim: 600, outDim: 77, clip: 0.9)
    var seen: Set<String> = []
    var expected: [UInt32]?
    let x = try randomTensor([19, 600], seed: 3)
    let variants: [UInt64] = [0, 1, 3].map { $0 & mxlk_cpu_features() }
    for features in variants {
      for packing in [Packing.always, .never] {
        let layer = PreparedLayer(
          try PreparedLinear.prepare(
            weight: made.layer.weight, bias: made.layer.bias, clip: 0.9, options: PrepareOptions(packing: packing),
            features: features
          ).layer)
        seen.insert(layer.kernel)
        let y = try bits(layer(x))
        if let expected { #expect(y == expected, "\(layer.kernel), packing \(packing)") } else { expected = y }
      }
    }
    #expect(seen.count == Set(variants).count)
  }

  @Test("rows do not depend on the batch or on threads")
  func rowsAlone() throws {
    let made = try TestLayer(inDim: 300, outDim: 129)
    let prepared = try made.layer.prepared()
    let x = randomFloats(40 * 300, seed: 5)
    let batch = try prepared(Tensor(x, shape: [40, 300])).floats()
    for threads in [1, 2, 7, 1024] {
      #expect(try bits(prepared(Tensor(x, shape: [40, 300]), threads: threads)) == bits(batch))
    }
    for row in 0..<40 {
      let alone = try prepared(Tensor(Array(x[row * 300..<(row + 1) * 300]), shape: [300]))
      #expect(try bits(alone) == bits(Array(batch[row * 129..<(row + 1) * 129])))
    }
  }

  @Test("clip_weight clamps the weights and keeps NaN")
  func clip() throws {
    let layer = try LinearV2(inDim: 2, outDim: 3, dtype: .float32, clipWeight: 0.5)
    try layer.loadStateDict(["weight": Tensor([2, -3, 0.25, -0.25, .nan, .infinity], shape: [3, 2])])
    let y = try layer(Tensor([1, 10])).floats()
    #expect(y[0] == -4.5 && y[1] == -2.25 && y[2].isNaN)
  }

  @Test("fields are assignable, and the next call prepares anew")
  func fields() throws {
    let layer = try LinearV2(inDim: 2, outDim: 1, dtype: .float32, hasBias: true, name: "lin")
    #expect(layer.inDim == 2 && layer.outDim == 1 && layer.device == .cpu() && layer.weight.shape == [1, 2])
    #expect(layer.weight.name == "lin.weight" && layer.bias?.name == "lin.bias" && layer.clipWeight == nil)
    try layer.loadStateDict(["lin.weight": Tensor([3, 4], shape: [1, 2]), "lin.bias": Tensor([100])])
    let x = try Tensor([1, 1])
    #expect(try layer(x).floats() == [107])
    layer.clipWeight = 2
    #expect(try layer(x).floats() == [104])
    layer.bias = nil
    #expect(try layer(x).floats() == [4])
    layer.clipWeight = nil
    #expect(try layer(x).floats() == [7])
    layer.weight = try Tensor([1, 2, 3], shape: [1, 3]).makeWeight(named: "weight")
    #expect(try layer(Tensor([1, 1, 1])).floats() == [6])
    layer.clipWeight = 0
    expectError(
      .invalidArgument, "clip_weight: is 0.0, expected a finite number above 0, or none to leave weights as they are"
    ) { _ = try layer(x) }
  }

  @Test("constructors refuse what does not fit")
  func constructors() throws {
    func make(
      _ inDim: Int = 2, _ outDim: Int = 3, _ dtype: DType = .float32, clip: Float? = nil
    ) throws {
      _ = try LinearV2(inDim: inDim, outDim: outDim, dtype: dtype, clipWeight: clip)
    }
    expectError(.invalidShape, "in_dim: is 0, expected 1 or more") { try make(0) }
    expectError(.invalidShape, "out_dim: is -3, expected 1 or more") { try make(2, -3) }
    expectError(.invalidShape, "weight: shape is [4611686018427387904, 4], expected one that memory can hold") {
      try make(4, 1 << 62)
    }
    expectError(
      .unsupported,
      "dtype: dense float64 weights are not supported, expected float32, float16, bfloat16, float8_e4m3fn, float8_e5m2"
    ) {
      try make(2, 3, .float64)
    }
    for clip in [0, -1, .infinity, .nan] as [Float] {
      expectError(
        .invalidArgument,
        "clip_weight: is \(clip), expected a finite number above 0, or none to leave weights as they are"
      ) { try make(clip: clip) }
    }
    expectError(.unsupported, "quantization_encoding: is \"Q9_X\", expected one of \(knownEncodings)") {
      _ = try QuantizationEncoding("Q9_X")
    }
    // "GPTQ_128": what the library regroups GPTQ's tensors into.
    for name in ["F32", "GPTQ_128", "GPTQ8_32_F32"] {
      expectError(.unsupported, "quantization_encoding: is \"\(name)\", expected one of \(knownEncodings)") {
        _ = try QuantizationEncoding(name)
      }
    }
    let weight = try Tensor([1, 2, 3, 4, 5, 6], shape: [3, 2])
    expectError(.invalidShape, "weight: shape is [6], expected [out_dim, in_dim]") {
      _ = try Linear(weight: Tensor([1, 2, 3, 4, 5, 6]))
    }
    expectError(.invalidShape, "weight: shape is [0, 2], expected dimensions of 1 or more") {
      _ = try Linear(weight: Tensor([], shape: [0, 2]))
    }
    expectError(.invalidShape, "bias: shape is [2], expected [3]") {
      _ = try Linear(weight: weight, bias: Tensor([1, 2]))
    }
    expectError(.invalidDType, "bias: dtype is float64, expected one of float32, float16, bfloat16") {
      _ = try Linear(weight: weight, bias: Tensor(elements: [1.0, 2.0, 3.0] as [Double]))
    }
    expectError(
      .unsupported,
      "weight: dense float64 weights are not supported, expected float32, float16, bfloat16, float8_e4m3fn, float8_e5m2"
    ) {
      _ = try Linear(weight: Tensor(elements: [1.0, 2.0] as [Double], shape: [1, 2]))
    }
    expectError(.invalidDType, "weight: dtype is float32, expected bfloat16") {
      _ = try Linear.create(dtype: .bfloat16, inFeatures: 2, outFeatures: 3, weights: weight)
    }
    expectError(
      .invalidShape, "weight: shape is [3, 2], expected in_features = 2 and out_features = 4 in either order"
    ) { _ = try Linear.create(dtype: .float32, inFeatures: 2, outFeatures: 4, weights: weight) }
  }

  @Test("an encoded weight has a dtype of values, or of bytes")
  func encodedDType() throws {
    for dtype in [DType.int64, .bool, .float64, .float8E4M3] {
      expectError(.unsupported, "dtype: is \(dtype.name), expected float32, float16 or bfloat16") {
        _ = try LinearV2(
          inDim: 256, outDim: 4, dtype: dtype, quantizationEncoding: QuantizationEncoding("Q4_K"))
      }
    }
  }

  @Test("bfloat16 weights prepared with float32 are not those prepared with the default")
  func computeOfBFloat16() throws {
    let weight = try randomTensor([8, 64], seed: 1).converted(to: .bfloat16, purpose: "weight")
    for (first, second) in [(Compute.float32, Compute.automatic), (.automatic, .float32)] {
      let layer = try LinearV2(inDim: 64, outDim: 8, dtype: .bfloat16)
      try layer.loadStateDict(StateDict([WeightData(name: "weight", tensor: weight)]))
      try layer.prepared(PrepareOptions(compute: first))
      try layer.prepared(PrepareOptions(compute: first))
      let error = #expect(throws: MaxLinearError.self) { try layer.prepared(PrepareOptions(compute: second)) }
      #expect(error?.status == .alreadyPrepared)
    }
  }

  @Test("preparing refuses what does not fit")
  func preparing() throws {
    let empty = try LinearV2(inDim: 2, outDim: 3, dtype: .float32)
    expectError(
      .notLoaded, "weight: not loaded, expected a state dict that is loaded before the layer is prepared or called"
    ) {
      _ = try empty(Tensor([1, 2]))
    }
    let made = try TestLayer(inDim: 4, outDim: 4)
    expectError(.unsupported, "compute: is int8, which needs encoded weights, expected float32 for dense ones") {
      try made.layer.prepared(PrepareOptions(compute: .int8))
    }
    for threads in [-1, 1025, .max, .min] {
      expectError(.invalidArgument, "threads: is \(threads), expected 1 to 1024, or 0 for the default") {
        try made.layer.prepared(PrepareOptions(threads: threads))
      }
    }
    let prepared = try made.layer.prepared()
    #expect(try made.layer.prepared(PrepareOptions(compute: .float32, packing: .always, threads: 1)) === prepared)
    expectError(
      .alreadyPrepared,
      "prepare: the layer is prepared with other options, expected those, or a layer that is not prepared"
    ) {
      try made.layer.prepared(PrepareOptions(packing: .never))
    }
    #expect(prepared.kernel.hasPrefix("mxlk_linear_f32_f32_"))
  }
}

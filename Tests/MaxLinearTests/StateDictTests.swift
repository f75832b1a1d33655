import Testing

@testable import MaxLinear

@Suite("State dicts")
struct StateDictTests {
  /// Floats whose bits a conversion would not keep: NaN payloads, signed zeros, denormals, infinities.
  private func awkward(_ count: Int) -> [Float] {
    var generator = SeededGenerator(seed: 11)
    return (0..<count).map { index in
      index % 3 == 0
        ? Float(bitPattern: UInt32(truncatingIfNeeded: generator.next()))
        : [0, -0.0, .infinity, Float(bitPattern: 3)][index % 4]
    }
  }

  @Test("come back bit for bit", arguments: [(1, 1), (3, 2), (70, 45), (513, 33)], [Packing.always, .never])
  func roundTrip(_ size: (Int, Int), _ packing: Packing) throws {
    let (inDim, outDim) = size
    let weight = awkward(inDim * outDim)
    let bias = awkward(outDim)
    for storage in [WeightStorage.copy, .borrow] {
      for clip in [nil, 0.5] as [Float?] {
        let layer = try LinearV2(
          inDim: inDim, outDim: outDim, dtype: .float32, hasBias: true, name: "lin", clipWeight: clip)
        try layer.loadStateDict(
          StateDict([
            WeightData(name: "lin.bias", tensor: Tensor(bias), storage: storage),
            WeightData(name: "lin.weight", tensor: Tensor(weight, shape: [outDim, inDim]), storage: storage),
          ]), strict: true)
        for step in ["loaded", "prepared"] {
          if step == "prepared" { try layer.prepared(PrepareOptions(packing: packing)) }
          let state = try layer.stateDict()
          #expect(state.keys == ["lin.weight", "lin.bias"])
          let weightBack = try #require(state["lin.weight"]).tensor
          #expect(weightBack.shape == [outDim, inDim])
          #expect(try bits(weightBack) == bits(weight), "\(step), \(storage), clip \(clip ?? 0)")
          #expect(try bits(#require(state["lin.bias"]).tensor) == bits(bias))
        }
      }
    }
  }

  /// Levenshtein's distance as it is defined.
  private func distance(_ first: ArraySlice<UInt8>, _ second: ArraySlice<UInt8>) -> Int {
    guard let left = first.first, let right = second.first else { return max(first.count, second.count) }
    let (rest, other) = (first.dropFirst(), second.dropFirst())
    if left == right { return distance(rest, other) }
    return 1 + min(distance(rest, second), distance(first, other), distance(rest, other))
  }

  @Test("suggest the first of the keys that take the fewest edits")
  func nearestKeys() {
    var generator = SeededGenerator(seed: 4)
    func word() -> String {
      String((0..<Int.random(in: 0...6, using: &generator)).map { _ in "abc".randomElement(using: &generator) ?? "a" })
    }
    for _ in 0..<300 {
      let wanted = word()
      let keys = (0..<8).map { _ in word() }
      var best: (key: String, distance: Int)?
      for key in keys {
        let edits = distance(Array(wanted.utf8)[...], Array(key.utf8)[...])
        if edits <= max(wanted.utf8.count, key.utf8.count) / 2, edits < best?.distance ?? .max { best = (key, edits) }
      }
      #expect(nearestKey(to: wanted, among: keys) == best?.key, "\(wanted) among \(keys)")
    }
  }

  @Test("say fast that a large checkpoint lacks a name")
  func missingOfMany() throws {
    let names = (0..<60_000).map { "model.layers.\($0 / 1000).mlp.experts.\($0 % 1000).up_proj.weight" }
    let header = "{" + names.map { tensorText($0, "U8", [0], 0, 0) }.joined(separator: ",") + "}"
    let folder = try TemporaryFolder()
    let weights = try Weights.open([folder.write("m.safetensors", safetensors(header))])
    let wanted = "model.layers.7.mlp.experts.7.up_proj.weight_scale_inv"
    let duration = ContinuousClock().measure {
      for _ in 0..<200 {
        #expect(weights.missing(wanted).message == "\(wanted): missing, expected it in the checkpoint")
      }
    }
    #expect(duration < .seconds(2))
  }

  @Test("come back from a mapped checkpoint, before and after its pages are given back")
  func mapped() throws {
    let folder = try TemporaryFolder()
    let values = randomFloats(300 * 40, seed: 2)
    let data = values.withUnsafeBytes { Array($0) }
    let header = "{" + tensorText("a.weight", "F32", [40, 300], 0, data.count) + "}"
    let weights = try Weights.open([folder.write("m.safetensors", safetensors(header, data: data))])
    for packing in [Packing.always, .never] {
      let layer = try LinearV2(inDim: 300, outDim: 40, dtype: .float32)
      try layer.load(weights, prefix: "a.", strict: true)
      #expect(try bits(#require(layer.stateDict()["weight"]).tensor) == bits(values))
      try layer.prepared(PrepareOptions(packing: packing))
      #expect(try bits(#require(layer.stateDict()["weight"]).tensor) == bits(values))
      #expect(try bits(#require(weights["a.weight"]).tensor) == bits(values))
      let path = try Linear(weight: weights.a)
      let x = try randomTensor([300], seed: 3)
      #expect(try bits(path(x)) == bits(layer(x)))
    }
  }

  @Test("read rows of any stride", arguments: [WeightStorage.copy, .borrow])
  func strided(_ storage: WeightStorage) throws {
    let base = try randomTensor([200], seed: 4)
    let x = try randomTensor([3, 5], seed: 5)
    for strides in [[1, 6], [9, 1], [-7, 1], [0, 1], [3, -2]] {
      let first = 60
      let tensor = try Tensor(
        pointer: #require(base.pointer) + 4 * first, dtype: .float32, shape: [6, 5], strides: strides, owner: base.owner
      )
      let plain = try Linear(weight: Tensor(tensor.floats(), shape: [6, 5]))
      for packing in [Packing.always, .never] {
        let layer = try LinearV2(inDim: 5, outDim: 6, dtype: .float32)
        try layer.loadStateDict(StateDict([WeightData(name: "weight", tensor: tensor, storage: storage)]))
        let y = try layer.prepared(PrepareOptions(packing: packing))(x)
        #expect(try bits(y) == bits(plain(x)), "\(strides) \(packing)")
        #expect(try bits(#require(layer.stateDict()["weight"]).tensor) == bits(tensor))
      }
    }
  }

  @Test("that fail to load change nothing")
  func failures() throws {
    let weight = try randomTensor([3, 2], seed: 1)
    let bias = try randomTensor([3], seed: 2)
    func entries(_ entries: (String, Tensor)...) -> StateDict {
      StateDict(entries.map { WeightData(name: $0.0, tensor: $0.1) })
    }
    var encoded = WeightData(name: "weight", tensor: weight)
    encoded.encoding = "Q4_K"
    let cases: [(status: MaxLinearError.Status, message: String, state: StateDict)] = try [
      (
        .missingKey, "bias: missing, expected it in the state dict; the nearest key is \"bais\"",
        entries(("weight", weight), ("bais", bias))
      ),
      (
        .missingKey, "weight: missing, expected it in the state dict; the nearest key is \"Weight\"",
        entries(("bias", bias), ("Weight", weight))
      ),
      (.missingKey, "weight: missing, expected it in the state dict", entries()),
      (
        .invalidShape, "weight: shape is [2, 3], expected [3, 2]",
        entries(("weight", randomTensor([2, 3], seed: 3)), ("bias", bias))
      ),
      (
        .invalidShape, "bias: shape is [3, 1], expected [3]",
        entries(("weight", weight), ("bias", randomTensor([3, 1], seed: 3)))
      ),
      (
        .invalidDType, "bias: dtype is float64, expected float32",
        entries(("weight", weight), ("bias", Tensor(elements: [1, 2, 3] as [Double])))
      ),
      (
        .invalidDType, "weight: encoding is Q4_K, expected none",
        StateDict([encoded, WeightData(name: "bias", tensor: bias)])
      ),
      (
        .invalidArgument, "bias: comes twice, expected it once in the state dict",
        entries(("weight", weight), ("bias", bias), ("bias", bias))
      ),
      (
        .unexpectedKey, "extra: is none of the layer's keys, expected only weight, bias",
        entries(("weight", weight), ("bias", bias), ("extra", bias))
      ),
      (
        .unexpectedKey,
        "weights: is none of the layer's keys, expected only weight, bias; the nearest is \"weight\"",
        entries(("weight", weight), ("bias", bias), ("weights", bias))
      ),
    ]
    for prepare in [false, true] {
      let made = try TestLayer(inDim: 2, outDim: 3, seed: 20)
      if prepare { try made.layer.prepared() }
      let x = try randomTensor([4, 2], seed: 9)
      let before = try bits(made.layer.stateDict()["weight"].map { try $0.tensor.floats() } ?? [])
      for (status, message, state) in cases {
        expectError(status, message) { try made.layer.loadStateDict(state, strict: true, replace: true) }
        #expect(try bits(#require(made.layer.stateDict()["weight"]).tensor) == before)
        #expect((made.layer.currentPreparedLayer != nil) == prepare)
      }
      let copy = try Linear(weight: made.weight, bias: made.bias)
      #expect(try bits(made.layer(x)) == bits(copy(x)))
    }
    let fresh = try LinearV2(inDim: 2, outDim: 3, dtype: .float32, hasBias: true)
    for (status, message, state) in cases {
      expectError(status, message) { try fresh.loadStateDict(state, strict: true) }
      #expect(!fresh.weight.isLoaded && fresh.bias?.isLoaded == false)
    }
    expectError(.notLoaded, "weight: not loaded, expected a state dict that is loaded first") {
      _ = try fresh.stateDict()
    }
  }

  @Test("ignore other keys unless strict")
  func otherKeys() throws {
    let layer = try LinearV2(inDim: 2, outDim: 3, dtype: .float32)
    try layer.loadStateDict(["other": Tensor([1]), "weight": randomTensor([3, 2], seed: 1)])
    #expect(layer.weight.isLoaded)
  }

  @Test("of a prepared layer are replaced only when asked")
  func replace() throws {
    let made = try TestLayer(inDim: 20, outDim: 10)
    let other = try TestLayer(inDim: 20, outDim: 10, seed: 50)
    let x = try randomTensor([3, 20], seed: 4)
    let old = try made.layer.prepared(PrepareOptions(packing: .never))
    let before = try bits(old(x))
    expectError(
      .alreadyPrepared, "load: the layer is prepared, expected one that is not, or the option to replace its weights"
    ) { try made.layer.loadStateDict(other.state) }
    #expect(try bits(made.layer(x)) == before)
    try made.layer.loadStateDict(other.state, replace: true)
    #expect(try bits(made.layer(x)) == bits(other.layer(x)))
    #expect(try bits(old(x)) == before)
    #expect(made.layer.memory().source == 20 * 10 * 4)
  }

  @Test("a replacement that cannot be prepared changes nothing")
  func failingReplacement() throws {
    let made = try TestLayer(inDim: 4, outDim: 3)
    let x = try randomTensor([2, 4], seed: 4)
    let before = try bits(made.layer(x))
    let prepared = try made.layer.prepared()
    // The rank is checked when preparing: a field of another shape makes that fail after the load.
    made.layer.weight = try Weight(name: "weight", dtype: .float32, shape: [3, 4, 1])
    made.layer.restore(prepared)
    expectError(.invalidShape, "weight: shape is [3, 4, 1], expected [out_dim, in_dim]") {
      try made.layer.loadStateDict(
        ["weight": randomTensor([3, 4, 1], seed: 1), "bias": Tensor([9, 9, 9])], replace: true)
    }
    #expect(made.layer.currentPreparedLayer === prepared && !made.layer.weight.isLoaded)
    let biasBack = try #require(try made.layer.bias?.data()).tensor
    #expect(try bits(biasBack) == bits(#require(made.bias)))
    #expect(try bits(prepared(x)) == before)
  }

  @Test("name the weights inside a module by their path")
  func nested() throws {
    final class Pair: Module {
      let first: LinearV2
      let second: LinearV2
      init(_ first: LinearV2, _ second: LinearV2) {
        self.first = first
        self.second = second
        super.init()
      }
      override var modules: [(name: String, module: Module)] { [("first", first), ("second", second)] }
    }
    let pair = try Pair(
      LinearV2(inDim: 2, outDim: 2, dtype: .float32, hasBias: true, name: "lin"),
      LinearV2(inDim: 2, outDim: 2, dtype: .float32, hasBias: true))
    let keys = ["first.lin.weight", "first.lin.bias", "second.weight", "second.bias"]
    #expect(pair.namedWeights().map(\.key) == keys)
    let one = try randomTensor([2, 2], seed: 1)
    let two = try randomTensor([2], seed: 2)
    let state = StateDict(zip(keys, [one, two, one, two]).map { WeightData(name: $0, tensor: $1) })
    try pair.loadStateDict(state, strict: true)
    #expect(try pair.stateDict().keys == keys)
    try pair.second.prepared()
    expectError(
      .alreadyPrepared, "load: the layer is prepared, expected one that is not, or the option to replace its weights"
    ) { try pair.loadStateDict(state) }
    try pair.loadStateDict(state, replace: true)
    expectError(
      .missingKey, "second.bias: missing, expected it in the state dict; the nearest key is \"second.weight\""
    ) {
      try pair.loadStateDict(StateDict(Array(state.entries.dropLast())), replace: true)
    }
  }

  @Test("from a checkpoint name the whole key, and strict minds its prefix alone")
  func checkpoint() throws {
    let folder = try TemporaryFolder()
    let parts = [
      tensorText("a.weight", "F32", [1, 1], 0, 4), tensorText("a.bias", "F32", [1], 4, 8),
      tensorText("a.scale", "F32", [1], 8, 12), tensorText("b.weight", "F32", [1, 1], 12, 16),
    ]
    let weights = try Weights.open([
      folder.write(
        "m.safetensors", safetensors("{" + parts.joined(separator: ",") + "}", data: [UInt8](repeating: 0, count: 16)))
    ])
    let layer = try LinearV2(inDim: 1, outDim: 1, dtype: .float32, hasBias: true)
    expectError(.unexpectedKey, "a.scale: is none of the layer's keys, expected only weight, bias") {
      try layer.load(weights, prefix: "a.", strict: true)
    }
    let plain = try LinearV2(inDim: 1, outDim: 1, dtype: .float32)
    let hint = "bias: is none of the layer's keys, expected only weight; it was made without has_bias"
    expectError(.unexpectedKey, hint) {
      try plain.loadStateDict(["weight": Tensor([1], shape: [1, 1]), "bias": Tensor([1])], strict: true)
    }
    expectError(.missingKey, "b.bias: missing, expected it in the checkpoint; the nearest key is \"a.bias\"") {
      try layer.load(weights, prefix: "b.")
    }
    expectError(.missingKey, "x.a.weight: missing, expected it in the checkpoint; the nearest key is \"a.weight\"") {
      try layer.load(weights, prefix: "x.a.")
    }
    expectError(.missingKey, "model.layers.weight: missing, expected it in the checkpoint") {
      try layer.load(weights, prefix: "model.layers.")
    }
    try layer.load(weights, prefix: "a.")
    let unbiased = try LinearV2(inDim: 1, outDim: 1, dtype: .float32)
    try unbiased.load(weights, prefix: "b.", strict: true)
  }
}

import Testing

@testable import MaxLinear

@Suite("forward")
struct ForwardTests {
  @Test("takes any rank", arguments: [[6], [5, 6], [2, 3, 6], [2, 1, 3, 6], Array(repeating: 1, count: 15) + [6]])
  func ranks(_ shape: [Int]) throws {
    let made = try TestLayer(inDim: 6, outDim: 4)
    let x = try randomTensor(shape, seed: 2)
    let y = try made.layer(x)
    #expect(y.shape == shape.dropLast() + [4] && y.isContiguous)
    #expect(relativeError(try y.floats(), try made.reference(x.floats())) <= 6e-7)
  }

  @Test("takes zero rows", arguments: [[0, 6], [3, 0, 6], [0, 0, 6]])
  func empty(_ shape: [Int]) throws {
    let made = try TestLayer(inDim: 6, outDim: 4)
    let y = try made.layer(Tensor([], shape: shape))
    #expect(y.shape == shape.dropLast() + [4] && y.count == 0)
    let none = try Tensor(pointer: nil as UnsafeMutableRawPointer?, dtype: .float32, shape: shape)
    try made.layer.forward(none, into: y)
  }

  /// A view into values, and the values' positions it visits in C order.
  private func view(_ base: Tensor, _ shape: [Int], _ strides: [Int], from first: Int = 0) throws -> Tensor {
    try Tensor(
      pointer: #require(base.pointer) + 4 * first, dtype: .float32, shape: shape, strides: strides, owner: base.owner)
  }

  @Test("takes strided x and y, and writes nothing between the rows")
  func strided() throws {
    let made = try TestLayer(inDim: 6, outDim: 4)
    let base = try randomTensor([400], seed: 8)
    let cases: [(shape: [Int], x: [Int], xFirst: Int, y: [Int], yFirst: Int)] = [
      ([3], [9], 0, [11], 2), ([3], [-9], 100, [-7], 200), ([3], [0], 5, [4], 0), ([2, 3], [40, 8], 1, [5, 20], 3),
      ([3, 2, 2], [6, 100, 37], 0, [-4, 60, 150], 40), ([1, 3], [.max, 6], 0, [.min, 9], 0),
      ([2, 1, 2], [50, .min, 7], 0, [30, .max, 5], 0), ([50], [6], 0, [5], 1),
    ]
    for (shape, xStrides, xFirst, yStrides, yFirst) in cases {
      let x = try view(base, shape + [6], xStrides + [1], from: xFirst)
      let expected = try made.layer(Tensor(x.floats(), shape: x.shape)).floats()
      let memory = try Tensor(Array(repeating: 77, count: 400))
      let y = try view(memory, shape + [4], yStrides + [1], from: yFirst)
      try made.layer.forward(x, into: y)
      #expect(try bits(y) == bits(expected), "\(shape) \(xStrides) \(yStrides)")
      #expect(try memory.floats().filter { $0 != 77 }.count == y.count)
    }
  }

  @Test("takes any alignment")
  func unaligned() throws {
    let made = try TestLayer(inDim: 37, outDim: 5)
    let x = randomFloats(3 * 37, seed: 4)
    let expected = try made.layer(Tensor(x, shape: [3, 37])).floats()
    for offset in 0..<4 {
      let memory = try Tensor.zeros(shape: [2000], dtype: .uint8)
      let start = try #require(memory.pointer)
      x.withUnsafeBytes {
        (start + offset).copyMemory(from: $0.baseAddress ?? UnsafeRawPointer(start), byteCount: $0.count)
      }
      let unaligned = try Tensor(pointer: start + offset, dtype: .float32, shape: [3, 37], owner: memory.owner)
      let y = try Tensor(pointer: start + 1000 + offset, dtype: .float32, shape: [3, 5], owner: memory.owner)
      try made.layer.forward(unaligned, into: y)
      #expect(try bits(y) == bits(expected))
    }
  }

  @Test("accumulates onto y")
  func accumulate() throws {
    let made = try TestLayer(inDim: 50, outDim: 9)
    let x = try randomTensor([3, 50], seed: 6)
    let product = try made.layer(x).floats()
    let old = randomFloats(27, seed: 12)
    let y = try Tensor(old, shape: [3, 9])
    try made.layer.forward(x, into: y, accumulate: true)
    #expect(try bits(y) == bits(zip(old, product).map { $0 + $1 }))
    try made.layer.forward(x, into: y)
    #expect(try bits(y) == bits(product))
  }

  @Test("a NaN reaches its row and no other")
  func notANumber() throws {
    let made = try TestLayer(inDim: 40, outDim: 6)
    var x = randomFloats(3 * 40, seed: 1)
    let clean = try made.layer(Tensor(x, shape: [3, 40])).floats()
    x[40 + 7] = .nan
    let y = try made.layer(Tensor(x, shape: [3, 40])).floats()
    #expect(bits(Array(y[..<6])) == bits(Array(clean[..<6])) && bits(Array(y[12...])) == bits(Array(clean[12...])))
    #expect(y[6..<12].allSatisfy { $0.isNaN })
  }

  @Test("refuses x that does not fit")
  func badX() throws {
    let layer = try TestLayer(inDim: 6, outDim: 4).layer
    let prepared = try layer.prepared()
    expectError(.invalidShape, "x: last dimension is 5, expected in_dim = 6") {
      _ = try layer(randomTensor([5], seed: 1))
    }
    expectError(.invalidShape, "x: rank is 0, expected 1 or more") { _ = try layer(Tensor([1], shape: [])) }
    expectError(.invalidDType, "x: dtype is float64, expected float32, float16 or bfloat16") {
      _ = try layer(Tensor(elements: [Double](repeating: 1, count: 6)))
    }
    let base = try randomTensor([100], seed: 1)
    expectError(
      .invalidShape, "x: last stride is 2, expected 1: the elements of a row must be adjacent"
    ) { _ = try layer(view(base, [3, 6], [12, 2])) }
    for threads in [-1, 1025, .min, .max] {
      expectError(.invalidArgument, "threads: is \(threads), expected 1 to 1024, or 0 for the default") {
        _ = try prepared(randomTensor([6], seed: 1), threads: threads)
      }
    }
  }

  @Test("refuses y that does not fit, and leaves it alone")
  func badY() throws {
    let layer = try TestLayer(inDim: 6, outDim: 4).layer
    let x = try randomTensor([3, 6], seed: 1)
    let memory = try Tensor(Array(repeating: 77, count: 100))
    func refuse(
      _ status: MaxLinearError.Status, _ message: String, _ shape: [Int], _ strides: [Int]? = nil,
      sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
      let y = try Tensor(
        pointer: memory.pointer, dtype: .float32, shape: shape, strides: strides, owner: memory.owner)
      expectError(status, message, sourceLocation: sourceLocation) { try layer.forward(x, into: y) }
      #expect(try memory.floats().allSatisfy { $0 == 77 }, sourceLocation: sourceLocation)
    }
    try refuse(.invalidShape, "y: last dimension is 5, expected out_dim = 4", [3, 5])
    try refuse(.invalidShape, "y: shape is [2, 4], expected [3, 4] as x is [3, 6]", [2, 4])
    try refuse(.invalidShape, "y: shape is [3, 1, 4], expected [3, 4] as x is [3, 6]", [3, 1, 4])
    try refuse(.invalidShape, "y: shape is [4], expected [3, 4] as x is [3, 6]", [4])
    try refuse(
      .invalidShape, "y: last stride is 3, expected 1: the elements of a row must be adjacent", [3, 4], [12, 3])
    for stride in [0, 1, 3, -3] {
      try refuse(
        .invalidShape,
        "y: shape [3, 4] with strides [\(stride), 1] makes elements share memory, expected distinct ones", [3, 4],
        [stride, 1])
    }
    let wrong = try Tensor.zeros(shape: [3, 4], dtype: .int32)
    expectError(.invalidDType, "y: dtype is int32, expected float32, float16 or bfloat16") {
      try layer.forward(x, into: wrong)
    }
    let constant = try Tensor.zeros(shape: [3, 4]).asReadOnly()
    expectError(.invalidArgument, "y: is read-only, expected memory to write to") {
      try layer.forward(x, into: constant)
    }
  }

  @Test("refuses y that overlaps x, and takes y beside x in one array")
  func overlap() throws {
    let made = try TestLayer(inDim: 6, outDim: 4)
    let base = try randomTensor([200], seed: 1)
    let before = try bits(base)
    let refused: [(x: Int, xStride: Int, y: Int, yStride: Int)] = [
      (0, 6, 0, 4), (0, 6, 17, 4), (10, 6, 0, 4), (0, 10, 5, 10), (0, 10, 9, 10), (0, 10, 6, 12), (0, 20, 38, 10),
    ]
    for (xFirst, xStride, yFirst, yStride) in refused {
      expectError(.invalidArgument, "y: overlaps x, expected memory of its own") {
        try made.layer.forward(
          view(base, [3, 6], [xStride, 1], from: xFirst), into: view(base, [3, 4], [yStride, 1], from: yFirst))
      }
    }
    #expect(try bits(base) == before)
    let taken: [(x: Int, xStride: Int, y: Int, yStride: Int)] = [
      (0, 10, 6, 10), (4, 10, 0, 10), (0, 20, 10, 20), (12, 6, 0, 4), (0, 6, 18, 4), (0, 10, 6, 20),
      (100, -10, 106, 10),
    ]
    for (xFirst, xStride, yFirst, yStride) in taken {
      let base = try randomTensor([200], seed: 1)
      let x = try view(base, [3, 6], [xStride, 1], from: xFirst)
      let expected = try made.layer(Tensor(x.floats(), shape: [3, 6])).floats()
      let y = try view(base, [3, 4], [yStride, 1], from: yFirst)
      try made.layer.forward(x, into: y)
      #expect(try bits(y) == bits(expected), "\(xFirst) \(xStride) \(yFirst) \(yStride)")
    }
  }
}

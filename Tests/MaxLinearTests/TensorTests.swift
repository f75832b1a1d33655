import Testing

@testable import MaxLinear

@Suite("Tensor")
struct TensorTests {
  @Test("holds what it was given")
  func values() throws {
    let tensor = try Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3])
    #expect(tensor.dtype == .float32 && tensor.shape == [2, 3] && tensor.strides == [3, 1])
    #expect(tensor.count == 6 && tensor.byteCount == 24 && tensor.isContiguous && !tensor.isReadOnly)
    #expect(try tensor.floats() == [1, 2, 3, 4, 5, 6])
    #expect(try Tensor(elements: [Int64.min, .max]).array(of: Int64.self) == [.min, .max])
    #expect(try Tensor.zeros(shape: [2, 2], dtype: .uint8).array(of: UInt8.self) == [0, 0, 0, 0])
    #expect(try Tensor([]).count == 0)
    for shape in [[0, 0], [2, 0, 3], [0, 1, 2]] { #expect(try Tensor.zeros(shape: shape).isContiguous) }
    #expect(try Tensor([7], shape: []).floats() == [7])
  }

  @Test("reads strided views in C order")
  func strided() throws {
    let base = try Tensor((0..<24).map(Float.init), shape: [24])
    let start = try #require(base.pointer)
    func view(_ shape: [Int], _ strides: [Int], from first: Int = 0) throws -> [Float] {
      try Tensor(
        pointer: start + 4 * first, dtype: .float32, shape: shape, strides: strides, owner: base.owner
      ).floats()
    }
    #expect(try view([2, 3], [1, 2]) == [0, 2, 4, 1, 3, 5])
    #expect(try view([2, 3], [8, 1]) == [0, 1, 2, 8, 9, 10])
    #expect(try view([3], [-2], from: 10) == [10, 8, 6])
    #expect(try view([2, 2], [0, 1]) == [0, 1, 0, 1])
    #expect(try view([2, 2, 2], [12, 3, 6]) == [0, 6, 3, 9, 12, 18, 15, 21])
    #expect(try view([1, 3], [.max, 2]) == [0, 2, 4])
    #expect(try view([2, 1, 2], [3, .min, 1]) == [0, 1, 3, 4])
    #expect(try view([0, 3], [.max, .max]) == [])
  }

  @Test("refuses what memory cannot hold")
  func limits() throws {
    let pointer = UnsafeMutableRawPointer(bitPattern: 4096)
    func make(_ shape: [Int], _ strides: [Int]? = nil, dtype: DType = .float32) throws {
      _ = try Tensor(pointer: pointer, dtype: dtype, shape: shape, strides: strides)
    }
    expectError(.invalidShape, "tensor: dimension 1 is -1, expected 0 or more") { try make([2, -1]) }
    expectError(.invalidShape, "tensor: rank is 17, expected 0 to 16") {
      try make(Array(repeating: 1, count: 17))
    }
    expectError(.invalidShape, "tensor: shape is [4611686018427387904, 4], expected one that memory can hold") {
      try make([1 << 62, 4])
    }
    expectError(.invalidShape, "tensor: shape is [0, 4611686018427387904, 4], expected one that memory can hold") {
      try make([0, 1 << 62, 4])
    }
    expectError(.invalidShape, "tensor: shape is [2305843009213693951], expected one that memory can hold") {
      try make([Int.max / 4])
    }
    expectError(.invalidShape, "tensor: there are 1 strides, expected one for each of the 2 dimensions") {
      try make([2, 2], [1])
    }
    expectError(.invalidArgument, "tensor: data is NULL, expected 6 elements") {
      _ = try Tensor(pointer: nil as UnsafeMutableRawPointer?, dtype: .float32, shape: [2, 3])
    }
    expectError(
      .invalidShape,
      "tensor: shape is [3] with strides [4611686018427387904], expected elements within the address space"
    ) { try make([3], [1 << 62]) }
    expectError(.invalidShape, "tensor: shape is [2] with strides [-1025], expected elements within the address space")
    {
      try make([2], [-1025])
    }
    expectError(.invalidShape, "tensor: strides are [2], expected C order, as elements have 4 bits") {
      try make([4], [2], dtype: .float4E2M1)
    }
    try make([2], [-1024])
    #expect(try Tensor(pointer: nil as UnsafeMutableRawPointer?, dtype: .float32, shape: [0, 3]).count == 0)
    #expect(try Tensor(pointer: pointer, dtype: .float6E2M3, shape: [5]).byteCount == 4)
    expectError(.invalidShape, "elements: there are 3, expected the 4 of shape [2, 2]") {
      _ = try Tensor([1, 2, 3], shape: [2, 2])
    }
    expectError(.invalidDType, "tensor: dtype is float32, expected uint8") {
      _ = try Tensor([1]).array(of: UInt8.self)
    }
  }

  @Test("allocation that the system refuses is an error")
  func outOfMemory() {
    expectError(.outOfMemory, "zeros: memory ran out, expected 576460752303423488 bytes") {
      _ = try Tensor.zeros(shape: [1 << 57])
    }
  }

  @Test("dtypes have the numbers, names and sizes of mxl_dtype")
  func dtypes() {
    #expect(DType.allCases.count == 20)
    #expect(DType.allCases.map(\.rawValue) == Array(1...11) + Array(20...28))
    #expect(Set(DType.allCases.map(\.name)).count == 20)
    #expect(DType.bfloat16.name == "bfloat16" && DType.bfloat16.bits == 16)
    #expect(DType.float4E2M1.bits == 4 && DType.complex64.bits == 64)
  }

  @Test("devices other than the CPU with id 0 need a plugin")
  func devices() {
    #expect(DeviceRef.cpu() == .cpu(id: 0))
    expectError(
      .noDevice, "device: is gpu:1, expected cpu:0: no device plugin for GPUs is loaded"
    ) { _ = try LinearV2(inDim: 1, outDim: 1, dtype: .float32, device: .gpu(id: 1)) }
    expectError(
      .noDevice,
      "device: is cpu:3, expected cpu:0: no device plugin for further CPU devices is loaded"
    ) { _ = try LinearV2(inDim: 1, outDim: 1, dtype: .float32, device: .cpu(id: 3)) }
  }
}

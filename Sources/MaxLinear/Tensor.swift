import CMaxLinear
import Kernels

/// A view of memory: pointer, dtype, shape, strides. It never owns kernels or devices; `owner` keeps the memory alive.
///
/// Copies of a tensor view the same memory. Sending one to another thread is as safe as sending the pointer: whoever writes
/// must be alone.
public struct Tensor: @unchecked Sendable {
  /// The first element; nil only when there are no elements.
  public let pointer: UnsafeMutableRawPointer?
  public let dtype: DType
  public let shape: [Int]
  /// In elements.
  public let strides: [Int]
  /// Whether layers may write into it.
  public let isWritable: Bool
  /// Keeps the memory alive; nil when the caller does.
  public let owner: AnyObject?

  /// The largest rank.
  public static let maximumRank = Int(MXL_MAX_RANK)

  /// A read-only view. strides nil means C order: the last dimension contiguous.
  ///
  /// Throws `.invalidShape` for a rank above 16, a negative dimension, a product that overflows, or as many strides as do
  /// not fit; `.invalidArgument` for nil where there are elements.
  public init(
    pointer: UnsafeRawPointer?, dtype: DType, shape: [Int], strides: [Int]? = nil, owner: AnyObject? = nil
  ) throws {
    try self.init(UnsafeMutableRawPointer(mutating: pointer), dtype, shape, strides, owner, isWritable: false)
  }

  /// A writable view; otherwise as above.
  public init(
    mutating pointer: UnsafeMutableRawPointer?, dtype: DType, shape: [Int], strides: [Int]? = nil,
    owner: AnyObject? = nil
  ) throws {
    try self.init(pointer, dtype, shape, strides, owner, isWritable: true)
  }

  private init(
    _ pointer: UnsafeMutableRawPointer?, _ dtype: DType, _ shape: [Int], _ strides: [Int]?, _ owner: AnyObject?,
    isWritable: Bool
  ) throws {
    let count = try Tensor.count(of: shape, dtype: dtype)
    if let strides, strides.count != shape.count {
      throw MaxLinearError(
        .invalidShape, "strides: there are \(strides.count), expected one for each of \(shape.count) dimensions")
    }
    guard pointer != nil || count == 0 else {
      throw MaxLinearError(.invalidArgument, "pointer: is nil, expected the memory of \(count) elements")
    }
    self.pointer = pointer
    self.dtype = dtype
    self.shape = shape
    self.strides = strides ?? Tensor.contiguousStrides(shape)
    self.isWritable = isWritable
    self.owner = owner
  }

  /// A writable tensor that holds the values. Throws `.invalidShape` when their number is not the shape's product.
  public init<Element: TensorElement>(_ values: [Element], shape: [Int]) throws {
    try self.init(elements: values, shape: shape)
  }

  private init<Element: TensorElement>(elements values: [Element], shape: [Int]) throws {
    let count = try Tensor.count(of: shape, dtype: Element.dtype)
    guard count == values.count else {
      throw MaxLinearError(.invalidShape, "shape: \(shape) has \(count) elements, but there are \(values.count) values")
    }
    let memory = try TensorMemory(byteCount: count * MemoryLayout<Element>.stride, for: "tensor")
    values.withUnsafeBytes { bytes in
      if let from = bytes.baseAddress { memory.pointer.copyMemory(from: from, byteCount: bytes.count) }
    }
    try self.init(memory.pointer, Element.dtype, shape, nil, memory, isWritable: true)
  }

  /// A writable tensor of float32 values; `Tensor([1, 2, 3], shape: [3])` is this one.
  public init(_ values: [Float], shape: [Int]) throws {
    try self.init(elements: values, shape: shape)
  }

  /// A writable tensor in C order whose contents are undefined. Throws `.invalidShape`, `.outOfMemory`.
  static func uninitialized(shape: [Int], dtype: DType) throws -> Tensor {
    let byteCount = try Tensor.byteCount(of: shape, dtype: dtype)
    let memory = try TensorMemory(byteCount: byteCount, for: "tensor")
    return try Tensor(mutating: memory.pointer, dtype: dtype, shape: shape, owner: memory)
  }

  /// A writable tensor of zeros in C order. Throws `.invalidShape`, `.outOfMemory`.
  public static func zeros(shape: [Int], dtype: DType = .float32) throws -> Tensor {
    let tensor = try uninitialized(shape: shape, dtype: dtype)
    if let pointer = tensor.pointer {
      pointer.initializeMemory(as: UInt8.self, repeating: 0, count: try byteCount(of: shape, dtype: dtype))
    }
    return tensor
  }

  /// The number of elements.
  public var count: Int { shape.reduce(1, *) }

  /// Bytes of the elements, without gaps.
  public var byteCount: Int { (count * dtype.bits + 7) / 8 }

  /// Whether the elements lie in C order without gaps.
  public var isContiguous: Bool {
    zip(zip(shape, strides), Tensor.contiguousStrides(shape)).allSatisfy { $0.0 <= 1 || $0.1 == $1 } || count == 0
  }

  /// Whether the memory is a file mapping.
  var isMapped: Bool { (owner as? any MemoryOwner)?.isMapped == true }

  /// A read-only view of what a C tensor describes. Throws what is wrong with it, naming the argument.
  package init(_ tensor: mxl_tensor, argument: String, owner: AnyObject?) throws {
    let view = try TensorView(tensor, argument)
    try self.init(
      pointer: view.data, dtype: view.dtype, shape: (0..<view.rank).map(view.dimension),
      strides: (0..<view.rank).map(view.stride), owner: owner)
  }

  /// The elements in C order. Throws `.invalidDType` when they are of another type.
  public func array<Element: TensorElement>(of type: Element.Type) throws -> [Element] {
    guard dtype == Element.dtype else {
      throw MaxLinearError(.invalidDType, "tensor: dtype is \(dtype.name), expected \(Element.dtype.name)")
    }
    let packed = try contiguous()
    guard let pointer = packed.pointer, packed.count > 0 else { return [] }
    return [Element](unsafeUninitializedCapacity: packed.count) { buffer, initialized in
      if let to = buffer.baseAddress { UnsafeMutableRawPointer(to).copyMemory(from: pointer, byteCount: packed.byteCount) }
      initialized = packed.count
    }
  }

  /// The elements of a float32 tensor in C order. Throws `.invalidDType`.
  public func floats() throws -> [Float] { try array(of: Float.self) }

  /// This tensor when it is contiguous, else a contiguous copy. Throws `.outOfMemory`.
  func contiguous() throws -> Tensor { isContiguous ? self : try copy() }

  /// A contiguous copy. Throws `.outOfMemory`; `.unsupported` for sub-byte elements with strides.
  package func copy() throws -> Tensor {
    let result = try Tensor.uninitialized(shape: shape, dtype: dtype)
    guard let from = pointer, let to = result.pointer, count > 0 else { return result }
    if isContiguous {
      to.copyMemory(from: from, byteCount: byteCount)
      return result
    }
    guard dtype.bits % 8 == 0 else {
      throw MaxLinearError(.unsupported, "tensor: strided elements of \(dtype.bits) bits cannot be copied")
    }
    let size = dtype.bits / 8
    var index = [Int](repeating: 0, count: shape.count)
    for position in 0..<count {
      let offset = zip(index, strides).reduce(0) { $0 + $1.0 * $1.1 }
      (to + position * size).copyMemory(from: from + offset * size, byteCount: size)
      for dimension in shape.indices.reversed() {
        index[dimension] += 1
        if index[dimension] < shape[dimension] { break }
        index[dimension] = 0
      }
    }
    return result
  }

  /// A description without memory: never read.
  package init(described shape: [Int], dtype: DType) throws {
    try self.init(UnsafeMutableRawPointer(bitPattern: 64), dtype, shape, nil, nil, isWritable: false)
  }

  /// The same memory as another shape of as many elements, contiguous.
  func viewed(as shape: [Int], dtype: DType) throws -> Tensor {
    try Tensor(pointer, dtype, shape, nil, owner, isWritable: isWritable)
  }

  /// Calls the body with the C view.
  func withCTensor<Result>(_ body: (mxl_tensor) throws -> Result) rethrows -> Result {
    let shape = self.shape.map(Int64.init), strides = self.strides.map(Int64.init)
    return try shape.withUnsafeBufferPointer { shape in
      try strides.withUnsafeBufferPointer { strides in
        try body(
          mxl_tensor(
            data: pointer, dtype: dtype.rawValue, rank: Int32(truncatingIfNeeded: shape.count), device: mxl_device(),
            shape: shape.baseAddress, strides: strides.baseAddress))
      }
    }
  }

  static func contiguousStrides(_ shape: [Int]) -> [Int] {
    var strides = [Int](repeating: 1, count: shape.count)
    for dimension in shape.indices.dropLast().reversed() {
      // Only where a dimension is 0 may this wrap, and then no element is ever addressed.
      strides[dimension] = strides[dimension + 1] &* max(shape[dimension + 1], 1)
    }
    return strides
  }

  /// The product of the shape, checked: rank, signs, and that bytes and elements can be counted.
  static func count(of shape: [Int], dtype: DType) throws -> Int {
    guard shape.count <= Int(MXL_MAX_RANK) else {
      throw MaxLinearError(.invalidShape, "shape: rank is \(shape.count), expected at most \(MXL_MAX_RANK)")
    }
    var count = 1
    var nonzero = 1
    for dimension in shape {
      guard dimension >= 0 else {
        throw MaxLinearError(.invalidShape, "shape: \(shape) has a negative dimension")
      }
      let (product, overflow) = nonzero.multipliedReportingOverflow(by: max(dimension, 1))
      guard !overflow, product <= Int.max / 64 else {
        throw MaxLinearError(.invalidShape, "shape: \(shape) has more elements than can be addressed")
      }
      nonzero = product
      count = dimension == 0 ? 0 : count * dimension
    }
    return count
  }

  /// Bytes of that many elements without gaps.
  static func byteCount(of shape: [Int], dtype: DType) throws -> Int {
    (try count(of: shape, dtype: dtype) * dtype.bits + 7) / 8
  }
}

/// Swift types that tensors can be made from and read as.
public protocol TensorElement {
  static var dtype: DType { get }
}

extension Float: TensorElement { public static var dtype: DType { .float32 } }
extension Double: TensorElement { public static var dtype: DType { .float64 } }
extension UInt8: TensorElement { public static var dtype: DType { .uint8 } }
extension Int8: TensorElement { public static var dtype: DType { .int8 } }
extension UInt16: TensorElement { public static var dtype: DType { .uint16 } }
extension Int32: TensorElement { public static var dtype: DType { .int32 } }
extension Int64: TensorElement { public static var dtype: DType { .int64 } }
#if !arch(x86_64) || os(Linux)
  extension Float16: TensorElement { public static var dtype: DType { .float16 } }
#endif

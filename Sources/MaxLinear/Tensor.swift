import CMaxLinear

/// A view of memory: a pointer, a dtype, a shape, and strides counted in elements.
///
/// A tensor never owns kernels or devices; `owner` keeps its memory alive. Copies of a tensor view the same memory.
///
/// Unchecked: the view itself never changes, so it is Sendable. The memory is another matter, as with every pointer: whoever writes
/// to it while another thread reads or writes orders the two.
public struct Tensor: @unchecked Sendable {
  /// The first element; nil only when there are no elements.
  public let pointer: UnsafeMutableRawPointer?
  /// The type of the elements.
  public let dtype: DType
  /// The dimensions, the last one varying fastest in C order; empty for a scalar.
  public let shape: [Int]
  /// In elements, one a dimension. The sub-byte dtypes are always contiguous.
  public let strides: [Int]
  /// Keeps the memory alive; nil when the caller does.
  public let owner: (any AnyObject & Sendable)?
  /// The memory may not be written through this view.
  public let isReadOnly: Bool
  /// The number of elements: the product of the shape.
  public let count: Int

  /// The largest rank: 16.
  public static let maximumRank = Int(MXL_MAX_RANK)

  /// A view of memory that may be written.
  ///
  /// - Parameters:
  ///   - pointer: the first element, of any alignment; nil only where there are no elements.
  ///   - dtype: of the elements.
  ///   - shape: the dimensions, each at least 0; [] for a scalar.
  ///   - strides: in elements; nil for C order, the last dimension contiguous. May be 0 or negative.
  ///   - owner: kept as long as the tensor; pass nil when the memory is known to outlive it.
  /// - Throws: `.invalidShape` for a rank above 16, a negative dimension, or a size or address that overflows;
  ///   `.invalidArgument` for a nil pointer where there are elements.
  public init(
    pointer: UnsafeMutableRawPointer?, dtype: DType, shape: [Int], strides: [Int]? = nil,
    owner: (any AnyObject & Sendable)? = nil
  ) throws {
    try self.init(pointer, dtype, shape, strides, owner, isReadOnly: false, "tensor")
  }

  /// A view of memory that may only be read. Parameters and errors as those of the other.
  @_disfavoredOverload
  public init(
    pointer: UnsafeRawPointer?, dtype: DType, shape: [Int], strides: [Int]? = nil,
    owner: (any AnyObject & Sendable)? = nil
  ) throws {
    try self.init(UnsafeMutableRawPointer(mutating: pointer), dtype, shape, strides, owner, isReadOnly: true, "tensor")
  }

  private init(
    _ pointer: UnsafeMutableRawPointer?, _ dtype: DType, _ shape: [Int], _ strides: [Int]?,
    _ owner: (any AnyObject & Sendable)?, isReadOnly: Bool, _ argument: @autoclosure () -> String
  ) throws(MaxLinearError) {
    if let strides, strides.count != shape.count {
      throw MaxLinearError(
        .invalidShape,
        "\(argument()): there are \(strides.count) strides, expected one for each of the \(shape.count) dimensions")
    }
    self.count = try Self.withCTensor(pointer, dtype, shape, strides) { view throws(MaxLinearError) in
      try view.checkedExtent(bits: dtype.bits, argument()).count
    }
    self.pointer = pointer
    self.dtype = dtype
    self.shape = shape
    self.strides = strides ?? Self.contiguousStrides(shape)
    self.owner = owner
    self.isReadOnly = isReadOnly
  }

  /// A copy of a borrowed view's description, once its dtype, device, shape and strides are checked. `argument` names
  /// it in messages.
  package init(
    _ view: mxl_tensor, owner: (any AnyObject & Sendable)?, isReadOnly: Bool, argument: @autoclosure () -> String
  ) throws(MaxLinearError) {
    let dtype = try view.checkedDType(argument())
    try view.checkDevice(argument())
    _ = try view.checkedExtent(bits: dtype.bits, argument())
    let axes = 0..<Int(view.rank)
    let strides = view.strides.map { strides in axes.map { Int(strides[$0]) } }
    try self.init(
      view.data, dtype, axes.map { Int(view.shape[$0]) }, strides, owner, isReadOnly: isReadOnly, argument())
  }

  /// A new tensor whose contents are undefined.
  init(uninitialized shape: [Int], dtype: DType, purpose: @autoclosure () -> String) throws(MaxLinearError) {
    let count = try Self.withCTensor(UnsafeMutableRawPointer(bitPattern: 1), dtype, shape, nil) {
      view throws(MaxLinearError) in
      try view.checkedExtent(bits: dtype.bits, purpose()).count
    }
    let memory = try HeapMemory(byteCount: (count * dtype.bits + 7) / 8, purpose: purpose())
    try self.init(memory.pointer, dtype, shape, nil, memory, isReadOnly: false, purpose())
  }

  /// A new tensor of zeros. Throws `.invalidShape`, `.outOfMemory`.
  public static func zeros(shape: [Int], dtype: DType = .float32) throws -> Tensor {
    let tensor = try Tensor(uninitialized: shape, dtype: dtype, purpose: "zeros")
    tensor.pointer?.initializeMemory(as: UInt8.self, repeating: 0, count: tensor.byteCount)
    return tensor
  }

  /// The same view, for reading only.
  func asReadOnly() throws(MaxLinearError) -> Tensor {
    try Tensor(pointer, dtype, shape, strides, owner, isReadOnly: true, "tensor")
  }

  /// The same elements, of 8 bits, as another dtype of 8 bits.
  func bytes(as dtype: DType) throws(MaxLinearError) -> Tensor {
    try Tensor(pointer, dtype, shape, strides, owner, isReadOnly: isReadOnly, "bytes")
  }

  /// A part of this tensor, with its strides: bytes from the first element, and a smaller shape of the same rank.
  func view(offset: Int, shape: [Int]) throws(MaxLinearError) -> Tensor {
    try Tensor(pointer.map { $0 + offset }, dtype, shape, strides, owner, isReadOnly: isReadOnly, "view")
  }

  /// Elements of this contiguous tensor from so many bytes on, in another shape.
  func contiguousView(offset: Int, shape: [Int]) throws(MaxLinearError) -> Tensor {
    try Tensor(pointer.map { $0 + offset }, dtype, shape, nil, owner, isReadOnly: isReadOnly, "view")
  }

  /// The bytes that the elements take when they lie without gaps.
  public var byteCount: Int { (count * dtype.bits + 7) / 8 }

  /// The number of dimensions.
  public var rank: Int { shape.count }

  /// Whether the elements lie in C order without gaps.
  public var isContiguous: Bool { withCTensor { $0.isContiguous } }

  /// The view as a C struct, valid during the call. The tensor and its owner stay alive that long. Throws what `body` throws.
  public func withCTensor<Result, Failure: Error>(
    _ body: (mxl_tensor) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    defer { withExtendedLifetime(owner) {} }
    return try Self.withCTensor(pointer, dtype, shape, strides, body)
  }

  private static func withCTensor<Result, Failure: Error>(
    _ pointer: UnsafeMutableRawPointer?, _ dtype: DType, _ shape: [Int], _ strides: [Int]?,
    _ body: (mxl_tensor) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    // Int64, because that is what the C struct holds. The arrays have at most 16 elements in valid tensors; longer ones
    // are kept whole so that the check sees their rank.
    let dimensions = shape.map(Int64.init)
    let steps = strides?.map(Int64.init)
    return try dimensions.withUnsafeBufferPointer { dimensions throws(Failure) in
      func call(_ steps: UnsafePointer<Int64>?) throws(Failure) -> Result {
        try body(
          mxl_tensor(
            data: pointer, dtype: dtype.rawValue, rank: Int32(clamping: dimensions.count), device: mxl_device(),
            shape: dimensions.baseAddress, strides: steps))
      }
      guard let steps else { return try call(nil) }
      return try steps.withUnsafeBufferPointer { steps throws(Failure) in try call(steps.baseAddress) }
    }
  }

  /// Strides of C order. The shape has been checked; dimensions of 0 count as 1.
  private static func contiguousStrides(_ shape: [Int]) -> [Int] {
    var strides = shape
    var step = 1
    for axis in shape.indices.reversed() {
      strides[axis] = step
      step *= max(shape[axis], 1)
    }
    return strides
  }

  /// Copies the elements, in C order and without gaps, to memory of `byteCount` bytes that this view does not cover.
  func copyContiguously(to destination: UnsafeMutableRawPointer) {
    guard let pointer, count > 0 else { return }
    if isContiguous {
      destination.copyMemory(from: pointer, byteCount: byteCount)
      return
    }
    let elementBytes = dtype.bits / 8
    let rowCount = strides[rank - 1] == 1 ? shape[rank - 1] : 1
    var index = [Int](repeating: 0, count: rank)
    var offset = 0
    for block in 0..<count / rowCount {
      (destination + block * rowCount * elementBytes).copyMemory(
        from: pointer + offset * elementBytes, byteCount: rowCount * elementBytes)
      var axis = rowCount == 1 ? rank - 1 : rank - 2
      // Wrapping: the stride of an axis of one element may be anything, and is taken back at once.
      while axis >= 0 {
        index[axis] += 1
        offset &+= strides[axis]
        if index[axis] < shape[axis] { break }
        offset &-= shape[axis] &* strides[axis]
        index[axis] = 0
        axis -= 1
      }
    }
  }
}

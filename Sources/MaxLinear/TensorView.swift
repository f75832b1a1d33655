import CMaxLinear

/// The bytes that a tensor's elements lie in, relative to its data pointer, and how many elements there are.
struct TensorExtent {
  var count: Int
  /// Offset of the first byte; negative where strides are.
  var low: Int
  /// Offset past the last byte. Equal to `low` when there are no elements.
  var high: Int
}

/// Checks of borrowed views, shared by the Swift and the C interface. Nothing is read through the data pointer.
extension mxl_tensor {
  /// The dtype as a checked enumerator.
  func checkedDType(_ argument: @autoclosure () -> String) throws(MaxLinearError) -> DType {
    guard let known = DType(rawValue: dtype) else {
      throw MaxLinearError(.invalidDType, "\(argument()): dtype is \(dtype), expected an mxl_dtype")
    }
    return known
  }

  /// Throws unless the tensor is on the CPU with id 0, where a zeroed `device` says it is.
  func checkDevice(_ argument: @autoclosure () -> String) throws(MaxLinearError) {
    if device.id == 0, device.type == MXL_DEVICE_CPU.rawValue || device.type == MXL_DEVICE_DEFAULT.rawValue { return }
    let argument = argument()
    try DeviceRef(device, argument: argument).check(argument)
  }

  /// Checks rank, dimensions, strides and pointer of a tensor whose elements have `bits` bits: no dimension is
  /// negative, and neither the number of bytes nor the address of any element overflows.
  func checkedExtent(bits: Int, _ argument: @autoclosure () -> String) throws(MaxLinearError) -> TensorExtent {
    guard rank >= 0, rank <= MXL_MAX_RANK else {
      throw MaxLinearError(.invalidShape, "\(argument()): rank is \(rank), expected 0 to \(MXL_MAX_RANK)")
    }
    guard rank == 0 || shape != nil else {
      throw MaxLinearError(.invalidArgument, "\(argument()): shape is NULL, expected \(rank) dimensions")
    }
    var nonzeroProduct = 1
    var isEmpty = false
    var overflows = false
    for axis in 0..<Int(rank) {
      let dimension = Int(shape[axis])
      guard dimension >= 0 else {
        throw MaxLinearError(
          .invalidShape, "\(argument()): dimension \(axis) is \(dimension), expected 0 or more")
      }
      if dimension == 0 {
        isEmpty = true
        continue
      }
      let product = nonzeroProduct.multipliedReportingOverflow(by: dimension)
      overflows = overflows || product.overflow
      nonzeroProduct = product.partialValue
    }
    let bitCount = nonzeroProduct.multipliedReportingOverflow(by: bits)
    guard !overflows, !bitCount.overflow, bitCount.partialValue <= Int.max - 7 else {
      throw MaxLinearError(.invalidShape, "\(argument()): shape is \(shapeText), expected one that memory can hold")
    }
    if isEmpty { return TensorExtent(count: 0, low: 0, high: 0) }
    guard let data else {
      throw MaxLinearError(.invalidArgument, "\(argument()): data is NULL, expected \(nonzeroProduct) elements")
    }
    let extent = try checkedRange(bits: bits, byteCount: (bitCount.partialValue + 7) / 8, argument())
    let address = UInt(bitPattern: data)
    guard address >= extent.low.magnitude, !address.addingReportingOverflow(UInt(extent.high)).overflow else {
      throw MaxLinearError(
        .invalidShape,
        "\(argument()): shape is \(shapeText) with strides \(stridesText), expected elements within the address space")
    }
    return TensorExtent(count: nonzeroProduct, low: extent.low, high: extent.high)
  }

  /// The byte range of a tensor that has elements.
  private func checkedRange(
    bits: Int, byteCount: Int, _ argument: @autoclosure () -> String
  ) throws(MaxLinearError) -> (low: Int, high: Int) {
    guard strides != nil, !isContiguous else { return (0, byteCount) }
    guard bits % 8 == 0 else {
      throw MaxLinearError(
        .invalidShape, "\(argument()): strides are \(stridesText), expected C order, as elements have \(bits) bits")
    }
    let elementBytes = bits / 8
    var low = 0
    var high = elementBytes
    for axis in 0..<Int(rank) {
      let reach = Int(shape[axis] - 1).multipliedReportingOverflow(by: Int(strides[axis]))
      let bytes = reach.partialValue.multipliedReportingOverflow(by: elementBytes)
      let moved = (bytes.partialValue < 0 ? low : high).addingReportingOverflow(bytes.partialValue)
      guard !reach.overflow, !bytes.overflow, !moved.overflow else {
        throw MaxLinearError(
          .invalidShape,
          "\(argument()): shape is \(shapeText) with strides \(stridesText), expected elements within the address space"
        )
      }
      if bytes.partialValue < 0 { low = moved.partialValue } else { high = moved.partialValue }
    }
    return (low, high)
  }

  /// Whether elements lie in C order without gaps, as no elements do. Needs a checked rank and shape pointer.
  var isContiguous: Bool {
    guard strides != nil else { return true }
    var expected = 1
    for axis in stride(from: Int(rank) - 1, through: 0, by: -1) where shape[axis] != 1 {
      if Int(strides[axis]) != expected { return (0..<Int(rank)).contains { shape[$0] == 0 } }
      expected = expected.multipliedReportingOverflow(by: Int(shape[axis])).partialValue
    }
    return true
  }

  /// Whether distinct elements have distinct addresses, judged by nesting: sorted by stride, each axis steps over all
  /// that the smaller ones cover. True for every slice and transpose of an array. Needs a checked extent.
  var elementsAreDistinct: Bool {
    guard strides != nil, !isContiguous else { return true }
    var covered: UInt = 0
    var visited: UInt32 = 0
    for _ in 0..<Int(rank) {
      var next: Int?
      for axis in 0..<Int(rank) where visited & (1 << UInt32(axis)) == 0 {
        if let best = next, strides[axis].magnitude >= strides[best].magnitude { continue }
        next = axis
      }
      guard let axis = next else { return true }
      visited |= 1 << UInt32(axis)
      if shape[axis] <= 1 { continue }
      let step = UInt(strides[axis].magnitude)
      if step <= covered { return false }
      covered += step * UInt(shape[axis] - 1)
    }
    return true
  }

  /// Whether some byte between the first and the last of each is the same. The extents are those of the views.
  @inline(__always)
  func overlaps(_ other: mxl_tensor, _ extent: TensorExtent, _ otherExtent: TensorExtent) -> Bool {
    guard extent.count > 0, otherExtent.count > 0 else { return false }
    let start = Int(bitPattern: data), otherStart = Int(bitPattern: other.data)
    // Wrapping: the extents were checked against the unsigned address space.
    return UInt(bitPattern: start &+ extent.low) < UInt(bitPattern: otherStart &+ otherExtent.high)
      && UInt(bitPattern: otherStart &+ otherExtent.low) < UInt(bitPattern: start &+ extent.high)
  }

  /// The extent of a view that is on the CPU, in C order and of rank 1 or more; throws for another.
  func checkedInCOrder(bits: Int, _ argument: String) throws(MaxLinearError) -> TensorExtent {
    try checkDevice(argument)
    let extent = try checkedExtent(bits: bits, argument)
    guard rank >= 1 else {
      throw MaxLinearError(.invalidShape, "\(argument): rank is 0, expected 1 or more")
    }
    guard isContiguous || extent.count == 0 else {
      throw MaxLinearError(.invalidShape, "\(argument): strides are \(stridesText), expected C order")
    }
    return extent
  }

  /// The shape as text, for messages.
  var shapeText: String { Self.text(shape, rank) }
  var stridesText: String { strides == nil ? "none" : Self.text(strides, rank) }

  private static func text(_ values: UnsafePointer<Int64>?, _ count: Int32) -> String {
    guard let values else { return "[]" }
    return (0..<Int(count)).map { Int(values[$0]) }.description
  }
}

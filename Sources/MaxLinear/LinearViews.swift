import CMaxLinear
import Kernels

/// The shape rules of a linear layer's x and y, on borrowed views that may hold anything.
struct LinearViews {
  let x: mxl_tensor
  let y: mxl_tensor

  /// Throws unless a view is a float32 tensor on the CPU whose last dimension is `width` and adjacent.
  private static func check(
    _ view: mxl_tensor, _ argument: StaticString, width: Int, _ dimension: StaticString
  ) throws(MaxLinearError) -> TensorExtent {
    guard let bytes = elementBytes(view.dtype) else {
      let dtype = try view.checkedDType("\(argument)")
      throw MaxLinearError(
        .invalidDType, "\(argument): dtype is \(dtype.name), expected float32, float16 or bfloat16")
    }
    try view.checkDevice("\(argument)")
    let extent = try view.checkedExtent(bits: 8 * bytes, "\(argument)")
    guard view.rank >= 1 else {
      throw MaxLinearError(.invalidShape, "\(argument): rank is 0, expected 1 or more")
    }
    let last = Int(view.rank) - 1
    guard Int(view.shape[last]) == width else {
      throw MaxLinearError(
        .invalidShape, "\(argument): last dimension is \(view.shape[last]), expected \(dimension) = \(width)")
    }
    if let strides = view.strides, width > 1, strides[last] != 1, extent.count > 0 {
      throw MaxLinearError(
        .invalidShape,
        "\(argument): last stride is \(strides[last]), expected 1: the elements of a row must be adjacent")
    }
    return extent
  }

  /// Bytes of an element of the dtypes that x and y may have; nil for others.
  @inline(__always)
  private static func elementBytes(_ dtype: Int32) -> Int? {
    if dtype == MXL_FLOAT32.rawValue { return 4 }
    return dtype == MXL_FLOAT16.rawValue || dtype == MXL_BFLOAT16.rawValue ? 2 : nil
  }

  /// Throws `.invalidShape`, `.invalidDType`, `.noDevice` or `.invalidArgument` unless x is (..., inDim).
  static func checkX(_ x: mxl_tensor, inDim: Int) throws(MaxLinearError) -> TensorExtent {
    try check(x, "x", width: inDim, "in_dim")
  }

  /// Throws unless x is (..., inDim) and y is (..., outDim) with the same leading dimensions, elements of y are
  /// distinct, and none of them is one of x.
  func check(inDim: Int, outDim: Int) throws(MaxLinearError) {
    let xExtent = try Self.checkX(x, inDim: inDim)
    let yExtent = try Self.check(y, "y", width: outDim, "out_dim")
    let leading = Int(x.rank) - 1
    guard y.rank == x.rank, (0..<leading).allSatisfy({ x.shape[$0] == y.shape[$0] }) else {
      let expected = (0..<leading).map { Int(x.shape[$0]) } + [outDim]
      throw MaxLinearError(.invalidShape, "y: shape is \(y.shapeText), expected \(expected) as x is \(x.shapeText)")
    }
    guard xExtent.count > 0 else { return }
    guard y.elementsAreDistinct else {
      throw MaxLinearError(
        .invalidShape,
        "y: shape \(y.shapeText) with strides \(y.stridesText) makes elements share memory, expected distinct ones")
    }
    guard !x.overlaps(y, xExtent, yExtent) || rowsInterleave(xBytes: inDim * bytes(x), yBytes: outDim * bytes(y)) else {
      throw MaxLinearError(.invalidArgument, "y: overlaps x, expected memory of its own")
    }
  }

  /// Whether two checked views of one shape but for the last dimension may share memory.
  static func meet(_ first: mxl_tensor, _ second: mxl_tensor) throws(MaxLinearError) -> Bool {
    let views = LinearViews(x: first, y: second)
    let width = { (view: mxl_tensor) in Int(view.shape[Int(view.rank) - 1]) * views.bytes(view) }
    let firstExtent = try first.checkedExtent(bits: 8 * views.bytes(first), "ys")
    let secondExtent = try second.checkedExtent(bits: 8 * views.bytes(second), "ys")
    guard firstExtent.count > 0, secondExtent.count > 0, first.overlaps(second, firstExtent, secondExtent) else {
      return false
    }
    return !views.rowsInterleave(xBytes: width(first), yBytes: width(second))
  }

  /// Whether rows of x and y provably never meet although their ranges do, as when both are columns of one array: all
  /// addresses of x, and all of y, are the same modulo the greatest common divisor of the row strides, and the rows fit
  /// beside one another in it.
  private func rowsInterleave(xBytes: Int, yBytes: Int) -> Bool {
    var pitch: UInt = 0
    for axis in 0..<Int(x.rank) - 1 where x.shape[axis] > 1 {
      pitch = Self.greatestCommonDivisor(pitch, rowStride(x, axis).magnitude)
      pitch = Self.greatestCommonDivisor(pitch, rowStride(y, axis).magnitude)
    }
    guard pitch > 0, UInt(xBytes) <= pitch, UInt(yBytes) <= pitch else { return false }
    let distance = (UInt(bitPattern: y.data) % pitch + pitch - UInt(bitPattern: x.data) % pitch) % pitch
    return distance >= UInt(xBytes) && pitch - distance >= UInt(yBytes)
  }

  /// Bytes from one index of an axis to the next. The extent has been checked, so it does not overflow where the
  /// dimension is above 1.
  private func rowStride(_ view: mxl_tensor, _ axis: Int) -> Int {
    if let strides = view.strides { return Int(strides[axis]) * bytes(view) }
    return (axis + 1..<Int(view.rank)).reduce(bytes(view)) { $0 * Int(view.shape[$1]) }
  }

  /// Bytes of an element of a checked view.
  private func bytes(_ view: mxl_tensor) -> Int { Self.elementBytes(view.dtype) ?? 4 }

  private static func greatestCommonDivisor(_ first: UInt, _ second: UInt) -> UInt {
    var (first, second) = (first, second)
    while second != 0 { (first, second) = (second, first % second) }
    return first
  }

  /// The rows of the checked views: all dimensions but the last.
  @inline(__always)
  func fill(_ rows: inout mxlk_rows) {
    let leading = Int(x.rank) - 1
    rows.rank = Int32(truncatingIfNeeded: leading)
    guard leading > 0 else { return }
    withUnsafeMutablePointer(to: &rows.shape) { shape in
      withUnsafeMutablePointer(to: &rows.x_strides) { xStrides in
        withUnsafeMutablePointer(to: &rows.y_strides) { yStrides in
          let shape = UnsafeMutableRawPointer(shape).assumingMemoryBound(to: Int64.self)
          for axis in 0..<leading { shape[axis] = x.shape[axis] }
          // An axis of one element never steps, and its stride may be anything: 0 keeps it out of the arithmetic.
          Self.fill(UnsafeMutableRawPointer(xStrides).assumingMemoryBound(to: Int64.self), from: x)
          Self.fill(UnsafeMutableRawPointer(yStrides).assumingMemoryBound(to: Int64.self), from: y)
        }
      }
    }
  }

  @inline(__always)
  private static func fill(_ strides: UnsafeMutablePointer<Int64>, from view: mxl_tensor) {
    let leading = Int(view.rank) - 1
    if let given = view.strides {
      for axis in 0..<leading { strides[axis] = view.shape[axis] > 1 ? given[axis] : 0 }
      return
    }
    var step = view.shape[leading]
    for axis in stride(from: leading - 1, through: 0, by: -1) {
      strides[axis] = step
      step &*= view.shape[axis]
    }
  }
}

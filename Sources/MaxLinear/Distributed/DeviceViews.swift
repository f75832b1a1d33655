import CMaxLinear
import Kernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// One x and one y a device, on borrowed views that may hold anything: what is the same for all devices is computed once and copied.
struct DeviceViews {
  let xs: [mxl_tensor]
  let ys: [mxl_tensor]

  /// Throws `.invalidArgument` unless there is one of each a device.
  init(xs: [mxl_tensor], ys: [mxl_tensor], devices: Int) throws(MaxLinearError) {
    for (views, argument) in [(xs, "xs"), (ys, "ys")] where views.count != devices {
      throw MaxLinearError(
        .invalidArgument, "\(argument): there are \(views.count), expected one for each of the \(devices) devices")
    }
    self.xs = xs
    self.ys = ys
  }

  /// Checks each pair, and that no y meets another.
  func check(inDim: (Int) -> Int, outDim: (Int) -> Int) throws(MaxLinearError) {
    for device in xs.indices {
      do {
        try LinearViews(x: xs[device], y: ys[device]).check(inDim: inDim(device), outDim: outDim(device))
      } catch {
        throw MaxLinearError(error.status, "device \(device): \(error.message)")
      }
    }
    for (index, y) in ys.enumerated() {
      for (earlier, other) in ys.prefix(index).enumerated() where y.data != nil && Self.meet(y, other) {
        throw MaxLinearError(.invalidArgument, "ys[\(index)]: overlaps ys[\(earlier)], expected memory of its own")
      }
      for (device, x) in xs.enumerated() where device != index && y.data != nil && Self.meet(y, x) {
        throw MaxLinearError(.invalidArgument, "ys[\(index)]: overlaps xs[\(device)], expected memory of its own")
      }
    }
  }

  /// Throws `.invalidArgument` unless all x hold the same rows: each device takes the same x.
  func checkSameX() throws(MaxLinearError) {
    guard let first = xs.first else { return }
    for (device, x) in xs.enumerated().dropFirst() {
      guard x.dtype == first.dtype, Self.shape(x) == Self.shape(first) else {
        throw MaxLinearError(
          .invalidShape,
          "xs[\(device)]: is \(x.shapeText) of dtype \(x.dtype), expected that of xs[0], \(first.shapeText)")
      }
      let same = Self.rows(x, first) { left, right, bytes in memcmp(left, right, bytes) == 0 }
      guard same else {
        throw MaxLinearError(
          .invalidArgument, "xs[\(device)]: differs from xs[0], expected the same x for every device")
      }
    }
  }

  /// Checks all devices, computes y once, without accumulating, and gives it to each. No y is touched when it throws.
  func runOnce(
    inDim: Int, outDim: Int, accumulate: Bool, threads: Int32,
    _ body: (mxl_tensor, mxl_tensor) throws(MaxLinearError) -> Void
  ) throws(MaxLinearError) {
    try check(inDim: { _ in inDim }, outDim: { _ in outDim })
    try checkSameX()
    guard let x = xs.first, let y = ys.first else { return }
    if !accumulate && ys.allSatisfy({ $0.dtype == y.dtype }) {
      try body(x, y)
      copyY()
      return
    }
    let values = try Tensor(uninitialized: Self.shape(y).map { Int($0) }, dtype: .float32, purpose: "y")
    try values.withCTensor { y throws(MaxLinearError) in try body(x, y) }
    for y in ys {
      var job = mxlk_linear_job(LinearViews(x: x, y: y), accumulate: accumulate, threads: threads)
      mxlk_store_rows(&job, values.pointer, Int64(outDim), nil, nil)
    }
  }

  /// Copies ys[0] to the others, which have its dtype.
  private func copyY() {
    guard let first = ys.first else { return }
    for y in ys.dropFirst() {
      _ = Self.rows(y, first) { to, from, bytes in
        to.copyMemory(from: from, byteCount: bytes)
        return true
      }
    }
  }

  private static func shape(_ view: mxl_tensor) -> [Int64] { (0..<Int(view.rank)).map { view.shape[$0] } }

  /// Calls body for each row of two checked views of one shape and dtype; false when one call is.
  private static func rows(
    _ left: mxl_tensor, _ right: mxl_tensor, _ body: (UnsafeMutableRawPointer, UnsafeRawPointer, Int) -> Bool
  ) -> Bool {
    let leading = Int(left.rank) - 1
    let count = (0..<leading).reduce(1) { $0 * Int(left.shape[$1]) }
    let bytes = left.dtype == MXL_FLOAT32.rawValue ? 4 : 2
    let width = Int(left.shape[leading]) * bytes
    guard count > 0, width > 0, let to = left.data, let from = right.data else { return true }
    return (0..<count).allSatisfy { row in
      body(to + offset(left, row, bytes), UnsafeRawPointer(from + offset(right, row, bytes)), width)
    }
  }

  /// Bytes from the first row to row number `row` in C order.
  private static func offset(_ view: mxl_tensor, _ row: Int, _ bytes: Int) -> Int {
    var (row, offset, step) = (row, 0, Int(view.shape[Int(view.rank) - 1]))
    for axis in stride(from: Int(view.rank) - 2, through: 0, by: -1) {
      let size = Int(view.shape[axis])
      let stride = view.strides.map { Int($0[axis]) } ?? step
      offset += row % size * stride
      row /= size
      step *= size
    }
    return offset * bytes
  }

  /// Whether two checked views may share memory: columns of one array do not.
  private static func meet(_ left: mxl_tensor, _ right: mxl_tensor) -> Bool {
    if shape(left).dropLast() == shape(right).dropLast(), let meet = try? LinearViews.meet(left, right) { return meet }
    guard let first = try? left.checkedExtent(bits: left.dtype == MXL_FLOAT32.rawValue ? 32 : 16, ""),
      let second = try? right.checkedExtent(bits: right.dtype == MXL_FLOAT32.rawValue ? 32 : 16, "")
    else { return false }
    return left.overlaps(right, first, second)
  }
}

import CMaxLinear
import Kernels

/// y = Σ over devices, in their order, of x_d W_dᵀ, with b added to the first: W is split by its inputs. Where W has a scale, the whole sum is
/// multiplied with it and b added then.
final class PreparedRowParallel: PreparedComputation {
  let parts: [PreparedLinear]
  let inputs: [Range<Int>]
  private let scale: PackedScale?
  /// Only beside a scale.
  private let bias: PackedBias?
  private let options: PrepareOptions

  init(
    parts: [PreparedLinear], inputs: [Range<Int>], options: PrepareOptions, scale: PackedScale? = nil,
    bias: PackedBias? = nil
  ) {
    self.parts = parts
    self.inputs = inputs
    self.options = options
    self.scale = scale
    self.bias = bias
  }

  var outDim: Int { parts.first?.outDim ?? 0 }
  var kernelName: UnsafePointer<CChar> { parts[0].kernelName }
  var mapped: [UnsafeRawPointer] { parts.flatMap(\.mapped) }
  var packedBytes: Int {
    parts.reduce((scale?.byteCount ?? 0) + (bias?.byteCount ?? 0)) { $0 + $1.packedBytes }
  }
  var shards: [Range<Int>] { inputs }
  func matches(_ options: PrepareOptions) -> Bool {
    self.options.asksForTheSame(as: options) || parts.allSatisfy { $0.matches(options) }
  }

  func outputShape(_ x: mxl_tensor) throws(MaxLinearError) -> [Int] {
    _ = try LinearViews.checkX(x, inDim: inputs.last?.upperBound ?? 0)
    return (0..<Int(x.rank) - 1).map { Int(x.shape[$0]) } + [outDim]
  }

  func outputShape(_ x: mxl_tensor, device: Int) throws(MaxLinearError) -> [Int] {
    _ = try LinearViews.checkX(x, inDim: inputs[device].count)
    return (0..<Int(x.rank) - 1).map { Int(x.shape[$0]) } + [outDim]
  }

  /// The whole x: each device takes its columns of it.
  func run(_ x: mxl_tensor, into y: mxl_tensor, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    try run(x, into: [y], accumulate: accumulate, threads: threads)
  }

  /// The whole x, with the sum into each y; none is touched when it throws.
  private func run(
    _ x: mxl_tensor, into ys: [mxl_tensor], accumulate: Bool, threads: Int32
  ) throws(MaxLinearError) {
    var jobs: [mxlk_linear_job] = []
    for y in ys {
      let views = LinearViews(x: x, y: y)
      try views.check(inDim: inputs.last?.upperBound ?? 0, outDim: outDim)
      jobs.append(mxlk_linear_job(views, accumulate: accumulate, threads: threads))
    }
    let bytes = x.dtype == MXL_FLOAT32.rawValue ? 4 : 2
    let starts = inputs.map { range in jobs[0].x.map { $0 + bytes * range.lowerBound } }
    try sum(jobs, from: starts)
  }

  func run(
    devices: DeviceViews, accumulate: Bool, threads: Int32
  ) throws(MaxLinearError) {
    try devices.check(inDim: { inputs[$0].count }, outDim: { _ in outDim })
    guard let y = devices.ys.first else { return }
    try checkShapes(devices)
    // The rows of each x have strides of their own: copied side by side they are one, of their dtype where that is one.
    let dtype = try devices.xs[0].checkedDType("x")
    let isOne = devices.xs.allSatisfy { $0.dtype == dtype.rawValue }
    let whole = try Tensor(
      uninitialized: (0..<Int(y.rank) - 1).map { Int(y.shape[$0]) } + [inputs.last?.upperBound ?? 0],
      dtype: isOne ? dtype : .float32, purpose: "x")
    for (x, range) in zip(devices.xs, inputs) { try whole.takeColumns(range, of: x) }
    try whole.withCTensor { x throws(MaxLinearError) in
      try run(x, into: devices.ys, accumulate: accumulate, threads: threads)
    }
  }

  private func checkShapes(_ devices: DeviceViews) throws(MaxLinearError) {
    for (device, x) in devices.xs.enumerated().dropFirst() {
      let first = devices.xs[0]
      guard x.rank == first.rank, (0..<Int(x.rank) - 1).allSatisfy({ x.shape[$0] == first.shape[$0] }) else {
        throw MaxLinearError(
          .invalidShape,
          "xs[\(device)]: shape is \(x.shapeText), expected the leading dimensions of xs[0], \(first.shapeText)")
      }
    }
  }

  /// The sum in float32, rounded to the dtype of each job's y once. The jobs differ in y alone.
  func sum(_ jobs: [mxlk_linear_job], from starts: [UnsafeRawPointer?]) throws(MaxLinearError) {
    guard var first = jobs.first else { return }
    let rows = Int(mxlk_job_rows(&first))
    guard rows > 0 else { return }
    let sums = try sums(rows: rows)
    try add(first, from: starts, to: sums)
    for job in jobs { store(job, sums) }
  }

  /// Memory for `add`.
  func sums(rows: Int) throws(MaxLinearError) -> Tensor {
    try Tensor(uninitialized: [rows, outDim], dtype: .float32, purpose: "sum over devices")
  }

  /// The sum of the parts in float32, each of the x that starts there.
  func add(_ job: mxlk_linear_job, from starts: [UnsafeRawPointer?], to sums: Tensor) throws(MaxLinearError) {
    var part = job.overwriting
    for (linear, start) in zip(parts, starts) {
      part.x = start
      try linear.run(part, intoRows: sums.pointer)
      part.accumulate = 1
    }
  }

  /// Rounds the sums to y's dtype, with scale and bias where they come behind the sum.
  func store(_ job: mxlk_linear_job, _ sums: Tensor) {
    var job = job
    mxlk_store_rows(&job, sums.pointer, Int64(outDim), scale?.pointer, bias?.pointer)
  }
}

extension Tensor {
  /// Writes a checked float view's values into these columns; the leading dimensions are the same.
  fileprivate func takeColumns(_ columns: Range<Int>, of view: mxl_tensor) throws(MaxLinearError) {
    let source = try Tensor(view, owner: nil, isReadOnly: true, argument: "x")
    let values =
      source.dtype == dtype ? try source.inCOrder("x") : try source.converted(to: dtype, purpose: "x")
    guard let to = pointer, let from = values.pointer, values.count > 0 else { return }
    let element = dtype.bits / 8
    let (width, bytes) = (shape[rank - 1] * element, columns.count * element)
    for row in 0..<values.count / columns.count {
      (to + row * width + columns.lowerBound * element).copyMemory(from: from + row * bytes, byteCount: bytes)
    }
  }
}

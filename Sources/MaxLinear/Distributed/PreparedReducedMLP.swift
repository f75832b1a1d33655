import CMaxLinear
import Kernels

/// y = Σ over devices, in their order, of h_d down_dᵀ, h = activation(gate x) · (up x): down is split by its inputs.
final class PreparedReducedMLP: PreparedComputation {
  private let hidden: PreparedHidden
  private let down: PreparedRowParallel
  private let options: PrepareOptions

  init(_ hidden: PreparedHidden, down: PreparedRowParallel, options: PrepareOptions) {
    self.hidden = hidden
    self.down = down
    self.options = options
  }

  var kernelName: UnsafePointer<CChar> { hidden.gate.kernelName }
  var mapped: [UnsafeRawPointer] { hidden.mapped + down.mapped }
  var packedBytes: Int { hidden.packedBytes + down.packedBytes }
  var shards: [Range<Int>] { down.inputs }
  func matches(_ options: PrepareOptions) -> Bool {
    self.options.asksForTheSame(as: options) || (hidden.matches(options) && down.matches(options))
  }

  func outputShape(_ x: mxl_tensor) throws(MaxLinearError) -> [Int] {
    Array(try hidden.gate.outputShape(x).dropLast()) + [down.outDim]
  }

  func run(_ x: mxl_tensor, into y: mxl_tensor, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    let views = LinearViews(x: x, y: y)
    try views.check(inDim: hidden.inDim, outDim: down.outDim)
    var job = mxlk_linear_job(views, accumulate: accumulate, threads: threads)
    let rows = Int(mxlk_job_rows(&job))
    guard rows > 0 else { return }
    let h = try Tensor(uninitialized: [rows, hidden.columns], dtype: .float32, purpose: "h")
    try hidden.run(job, into: h.pointer, scratch: hidden.scratch(rows: rows))
    job.readRows(at: h.pointer, columns: hidden.columns)
    let starts = down.inputs.map { range in h.pointer.map { UnsafeRawPointer($0 + 4 * range.lowerBound) } }
    try down.sum([job], from: starts)
  }

  func run(devices: DeviceViews, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    try devices.runOnce(
      inDim: hidden.inDim, outDim: down.outDim, accumulate: accumulate, threads: threads
    ) { x, y throws(MaxLinearError) in try run(x, into: y, accumulate: false, threads: threads) }
  }
}

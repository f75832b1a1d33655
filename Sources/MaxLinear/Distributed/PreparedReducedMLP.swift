import CMaxLinear
import Kernels

/// y = Σ over devices, in their order, of h_d down_dᵀ, h = activation(gate x) · (up x): down is split by its inputs.
final class PreparedReducedMLP: PreparedComputation {
  private let gate: PreparedLinear
  private let up: PreparedLinear
  private let down: PreparedRowParallel
  private let activation: Activation

  init(gate: PreparedLinear, down: PreparedRowParallel, up: PreparedLinear, activation: Activation) {
    self.gate = gate
    self.down = down
    self.up = up
    self.activation = activation
  }

  /// Whether gate and up run one kernel row on one order of x.
  private var sharesPass: Bool {
    let (first, second) = (gate.weights[0], up.weights[0])
    return first.row == second.row && first.bfloat16_row == second.bfloat16_row && first.columns == nil
      && second.columns == nil
  }

  var kernelName: UnsafePointer<CChar> { gate.kernelName }
  var mapped: [UnsafeRawPointer] { gate.mapped + down.mapped + up.mapped }
  var packedBytes: Int { gate.packedBytes + down.packedBytes + up.packedBytes }
  var shards: [Range<Int>] { down.inputs }
  func matches(_ options: PrepareOptions) -> Bool {
    gate.matches(options) && up.matches(options) && down.matches(options)
  }

  func outputShape(_ x: mxl_tensor) throws(MaxLinearError) -> [Int] {
    Array(try gate.outputShape(x).dropLast()) + [down.outDim]
  }

  func run(_ x: mxl_tensor, into y: mxl_tensor, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    let views = LinearViews(x: x, y: y)
    try views.check(inDim: gate.inDim, outDim: down.outDim)
    var job = mxlk_linear_job(views, accumulate: accumulate, threads: threads)
    let rows = Int(mxlk_job_rows(&job))
    guard rows > 0 else { return }
    let hidden = try Tensor(uninitialized: [rows, up.outDim], dtype: .float32, purpose: "h")
    var first = job
    first.weights = up.pointer
    first.shard_count = up.shardCount
    first.y = hidden.pointer
    first.y_dtype = MXL_FLOAT32.rawValue
    first.accumulate = 0
    mxlk_rows_in_c_order(&first.rows, Int64(up.outDim))
    let gates = sharesPass ? nil : try Tensor(uninitialized: [rows, up.outDim], dtype: .float32, purpose: "gate x")
    if sharesPass {
      first.gate = gate.pointer
      first.activation = activation.rawValue
    }
    var status = mxlk_linear_run(&first)
    if let gates, status == MXL_OK {
      var other = first
      other.weights = gate.pointer
      other.y = gates.pointer
      status = mxlk_linear_run(&other)
      if status == MXL_OK {
        mxlk_gate_run(activation.rawValue, gates.pointer, hidden.pointer, Int64(hidden.count), hidden.pointer)
      }
    }
    guard status == MXL_OK else {
      throw MaxLinearError(.outOfMemory, "forward: cannot allocate scratch for x of shape \(x.shapeText)")
    }
    job.x_dtype = MXL_FLOAT32.rawValue
    job.rows.x_strides = first.rows.y_strides
    let starts = down.inputs.map { range in hidden.pointer.map { UnsafeRawPointer($0 + 4 * range.lowerBound) } }
    try down.sum(&job, from: starts, shape: y.shapeText)
  }

  func run(devices: DeviceViews, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    try devices.runOnce(inDim: gate.inDim, outDim: down.outDim, accumulate: accumulate) { x, y throws(MaxLinearError) in
      try run(x, into: y, accumulate: accumulate, threads: threads)
    }
  }
}

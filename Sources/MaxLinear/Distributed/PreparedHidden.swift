import CMaxLinear
import Kernels

/// h = activation(gate x) · (up x), in float32 rows, of the outputs that this process has.
struct PreparedHidden {
  let gate: PreparedLinear
  let up: PreparedLinear
  let activation: Activation

  var inDim: Int { gate.inDim }
  var columns: Int { up.outDim }
  var mapped: [UnsafeRawPointer] { gate.mapped + up.mapped }
  var packedBytes: Int { gate.packedBytes + up.packedBytes }
  func matches(_ options: PrepareOptions) -> Bool { gate.matches(options) && up.matches(options) }

  /// Whether gate and up run one kernel row on one order of x.
  private var sharesPass: Bool {
    let (first, second) = (gate.weights[0], up.weights[0])
    return first.row == second.row && first.bfloat16_row == second.bfloat16_row
      && first.many_row == second.many_row && first.bfloat16_many_row == second.bfloat16_many_row
      && first.columns == nil && second.columns == nil
  }

  /// What `run` needs for so many rows; nil for nothing.
  func scratch(rows: Int) throws(MaxLinearError) -> Tensor? {
    sharesPass ? nil : try Tensor(uninitialized: [rows, columns], dtype: .float32, purpose: "gate x")
  }

  /// h of the job's x, without gaps.
  func run(
    _ job: mxlk_linear_job, into hidden: UnsafeMutableRawPointer?, scratch: Tensor?
  ) throws(MaxLinearError) {
    var first = job.overwriting
    if let scratch {
      try up.run(first, intoRows: hidden)
      try gate.run(first, intoRows: scratch.pointer)
      mxlk_gate_run(activation.rawValue, scratch.pointer, hidden, Int64(scratch.count), hidden, job.threads)
      return
    }
    first.gate = gate.pointer
    first.activation = activation.rawValue
    try up.run(first, intoRows: hidden)
  }
}

extension mxlk_linear_job {
  /// The job without accumulating.
  var overwriting: mxlk_linear_job {
    var job = self
    job.accumulate = 0
    return job
  }

  /// Lets the job read float32 rows without gaps where it read x.
  mutating func readRows(at memory: UnsafeMutableRawPointer?, columns: Int) {
    x = UnsafeRawPointer(memory)
    x_dtype = MXL_FLOAT32.rawValue
    var order = rows
    mxlk_rows_in_c_order(&order, Int64(columns))
    rows.x_strides = order.y_strides
  }
}

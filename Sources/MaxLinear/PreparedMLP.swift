import CMaxLinear
import Kernels

/// y = down(activation(gate x) · (up x)), prepared: three linears and the activation between.
///
/// The hidden vector is float32, whatever x's dtype. Where gate and up run one kernel row, they share one pass over x; the
/// bits are those of the three linears called one by one.
///
/// Unchecked: `upWeights` is written in init and only read afterwards.
final class PreparedMLP: PreparedComputation, @unchecked Sendable {
  private let gate: PreparedLinear
  private let down: PreparedLinear
  private let up: PreparedLinear
  /// up's, which take x in gate's order where theirs is the same: then the two share one pass over x.
  private let upWeights: UnsafeMutableBufferPointer<mxlk_linear_weights>
  private let activation: Activation
  private let options: PrepareOptions

  /// Throws `.invalidShape` when the three do not fit each other.
  init(
    gate: PreparedLinear, down: PreparedLinear, up: PreparedLinear, activation: Activation, options: PrepareOptions,
    shards: [Range<Int>] = []
  ) throws(MaxLinearError) {
    guard up.inDim == gate.inDim, up.outDim == gate.outDim else {
      throw MaxLinearError(
        .invalidShape, "up_proj: is \([up.outDim, up.inDim]), expected gate_proj's \([gate.outDim, gate.inDim])")
    }
    guard down.inDim == gate.outDim else {
      throw MaxLinearError(
        .invalidShape, "down_proj: in_dim is \(down.inDim), expected gate_proj's out_dim = \(gate.outDim)")
    }
    self.gate = gate
    self.down = down
    self.up = up
    self.activation = activation
    upWeights = .allocate(capacity: up.weights.count)
    _ = upWeights.initialize(from: up.weights)
    if let first = gate.weights[0].columns, let second = up.weights[0].columns,
      (0..<gate.inDim).allSatisfy({ first[$0] == second[$0] })
    {
      for shard in upWeights.indices { upWeights[shard].columns = first }
    }
    self.options = options
    self.shards = shards
  }

  /// The columns of h that each device has.
  let shards: [Range<Int>]

  func run(devices: DeviceViews, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    try devices.runOnce(
      inDim: gate.inDim, outDim: down.outDim, accumulate: accumulate, threads: threads
    ) { x, y throws(MaxLinearError) in try run(x, into: y, accumulate: false, threads: threads) }
  }

  deinit { upWeights.deallocate() }

  var kernelName: UnsafePointer<CChar> { gate.kernelName }
  var mapped: [UnsafeRawPointer] { gate.mapped + down.mapped + up.mapped }
  var packedBytes: Int { gate.packedBytes + down.packedBytes + up.packedBytes }

  func matches(_ options: PrepareOptions) -> Bool {
    self.options.asksForTheSame(as: options) || [gate, down, up].allSatisfy { $0.matches(options) }
  }

  func outputShape(_ x: mxl_tensor) throws(MaxLinearError) -> [Int] {
    Array(try gate.outputShape(x).dropLast()) + [down.outDim]
  }

  func run(_ x: mxl_tensor, into y: mxl_tensor, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    let views = LinearViews(x: x, y: y)
    try views.check(inDim: gate.inDim, outDim: down.outDim)
    var job = mxlk_mlp_job(
      gate: gate.pointer, up: UnsafePointer(upWeights.baseAddress), down: down.pointer,
      activation: activation.rawValue, job: mxlk_linear_job(views, accumulate: accumulate, threads: threads))
    job.job.shard_count = gate.shardCount
    guard mxlk_mlp_run(&job) == MXL_OK else {
      throw MaxLinearError(.outOfMemory, "forward: memory ran out, expected scratch for x of shape \(x.shapeText)")
    }
  }
}

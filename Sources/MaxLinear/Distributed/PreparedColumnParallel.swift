import CMaxLinear
import Kernels

/// y = x Wᵀ + b, W split by its outputs: each device computes its own, and y is gathered where that is asked for.
final class PreparedColumnParallel: PreparedComputation {
  let linear: PreparedLinear
  let outputs: [Range<Int>]
  let gathers: Bool

  init(_ linear: PreparedLinear, outputs: [Range<Int>], gathers: Bool) {
    self.linear = linear
    self.outputs = outputs
    self.gathers = gathers
  }

  var kernelName: UnsafePointer<CChar> { linear.kernelName }
  var mapped: [UnsafeRawPointer] { linear.mapped }
  var packedBytes: Int { linear.packedBytes }
  var shards: [Range<Int>] { outputs }
  func matches(_ options: PrepareOptions) -> Bool { linear.matches(options) }
  func outputShape(_ x: mxl_tensor) throws(MaxLinearError) -> [Int] { try linear.outputShape(x) }

  func outputShape(_ x: mxl_tensor, device: Int) throws(MaxLinearError) -> [Int] {
    let whole = try linear.outputShape(x)
    return gathers ? whole : whole.dropLast() + [outputs[device].count]
  }

  func run(_ x: mxl_tensor, into y: mxl_tensor, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    try linear.run(x, into: y, accumulate: accumulate, threads: threads)
  }

  func run(devices: DeviceViews, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    guard !gathers else {
      return try devices.runOnce(
        inDim: linear.inDim, outDim: linear.outDim, accumulate: accumulate, threads: threads
      ) { x, y throws(MaxLinearError) in try linear.run(x, into: y, accumulate: false, threads: threads) }
    }
    try devices.check(inDim: { _ in linear.inDim }, outDim: { outputs[$0].count })
    try devices.checkSameX()
    let jobs = outputs.indices.map { device in
      var job = mxlk_linear_job(
        LinearViews(x: devices.xs[0], y: devices.ys[device]), accumulate: accumulate, threads: threads)
      job.weights = linear.pointer.map { $0 + device }
      return job
    }
    guard withExtendedLifetime(linear, { mxlk_linear_run_together(jobs, Int32(jobs.count)) }) == MXL_OK else {
      throw MaxLinearError(
        .outOfMemory, "forward: memory ran out, expected scratch for x of shape \(devices.xs[0].shapeText)")
    }
  }
}

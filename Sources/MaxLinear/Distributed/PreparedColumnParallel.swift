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
      return try devices.runOnce(inDim: linear.inDim, outDim: linear.outDim, accumulate: accumulate) {
        x, y throws(MaxLinearError) in
        try linear.run(x, into: y, accumulate: accumulate, threads: threads)
      }
    }
    try devices.check(inDim: { _ in linear.inDim }, outDim: { outputs[$0].count })
    for device in outputs.indices {
      let views = LinearViews(x: devices.xs[device], y: devices.ys[device])
      var job = mxlk_linear_job(views, accumulate: accumulate, threads: threads)
      job.weights = linear.pointer.map { $0 + device }
      guard mxlk_linear_run(&job) == MXL_OK else {
        throw MaxLinearError(
          .outOfMemory, "forward: cannot allocate scratch for x of shape \(devices.xs[device].shapeText)")
      }
    }
  }
}

extension DeviceViews {
  /// Checks all devices, computes for the first and copies; where it accumulates, computes for each.
  func runOnce(
    inDim: Int, outDim: Int, accumulate: Bool,
    _ body: (mxl_tensor, mxl_tensor) throws(MaxLinearError) -> Void
  ) throws(MaxLinearError) {
    try check(inDim: { _ in inDim }, outDim: { _ in outDim })
    try checkSameX()
    if accumulate || ys.contains(where: { $0.dtype != ys[0].dtype }) {
      for (x, y) in zip(xs, ys) { try body(x, y) }
      return
    }
    if let x = xs.first, let y = ys.first { try body(x, y) }
    copyY()
  }
}

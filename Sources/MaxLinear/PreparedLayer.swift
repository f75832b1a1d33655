import CMaxLinear
import Kernels

/// A layer ready to run: immutable, so any number of threads may call it at once.
public final class PreparedLayer: Sendable {
  enum Body: Sendable {
    case linear(PreparedLinear)
    case mlp(PreparedMLP)
  }

  let body: Body

  init(_ body: Body) { self.body = body }

  /// The last dimension of x.
  public var inDim: Int {
    switch body {
    case .linear(let linear): linear.inDim
    case .mlp(let mlp): mlp.gate.inDim
    }
  }

  /// The last dimension of y.
  public var outDim: Int {
    switch body {
    case .linear(let linear): linear.outDim
    case .mlp(let mlp): mlp.down.outDim
    }
  }

  /// The names of the kernel rows that run, in the order of the state dict, each once.
  public var kernelNames: [String] {
    switch body {
    case .linear(let linear): return [linear.kernels.name]
    case .mlp(let mlp):
      var names: [String] = []
      for linear in [mlp.gate, mlp.down, mlp.up] where !names.contains(linear.kernels.name) {
        names.append(linear.kernels.name)
      }
      return names
    }
  }

  /// The first of them, as a C string that lasts as long as the process.
  package var kernelName: UnsafePointer<CChar> {
    switch body {
    case .linear(let linear): linear.kernels.row.pointee.name
    case .mlp(let mlp): mlp.gate.kernels.row.pointee.name
    }
  }

  /// Bytes allocated for packed weights and biases.
  var packedBytes: Int {
    switch body {
    case .linear(let linear): linear.packedBytes
    case .mlp(let mlp): mlp.gate.packedBytes + mlp.down.packedBytes + mlp.up.packedBytes
    }
  }

  /// y = layer(x) in new memory: x is (..., inDim), y (..., outDim) with x's leading dimensions and dtype.
  ///
  /// x is float32, float16 or bfloat16, its rows anywhere as long as each is contiguous. Throws `.invalidShape`,
  /// `.invalidDType`, `.outOfMemory`.
  public func callAsFunction(_ x: Tensor, options: RunOptions = RunOptions()) throws -> Tensor {
    guard x.dtype.isComputable else {
      throw MaxLinearError(
        .invalidDType, "x: dtype is \(x.dtype.name), expected float32, float16 or bfloat16")
    }
    guard !x.shape.isEmpty else {
      throw MaxLinearError(.invalidShape, "x: rank is 0, expected (..., in_dim = \(inDim))")
    }
    let y = try Tensor.uninitialized(shape: x.shape.dropLast() + [outDim], dtype: x.dtype)
    var run = options
    run.accumulate = false
    try forward(x, into: y, options: run)
    return y
  }

  /// Writes layer(x) into y, or adds it to y. y may have any strides whose last is 1, must not share memory with x, and may
  /// have another of the three dtypes. Throws as the call above, and then y is untouched.
  public func forward(_ x: Tensor, into y: Tensor, options: RunOptions = RunOptions()) throws {
    guard y.isWritable else {
      throw MaxLinearError(.invalidArgument, "y: is read-only, expected writable memory")
    }
    try x.withCTensor { x in try y.withCTensor { y in try forward(x, into: y, options: options) } }
  }

  /// The same on C views; every check of a forward is here.
  public func forward(_ x: mxl_tensor, into y: mxl_tensor, options: RunOptions) throws {
    let x = try TensorView(x, "x"), y = try TensorView(y, "y")
    var job = mxlk_linear_job()
    try PreparedLayer.fillRows(&job, x, y, inDim: inDim, outDim: outDim)
    job.threads = try Threads.resolved(options.threads)
    job.accumulate = options.accumulate ? 1 : 0
    let status: mxl_status
    switch body {
    case .linear(let linear):
      job.weights = UnsafePointer(linear.weights)
      status = mxlk_linear_run(&job)
    case .mlp(let mlp): status = mlp.run(job)
    }
    guard status == MXL_OK else {
      throw MaxLinearError(.outOfMemory, "forward: scratch memory for \(x.count) elements of x was refused")
    }
  }

  /// Checks x and y against the layer and each other, and describes their rows.
  private static func fillRows(
    _ job: inout mxlk_linear_job, _ x: TensorView, _ y: TensorView, inDim: Int, outDim: Int
  ) throws {
    try check(x, "x", last: inDim, called: "in_dim")
    guard y.rank == x.rank else {
      throw MaxLinearError(.invalidShape, "y: rank is \(y.rank), expected \(x.rank), that of x")
    }
    try check(y, "y", last: outDim, called: "out_dim")
    let leading = x.rank - 1
    job.rows.rank = Int32(truncatingIfNeeded: leading)
    withUnsafeMutableBytes(of: &job.rows.shape) { $0.bindMemory(to: Int64.self).fill(leading, x.dimension) }
    withUnsafeMutableBytes(of: &job.rows.x_strides) { $0.bindMemory(to: Int64.self).fill(leading, x.stride) }
    withUnsafeMutableBytes(of: &job.rows.y_strides) { $0.bindMemory(to: Int64.self).fill(leading, y.stride) }
    for index in 0..<leading where y.dimension(index) != x.dimension(index) {
      throw MaxLinearError(
        .invalidShape,
        "y: shape is \(y.shapeDescription), expected x's leading dimensions and out_dim = \(outDim), x being \(x.shapeDescription)")
    }
    if y.count > 0 {
      try checkRowsApart(y)
      let xRange = try x.byteRange("x"), yRange = try y.byteRange("y")
      guard xRange.high <= yRange.low || yRange.high <= xRange.low else {
        throw MaxLinearError(.invalidArgument, "y: shares memory with x")
      }
    }
    job.x = UnsafeRawPointer(x.data)
    job.y = y.data
    job.x_dtype = x.dtype.rawValue
    job.y_dtype = y.dtype.rawValue
  }

  private static func check(_ view: TensorView, _ argument: String, last: Int, called: String) throws {
    guard view.dtype.isComputable else {
      throw MaxLinearError(
        .invalidDType, "\(argument): dtype is \(view.dtype.name), expected float32, float16 or bfloat16")
    }
    guard view.rank >= 1 else {
      throw MaxLinearError(.invalidShape, "\(argument): rank is 0, expected (..., \(called) = \(last))")
    }
    let dimension = view.dimension(view.rank - 1)
    guard dimension == last else {
      throw MaxLinearError(
        .invalidShape, "\(argument): last dimension is \(dimension), expected \(called) = \(last)")
    }
    guard last == 1 || view.count == 0 || view.stride(view.rank - 1) == 1 else {
      throw MaxLinearError(
        .invalidShape,
        "\(argument): last stride is \(view.stride(view.rank - 1)), expected 1: the elements of a row must be contiguous")
    }
  }

  /// Refuses a y whose rows could overlap: taken by rising stride, each dimension must step over all that lies within it.
  private static func checkRowsApart(_ y: TensorView) throws {
    var extent = y.dimension(y.rank - 1)
    var done: UInt32 = 0
    for _ in 0..<(y.rank - 1) {
      var nearest: Int?
      for index in 0..<(y.rank - 1) where done & (1 << UInt32(index)) == 0 {
        if let found = nearest, y.stride(found).magnitude <= y.stride(index).magnitude { continue }
        nearest = index
      }
      guard let index = nearest else { return }
      done |= 1 << UInt32(index)
      if y.dimension(index) == 1 { continue }
      let stride = y.stride(index)
      guard stride.magnitude >= UInt(extent) else {
        throw MaxLinearError(
          .invalidShape, "y: stride \(stride) of dimension \(index) is less than the \(extent) elements within it: rows overlap")
      }
      // Bounded by the address range, which is known to fit.
      extent += Int(stride.magnitude) * (y.dimension(index) - 1)
    }
  }
}

extension UnsafeMutableBufferPointer<Int64> {
  /// Writes the first `count` values.
  fileprivate func fill(_ count: Int, _ value: (Int) -> Int) {
    for index in 0..<Swift.min(count, self.count) { self[index] = Int64(value(index)) }
  }
}

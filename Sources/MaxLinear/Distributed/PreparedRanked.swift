import CMaxLinear
import Kernels

/// y = x Wᵀ + b, W split by its outputs among ranks: each computes its own, y is gathered.
final class PreparedRankedColumn: PreparedComputation {
  /// Of this rank's outputs.
  private let linear: PreparedLinear
  private let outputs: [Range<Int>]
  private let gathers: Bool
  private let ranks: Ranks

  init(_ linear: PreparedLinear, outputs: [Range<Int>], gathers: Bool, ranks: Ranks) {
    self.linear = linear
    self.outputs = outputs
    self.gathers = gathers
    self.ranks = ranks
  }

  var kernelName: UnsafePointer<CChar> { linear.kernelName }
  var mapped: [UnsafeRawPointer] { linear.mapped }
  var packedBytes: Int { linear.packedBytes }
  var shards: [Range<Int>] { outputs }
  var deviceCount: Int { 1 }
  private var outDim: Int { outputs.last?.upperBound ?? 0 }
  func told(_ error: MaxLinearError) -> MaxLinearError { ranks.told(error) }
  func matches(_ options: PrepareOptions) -> Bool { linear.matches(options) }

  func outputShape(_ x: mxl_tensor) throws(MaxLinearError) -> [Int] {
    try linear.outputShape(x).dropLast() + [outDim]
  }

  func outputShape(_ x: mxl_tensor, device: Int) throws(MaxLinearError) -> [Int] {
    gathers ? try outputShape(x) : try linear.outputShape(x)
  }

  func run(_ x: mxl_tensor, into y: mxl_tensor, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    let views = LinearViews(x: x, y: y)
    var results: RankedRows?
    try ranks.call(.call, sameX: linear.inDim) { () throws(MaxLinearError) in
      try views.check(inDim: linear.inDim, outDim: outDim)
      var job = mxlk_linear_job(views, accumulate: accumulate, threads: threads)
      results = try RankedRows(rows: Int(mxlk_job_rows(&job)), ranges: outputs, rank: ranks.rank, purpose: "y")
      return job
    } body: { collectives, job throws(MaxLinearError) in
      guard let results else { return }
      var job = job
      try linear.run(job.overwriting, intoRows: results.own)
      mxlk_store_rows(&job, try results.gathered(collectives), Int64(outDim), nil, nil)
    }
  }

  func run(devices: DeviceViews, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    guard let x = devices.xs.first, let y = devices.ys.first else { return }
    guard !gathers else { return try run(x, into: y, accumulate: accumulate, threads: threads) }
    let views = LinearViews(x: x, y: y)
    try ranks.call(.callWithOwnPart, sameX: linear.inDim) { () throws(MaxLinearError) in
      try views.check(inDim: linear.inDim, outDim: linear.outDim)
      return linear.job(views, accumulate: accumulate, threads: threads)
    } body: { _, job throws(MaxLinearError) in
      var job = job
      guard mxlk_linear_run(&job) == MXL_OK else {
        throw MaxLinearError(.outOfMemory, "forward: memory ran out, expected scratch for x of shape \(x.shapeText)")
      }
    }
  }
}

/// y = Σ over ranks, in their order, of x_r W_rᵀ, W split by its inputs. Bias and scale as in `PreparedRowParallel`.
final class PreparedRankedRow: PreparedComputation {
  /// Of this rank's inputs.
  private let part: PreparedRowParallel
  private let inputs: [Range<Int>]
  private let ranks: Ranks

  init(_ part: PreparedRowParallel, inputs: [Range<Int>], ranks: Ranks) {
    self.part = part
    self.inputs = inputs
    self.ranks = ranks
  }

  var kernelName: UnsafePointer<CChar> { part.kernelName }
  var mapped: [UnsafeRawPointer] { part.mapped }
  var packedBytes: Int { part.packedBytes }
  var shards: [Range<Int>] { inputs }
  var deviceCount: Int { 1 }
  private var inDim: Int { inputs.last?.upperBound ?? 0 }
  private var own: Range<Int> { inputs[ranks.rank] }
  func told(_ error: MaxLinearError) -> MaxLinearError { ranks.told(error) }
  func matches(_ options: PrepareOptions) -> Bool { part.matches(options) }

  func outputShape(_ x: mxl_tensor) throws(MaxLinearError) -> [Int] { try outputShape(x, inDim: inDim) }
  func outputShape(_ x: mxl_tensor, device: Int) throws(MaxLinearError) -> [Int] {
    try outputShape(x, inDim: own.count)
  }

  private func outputShape(_ x: mxl_tensor, inDim: Int) throws(MaxLinearError) -> [Int] {
    _ = try LinearViews.checkX(x, inDim: inDim)
    return (0..<Int(x.rank) - 1).map { Int(x.shape[$0]) } + [part.outDim]
  }

  /// The whole x: each rank takes its columns of it.
  func run(_ x: mxl_tensor, into y: mxl_tensor, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    try run(
      .call, LinearViews(x: x, y: y), inDim: inDim, from: own.lowerBound, accumulate: accumulate, threads: threads)
  }

  func run(devices: DeviceViews, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    guard let x = devices.xs.first, let y = devices.ys.first else { return }
    try run(
      .callWithOwnPart, LinearViews(x: x, y: y), inDim: own.count, from: 0, accumulate: accumulate, threads: threads)
  }

  private func run(
    _ step: Step, _ views: LinearViews, inDim: Int, from column: Int, accumulate: Bool, threads: Int32
  ) throws(MaxLinearError) {
    var sums: Tensor?
    try ranks.call(step, sameX: step == .call ? inDim : nil) { () throws(MaxLinearError) in
      try views.check(inDim: inDim, outDim: part.outDim)
      var job = mxlk_linear_job(views, accumulate: accumulate, threads: threads)
      sums = try part.sums(rows: Int(mxlk_job_rows(&job)))
      return job
    } body: { collectives, job throws(MaxLinearError) in
      guard let sums else { return }
      let start = job.x.map { $0 + column * (job.x_dtype == MXL_FLOAT32.rawValue ? 4 : 2) }
      try part.add(job, from: [start], to: sums)
      try collectives.sum(sums)
      part.store(job, sums)
    }
  }
}

/// An MLP on ranks: each computes its columns of h; then down is split by its outputs, for which h is gathered, or by its inputs.
final class PreparedRankedMLP: PreparedComputation {
  /// How down is split.
  enum Down {
    case outputs(PreparedLinear, [Range<Int>])
    case inputs(PreparedRowParallel)
  }

  private let hidden: PreparedHidden
  private let down: Down
  private let columns: [Range<Int>]
  private let outDim: Int
  private let options: PrepareOptions
  private let ranks: Ranks

  init(
    _ hidden: PreparedHidden, down: Down, columns: [Range<Int>], outDim: Int, options: PrepareOptions, ranks: Ranks
  ) {
    self.hidden = hidden
    self.down = down
    self.columns = columns
    self.outDim = outDim
    self.options = options
    self.ranks = ranks
  }

  private var downComputation: any PreparedComputation {
    switch down {
    case .outputs(let linear, _): linear
    case .inputs(let part): part
    }
  }

  var kernelName: UnsafePointer<CChar> { hidden.gate.kernelName }
  var mapped: [UnsafeRawPointer] { hidden.mapped + downComputation.mapped }
  var packedBytes: Int { hidden.packedBytes + downComputation.packedBytes }
  var shards: [Range<Int>] { columns }
  var deviceCount: Int { 1 }
  func told(_ error: MaxLinearError) -> MaxLinearError { ranks.told(error) }
  func matches(_ options: PrepareOptions) -> Bool {
    self.options.asksForTheSame(as: options) || (hidden.matches(options) && downComputation.matches(options))
  }

  func outputShape(_ x: mxl_tensor) throws(MaxLinearError) -> [Int] {
    Array(try hidden.gate.outputShape(x).dropLast()) + [outDim]
  }

  /// All memory of a call but the kernels' own.
  private struct Scratch {
    var h: RankedRows
    var gate: Tensor?
    var results: RankedRows?
    var sums: Tensor?
  }

  private func scratch(rows: Int) throws(MaxLinearError) -> Scratch {
    var scratch = Scratch(h: try RankedRows(rows: rows, ranges: columns, rank: ranks.rank, purpose: "h"))
    scratch.gate = try hidden.scratch(rows: rows)
    switch down {
    case .outputs(_, let outputs):
      scratch.results = try RankedRows(rows: rows, ranges: outputs, rank: ranks.rank, purpose: "y")
    case .inputs(let part): scratch.sums = try part.sums(rows: rows)
    }
    return scratch
  }

  func run(_ x: mxl_tensor, into y: mxl_tensor, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    let views = LinearViews(x: x, y: y)
    var memory: Scratch?
    try ranks.call(.call, sameX: hidden.inDim) { () throws(MaxLinearError) in
      try views.check(inDim: hidden.inDim, outDim: outDim)
      var job = mxlk_linear_job(views, accumulate: accumulate, threads: threads)
      memory = try scratch(rows: Int(mxlk_job_rows(&job)))
      return job
    } body: { collectives, job throws(MaxLinearError) in
      guard let memory else { return }
      try hidden.run(job, into: memory.h.own, scratch: memory.gate)
      var job = job
      switch down {
      case .outputs(let linear, _):
        guard let results = memory.results else { return }
        job.readRows(at: try memory.h.gathered(collectives), columns: columns.last?.upperBound ?? 0)
        try linear.run(job.overwriting, intoRows: results.own)
        mxlk_store_rows(&job, try results.gathered(collectives), Int64(outDim), nil, nil)
      case .inputs(let part):
        guard let sums = memory.sums else { return }
        job.readRows(at: memory.h.own, columns: hidden.columns)
        try part.add(job, from: [job.x], to: sums)
        try collectives.sum(sums)
        part.store(job, sums)
      }
    }
  }

  func run(devices: DeviceViews, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    guard let x = devices.xs.first, let y = devices.ys.first else { return }
    try run(x, into: y, accumulate: accumulate, threads: threads)
  }
}

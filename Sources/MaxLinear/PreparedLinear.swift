import CMaxLinear
import Kernels

/// y = x clamp(W, ±clip)ᵀ + b, prepared: what Linear and LinearV2 run.
///
/// Unchecked: everything is written in init and only read afterwards; `weights` points to memory of this object alone.
final class PreparedLinear: PreparedComputation, @unchecked Sendable {
  /// One a shard.
  let weights: UnsafeMutableBufferPointer<mxlk_linear_weights>
  let outDim: Int
  private let compute: Compute
  /// What `.automatic` meant when this was prepared.
  private let automatic: Compute
  private let automaticHasBFloat16: Bool
  /// What `weights` points into.
  private let packed: (any PackedPanels)?
  private let source: WeightData?
  private let packedBias: PackedBias?
  private let packedScale: PackedScale?

  /// A prepared layer, and what the weights hold from now on.
  struct Result {
    let layer: PreparedLinear
    let weightContents: WeightContents
    let biasContents: WeightContents?
    let scaleContents: WeightContents?
  }

  /// Picks a row that the CPU features can run, and packs for it. Changes nothing but the residency of mapped pages.
  ///
  /// - Parameter shards: the outputs of each device; nil for one that has all. Where others have some, the weight keeps its source.
  /// - Throws: as `LinearPlan`; `.notLoaded`; `.invalidArgument` for a scale that is not finite.
  static func prepare(
    weight: Weight, bias: Weight?, scale: Weight? = nil, clip: Float?, options: PrepareOptions, features: UInt64,
    shards: Shards? = nil
  ) throws(MaxLinearError) -> Result {
    let plan = try LinearPlan(
      weight: weight, bias: bias, scale: scale, clip: clip, options: options, features: features)
    try shards?.check(divide: weight, dimension: 0)
    let source = try weight.source()
    let hasAll = shards?.rank == nil
    let shards = shards?.own ?? [0..<weight.shape[0]]
    let memory = try plan.allocate(inDim: weight.shape[1], shards: shards, bias: bias)
    try memory.bias?.fill(from: bias)
    let packedScale = try Weight.packed(scale: scale, outDim: weight.shape[0])
    var packedMatrix: PackedMatrix?
    if let panels = memory.panels {
      packedMatrix = PackedMatrix(weight, source, plan: plan, clip: clip, shards: shards, memory: panels)
      if source.storage == .map { source.releasePages() }
    }
    let restorable = hasAll && clip == nil && plan.row.pointee.unpack != nil ? packedMatrix : nil
    let layer = PreparedLinear(
      plan: plan, inDim: weight.shape[1], shards: shards, clip: clip, packed: packedMatrix, source: source,
      packedBias: memory.bias, packedScale: packedScale)
    return Result(
      layer: layer, weightContents: restorable.map { .prepared($0) } ?? .source(source),
      biasContents: memory.bias.map { .prepared($0) }, scaleContents: packedScale.map { .prepared($0) })
  }

  init(
    plan: LinearPlan, inDim: Int, shards: [Range<Int>], clip: Float?, packed: (any PackedPanels)?, source: WeightData,
    packedBias: PackedBias?, packedScale: PackedScale? = nil
  ) {
    self.packed = packed
    self.source = packed == nil ? source : nil
    self.packedBias = packedBias
    self.packedScale = packedScale
    compute = plan.compute
    automatic = plan.automatic
    automaticHasBFloat16 = plan.automaticHasBFloat16
    outDim = shards.reduce(0) { $0 + $1.count }
    let held = packed == nil ? source : nil
    weights = .allocate(capacity: shards.count)
    _ = weights.initialize(
      from: shards.enumerated().map { index, outputs in
        mxlk_linear_weights(
          row: plan.row, bfloat16_row: plan.bfloat16Row, many_row: plan.manyRow,
          bfloat16_many_row: plan.bfloat16ManyRow,
          source: mxl_source(held, inDim: inDim, outputs: outputs, clip: clip),
          packed: packed?.pointer(shard: index), bias: packedBias?.pointer.map { $0 + outputs.lowerBound },
          columns: packed?.columns, scale: packedScale?.pointer.map { $0 + outputs.lowerBound })
      })
  }

  deinit { weights.deallocate() }

  /// Any shard: what they have in common.
  private var any: mxlk_linear_weights { weights[0] }
  var inDim: Int { Int(any.source.in_dim) }
  /// What the kernels read.
  var pointer: UnsafePointer<mxlk_linear_weights>? { UnsafePointer(weights.baseAddress) }
  var shardCount: Int32 { Int32(weights.count) }

  var kernelName: UnsafePointer<CChar> { any.row.pointee.name }

  var packedBytes: Int {
    (packed?.byteCount ?? 0) + (packedBias?.byteCount ?? 0) + (packedScale?.byteCount ?? 0)
  }

  var mapped: [UnsafeRawPointer] {
    guard let source, source.storage == .map, let data = source.tensor.pointer else { return [] }
    return [UnsafeRawPointer(data)]
  }

  func matches(_ options: PrepareOptions) -> Bool {
    let wanted = options.compute == .automatic ? automatic : options.compute
    let wantsBFloat16 = options.compute == .automatic && automaticHasBFloat16
    return wanted == compute && wantsBFloat16 == (any.bfloat16_row != nil)
      && (options.packing == .never) == (packed == nil)
  }

  func outputShape(_ x: mxl_tensor) throws(MaxLinearError) -> [Int] {
    _ = try LinearViews.checkX(x, inDim: inDim)
    return (0..<Int(x.rank) - 1).map { Int(x.shape[$0]) } + [outDim]
  }

  /// What the kernels are to do with checked views. Points into this object.
  @inline(__always)
  func job(_ views: LinearViews, accumulate: Bool, threads: Int32) -> mxlk_linear_job {
    var job = mxlk_linear_job(views, accumulate: accumulate, threads: threads)
    job.weights = pointer
    job.shard_count = shardCount
    return job
  }

  /// The job's rows in float32, without gaps, added to what is there where the job accumulates.
  func run(_ job: mxlk_linear_job, intoRows memory: UnsafeMutableRawPointer?) throws(MaxLinearError) {
    var part = job
    part.weights = pointer
    part.shard_count = shardCount
    part.y = memory
    part.y_dtype = MXL_FLOAT32.rawValue
    mxlk_rows_in_c_order(&part.rows, Int64(outDim))
    guard mxlk_linear_run(&part) == MXL_OK else {
      throw MaxLinearError(
        .outOfMemory, "forward: memory ran out, expected scratch for \(mxlk_job_rows(&part)) rows of x")
    }
  }

  func run(_ x: mxl_tensor, into y: mxl_tensor, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    let views = LinearViews(x: x, y: y)
    try views.check(inDim: inDim, outDim: outDim)
    var job = job(views, accumulate: accumulate, threads: threads)
    let status = mxlk_linear_run(&job)
    if status != MXL_OK {
      throw MaxLinearError(.outOfMemory, "forward: memory ran out, expected scratch for x of shape \(x.shapeText)")
    }
  }
}

/// Weights in a row's panels.
protocol PackedPanels: AnyObject, Sendable {
  func pointer(shard: Int) -> UnsafeRawPointer
  var byteCount: Int { get }
  /// Which column of x each packed column meets; nil for the order of x.
  var columns: UnsafePointer<Int32>? { get }
}

/// Memory for the panels of each shard of a matrix.
struct PanelMemory: Sendable {
  private let shards: [HeapMemory]

  init(
    row: UnsafePointer<mxl_kernel_row>, inDim: Int, shards: [Range<Int>], purpose: String
  ) throws(MaxLinearError) {
    let panelBytes = Self.panelBytes(row, inDim: inDim)
    var memory: [HeapMemory] = []
    for outputs in shards {
      let panels = Int(mxlk_panel_count(row, Int64(outputs.count)))
      guard let bytes = panelBytes?.multipliedReportingOverflow(by: panels), !bytes.overflow else {
        throw MaxLinearError(.outOfMemory, "\(purpose): are larger than memory can hold, expected fewer weights")
      }
      memory.append(try HeapMemory(byteCount: bytes.partialValue, purpose: purpose))
    }
    self.shards = memory
  }

  /// nil where they are more than numbers hold, which C does not notice.
  private static func panelBytes(_ row: UnsafePointer<mxl_kernel_row>, inDim: Int) -> Int? {
    let superblock = Int64(MXL_SUPERBLOCK)
    let (most, overflow) = (inDim / Int(superblock) + 1).multipliedReportingOverflow(
      by: Int(mxlk_panel_bytes(row, superblock)))
    return overflow ? nil : min(most, Int(mxlk_panel_bytes(row, Int64(inDim))))
  }

  func pointer(shard: Int) -> UnsafeRawPointer { UnsafeRawPointer(shards[shard].pointer) }
  var byteCount: Int { shards.reduce(0) { $0 + $1.byteCount } }

  /// The shards' addresses during the call.
  func withPointers<Result>(_ body: (UnsafePointer<UnsafeMutableRawPointer?>?) -> Result) -> Result {
    let pointers: [UnsafeMutableRawPointer?] = shards.map(\.pointer)
    return pointers.withUnsafeBufferPointer { body($0.baseAddress) }
  }
}

/// A matrix in a row's panels.
///
/// Unchecked: written in init, only read afterwards.
final class PackedMatrix: PackedPanels, RestorableMemory, @unchecked Sendable {
  private let row: UnsafePointer<mxl_kernel_row>
  private let memory: PanelMemory
  private let shards: [Range<Int>]
  private let storedShape: [Int]
  private let storedDType: DType
  private let inDim: Int

  /// Packs into the plan's memory.
  init(
    _ weight: Weight, _ source: WeightData, plan: LinearPlan, clip: Float?, shards: [Range<Int>], memory: PanelMemory
  ) {
    row = plan.row
    self.memory = memory
    self.shards = shards
    storedShape = weight.storedShape
    storedDType = weight.storedDType
    let inDim = weight.shape[1]
    self.inDim = inDim
    let views = shards.map { mxl_source(source, inDim: inDim, outputs: $0, clip: clip) }
    memory.withPointers { mxlk_linear_pack_shards(plan.row, views, $0, Int32(views.count), plan.threads) }
    withExtendedLifetime(source) {}
  }

  func pointer(shard: Int) -> UnsafeRawPointer { memory.pointer(shard: shard) }
  var byteCount: Int { memory.byteCount }
  var columns: UnsafePointer<Int32>? { nil }

  func restored() throws(MaxLinearError) -> Tensor {
    let tensor = try Tensor(uninitialized: storedShape, dtype: storedDType, purpose: "state dict")
    for (shard, outputs) in shards.enumerated() {
      var view = mxl_source(WeightData(name: "", tensor: tensor), inDim: inDim, outputs: outputs, clip: nil)
      mxlk_linear_unpack(row, pointer(shard: shard), &view, mxlk_threads())
    }
    return tensor
  }
}

/// A bias, copied: the source may be anywhere and have any stride. The kernels read it as float32.
final class PackedBias: RestorableMemory {
  private let tensor: Tensor
  private let floats: Tensor

  /// Memory for the bias's values.
  init(for bias: Weight) throws(MaxLinearError) {
    tensor = try Tensor(uninitialized: bias.shape, dtype: bias.dtype, purpose: bias.name)
    floats =
      bias.dtype == .float32 ? tensor : try Tensor(uninitialized: bias.shape, dtype: .float32, purpose: bias.name)
  }

  /// Takes the values over, before anybody else knows of this.
  func fill(from bias: Weight?) throws(MaxLinearError) {
    guard let bias, let destination = tensor.pointer else { return }
    try bias.source().tensor.copyContiguously(to: destination)
    if tensor.dtype != .float32, let wide = floats.pointer {
      mxlk_convert(tensor.dtype.rawValue, destination, DType.float32.rawValue, wide, Int64(tensor.count))
    }
  }

  var pointer: UnsafePointer<Float>? { floats.pointer.map { UnsafePointer($0.assumingMemoryBound(to: Float.self)) } }
  var byteCount: Int { tensor.byteCount + (tensor.dtype == .float32 ? 0 : floats.byteCount) }

  func restored() throws(MaxLinearError) -> Tensor { try tensor.asReadOnly() }
}

extension Tensor {
  /// Bytes from a matrix's row to the next. A single row never steps, and its stride may be anything.
  var rowBytes: Int { shape[0] > 1 ? strides[0] * (dtype.bits / 8) : 0 }

  /// A contiguous copy of a float32, float16 or bfloat16 tensor in another of these dtypes, rounded to nearest even. Throws `.invalidDType` for
  /// others, `.outOfMemory`.
  package func converted(to dtype: DType, purpose: @autoclosure () -> String) throws(MaxLinearError) -> Tensor {
    for one in [self.dtype, dtype] where !one.isFloat {
      throw MaxLinearError(.invalidDType, "\(purpose()): dtype is \(one.name), expected float32, float16 or bfloat16")
    }
    var source = self
    if !isContiguous {
      source = try Tensor(uninitialized: shape, dtype: self.dtype, purpose: purpose())
      if let to = source.pointer { copyContiguously(to: to) }
    }
    let result = try Tensor(uninitialized: shape, dtype: dtype, purpose: purpose())
    if let from = source.pointer, let to = result.pointer, count > 0 {
      mxlk_convert(self.dtype.rawValue, from, dtype.rawValue, to, Int64(count))
    }
    return result
  }
}

extension mxlk_linear_job {
  /// Everything but the weights, of checked views.
  init(_ views: LinearViews, accumulate: Bool, threads: Int32) {
    self.init()
    views.fill(&rows)
    x = UnsafeRawPointer(views.x.data)
    y = views.y.data
    x_dtype = views.x.dtype
    y_dtype = views.y.dtype
    self.accumulate = accumulate ? 1 : 0
    self.threads = threads
  }
}

extension mxl_source {
  /// Stored rows of these outputs as the kernels see them; without data when `data` is nil.
  init(_ data: WeightData?, inDim: Int, outputs: Range<Int>, clip: Float?) {
    self.init()
    struct_size = UInt32(MemoryLayout<mxl_source>.size)
    self.clip = clip ?? .infinity
    in_dim = Int64(inDim)
    out_dim = Int64(outputs.count)
    if let tensor = data?.tensor {
      row_stride = Int64(tensor.rowBytes)
      self.data = UnsafeRawPointer(tensor.pointer).map { $0 + Int(row_stride) * outputs.lowerBound }
    }
  }
}

extension WeightData {
  /// Gives the pages of a read-only mapping back to the system; they are read anew when touched.
  package func releasePages() {
    tensor.withCTensor { view in
      guard let data = view.data, view.isContiguous else { return }
      mxlk_release_pages(data, tensor.byteCount)
    }
  }
}

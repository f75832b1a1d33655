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
  /// - Parameter shards: the outputs of each device; nil for one that has all.
  /// - Throws: `.notLoaded`; `.unsupported` for an encoding or compute that no row has; `.invalidArgument`,
  ///   `.invalidShape`, `.invalidDType` for parameters that do not fit together; `.outOfMemory`.
  static func prepare(
    weight: Weight, bias: Weight?, scale: Weight? = nil, clip: Float?, options: PrepareOptions, features: UInt64,
    shards: [Range<Int>]? = nil
  ) throws(MaxLinearError) -> Result {
    try LinearRules.check(weight: weight, bias: bias, scale: scale, clip: clip)
    guard let encoding = weight.quantizationEncoding?.name ?? weight.dtype.denseEncodingName else {
      throw LinearRules.unsupportedDType(weight.name, weight.dtype)
    }
    let isDense = weight.quantizationEncoding == nil
    let automatic = KernelSelection.automaticCompute(encoding: isDense ? nil : encoding)
    let compute = options.compute == .automatic ? automatic : options.compute
    guard compute == .float32 || !isDense else {
      throw MaxLinearError(.unsupported, "compute: is \(compute), which needs encoded weights; dense ones use float32")
    }
    let threads = try Threads.checked(options.threads)
    let row = try KernelSelection.row(
      operation: MXL_OP_LINEAR, encoding: encoding, compute: compute, features: features, argument: weight.name)
    let source = try weight.source()
    let packedBias = try bias.map { bias throws(MaxLinearError) in try PackedBias(bias.source(), name: bias.name) }
    let packedScale = try Weight.packed(scale: scale, outDim: weight.shape[0])
    let shards = shards ?? [0..<weight.shape[0]]
    var packedMatrix: PackedMatrix?
    if options.packing != .never {
      packedMatrix = try PackedMatrix(weight, source, row: row, clip: clip, threads: threads, shards: shards)
      if source.storage == .map { source.releasePages() }
    }
    let restorable = clip == nil && row.pointee.unpack != nil ? packedMatrix : nil
    let bfloat16Row =
      options.compute == .automatic
      ? mxlk_row_find_compatible(row, Int32(MXL_COMPUTE_BFLOAT16.rawValue), features) : nil
    let layer = PreparedLinear(
      row: row, bfloat16Row: bfloat16Row, inDim: weight.shape[1], shards: shards, clip: clip,
      compute: compute, automatic: automatic, packed: packedMatrix, source: source, packedBias: packedBias,
      packedScale: packedScale)
    return Result(
      layer: layer, weightContents: restorable.map { .prepared($0) } ?? .source(source),
      biasContents: packedBias.map { .prepared($0) }, scaleContents: packedScale.map { .prepared($0) })
  }

  init(
    row: UnsafePointer<mxl_kernel_row>, bfloat16Row: UnsafePointer<mxl_kernel_row>?, inDim: Int, shards: [Range<Int>],
    clip: Float?, compute: Compute, automatic: Compute, packed: (any PackedPanels)?, source: WeightData,
    packedBias: PackedBias?, packedScale: PackedScale? = nil
  ) {
    self.packed = packed
    self.source = packed == nil ? source : nil
    self.packedBias = packedBias
    self.packedScale = packedScale
    self.compute = compute
    self.automatic = automatic
    outDim = shards.reduce(0) { $0 + $1.count }
    let held = packed == nil ? source : nil
    weights = .allocate(capacity: shards.count)
    _ = weights.initialize(
      from: shards.enumerated().map { index, outputs in
        mxlk_linear_weights(
          row: row, bfloat16_row: bfloat16Row,
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
    let usesBFloat16 = any.bfloat16_row != nil
    return wanted == compute && (!usesBFloat16 || options.compute == .automatic)
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

  func run(_ x: mxl_tensor, into y: mxl_tensor, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    let views = LinearViews(x: x, y: y)
    try views.check(inDim: inDim, outDim: outDim)
    var job = job(views, accumulate: accumulate, threads: threads)
    let status = mxlk_linear_run(&job)
    if status != MXL_OK {
      throw MaxLinearError(.outOfMemory, "forward: cannot allocate scratch for x of shape \(x.shapeText)")
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
    let panelBytes = Int(mxlk_panel_bytes(row, Int64(inDim)))
    var memory: [HeapMemory] = []
    for outputs in shards {
      let bytes = panelBytes.multipliedReportingOverflow(by: Int(mxlk_panel_count(row, Int64(outputs.count))))
      guard !bytes.overflow else {
        throw MaxLinearError(.outOfMemory, "\(purpose): weights are larger than memory can hold")
      }
      memory.append(try HeapMemory(byteCount: bytes.partialValue, purpose: purpose))
    }
    self.shards = memory
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

  init(
    _ weight: Weight, _ source: WeightData, row: UnsafePointer<mxl_kernel_row>, clip: Float?, threads: Int32,
    shards: [Range<Int>]
  ) throws(MaxLinearError) {
    self.row = row
    self.shards = shards
    storedShape = weight.storedShape
    storedDType = weight.storedDType
    let inDim = weight.shape[1]
    self.inDim = inDim
    memory = try PanelMemory(row: row, inDim: inDim, shards: shards, purpose: "\(weight.name), packed")
    let views = shards.map { mxl_source(source, inDim: inDim, outputs: $0, clip: clip) }
    memory.withPointers { mxlk_linear_pack_shards(row, views, $0, Int32(views.count), threads) }
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

  init(_ source: WeightData, name: String) throws(MaxLinearError) {
    tensor = try Tensor(uninitialized: source.tensor.shape, dtype: source.dtype, purpose: name)
    if let destination = tensor.pointer { source.tensor.copyContiguously(to: destination) }
    floats = source.dtype == .float32 ? tensor : try tensor.converted(to: .float32, purpose: name)
  }

  var pointer: UnsafePointer<Float>? { floats.pointer.map { UnsafePointer($0.assumingMemoryBound(to: Float.self)) } }
  var byteCount: Int { tensor.byteCount + (tensor.dtype == .float32 ? 0 : floats.byteCount) }

  func restored() throws(MaxLinearError) -> Tensor { try tensor.asReadOnly() }
}

extension Tensor {
  /// A contiguous copy of a float32, float16 or bfloat16 tensor in another of these dtypes, rounded to nearest even.
  package func converted(to dtype: DType, purpose: @autoclosure () -> String) throws(MaxLinearError) -> Tensor {
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
  fileprivate init(_ data: WeightData?, inDim: Int, outputs: Range<Int>, clip: Float?) {
    self.init()
    struct_size = UInt32(MemoryLayout<mxl_source>.size)
    self.clip = clip ?? .infinity
    in_dim = Int64(inDim)
    out_dim = Int64(outputs.count)
    if let tensor = data?.tensor {
      // A single row never steps, and its stride may be anything.
      row_stride = tensor.shape[0] > 1 ? Int64(tensor.strides[0] * (tensor.dtype.bits / 8)) : 0
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

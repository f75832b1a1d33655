import CMaxLinear
import Kernels

/// GPTQ tensors in a row's panels: regrouped into the blocks of GPTQ_32 to GPTQ8_256, or, where groups are no multiple of 32 columns, as
/// float32 values.
///
/// Unchecked: written in init, only read afterwards.
final class PackedGPTQ: PackedPanels, RestorableMemory, @unchecked Sendable {
  private let row: UnsafePointer<mxl_kernel_row>
  private let memory: PanelMemory
  private let shards: [Range<Int>]
  private let order: HeapMemory?
  private let weights: GPTQWeights
  private let layout: GPTQWeights.Layout

  /// Packs into the plan's memory.
  init(
    _ weights: GPTQWeights, _ layout: GPTQWeights.Layout, plan: LinearPlan, shards: [Range<Int>], memory: PanelMemory
  ) throws(MaxLinearError) {
    row = plan.row
    self.memory = memory
    self.shards = shards
    // What unpacking needs of the tensors is shared, so that nobody changes it.
    self.weights = GPTQWeights(sharing: weights)
    self.layout = layout
    let name = weights.qweight.name
    if let columns = layout.order, layout.block != nil {
      let bytes = columns.count * MemoryLayout<Int32>.stride
      let copy = try HeapMemory(byteCount: bytes, purpose: "\(name), order of columns")
      columns.withUnsafeBytes { source in
        if let start = source.baseAddress { copy.pointer.copyMemory(from: start, byteCount: bytes) }
      }
      order = copy
    } else {
      order = nil
    }
    let status = try weights.withTensors(layout, shards: shards) { tensors in
      memory.withPointers { mxlk_gptq_pack(plan.row, tensors.baseAddress, $0, Int32(tensors.count), plan.threads) }
    }
    self.weights.qweight.contents = .empty
    guard status == MXL_OK else {
      throw MaxLinearError(.outOfMemory, "\(name): memory ran out, expected scratch to pack it")
    }
  }

  func pointer(shard: Int) -> UnsafeRawPointer { memory.pointer(shard: shard) }
  var byteCount: Int { memory.byteCount + (order?.byteCount ?? 0) }
  /// Which column of x each packed column meets; nil for the order of x.
  var columns: UnsafePointer<Int32>? { order.map { UnsafePointer($0.pointer.assumingMemoryBound(to: Int32.self)) } }

  /// Whether `restored` can give qweight back.
  var isRestorable: Bool { layout.block != nil }

  func restored() throws(MaxLinearError) -> Tensor {
    let qweight = weights.qweight
    let tensor = try Tensor(uninitialized: qweight.storedShape, dtype: .int32, purpose: "state dict")
    tensor.pointer?.initializeMemory(as: UInt8.self, repeating: 0, count: tensor.byteCount)
    let (row, memory, shards) = (row, memory, shards)
    let (shapes, stride) = (GPTQShapes(weights.config), 4 * qweight.shape[1])
    let status = try weights.withTensors(layout, shards: shards, includingCodes: false) { tensors in
      for (shard, outputs) in shards.enumerated() {
        guard let start = tensor.pointer, let shardTensors = tensors.baseAddress.map({ $0 + shard }) else { continue }
        let status = mxlk_gptq_unpack(
          row, memory.pointer(shard: shard), shardTensors,
          start + shapes.qweightOffset(column: 0, output: outputs.lowerBound, stride: stride), mxlk_threads())
        if status != MXL_OK { return status }
      }
      return MXL_OK
    }
    guard status == MXL_OK else {
      throw MaxLinearError(.outOfMemory, "state dict: memory ran out, expected scratch to unpack it")
    }
    return tensor
  }
}

extension PreparedLinear {
  /// The prepared linear of GPTQ tensors, and what their weights hold from now on. Errors as `prepare`'s, and those of the layout.
  static func prepare(
    _ weights: GPTQWeights, bias: Weight?, options: PrepareOptions, features: UInt64, shards: Shards? = nil,
    columns: Range<Int>? = nil
  ) throws(MaxLinearError) -> (layer: PreparedLinear, contents: [(weight: Weight, contents: WeightContents)]) {
    let layout = try weights.layout(columns: columns)
    let plan = try LinearPlan(weights, block: layout.block, bias: bias, options: options, features: features)
    let hasAll = shards?.rank == nil
    let shards = shards?.own ?? [0..<weights.outDim]
    let memory = try plan.allocate(inDim: layout.columns.count, shards: shards, bias: bias)
    guard let panels = memory.panels else { throw MaxLinearError(.internal, "pack: no panels, expected some") }
    try memory.bias?.fill(from: bias)
    let packed = try PackedGPTQ(weights, layout, plan: plan, shards: shards, memory: panels)
    let source = try weights.qweight.source()
    if source.storage == .map { source.releasePages() }
    let layer = PreparedLinear(
      plan: plan, inDim: layout.columns.count, shards: shards, clip: nil, packed: packed, source: source,
      packedBias: memory.bias)
    var contents: [(weight: Weight, contents: WeightContents)] = []
    if packed.isRestorable && hasAll { contents.append((weights.qweight, .prepared(packed))) }
    if let bias, let packedBias = memory.bias { contents.append((bias, .prepared(packedBias))) }
    return (layer, contents)
  }
}

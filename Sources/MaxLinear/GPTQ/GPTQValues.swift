import CMaxLinear
import Kernels

extension GPTQWeights {
  /// scale · (code − zero), float32 (outDim, inDim), the columns in x's order. Errors as `layout`'s, and `.outOfMemory`.
  func values() throws(MaxLinearError) -> Tensor {
    let found = try layout()
    // Without a block the panels are those of float32 values.
    let plain = Layout(
      columns: found.columns, groupOf: found.groupOf, order: found.order, zeroOffset: found.zeroOffset, block: nil)
    let plan = try LinearPlan(
      self, block: nil, bias: nil, options: PrepareOptions(), features: try KernelSelection.allowedFeatures())
    guard plan.row.pointee.unpack != nil else {
      throw MaxLinearError(
        .unsupported, "kernel \(String(cString: plan.row.pointee.name)): has no unpack, expected one for values of GPTQ"
      )
    }
    let outputs = 0..<outDim
    guard let panels = try plan.allocate(inDim: inDim, shards: [outputs], bias: nil).panels else {
      throw MaxLinearError(.internal, "pack: no panels, expected some")
    }
    let packed = try PackedGPTQ(self, plain, plan: plan, shards: [outputs], memory: panels)
    let values = try Tensor(uninitialized: [outDim, inDim], dtype: .float32, purpose: "\(qweight.name), values")
    var view = mxl_source(WeightData(name: "", tensor: values), inDim: inDim, outputs: outputs, clip: nil)
    mxlk_linear_unpack(plan.row, packed.pointer(shard: 0), &view, mxlk_threads())
    withExtendedLifetime(packed) {}
    return values
  }
}

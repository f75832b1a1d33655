import CMaxLinear
import Kernels

extension GPTQWeights {
  /// scale · (code − zero), float32 (outDim, inDim), the columns in x's order. Errors as `layout`'s, and `.outOfMemory`.
  func values() throws(MaxLinearError) -> Tensor {
    let found = try layout()
    // Without a block the panels are those of float32 values.
    let plain = Layout(
      columns: found.columns, groupOf: found.groupOf, order: found.order, zeroOffset: found.zeroOffset, block: nil)
    let row = try KernelSelection.row(
      operation: MXL_OP_LINEAR, encoding: "F32", compute: .float32, features: try KernelSelection.allowedFeatures(),
      argument: qweight.name)
    let outputs = 0..<outDim
    let packed = try PackedGPTQ(self, plain, row: row, threads: mxlk_threads(), shards: [outputs])
    let values = try Tensor(uninitialized: [outDim, inDim], dtype: .float32, purpose: "\(qweight.name), values")
    var view = mxl_source(WeightData(name: "", tensor: values), inDim: inDim, outputs: outputs, clip: nil)
    mxlk_linear_unpack(row, packed.pointer(shard: 0), &view, mxlk_threads())
    withExtendedLifetime(packed) {}
    return values
  }
}

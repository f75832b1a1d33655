import CMaxLinear
import Kernels

/// The kernels that a weight's encoding, the options and the CPU lead to.
struct KernelChoice: Sendable {
  // Rows are static and never change.
  nonisolated(unsafe) let row: UnsafePointer<mxl_kernel_row>
  /// What runs instead when x is bfloat16; only for bfloat16 weights.
  nonisolated(unsafe) let bfloat16Row: UnsafePointer<mxl_kernel_row>?

  var name: String { String(cString: row.pointee.name) }

  /// Throws `.unsupported` when no row fits.
  init(_ weight: Weight, compute: PrepareOptions.Compute) throws {
    guard let encoding = weight.quantizationEncoding?.name ?? weight.dtype.denseEncoding else {
      throw MaxLinearError(
        .unsupported, "\(weight.name): no kernels for dense \(weight.dtype.name), expected float32, float16 or bfloat16")
    }
    let features = try CPU.allowedFeatures()
    let isDense = weight.quantizationEncoding == nil
    if isDense && compute == .int8 {
      throw MaxLinearError(.unsupported, "compute: int8 needs encoded weights, but \(weight.name) is dense \(encoding)")
    }
    let wanted = isDense || compute == .float32 ? MXL_COMPUTE_FLOAT32 : MXL_COMPUTE_INT8
    let linear = Int32(MXL_OP_LINEAR.rawValue)
    guard let row = mxlk_row_find(linear, encoding, Int32(wanted.rawValue), features) else {
      throw MaxLinearError(.unsupported, "\(weight.name): no kernel for \(encoding) on this CPU")
    }
    self.row = row
    let compatible = mxlk_row_find_compatible(row, Int32(MXL_COMPUTE_BFLOAT16.rawValue), features)
    bfloat16Row = compute == .float32 ? nil : compatible
  }
}

/// A weight in the order that a kernel row wants. Immutable once made.
final class PackedMatrix: Sendable {
  let kernels: KernelChoice
  let outDim: Int
  let inDim: Int
  let byteCount: Int
  private let memory: TensorMemory

  var pointer: UnsafeRawPointer { UnsafeRawPointer(memory.pointer) }

  /// Packs a stored matrix. Throws `.outOfMemory`, and `.invalidShape` when the packed size overflows.
  init(
    _ source: mxl_source, kernels: KernelChoice, name: String, threads: Int32
  ) throws {
    var source = source
    inDim = Int(source.in_dim)
    outDim = Int(source.out_dim)
    self.kernels = kernels
    let panels = Int(mxlk_panel_count(kernels.row, source.out_dim))
    let (bytes, overflow) = Int(mxlk_panel_bytes(kernels.row, source.in_dim)).multipliedReportingOverflow(by: panels)
    guard !overflow else { throw MaxLinearError(.invalidShape, "\(name): the packed weights overflow") }
    byteCount = bytes
    memory = try TensorMemory(byteCount: bytes, for: "\(name): packed weights")
    mxlk_linear_pack(kernels.row, &source, memory.pointer, threads)
  }

  /// Writes what was packed into a contiguous tensor of the stored shape.
  func unpack(into tensor: Tensor) {
    guard let data = tensor.pointer, tensor.byteCount > 0 else { return }
    var destination = mxl_source(
      struct_size: UInt32(MemoryLayout<mxl_source>.size), clip: .infinity, data: data,
      row_stride: Int64(tensor.byteCount / outDim), in_dim: Int64(inDim), out_dim: Int64(outDim))
    mxlk_linear_unpack(kernels.row, pointer, &destination, mxlk_threads())
  }
}

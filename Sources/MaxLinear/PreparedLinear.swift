import CMaxLinear
import Kernels

/// One prepared matrix with its bias: what the kernels take. Immutable, so any number of threads may use it.
final class PreparedLinear: Sendable {
  let inDim: Int
  let outDim: Int
  let kernels: KernelChoice
  /// Read by the kernels; lives as long as this object.
  nonisolated(unsafe) let weights: UnsafeMutablePointer<mxlk_linear_weights>
  let packedBytes: Int
  private let matrix: PackedMatrix?
  private let bias: TensorMemory?
  /// The source, when the kernels read it in place.
  private let source: Tensor?

  /// Prepares a loaded weight, (out_dim, in_dim), and its bias. Once packed, the weight keeps no second copy: a copied source is
  /// dropped, a mapped one's pages are given back; with a clip the source stays, as clipping cannot be undone.
  ///
  /// Throws `.notLoaded`, `.unsupported`, `.outOfMemory`.
  init(weight: Weight, bias: Weight?, clip: Float?, options: PrepareOptions) throws {
    let kernels = try KernelChoice(weight, compute: options.compute)
    let threads = try Threads.resolved(options.threads)
    let preparedBias = try bias.map { try PreparedLinear.floats(of: $0) }
    let shape = weight.shape
    guard shape.count == 2 else {
      throw MaxLinearError(.invalidShape, "\(weight.name): shape is \(shape), expected (out_dim, in_dim)")
    }
    var matrix: PackedMatrix?
    var source: Tensor?
    if case .packed(let packed) = weight.storage, packed.kernels.row == kernels.row, options.pack != .never {
      matrix = packed
    } else {
      guard let stored = try weight.loaded() else { throw Module.notLoaded(weight.name) }
      let view = PreparedLinear.view(stored, shape: shape, clip: clip)
      if options.pack == .never {
        source = stored
      } else {
        matrix = try PackedMatrix(view, kernels: kernels, name: weight.name, threads: threads)
        PreparedLinear.giveBack(stored)
      }
    }
    outDim = shape[0]
    inDim = shape[1]
    self.kernels = kernels
    self.matrix = matrix
    self.source = source
    self.bias = preparedBias
    packedBytes = (matrix?.byteCount ?? 0) + (preparedBias?.byteCount ?? 0)
    weights = .allocate(capacity: 1)
    weights.initialize(
      to: mxlk_linear_weights(
        row: kernels.row, bfloat16_row: kernels.bfloat16Row,
        source: mxl_source(
          struct_size: UInt32(MemoryLayout<mxl_source>.size), clip: clip ?? .infinity, data: nil, row_stride: 0,
          in_dim: Int64(shape[1]), out_dim: Int64(shape[0])),
        packed: matrix?.pointer, bias: preparedBias.map { UnsafePointer($0.pointer.assumingMemoryBound(to: Float.self)) }))
    if let source { weights.pointee.source = PreparedLinear.view(source, shape: shape, clip: clip) }
    if let matrix, clip == nil { PreparedLinear.settle(weight, matrix) }
  }

  deinit { weights.deallocate() }

  /// How the kernels see a stored tensor.
  private static func view(_ stored: Tensor, shape: [Int], clip: Float?) -> mxl_source {
    let rowBytes = stored.shape.first.map { $0 > 0 ? stored.byteCount / $0 : 0 } ?? 0
    let stride = (stored.shape.first ?? 0) > 1 ? stored.strides[0] * (stored.dtype.bits / 8) : rowBytes
    return mxl_source(
      struct_size: UInt32(MemoryLayout<mxl_source>.size), clip: clip ?? .infinity, data: stored.pointer,
      row_stride: Int64(stride), in_dim: Int64(shape[1]), out_dim: Int64(shape[0]))
  }

  /// A weight that was packed keeps the mapping it came from, or else only the packed form.
  private static func settle(_ weight: Weight, _ matrix: PackedMatrix) {
    guard case .tensor(let tensor) = weight.storage, !tensor.isMapped else { return }
    weight.storage = .packed(matrix)
  }

  private static func giveBack(_ stored: Tensor) {
    guard let pointer = stored.pointer, stored.isMapped else { return }
    mxlk_release_pages(pointer, stored.byteCount)
  }

  /// A bias as the kernels take it, float32.
  private static func floats(of bias: Weight) throws -> TensorMemory {
    guard let stored = try bias.loaded() else { throw Module.notLoaded(bias.name) }
    let tensor = try stored.contiguous()
    let memory = try TensorMemory(byteCount: tensor.count * 4, for: bias.name)
    if let pointer = tensor.pointer {
      mxlk_convert(tensor.dtype.rawValue, pointer, DType.float32.rawValue, memory.pointer, Int64(tensor.count))
    }
    return memory
  }
}

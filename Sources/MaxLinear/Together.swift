import CMaxLinear
import Kernels

/// Several linear layers over one x, on borrowed views that may hold anything.
struct Together {
  let x: mxl_tensor
  let ys: [mxl_tensor]
  private let layers: [PreparedLinear]

  /// Throws `.invalidArgument` unless there are 1 to 64 layers and one y for each, `.unsupported` for layers of another kind.
  init(_ prepared: [PreparedLayer], x: mxl_tensor, ys: [mxl_tensor]) throws(MaxLinearError) {
    guard (1...Int(MXLK_MOST_JOBS)).contains(prepared.count) else {
      throw MaxLinearError(.invalidArgument, "layers: there are \(prepared.count), expected 1 to \(MXLK_MOST_JOBS)")
    }
    guard ys.count == prepared.count else {
      throw MaxLinearError(
        .invalidArgument, "ys: there are \(ys.count), expected one for each of the \(prepared.count) layers")
    }
    var layers: [PreparedLinear] = []
    for (index, layer) in prepared.enumerated() {
      guard let linear = layer.computation as? PreparedLinear else {
        throw MaxLinearError(
          .unsupported,
          "layers[\(index)]: is no linear layer of one device; MLPs and layers that are split among devices run alone")
      }
      layers.append(linear)
    }
    for (index, layer) in layers.enumerated() where layer.inDim != layers[0].inDim {
      throw MaxLinearError(
        .invalidShape, "layers[\(index)]: in_dim is \(layer.inDim), expected that of layers[0], \(layers[0].inDim)")
    }
    let matrices = layers.reduce(0) { $0 + Int($1.shardCount) }
    guard matrices <= Int(MXLK_MOST_MATRICES) else {
      throw MaxLinearError(
        .unsupported, "layers: their devices are \(matrices) in all, expected at most \(MXLK_MOST_MATRICES)")
    }
    self.x = x
    self.ys = ys
    self.layers = layers
  }

  /// The shapes of the ys, once x's is checked.
  static func outputShapes(_ prepared: [PreparedLayer], _ x: mxl_tensor) throws(MaxLinearError) -> [[Int]] {
    var shapes: [[Int]] = []
    for layer in prepared { shapes.append(try layer.computation.outputShape(x)) }
    return shapes
  }

  /// Each y with x, and that no y meets another; columns of one array do not.
  private func check() throws(MaxLinearError) {
    for (index, layer) in layers.enumerated() {
      do {
        try LinearViews(x: x, y: ys[index]).check(inDim: layer.inDim, outDim: layer.outDim)
      } catch {
        throw MaxLinearError(error.status, "layers[\(index)]: \(error.message)")
      }
    }
    for index in ys.indices {
      for earlier in 0..<index where try LinearViews.meet(ys[earlier], ys[index]) {
        throw MaxLinearError(.invalidArgument, "ys[\(index)]: overlaps ys[\(earlier)], expected memory of its own")
      }
    }
  }

  /// Checks everything, then computes. No y is touched when it throws.
  func run(accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    try check()
    let jobs = layers.indices.map { index in
      layers[index].job(LinearViews(x: x, y: ys[index]), accumulate: accumulate, threads: threads)
    }
    let status = withExtendedLifetime(layers) { mxlk_linear_run_together(jobs, Int32(jobs.count)) }
    if status != MXL_OK {
      throw MaxLinearError(.outOfMemory, "forward: cannot allocate scratch for x of shape \(x.shapeText)")
    }
  }
}

extension PreparedLayer {
  /// ys[i] = layers[i](x), in new tensors of x's dtype: Q, K and V, or experts of one token. x is read and quantized once, and all layers run
  /// in one parallel region; the bits are those of the layers called one by one.
  ///
  /// - Parameters:
  ///   - layers: 1 to 64 linear layers of one in_dim, of any encodings, out_dims and biases.
  ///   - x: (..., in_dim), as `callAsFunction` takes it.
  ///   - threads: the most this call may use, 1 to 1024; 0 for `Threads.count`.
  /// - Returns: (..., out_dim) of each layer, contiguous.
  /// - Throws: `.invalidArgument` for a number of layers, `.unsupported` for an MLP or a layer that is split among devices (they run
  ///   alone), `.invalidShape` where in_dims differ, and the errors of `callAsFunction`.
  public static func callTogether(_ layers: [PreparedLayer], _ x: Tensor, threads: Int = 0) throws -> [Tensor] {
    let shapes = try x.withCTensor { view throws(MaxLinearError) in try Together.outputShapes(layers, view) }
    let ys = try shapes.map { try Tensor(uninitialized: $0, dtype: x.dtype, purpose: "y") }
    try forwardTogether(layers, x, into: ys, threads: threads)
    return ys
  }

  /// ys[i] = layers[i](x), or ys[i] += layers[i](x), in place; otherwise as `callTogether`.
  ///
  /// - Parameters:
  ///   - ys: one a layer, of any of the float dtypes, as `forward` takes it. None may share memory with x or another; columns of one array
  ///     are fine. All are untouched when the call fails.
  ///   - accumulate: adds to what they hold.
  public static func forwardTogether(
    _ layers: [PreparedLayer], _ x: Tensor, into ys: [Tensor], accumulate: Bool = false, threads: Int = 0
  ) throws {
    for (index, y) in ys.enumerated() where y.isReadOnly {
      throw MaxLinearError(.invalidArgument, "ys[\(index)]: is read-only")
    }
    try x.withCTensor { xView in
      try withViews(ys) { views in
        try forwardTogether(layers, xView, into: views, accumulate: accumulate, threads: threads)
      }
    }
  }

  /// `forwardTogether` on borrowed views, which may hold anything.
  package static func forwardTogether(
    _ layers: [PreparedLayer], _ x: mxl_tensor, into ys: [mxl_tensor], accumulate: Bool, threads: Int
  ) throws(MaxLinearError) {
    for layer in layers { try layer.checkFiles() }
    let together = try Together(layers, x: x, ys: ys)
    try together.run(accumulate: accumulate, threads: try Threads.checked(threads))
  }
}

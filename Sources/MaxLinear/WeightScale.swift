/// The scales of float8 weights: y = (x Wᵀ) · scale + b, one of the whole tensor or one a row of W. Applied after the sum, which rounds
/// once (docs/NUMERICS.md).
enum WeightScale {
  /// The shapes that say one of a tensor, then one a row.
  static func shapes(outDim: Int) -> [[Int]] { [[], [1], [outDim], [outDim, 1]] }

  /// A scale without contents, which a state dict may lack; nil for weights that have none.
  static func weight(
    for weight: DType, name: String, outDim: Int, device: DeviceRef
  ) throws -> Weight? {
    guard weight.isFloat8 else { return nil }
    let scale = try Weight(name: name, dtype: .float32, shape: [outDim], device: device)
    scale.isOptional = true
    scale.otherDTypes = DType.floats
    scale.otherShapes = shapes(outDim: outDim)
    scale.unserved = (
      "_inv",
      "expected \(name), one of the whole tensor or one a row of it: scales of blocks of weights are not supported"
    )
    return scale
  }

  /// Throws unless the scale is one of a float8 weight, or one for each of its rows.
  static func check(_ scale: Weight, of weight: Weight) throws(MaxLinearError) {
    guard weight.quantizationEncoding == nil, weight.dtype.isFloat8 else {
      throw MaxLinearError(
        .unsupported,
        "\(scale.name): \(weight.name) is \(weight.quantizationEncoding?.name ?? weight.dtype.name), which has "
          + "no scale of its own, expected float8_e4m3fn or float8_e5m2")
    }
    let outDim = weight.shape[0]
    guard shapes(outDim: outDim).contains(scale.shape) else {
      throw MaxLinearError(
        .invalidShape,
        "\(scale.name): shape is \(scale.shape), expected one of \(shapes(outDim: outDim)): scales of "
          + "blocks of weights are not supported")
    }
    guard scale.quantizationEncoding == nil, scale.dtype.isFloat else {
      throw MaxLinearError(
        .invalidDType, "\(scale.name): dtype is \(scale.dtype.name), expected float32, float16 or bfloat16")
    }
  }

  /// `.unsupported`, for scales of blocks that lie beside a tensor.
  static func ofBlocks(_ scales: WeightData, of tensor: String) -> MaxLinearError {
    MaxLinearError(
      .unsupported,
      "\(scales.name): shape is \(scales.shape), expected \(tensor)_scale, one of the whole tensor or one a row "
        + "of it: scales of blocks of weights are not supported")
  }

  /// Throws `.invalidArgument` for a loaded scale that is not finite.
  static func checkFinite(_ scale: Weight?) throws(MaxLinearError) {
    // Preparing refuses one of another dtype.
    guard let scale, case .source(let data) = scale.contents, data.encoding == nil, data.dtype.isFloat else { return }
    _ = try PackedScale(data, outDim: data.tensor.count, name: scale.name)
  }
}

/// A weight's scale, copied, and as a float32 for each output, as the kernels read it.
final class PackedScale: RestorableMemory {
  private let tensor: Tensor
  private let floats: Tensor

  /// Throws `.invalidArgument` for one that is not finite, `.outOfMemory`.
  init(_ source: WeightData, outDim: Int, name: String) throws(MaxLinearError) {
    tensor = try Tensor(uninitialized: source.tensor.shape, dtype: source.dtype, purpose: name)
    if let destination = tensor.pointer { source.tensor.copyContiguously(to: destination) }
    let wide = source.dtype == .float32 ? tensor : try tensor.converted(to: .float32, purpose: name)
    if let values = wide.pointer?.assumingMemoryBound(to: Float.self) {
      for index in 0..<wide.count where !values[index].isFinite {
        throw MaxLinearError(.invalidArgument, "\(name): number \(index) is \(values[index]), expected a finite number")
      }
    }
    guard wide.count == 1, outDim > 1 else {
      floats = wide
      return
    }
    floats = try Tensor(uninitialized: [outDim], dtype: .float32, purpose: name)
    if let from = wide.pointer, let to = floats.pointer {
      to.initializeMemory(as: Float.self, repeating: from.loadUnaligned(as: Float.self), count: outDim)
    }
  }

  /// One for each output.
  var pointer: UnsafePointer<Float>? { floats.pointer.map { UnsafePointer($0.assumingMemoryBound(to: Float.self)) } }
  var byteCount: Int { tensor.byteCount + floats.byteCount }

  func restored() throws(MaxLinearError) -> Tensor { try tensor.asReadOnly() }
}

extension Weight {
  /// The loaded scale as the kernels read it; nil where there is none, which means 1.
  static func packed(scale: Weight?, outDim: Int) throws(MaxLinearError) -> PackedScale? {
    guard let scale, scale.isLoaded else { return nil }
    return try PackedScale(scale.source(), outDim: outDim, name: scale.name)
  }
}

extension WeightConvertible {
  /// The scale that a checkpoint holds beside a float8 weight, behind its name "_scale"; nil where there is none.
  ///
  /// Throws `.unsupported` for scales of blocks.
  func scaleBeside() throws -> WeightData? {
    guard let path = self as? WeightsPath else { return nil }
    let tensor = path.exists() ? path.name : path.path("weight").name
    guard path.weights[tensor]?.dtype.isFloat8 == true else { return nil }
    if let blocks = path.weights["\(tensor)_scale_inv"] { throw WeightScale.ofBlocks(blocks, of: tensor) }
    return path.weights["\(tensor)_scale"]
  }
}

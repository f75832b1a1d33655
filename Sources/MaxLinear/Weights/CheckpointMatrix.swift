/// A matrix of a checkpoint, whatever it is stored as: a linear layer's weight, or an embedding.
package struct CheckpointMatrix {
  /// The name of its tensor without ".weight" or ".qweight".
  package let name: String
  /// (rows, columns): (outDim, inDim) of a linear layer. Dimensions before the last but one are rows too.
  package let shape: [Int]
  /// An encoding, "GPTQ", "AWQ", or a dtype.
  package let storedAs: String
  /// Stored bytes, without those of scales and zeros.
  package let byteCount: Int
  private let tensor: WeightData
  private let source: Source

  private enum Source {
    case floats
    /// The scale that lies beside it, and scales of its blocks, which nothing reads.
    case float8(WeightData?, blockScales: WeightData?)
    case blocks
    case gptq(CheckpointLinear)
  }

  /// nil for a tensor that is no matrix of floats or codes.
  fileprivate init?(_ tensor: WeightData, in weights: Weights) throws {
    let stem = CheckpointLinear.stem(of: tensor.name)
    if tensor.name.hasSuffix(".qweight") {
      let linear = try CheckpointLinear(stem, as: "", in: weights, quantizationConfig: nil)
      shape = linear.shape
      storedAs = linear.quantizationName ?? tensor.dtype.name
      source = .gptq(linear)
    } else {
      let size = tensor.valuesShape
      guard size.count >= 2, let columns = size.last, weights.owner(ofPart: tensor.name) == nil else { return nil }
      shape = [size.dropLast().reduce(1, *), columns]
      storedAs = tensor.encoding ?? tensor.dtype.name
      if tensor.encoding != nil {
        source = .blocks
      } else if tensor.dtype.isFloat {
        source = .floats
      } else if tensor.dtype.isFloat8 {
        source = .float8(weights["\(stem).weight_scale"], blockScales: weights["\(stem).weight_scale_inv"])
      } else {
        return nil
      }
    }
    self.tensor = tensor
    name = stem
    byteCount = tensor.tensor.byteCount
  }

  /// The name of its tensor.
  package var tensorName: String { tensor.name }

  /// The name of a tensor's matrix, and where the tensor's ends so, that with ".weight" and with ".qweight": the same matrix has the one in a
  /// checkpoint of floats and the other in one of GPTQ.
  fileprivate static func names(ofTensor tensor: String) -> [String] {
    let name = CheckpointLinear.stem(of: tensor)
    return tensor == name ? [name] : [name] + MLPNames.tensors.map { name + $0 }
  }

  /// What gives rows of the values, as float32 (rows, columns). GPTQ's are decoded whole, and kept as long as it.
  ///
  /// - Throws: `.unsupported` for an encoding without a kernel or scales of blocks; `.invalidShape`; `.outOfMemory`; the errors of
  ///   GPTQ tensors. Reading throws the same.
  package func reader() throws -> (Range<Int>) throws -> Tensor {
    let (tensor, columns, name) = (tensor.tensor, shape[1], name)
    switch source {
    case .floats:
      return { try tensor.rows($0, columns: columns).converted(to: .float32, purpose: name) }
    case .blocks:
      let encoding = try QuantizationEncoding(storedAs)
      return { try encoding.dequantize(tensor.rows($0, columns: tensor.shape.last ?? 0)) }
    case .float8(let scale, let blockScales):
      if let blockScales { throw WeightScale.ofBlocks(blockScales, of: "\(name).weight") }
      return try Self.float8Reader(tensor, shape, scale?.tensor, name)
    case .gptq(let linear):
      let values = try linear.gptqValues()
      return { try values.rows($0, columns: columns) }
    }
  }

  private static func float8Reader(
    _ weight: Tensor, _ shape: [Int], _ scale: Tensor?, _ name: String
  ) throws -> (Range<Int>) throws -> Tensor {
    guard let scale else { return { try Float8Tensors(weight: weight.rows($0, columns: shape[1])).dequantized() } }
    guard scale.dtype.isFloat, WeightScale.shapes(outDim: shape[0]).contains(scale.shape) else {
      throw MaxLinearError(
        .unsupported,
        "\(name).weight_scale: is \(scale.dtype.name) of shape \(scale.shape), expected float32, float16 or bfloat16 of one of "
          + "\(WeightScale.shapes(outDim: shape[0]))")
    }
    let floats = try scale.converted(to: .float32, purpose: name)
    return { rows in
      // One of the tensor, or [rows, 1].
      let part = try floats.count == 1 ? floats : floats.rows(rows, columns: 1)
      return try Float8Tensors(weight: weight.rows(rows, columns: shape[1]), weightScale: part).dequantized()
    }
  }

  /// Gives the pages of the tensor back to the system.
  package func releasePages() { tensor.releasePages() }
}

extension Weights {
  /// The matrices of floats and codes, in the order of `names`; `isWanted` is asked with each of a matrix's names.
  ///
  /// Throws `.invalidArgument` for GPTQ tensors without a config, and their other errors.
  package func matrices(where isWanted: (String) -> Bool = { _ in true }) throws -> [CheckpointMatrix] {
    try items().filter { CheckpointMatrix.names(ofTensor: $0.name).contains(where: isWanted) }
      .compactMap { try CheckpointMatrix($0, in: self) }
  }

  /// The name of the tensor of codes whose scales these are; nil for a tensor that belongs to no other.
  package func owner(ofPart name: String) -> String? {
    let parts = [(".scales", ".qweight"), (".weight_scale", ".weight"), (".weight_scale_inv", ".weight")]
    for (suffix, main) in parts where name.hasSuffix(suffix) {
      let owner = String(name.dropLast(suffix.count)) + main
      if self[owner] != nil { return owner }
    }
    return nil
  }
}

extension Tensor {
  /// Rows of a contiguous tensor taken as (rows, columns).
  fileprivate func rows(_ rows: Range<Int>, columns: Int) throws(MaxLinearError) -> Tensor {
    guard rows.lowerBound >= 0, columns >= 0, rows.upperBound * columns <= count else {
      throw MaxLinearError(.internal, "rows: are \(rows) of \(columns) columns, expected those of the shape \(shape)")
    }
    return try contiguousView(offset: rows.lowerBound * columns * dtype.bits / 8, shape: [rows.count, columns])
  }
}

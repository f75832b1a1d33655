import CMaxLinear
import Kernels

/// The tensors of GPTQ or AWQ weights, as a checkpoint names them: w = scale · (code − zero).
public struct GPTQTensors: Sendable {
  /// int32, GPTQ's (bits inDim / 32, outDim), AWQ's (inDim, outDim / 8).
  public var qweight: Tensor
  /// int32 (groups, bits outDim / 32, rounded up to whole words, of 3 bits to whole threes).
  public var qzeros: Tensor
  /// float16, bfloat16 or float32, (groups, outDim).
  public var scales: Tensor
  /// int32 (inDim): the group of each column.
  public var gIdx: Tensor
  /// Whether checkpoints hold gIdx; AWQ's do not.
  var storesGroups = true

  /// What a layer loads, each key behind `prefix`.
  public func stateDict(prefix: String = "") -> StateDict {
    StateDict(
      [
        WeightData(name: "\(prefix)qweight", tensor: qweight), WeightData(name: "\(prefix)scales", tensor: scales),
        WeightData(name: "\(prefix)qzeros", tensor: qzeros),
      ] + (storesGroups ? [WeightData(name: "\(prefix)g_idx", tensor: gIdx)] : []))
  }
}

extension QuantizationConfig {
  /// Rounds values to the nearest codes, each output's groups on their own, the same bytes on every CPU and any number of threads.
  ///
  /// With `sym`, zero is 2^(bits − 1) and scale max |w| / ((2^bits − 1) / 2) over the group; else they follow from the range of w and 0.
  /// `checkpointFormat` says whether GPTQ's qzeros hold zero − 1 (nil and "gptq") or zero.
  ///
  /// - Parameters:
  ///   - values: (outDim, inDim), float32, float16 or bfloat16; inDim as in ``GPTQLinearV2``.
  ///   - scales: the dtype of the scales: float16, bfloat16 or float32.
  ///   - threads: the most this call may use, 1 to 1024; 0 for `Threads.count`.
  /// - Throws: `.unsupported` for a config that is not served, `descAct` among them; `.invalidShape`, `.invalidDType`;
  ///   `.invalidArgument` for a value that is not finite or beyond what the scales hold; `.outOfMemory`.
  public func quantize(_ values: Tensor, scales: DType = .float16, threads: Int = 0) throws -> GPTQTensors {
    let values = try values.inCOrder("values")
    guard values.shape.count == 2 else {
      throw MaxLinearError(.invalidShape, "values: shape is \(values.shape), expected [out_dim, in_dim]")
    }
    let (outDim, inDim) = (values.shape[0], values.shape[1])
    let shapes = try shapes(outDim: outDim, inDim: inDim)
    let size = groupSize == -1 ? inDim : groupSize
    let result = GPTQTensors(
      qweight: try Tensor(uninitialized: shapes.qweight, dtype: .int32, purpose: "qweight"),
      qzeros: try Tensor(uninitialized: shapes.qzeros, dtype: .int32, purpose: "qzeros"),
      scales: try Tensor(uninitialized: shapes.scales, dtype: scales, purpose: "scales"),
      gIdx: try Tensor(uninitialized: [inDim], dtype: .int32, purpose: "g_idx"), storesGroups: !isAWQ)
    result.gIdx.pointer.map {
      for column in 0..<inDim { $0.storeBytes(of: Int32(column / size), toByteOffset: 4 * column, as: Int32.self) }
    }
    try values.withCTensor { values throws(MaxLinearError) in
      try result.qweight.withCTensor { qweight throws(MaxLinearError) in
        try result.qzeros.withCTensor { qzeros throws(MaxLinearError) in
          try result.scales.withCTensor { scales throws(MaxLinearError) in
            try quantize(values, qweight: qweight, qzeros: qzeros, scales: scales, threads: threads)
          }
        }
      }
    }
    return result
  }

  /// `quantize` into borrowed views, which may hold anything.
  package func quantize(
    _ values: mxl_tensor, qweight: mxl_tensor, qzeros: mxl_tensor, scales: mxl_tensor, threads: Int
  ) throws(MaxLinearError) {
    let dtype = try Self.checkedFloat(values, "values")
    let scalesDType = try Self.checkedFloat(scales, "scales")
    let extents = [
      try values.checkedInCOrder(bits: dtype.bits, "values"), try Self.checkedWords(qweight, "qweight"),
      try Self.checkedWords(qzeros, "qzeros"), try scales.checkedInCOrder(bits: scalesDType.bits, "scales"),
    ]
    guard values.rank == 2 else {
      throw MaxLinearError(.invalidShape, "values: shape is \(values.shapeText), expected [out_dim, in_dim]")
    }
    let (outDim, inDim) = (Int(values.shape[0]), Int(values.shape[1]))
    let shapes = try shapes(outDim: outDim, inDim: inDim)
    let views = [
      (values, "values", [outDim, inDim]), (qweight, "qweight", shapes.qweight), (qzeros, "qzeros", shapes.qzeros),
      (scales, "scales", shapes.scales),
    ]
    for (index, (view, argument, shape)) in views.enumerated() {
      guard view.rank == 2, Int(view.shape[0]) == shape[0], Int(view.shape[1]) == shape[1] else {
        throw MaxLinearError(
          .invalidShape,
          "\(argument): shape is \(view.shapeText), expected \(shape) for values of \([outDim, inDim])")
      }
      for earlier in 0..<index
      where view.overlaps(views[earlier].0, extents[index], extents[earlier]) {
        throw MaxLinearError(
          .invalidArgument, "\(argument): overlap \(views[earlier].1), expected memory of their own")
      }
    }
    var job = mxlk_gptq_quantize_job()
    job.values = UnsafeRawPointer(values.data)
    job.values_dtype = dtype.rawValue
    job.in_dim = Int64(inDim)
    job.out_dim = Int64(outDim)
    job.group_size = Int64(groupSize == -1 ? inDim : groupSize)
    job.bits = Int32(bits)
    job.awq = isAWQ ? 1 : 0
    job.sym = sym ? 1 : 0
    job.zero_offset = isAWQ || checkpointFormat == "gptq_v2" ? 0 : 1
    job.scales_dtype = scalesDType.rawValue
    job.threads = try Threads.checked(threads)
    job.qweight = qweight.data
    job.qzeros = qzeros.data
    job.scales = scales.data
    let refused = mxlk_gptq_refused(&job)
    guard refused < 0 else {
      throw MaxLinearError(
        .invalidArgument,
        "values: row \(Int(refused) / inDim), column \(Int(refused) % inDim) is too large or not finite, expected numbers "
          + "within what \(scalesDType.name) scales hold, +-\(mxlk_gptq_largest(Int32(bits), scalesDType.rawValue))")
    }
    mxlk_gptq_quantize(&job)
  }

  /// What `quantize` makes with float16 scales, in the order of `GPTQTensors.stateDict`, as a file's header says it. Throws for a config or
  /// dimensions that have none.
  package func tensorInfos(prefix: String, outDim: Int, inDim: Int) throws -> [SafetensorsWriter.TensorInfo] {
    let shapes = try shapes(outDim: outDim, inDim: inDim)
    var infos = [
      SafetensorsWriter.TensorInfo(name: "\(prefix)qweight", dtype: .int32, shape: shapes.qweight),
      SafetensorsWriter.TensorInfo(name: "\(prefix)scales", dtype: .float16, shape: shapes.scales),
      SafetensorsWriter.TensorInfo(name: "\(prefix)qzeros", dtype: .int32, shape: shapes.qzeros),
    ]
    if !isAWQ { infos.append(SafetensorsWriter.TensorInfo(name: "\(prefix)g_idx", dtype: .int32, shape: [inDim])) }
    return infos
  }

  /// The tensors' shapes. Throws for a config or dimensions that have none.
  private func shapes(
    outDim: Int, inDim: Int
  ) throws(MaxLinearError) -> (qweight: [Int], qzeros: [Int], scales: [Int]) {
    try check()
    guard !descAct else {
      throw MaxLinearError(
        .unsupported,
        "quantization_config: desc_act is true, expected false: rounding to nearest knows no better order of columns")
    }
    guard inDim > 0, outDim > 0 else {
      throw MaxLinearError(
        .invalidShape, "values: shape is \([outDim, inDim]), expected an in_dim and an out_dim of 1 or more")
    }
    let shapes = GPTQShapes(self)
    try shapes.check(inDim: inDim, outDim: outDim)
    let groups = GPTQWeights.groupCount(inDim: inDim, groupSize: groupSize)
    return (
      shapes.qweight(inDim: inDim, outDim: outDim), [groups, shapes.words(of: outDim)], [groups, outDim]
    )
  }

  private static func checkedFloat(_ view: mxl_tensor, _ argument: String) throws(MaxLinearError) -> DType {
    let dtype = try view.checkedDType(argument)
    guard dtype.isFloat else {
      throw MaxLinearError(
        .invalidDType, "\(argument): dtype is \(dtype.name), expected float32, float16 or bfloat16")
    }
    return dtype
  }

  private static func checkedWords(_ view: mxl_tensor, _ argument: String) throws(MaxLinearError) -> TensorExtent {
    let dtype = try view.checkedDType(argument)
    guard dtype == .int32 else {
      throw MaxLinearError(.invalidDType, "\(argument): dtype is \(dtype.name), expected int32")
    }
    guard UInt(bitPattern: view.data) % 4 == 0 else {
      throw MaxLinearError(
        .invalidArgument,
        "\(argument): data is at \(UInt(bitPattern: view.data)), expected a multiple of its 4-byte elements")
    }
    return try view.checkedInCOrder(bits: 32, argument)
  }
}

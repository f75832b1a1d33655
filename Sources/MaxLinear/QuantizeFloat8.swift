import CMaxLinear
import Kernels

/// What values are divided by on their way to 8-bit floats.
public enum Float8Scaling: Sendable {
  /// Nothing: the nearest 8-bit float.
  case none
  /// One scale, with which the largest magnitude becomes the format's largest.
  case tensor
  /// Such a scale for each row.
  case row
}

/// A float8 weight and its scale: w = weight · weightScale.
public struct Float8Tensors: Sendable {
  /// `.float8E4M3` or `.float8E5M2`, of the values' shape.
  public var weight: Tensor
  /// float32: [1], or one a row; nil for 1.
  public var weightScale: Tensor?

  /// Of a weight and a scale at hand. Layers check them when they are loaded.
  public init(weight: Tensor, weightScale: Tensor? = nil) {
    self.weight = weight
    self.weightScale = weightScale
  }

  /// Values rounded to the nearest 8-bit floats, ties to even, the same bytes on every CPU and any number of threads.
  ///
  /// Without a scale, values beyond the format become infinities, or, in E4M3, which has none, NaN; and a NaN stays one. A scale is the largest
  /// magnitude over 448 (E4M3) or 57344 (E5M2), at least 2^-126; 1 for zeros. Nothing is then beyond the format.
  ///
  /// - Parameters:
  ///   - values: (..., K), float32, float16 or bfloat16, any rank from 1.
  ///   - dtype: `.float8E4M3` or `.float8E5M2`.
  ///   - scaling: what values are divided by.
  ///   - threads: the most this call may use, 1 to 1024; 0 for `Threads.count`.
  /// - Throws: `.invalidDType`, `.invalidShape`; `.invalidArgument` for a value that is not finite where there is a scale; `.outOfMemory`.
  public init(
    quantizing values: Tensor, to dtype: DType = .float8E4M3, scaling: Float8Scaling = .row, threads: Int = 0
  ) throws {
    let values = try values.inCOrder("values")
    weight = try Tensor(uninitialized: values.shape, dtype: dtype, purpose: "weight")
    let rows = values.shape.dropLast().reduce(1, *)
    switch scaling {
    case .none: weightScale = nil
    case .tensor: weightScale = try Tensor(uninitialized: [1], dtype: .float32, purpose: "weight_scale")
    case .row: weightScale = try Tensor(uninitialized: [rows], dtype: .float32, purpose: "weight_scale")
    }
    let (weight, scale) = (weight, weightScale)
    try values.withCTensor { values throws(MaxLinearError) in
      try weight.withCTensor { weight throws(MaxLinearError) in
        guard let scale else { return try Float8Views.quantize(values, weight: weight, scale: nil, threads: threads) }
        try scale.withCTensor { scale throws(MaxLinearError) in
          try Float8Views.quantize(values, weight: weight, scale: scale, threads: threads)
        }
      }
    }
  }

  /// weight · weightScale in float32, rounded to float16 or bfloat16 where asked.
  ///
  /// - Throws: `.invalidDType`, `.invalidShape`, `.outOfMemory`.
  public func dequantized(to dtype: DType = .float32) throws -> Tensor {
    let weight = try weight.inCOrder("weight")
    let scale = try weightScale?.inCOrder("weight_scale")
    let values = try Tensor(uninitialized: weight.shape, dtype: dtype, purpose: "values")
    try weight.withCTensor { weight throws(MaxLinearError) in
      try values.withCTensor { values throws(MaxLinearError) in
        guard let scale else { return try Float8Views.dequantize(weight, scale: nil, into: values) }
        try scale.withCTensor { scale throws(MaxLinearError) in
          try Float8Views.dequantize(weight, scale: scale, into: values)
        }
      }
    }
    return values
  }

  /// What a layer loads, each key behind `prefix`.
  public func stateDict(prefix: String = "") -> StateDict {
    var state = StateDict([WeightData(name: "\(prefix)weight", tensor: weight)])
    if let weightScale { state.entries.append(WeightData(name: "\(prefix)weight_scale", tensor: weightScale)) }
    return state
  }
}

/// Borrowed views of values, 8-bit floats and scales, which may hold anything until they are checked.
package struct Float8Views {
  private var job: mxlk_float8_job
  private let scale: mxl_tensor?
  private let scaleCount: Int

  /// `Float8Tensors.init` into views. They are untouched when it throws.
  package static func quantize(
    _ values: mxl_tensor, weight: mxl_tensor, scale: mxl_tensor?, threads: Int
  ) throws(MaxLinearError) {
    var views = try Float8Views(values: values, weight: weight, scale: scale)
    views.job.threads = try Threads.checked(threads)
    guard views.job.rows * views.job.k > 0 || views.scaleCount > 0 else { return }
    let memory = try HeapMemory(byteCount: 4 * views.scaleCount, purpose: "scale")
    let floats = memory.pointer.assumingMemoryBound(to: Float.self)
    if let scale {
      let refused = mxlk_float8_scales(&views.job, floats)
      guard refused < 0 else {
        throw MaxLinearError(
          .invalidArgument,
          "values: row \(refused / views.job.k), column \(refused % views.job.k) is not finite, expected a number that a scale serves"
        )
      }
      views.job.scales = UnsafePointer(floats)
      scale.data?.copyMemory(from: memory.pointer, byteCount: 4 * views.scaleCount)
    }
    mxlk_float8_quantize(&views.job)
    withExtendedLifetime(memory) {}
  }

  /// `Float8Tensors.dequantized` into views.
  package static func dequantize(
    _ weight: mxl_tensor, scale: mxl_tensor?, into values: mxl_tensor
  ) throws(MaxLinearError) {
    var views = try Float8Views(values: values, weight: weight, scale: scale)
    views.job.threads = mxlk_threads()
    let memory = try HeapMemory(byteCount: 4 * views.scaleCount, purpose: "scale")
    if let from = scale?.data {
      memory.pointer.copyMemory(from: from, byteCount: 4 * views.scaleCount)
      views.job.scales = UnsafePointer(memory.pointer.assumingMemoryBound(to: Float.self))
    }
    mxlk_float8_dequantize(&views.job)
    withExtendedLifetime(memory) {}
  }

  private init(values: mxl_tensor, weight: mxl_tensor, scale: mxl_tensor?) throws(MaxLinearError) {
    let dtype = try values.checkedDType("values")
    guard dtype.isFloat else {
      throw MaxLinearError(.invalidDType, "values: dtype is \(dtype.name), expected float32, float16 or bfloat16")
    }
    let float8 = try weight.checkedDType("weight")
    guard float8.isFloat8 else {
      throw MaxLinearError(.invalidDType, "weight: dtype is \(float8.name), expected float8_e4m3fn or float8_e5m2")
    }
    var extents = [
      try values.checkedInCOrder(bits: dtype.bits, "values"), try weight.checkedInCOrder(bits: 8, "weight"),
    ]
    guard weight.rank == values.rank, (0..<Int(values.rank)).allSatisfy({ weight.shape[$0] == values.shape[$0] }) else {
      throw MaxLinearError(
        .invalidShape, "weight: shape is \(weight.shapeText), expected that of values, \(values.shapeText)")
    }
    let columns = Int(values.shape[Int(values.rank) - 1])
    // At most the count that was checked: dimensions of 0 count as 1 there.
    let rows = (0..<Int(values.rank) - 1).reduce(1) { $0 * Int(values.shape[$1]) }
    var all = [(values, "values"), (weight, "weight")]
    var count = 0
    if let scale {
      extents.append(try Self.checked(scale: scale, rows: rows))
      all.append((scale, "scale"))
      count = extents[2].count
    }
    for index in all.indices {
      for earlier in 0..<index where all[index].0.overlaps(all[earlier].0, extents[index], extents[earlier]) {
        throw MaxLinearError(
          .invalidArgument, "\(all[index].1): overlaps \(all[earlier].1), expected memory of its own")
      }
    }
    self.scale = scale
    scaleCount = count
    job = mxlk_float8_job(
      values: values.data, dtype: dtype.rawValue, float8: float8.rawValue, codes: weight.data, scales: nil,
      scale_stride: count == 1 ? 0 : 1, rows: Int64(rows), k: Int64(columns), threads: 1)
  }

  private static func checked(scale: mxl_tensor, rows: Int) throws(MaxLinearError) -> TensorExtent {
    guard scale.dtype == MXL_FLOAT32.rawValue else {
      throw MaxLinearError(
        .invalidDType, "scale: dtype is \(try scale.checkedDType("scale").name), expected float32")
    }
    try scale.checkDevice("scale")
    let extent = try scale.checkedExtent(bits: 32, "scale")
    let shape = (0..<Int(scale.rank)).map { Int(scale.shape[$0]) }
    guard WeightScale.shapes(outDim: rows).contains(shape) else {
      throw MaxLinearError(
        .invalidShape, "scale: shape is \(shape), expected one of \(WeightScale.shapes(outDim: rows)) for \(rows) rows")
    }
    guard scale.isContiguous || extent.count == 0 else {
      throw MaxLinearError(.invalidShape, "scale: strides are \(scale.stridesText), expected C order")
    }
    return extent
  }
}

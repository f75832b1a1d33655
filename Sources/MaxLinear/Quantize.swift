import CMaxLinear
import Kernels

extension QuantizationEncoding {
  /// Encodes values as blocks with a small squared error, the same bytes on every CPU and any number of threads.
  ///
  /// - Parameters:
  ///   - values: (..., K), float32, float16 or bfloat16, any rank from 1; K a multiple of `elementsPerBlock`.
  ///   - importance: float32 (K): what a squared error in each column weighs, finite and at least 0; nil for 1 each.
  ///   - threads: the most this call may use, 1 to 1024; 0 for `Threads.count`.
  /// - Returns: uint8 (..., row bytes).
  /// - Throws: `.invalidShape`, `.invalidDType`; `.invalidArgument` for a value that is not finite or beyond what the
  ///   encoding holds; `.unsupported` for an encoding that can only be read; `.outOfMemory`.
  public func quantize(_ values: Tensor, importance: Tensor? = nil, threads: Int = 0) throws -> Tensor {
    let values = try values.inCOrder("values")
    let blocks = try Tensor(uninitialized: blocksShape(values.shape), dtype: .uint8, purpose: "blocks")
    try values.withCTensor { values throws(MaxLinearError) in
      try blocks.withCTensor { blocks throws(MaxLinearError) in
        guard let importance else {
          return try quantize(values, importance: nil, into: blocks, threads: threads)
        }
        try importance.withCTensor { importance throws(MaxLinearError) in
          try quantize(values, importance: importance, into: blocks, threads: threads)
        }
      }
    }
    return blocks
  }

  /// Encodes values as blocks of this encoding or, where rows are no whole blocks of it, of the fallback.
  ///
  /// - Returns: the blocks, and the encoding that they are of.
  /// - Throws: as `quantize(_:importance:threads:)`; `.invalidShape` when neither holds the rows, naming the encodings that do.
  public func quantize(
    _ values: Tensor, importance: Tensor? = nil, fallback: QuantizationEncoding?, threads: Int = 0
  ) throws -> (blocks: Tensor, encoding: QuantizationEncoding) {
    let encoding = try fitting(columns: values.shape.last ?? 0, fallback: fallback)
    return (try encoding.quantize(values, importance: importance, threads: threads), encoding)
  }

  /// The values of blocks, with the bits of the gguf package's dequantize.
  ///
  /// - Parameters:
  ///   - blocks: uint8 (..., row bytes), any rank from 1, whole blocks.
  ///   - dtype: of the result.
  /// - Returns: (..., K) of `dtype`: float32, or rounded to float16 or bfloat16.
  /// - Throws: `.invalidShape`, `.invalidDType`, `.outOfMemory`.
  public func dequantize(_ blocks: Tensor, dtype: DType = .float32) throws -> Tensor {
    let blocks = try blocks.inCOrder("blocks")
    guard let bytes = blocks.shape.last, bytes % blockSize == 0,
      case let elements = (bytes / blockSize).multipliedReportingOverflow(by: elementsPerBlock), !elements.overflow
    else {
      throw MaxLinearError(
        .invalidShape, "blocks: shape is \(blocks.shape), expected rows of whole \(name) blocks of \(blockSize) bytes")
    }
    let shape = Array(blocks.shape.dropLast()) + [elements.partialValue]
    let values = try Tensor(uninitialized: shape, dtype: dtype, purpose: "values")
    try blocks.withCTensor { blocks throws(MaxLinearError) in
      try values.withCTensor { values throws(MaxLinearError) in try dequantize(blocks, into: values) }
    }
    return values
  }

  /// Whether `quantize` makes it.
  package var isQuantizable: Bool { name.withCString { mxlk_encoding_find($0) }?.pointee.quantize != nil }

  /// `quantize` on borrowed views, which may hold anything.
  package func quantize(
    _ values: mxl_tensor, importance: mxl_tensor?, into blocks: mxl_tensor, threads: Int
  ) throws(MaxLinearError) {
    var job = try job(values: values, blocks: blocks)
    guard job.encoding.pointee.quantize != nil else {
      throw MaxLinearError(.unsupported, "encoding: is \(name), which can be read but not made, expected another")
    }
    if let importance { job.importance = try Self.checked(importance: importance, columns: Int(job.k)) }
    job.threads = try Threads.checked(threads)
    let refused = mxlk_blocks_refused(&job)
    guard refused < 0 else {
      throw MaxLinearError(
        .invalidArgument,
        "values: row \(Int(refused) / Int(job.k)), column \(Int(refused) % Int(job.k)) is too large or not finite, expected numbers "
          + "within what \(name) holds, +-\(job.encoding.pointee.largest)")
    }
    mxlk_quantize(&job)
  }

  /// `dequantize` on borrowed views, which may hold anything.
  package func dequantize(_ blocks: mxl_tensor, into values: mxl_tensor) throws(MaxLinearError) {
    var job = try job(values: values, blocks: blocks)
    job.threads = mxlk_threads()
    mxlk_dequantize(&job)
  }

  /// The blocks' shape for values of a shape.
  private func blocksShape(_ shape: [Int]) throws(MaxLinearError) -> [Int] {
    let wanted = "values: shape is \(shape), expected rows of whole \(name) blocks of \(elementsPerBlock) values"
    guard let columns = shape.last else { throw MaxLinearError(.invalidShape, wanted) }
    guard holds(columns: columns) else {
      throw MaxLinearError(.invalidShape, "\(wanted); \(Self.holders(columns: columns))")
    }
    let bytes = (columns / elementsPerBlock).multipliedReportingOverflow(by: blockSize)
    guard !bytes.overflow else { throw MaxLinearError(.invalidShape, "\(wanted), as many as memory can hold") }
    return shape.dropLast() + [bytes.partialValue]
  }

  /// The checked job of two views, without importance and threads.
  private func job(values: mxl_tensor, blocks: mxl_tensor) throws(MaxLinearError) -> mxlk_blocks_job {
    guard let encoding = name.withCString({ mxlk_encoding_find($0) }) else {
      throw MaxLinearError(.unsupported, "encoding: is \"\(name)\", expected one that is registered")
    }
    let dtype = try values.checkedDType("values")
    guard dtype.isFloat else {
      throw MaxLinearError(.invalidDType, "values: dtype is \(dtype.name), expected float32, float16 or bfloat16")
    }
    let valuesExtent = try values.checkedInCOrder(bits: dtype.bits, "values")
    guard blocks.dtype == MXL_UINT8.rawValue else {
      throw MaxLinearError(.invalidDType, "blocks: dtype is \(try blocks.checkedDType("blocks").name), expected uint8")
    }
    let blocksExtent = try blocks.checkedInCOrder(bits: 8, "blocks")
    let shape = (0..<Int(values.rank)).map { Int(values.shape[$0]) }
    let expected = try blocksShape(shape)
    guard blocks.rank == values.rank, (0..<expected.count).allSatisfy({ Int(blocks.shape[$0]) == expected[$0] }) else {
      throw MaxLinearError(
        .invalidShape, "blocks: shape is \(blocks.shapeText), expected \(expected) for values of \(shape)")
    }
    guard !values.overlaps(blocks, valuesExtent, blocksExtent) else {
      throw MaxLinearError(.invalidArgument, "blocks: overlap values, expected memory of their own")
    }
    let columns = shape.last ?? 0
    return mxlk_blocks_job(
      encoding: encoding, values: values.data, dtype: dtype.rawValue, blocks: blocks.data, importance: nil,
      rows: columns > 0 ? Int64(valuesExtent.count / columns) : 0, k: Int64(columns), threads: 1)
  }

  private static func checked(
    importance: mxl_tensor, columns: Int
  ) throws(MaxLinearError) -> UnsafePointer<Float>? {
    guard importance.dtype == MXL_FLOAT32.rawValue else {
      throw MaxLinearError(
        .invalidDType, "importance: dtype is \(try importance.checkedDType("importance").name), expected float32")
    }
    let extent = try importance.checkedInCOrder(bits: 32, "importance")
    guard importance.rank == 1, extent.count == columns else {
      throw MaxLinearError(.invalidShape, "importance: shape is \(importance.shapeText), expected [\(columns)]")
    }
    let address = UInt(bitPattern: importance.data)
    guard address % UInt(MemoryLayout<Float>.alignment) == 0 else {
      throw MaxLinearError(
        .invalidArgument, "importance: data is not aligned, expected a multiple of its 4-byte elements")
    }
    let values = importance.data.map { UnsafePointer($0.assumingMemoryBound(to: Float.self)) }
    for column in 0..<columns {
      guard let value = values?[column], value.isFinite, value >= 0 else {
        throw MaxLinearError(
          .invalidArgument,
          "importance: column \(column) is \(values?[column] ?? .nan), expected a finite number from 0")
      }
    }
    return values
  }
}

extension Tensor {
  /// The tensor, or a copy of it when its elements do not lie in C order.
  func inCOrder(_ purpose: String) throws(MaxLinearError) -> Tensor {
    guard !isContiguous else { return self }
    let copy = try Tensor(uninitialized: shape, dtype: dtype, purpose: purpose)
    if let destination = copy.pointer { copyContiguously(to: destination) }
    return copy
  }
}

import CMaxLinear
import Kernels

/// The ranks that share a prepared layer.
final class Ranks: Sendable {
  fileprivate let communicator: Communicator
  /// The layer's number among those of the communicator, the same on all ranks.
  private let layer: UInt64

  fileprivate init(_ communicator: Communicator, layer: UInt64) {
    self.communicator = communicator
    self.layer = layer
  }

  var rank: Int { communicator.rank }

  /// One call of the layer by all ranks. Nothing but the communicator and memory that the kernels ask for can fail in the body.
  ///
  /// - Parameters:
  ///   - step: what is called.
  ///   - columns: those of x where all ranks have the same x; nil where each has its own.
  ///   - check: checks what this rank is given and makes the scratch.
  ///   - body: not run where there are no rows.
  func call(
    _ step: Step, sameX columns: Int?, _ check: () throws(MaxLinearError) -> mxlk_linear_job,
    body: (Collectives, mxlk_linear_job) throws(MaxLinearError) -> Void
  ) throws(MaxLinearError) {
    var job = mxlk_linear_job()
    try communicator.together(step) { _ throws(MaxLinearError) in
      job = try check()
      let facts = [
        Fact("number of the layer", Int(layer)), Fact("x: number of rows", Int(mxlk_job_rows(&job))),
        Fact("x: number of the dtype", Int(job.x_dtype)),
      ]
      guard let columns else { return facts }
      return facts + [Fact("x", checksum: mxlk_checksum_rows(&job, Int64(columns)))]
    } body: { collectives throws(MaxLinearError) in
      guard mxlk_job_rows(&job) > 0 else { return }
      try body(collectives, job)
    }
  }
}

extension Ranks {
  /// Comes to a call of the layer with an error, for the others to hear. Returns the error to be thrown.
  func told(_ error: MaxLinearError) -> MaxLinearError { communicator.told(error, .call) }
}

extension Communicator {
  /// Comes to a step with an error, for the others to hear. Returns the error to be thrown.
  func told(_ error: MaxLinearError, _ step: Step) -> MaxLinearError {
    do throws(MaxLinearError) {
      try together(step) { _ throws(MaxLinearError) in
        throw error
      } body: { _ throws(MaxLinearError) in
      }
    } catch {
      return error
    }
    return error
  }

  /// All ranks prepare a layer: each does its part, then they compare what layers they have.
  ///
  /// - Parameters:
  ///   - kind: what the layer is, with the options that change what ranks send each other.
  ///   - dimensions: two, with their names.
  func prepare(
    _ layer: Layer, kind: String, dimensions: [(name: String, value: Int)], _ options: PrepareOptions,
    body: (Ranks) throws(MaxLinearError) -> Layer.Preparation
  ) throws(MaxLinearError) -> Layer.Preparation {
    var preparation: Layer.Preparation?
    try together(.prepare) { number throws(MaxLinearError) in
      let weights = try layer.checksums()
      preparation = try body(Ranks(self, layer: number + 1))
      return [
        Fact("number of shards", size), Fact("kind of layer", checksum: kind.checksum()),
        Fact(dimensions[0].name, dimensions[0].value), Fact(dimensions[1].name, dimensions[1].value),
        Fact("compute and pack", checksum: "\(options.compute) \(options.packing)".checksum()),
        Fact("state dict (names, dtypes, shapes, encodings)", checksum: weights.shapes),
        Fact("checkpoint (bytes of the weights)", checksum: weights.bytes),
      ]
    } body: { _ in
    }
    guard let preparation else { throw MaxLinearError(.internal, "prepare: there is no result, expected one") }
    return preparation
  }
}

extension Layer {
  /// Checksums of what the weights are called and look like, and of some of their bytes: a rank reads its own shard alone, and what all of them
  /// read must be the same.
  fileprivate func checksums() throws(MaxLinearError) -> (shapes: UInt64, bytes: UInt64) {
    var shapes: UInt64 = 0
    var bytes: UInt64 = 0
    for (key, weight) in namedWeights() {
      guard weight.isLoaded || !weight.isOptional else { continue }
      let source = try weight.source()
      let text = "\(key) \(source.dtype) \(source.shape) \(weight.quantizationEncoding?.name ?? "")"
      shapes = text.checksum(after: shapes)
      // A matrix's rows have no gaps inside; of one with gaps between them the first row.
      let tensor = source.tensor.rank < 2 ? try source.tensor.inCOrder("checksum of \(key)") : source.tensor
      let count = tensor.isContiguous ? tensor.count : tensor.shape.last ?? 0
      if let start = tensor.pointer, tensor.count > 0 {
        bytes = mxlk_checksum_sample(bytes, start, count * (tensor.dtype.bits / 8))
      }
      if source.storage == .map { source.releasePages() }
    }
    return (shapes, bytes)
  }
}

extension String {
  fileprivate func checksum(after sum: UInt64 = 0) -> UInt64 {
    let bytes = Array(utf8)
    return bytes.withUnsafeBytes { mxlk_checksum(sum, $0.baseAddress, $0.count) }
  }
}

/// Float32 rows whose columns the ranks compute: each its own, which are then gathered.
struct RankedRows {
  private let ranges: [Range<Int>]
  private let rank: Int
  private let rows: Int
  /// The ranks' parts one behind the other; of one row that is the row.
  private let parts: Tensor
  private let whole: Tensor

  init(rows: Int, ranges: [Range<Int>], rank: Int, purpose: String) throws(MaxLinearError) {
    self.ranges = ranges
    self.rank = rank
    self.rows = rows
    let shape = [rows, ranges.last?.upperBound ?? 0]
    parts = try Tensor(uninitialized: shape, dtype: .float32, purpose: purpose)
    whole = rows <= 1 ? parts : try Tensor(uninitialized: shape, dtype: .float32, purpose: purpose)
  }

  /// Where this rank writes its columns, without gaps.
  var own: UnsafeMutableRawPointer? { parts.pointer.map { $0 + 4 * rows * ranges[rank].lowerBound } }

  /// The rows, once all ranks have written theirs.
  func gathered(_ collectives: Collectives) throws(MaxLinearError) -> UnsafeMutableRawPointer? {
    try collectives.gather(parts.pointer, counts: ranges.map { rows * $0.count }, unit: 4)
    if rows > 1 {
      let ends = ranges.map { Int64($0.upperBound) }
      mxlk_rows_from_parts(parts.pointer, ends, Int32(ends.count), Int64(rows), whole.pointer)
    }
    return whole.pointer
  }
}

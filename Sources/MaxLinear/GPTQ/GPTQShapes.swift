/// The shapes of qweight and qzeros, and where in them a shard begins.
///
/// - GPTQ: qweight [bits inDim / 32, outDim], qzeros [groups, bits outDim / 32, rounded up to whole runs]. A run is the codes of a word,
///   or of 3 bits the 32 of three words.
/// - AWQ: qweight [inDim, outDim / 8], qzeros [groups, outDim / 8].
struct GPTQShapes {
  private let bits: Int
  private let isAWQ: Bool

  /// `config` is checked.
  init(_ config: QuantizationConfig) {
    bits = config.bits
    isAWQ = config.isAWQ
  }

  /// Codes of a run, and its words.
  private var run: (codes: Int, words: Int) { bits == 3 ? (32, 3) : (32 / bits, 1) }

  /// What shards of outputs are a multiple of, so that none divides a word: 8 at least, as the kernels take so many together.
  var shardUnit: Int { max(8, run.codes) }

  /// The words of `count` codes side by side.
  func words(of count: Int) -> Int { (count / run.codes + (count % run.codes == 0 ? 0 : 1)) * run.words }

  func qweight(inDim: Int, outDim: Int) -> [Int] {
    isAWQ ? [inDim, outDim / run.codes] : [inDim / run.codes * run.words, outDim]
  }

  /// The bytes in front of a column and an output; `stride` is those of a row.
  func qweightOffset(column: Int, output: Int, stride: Int) -> Int {
    isAWQ ? column * stride + 4 * words(of: output) : words(of: column) * stride + 4 * output
  }

  /// Throws `.invalidShape` for dimensions that are no whole words.
  func check(inDim: Int, outDim: Int) throws(MaxLinearError) {
    guard inDim <= Int(Int32.max) else {
      throw MaxLinearError(.invalidShape, "in_dim: is \(inDim), expected at most \(Int32.max), what g_idx can count")
    }
    if isAWQ {
      guard outDim % run.codes == 0 else {
        throw MaxLinearError(
          .invalidShape,
          "out_dim: is \(outDim), expected a multiple of \(run.codes): so many outputs are one word of AWQ's qweight")
      }
      return
    }
    guard inDim % run.codes == 0 else {
      let words = run.words == 1 ? "one word" : "three words"
      throw MaxLinearError(
        .invalidShape, "in_dim: is \(inDim), expected a multiple of \(run.codes): so many codes are \(words) of qweight"
      )
    }
  }

  /// The layer's dimensions from qweight's shape. Throws `.invalidShape`, naming `argument`, for one that is none.
  func dimensions(qweight shape: [Int], argument: String) throws(MaxLinearError) -> (inDim: Int, outDim: Int) {
    guard shape.count == 2 else {
      throw MaxLinearError(.invalidShape, "\(argument): shape is \(shape), expected two dimensions")
    }
    let packed = shape[isAWQ ? 1 : 0]
    guard packed % run.words == 0 else {
      throw MaxLinearError(
        .invalidShape,
        "\(argument): shape is \(shape), expected a multiple of \(run.words) rows: 32 codes of 3 bits are three words")
    }
    let codes = (packed / run.words).multipliedReportingOverflow(by: run.codes)
    guard !codes.overflow else {
      throw MaxLinearError(.invalidShape, "\(argument): shape is \(shape), expected one that memory can hold")
    }
    return isAWQ ? (shape[0], codes.partialValue) : (codes.partialValue, shape[1])
  }
}

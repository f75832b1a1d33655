import ArgumentParser
import MaxLinear

/// `maxlinear quantize`: a checkpoint's matrices as blocks in a GGUF file, or as GPTQ's tensors in a safetensors file.
struct QuantizeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "quantize",
    abstract: "Quantize the matrices of a safetensors or GGUF checkpoint into a GGUF file, or to GPTQ.",
    discussion: """
      Tensors that are not quantized are copied as they are, and so is the metadata of a GGUF file. \
      general.quantization_version is added where it is missing. What GPTQ or AWQ has quantized is refused, and so is a checkpoint with \
      nothing to quantize. OUT appears once it is whole: a run that fails or is \
      interrupted leaves nothing behind.
      With --gptq, OUT is a safetensors file, with a quantize_config.json beside it unless the folder says the same already; a folder with \
      another GPTQ or AWQ checkpoint is refused. Values are rounded to the nearest codes, \
      group by group. "a.weight" becomes "a.qweight", "a.qzeros", "a.scales" and "a.g_idx"; what is not quantized is copied, \
      blocks of a GGUF file as float32.
      MAXLINEAR_NUM_THREADS sets the number of threads.
      """)

  @Argument(
    help: "A file, the first of a split GGUF, a safetensors index, or a folder with a checkpoint.", completion: .file())
  var input: String

  @Argument(help: "The GGUF file to write, or with --gptq the safetensors file.", completion: .file())
  var output: String

  @Option(
    help: "What to quantize to: \(QuantizeTarget.names(QuantizeTarget.all)).",
    completion: .list(QuantizeTarget.all.map(\.name)))
  var encoding: String?

  @Flag(help: "Quantize to GPTQ, instead of an encoding.")
  var gptq = false

  @OptionGroup var gptqOptions: GPTQOptions

  @Option(
    help: ArgumentHelp(
      """
      Which tensors, by name: of those that match, float ones of two or more dimensions. Default: all float ones of two. With --gptq \
      those of two, by default where the name ends in .weight and is none of embeddings or the output layer.
      """,
      valueName: "glob"))
  var layers: String?

  @Option(
    help: "What tensors become whose rows are no whole blocks of the encoding. Without it they are refused.",
    completion: .list(QuantizeTarget.all.map(\.name)))
  var fallback: String?

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  @Flag(help: "Print JSON.")
  var json = false

  /// One tensor on its way.
  private struct Step {
    let source: WeightData
    /// nil for a copy.
    let target: QuantizeTarget?
    let info: GGUFWriter.TensorInfo

    var result: QuantizedTensor {
      QuantizedTensor(source, becomes: target?.name ?? source.storedAs, isQuantized: target != nil)
    }
  }

  func validate() throws {
    guard gptq != (encoding != nil) else { throw ValidationError("Expected --encoding or --gptq, and not both.") }
    guard !gptq || fallback == nil else { throw ValidationError("--fallback belongs to --encoding.") }
    guard gptq || !gptqOptions.isGiven else {
      throw ValidationError("--bits, --group-size, --sym, --asym and --desc-act belong to --gptq.")
    }
    _ = try (target(), fallbackTarget())
  }

  /// nil for GPTQ.
  private func target() throws -> QuantizeTarget? { try encoding.map { try QuantizeTarget($0, option: "--encoding") } }

  private func fallbackTarget() throws -> QuantizeTarget? {
    try fallback.map { try QuantizeTarget($0, option: "--fallback") }
  }

  func run() throws {
    ignoreFailedWrites()
    try HeldSignals.during(quantize)
  }

  private func quantize(_ signals: HeldSignals) throws {
    if gptq {
      return try QuantizeToGPTQ(input: input, output: output, config: gptqOptions.config(), layers: layers).run(
        quiet: quiet, json: json, signals)
    }
    guard let target = try target() else {
      throw MaxLinearError(.invalidArgument, "--encoding: is missing, expected the name of an encoding")
    }
    let fallback = try fallbackTarget()
    let weights = try Weights.open([input])
    let sources = weights.items()
    _ = try sources.matching(layers)
    let steps = try sources.map { try step($0, of: weights, target: target, fallback: fallback) }
    guard steps.contains(where: { $0.target != nil }) else { throw try weights.nothingToQuantize(input, layers) }
    let progress = Progress(quiet: quiet || json, total: steps.reduce(0) { $0 + $1.source.tensor.byteCount })
    defer { progress.clear() }
    let writer = try GGUFWriter(path: output, metadata: metadata(weights, steps), tensors: steps.map(\.info))
    defer { writer.cancel() }
    for step in steps {
      try write(step, to: writer, progress, signals)
      progress.finish(step.result.text)
    }
    try signals.check()
    // What was read while a file changed may be of either state.
    for step in steps { try step.source.checkFile() }
    try writer.finish()
    try Quantized(output: output, tensors: steps.map(\.result)).say(progress, quiet: quiet, json: json)
  }

  /// What becomes of a tensor.
  private func step(
    _ source: WeightData, of weights: Weights, target: QuantizeTarget, fallback: QuantizeTarget?
  ) throws -> Step {
    let owner = weights.owner(ofPart: source.name)
    if let owner, owner.hasSuffix(".qweight"), isChosen(source) {
      throw MaxLinearError(
        .unsupported,
        "tensor \"\(source.name)\": belongs to \"\(owner)\", which is quantized already, expected floats that are not; GGUF holds neither "
          + "GPTQ nor AWQ")
    }
    guard owner == nil, isChosen(source) else {
      let info = GGUFWriter.TensorInfo(
        name: source.name, dtype: source.dtype, shape: source.shape, encoding: source.encoding)
      return Step(source: source, target: nil, info: info)
    }
    let columns = source.shape.last ?? 0
    guard let target = target.fitting(columns: columns, fallback: fallback) else {
      let refused = fallback.map { "\(target.name), or of \($0.name)" } ?? target.name
      let others = QuantizeTarget.names(QuantizeTarget.all.filter { $0.holds(columns: columns) })
      throw MaxLinearError(
        .invalidShape,
        "tensor \"\(source.name)\": has rows of \(columns) values, expected whole blocks of \(refused); "
          + "--fallback can be \(others)")
    }
    return Step(source: source, target: target, info: target.info(source))
  }

  private func isChosen(_ source: WeightData) -> Bool {
    let floats: [DType] = [.float32, .float16, .bfloat16]
    guard source.encoding == nil, floats.contains(source.dtype) else { return false }
    guard let layers else { return source.shape.count == 2 }
    return source.shape.count >= 2 && source.name.matches(layers)
  }

  /// GGUF's metadata as it is; safetensors' strings under their own keys.
  private func metadata(_ weights: Weights, _ steps: [Step]) -> [GGUFMetadata] {
    var metadata = weights.ggufMetadata
    if metadata.isEmpty {
      metadata = weights.metadata.sorted { $0.key < $1.key }.map { GGUFMetadata($0.key, .string($0.value)) }
    }
    // The parts are one file now.
    if weights.fileCount > 1 { metadata.removeAll { $0.key.hasPrefix("split.") } }
    let version = "general.quantization_version"
    if steps.contains(where: { $0.target != nil && $0.info.encoding != nil }),
      !metadata.contains(where: { $0.key == version })
    {
      metadata.append(GGUFMetadata(version, .uint32(2)))
    }
    return metadata
  }

  private func write(
    _ step: Step, to writer: GGUFWriter, _ progress: Progress, _ signals: HeldSignals
  ) throws {
    let columns = step.target == nil ? 1 : step.source.shape.last ?? 1
    try step.source.forEachPiece(columns: columns) { values, rows in
      try signals.check()
      try step.source.checkFile()
      do {
        try writer.write(step.target?.apply(values) ?? values)
      } catch let error as MaxLinearError where error.status == .invalidArgument {
        let part = rows.count * columns < step.source.tensor.count ? "from row \(rows.lowerBound) on, " : ""
        throw MaxLinearError(error.status, "tensor \"\(step.source.name)\": \(part)\(error.message)")
      }
      progress.advance(values.byteCount, name: step.source.name)
    }
  }
}

import MaxLinear

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// `maxlinear quantize --gptq`: a checkpoint's linear layers as GPTQ's tensors, in a safetensors file.
struct QuantizeToGPTQ {
  let input: String
  let output: String
  let config: QuantizationConfig
  /// nil for the layers that GPTQ checkpoints usually have.
  let layers: String?

  /// One tensor on its way, and the number of the first of those that it becomes.
  private struct Step {
    let source: WeightData
    let isQuantized: Bool
    let infos: [SafetensorsWriter.TensorInfo]
    let first: Int
    let result: QuantizedTensor
  }

  func run(quiet: Bool, json: Bool, _ signals: HeldSignals) throws {
    let weights = try Weights.open([input])
    let sources = weights.items()
    _ = try sources.matching(layers)
    // One quantize_config.json could not say how both are packed.
    if let quantized = sources.first(where: { $0.name.hasSuffix(".qweight") }) {
      throw MaxLinearError(
        .unsupported, "tensor \"\(quantized.name)\": is quantized already, expected a checkpoint without GPTQ or AWQ")
    }
    var steps: [Step] = []
    for source in sources {
      steps.append(try step(source, of: weights, first: steps.last.map { $0.first + $0.infos.count } ?? 0))
    }
    guard steps.contains(where: \.isQuantized) else { throw try weights.nothingToQuantize(input, layers) }
    let configPath = try configPath()
    let progress = Progress(quiet: quiet || json, total: steps.reduce(0) { $0 + $1.source.tensor.byteCount })
    defer { progress.clear() }
    let writer = try SafetensorsWriter(
      path: output, metadata: metadata(weights), tensors: steps.flatMap(\.infos))
    defer { writer.cancel() }
    for step in steps {
      try step.isQuantized ? quantize(step, to: writer, progress, signals) : copy(step, to: writer, progress, signals)
      progress.finish(step.result.text)
    }
    try signals.check()
    // What was read while a file changed may be of either state.
    for step in steps { try step.source.checkFile() }
    try writer.finish { if let configPath { try config.write(to: configPath) } }
    try Quantized(output: output, tensors: steps.map(\.result)).say(progress, quiet: quiet, json: json)
  }

  /// Where quantize_config.json is to be written; nil where the folder says the same already. A folder that says something else has another checkpoint,
  /// unless OUT, which is replaced, is all that is there.
  private func configPath() throws -> String? {
    let slash = output.lastIndex(of: "/")
    let folder = slash.map { String(output[...$0]) } ?? "./"
    let name = slash.map { String(output[output.index(after: $0)...]) } ?? output
    switch config.isSaid(in: folder) {
    case true?: return nil
    case nil: break
    case false?:
      let endings = [".safetensors", ".safetensors.index.json", ".gguf"]
      let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
      guard files.filter({ file in endings.contains { file.hasSuffix($0) } }) == [name] else {
        throw MaxLinearError(
          .invalidArgument,
          "\(folder): a quantization config is there and says something else, expected a folder without another GPTQ or AWQ checkpoint"
        )
      }
    }
    return folder + "quantize_config.json"
  }

  /// "format" is what readers of safetensors look for. GGUF's metadata, a tokenizer among them, has no place in the file.
  private func metadata(_ weights: Weights) -> [(key: String, value: String)] {
    var metadata = weights.ggufMetadata.isEmpty ? weights.metadata : [:]
    if metadata["format"] == nil { metadata["format"] = "pt" }
    return metadata.sorted { $0.key < $1.key }
  }

  /// What becomes of a tensor.
  private func step(_ source: WeightData, of weights: Weights, first: Int) throws -> Step {
    let encoding = try naming(source) { try source.encoding.map { try QuantizationEncoding($0) } }
    let shape = source.valuesShape
    guard weights.owner(ofPart: source.name) == nil, isChosen(source, shape) else {
      let dtype = encoding == nil ? source.dtype : .float32
      return Step(
        source: source, isQuantized: false,
        infos: [SafetensorsWriter.TensorInfo(name: source.name, dtype: dtype, shape: shape)], first: first,
        result: QuantizedTensor(source, becomes: dtype.name, isQuantized: false))
    }
    // The names that layers are found by.
    let isWeight = source.name == "weight" || source.name.hasSuffix(".weight")
    let stem = isWeight ? String(source.name.dropLast("weight".count)) : source.name + "."
    return Step(
      source: source, isQuantized: true,
      infos: try naming(source) { try config.tensorInfos(prefix: stem, outDim: shape[0], inDim: shape[1]) },
      first: first, result: QuantizedTensor(source, becomes: "GPTQ of \(config.bits) bits", isQuantized: true))
  }

  /// The error names the tensor.
  private func naming<Result>(_ source: WeightData, _ body: () throws -> Result) throws -> Result {
    do {
      return try body()
    } catch let error as MaxLinearError {
      let advice = error.status == .invalidShape ? "; --layers can leave it out" : ""
      throw MaxLinearError(error.status, "tensor \"\(source.name)\": \(error.message)\(advice)")
    }
  }

  private func isChosen(_ source: WeightData, _ shape: [Int]) -> Bool {
    let floats: [DType] = [.float32, .float16, .bfloat16]
    guard shape.count == 2, source.encoding != nil || floats.contains(source.dtype) else { return false }
    if let layers { return source.name.matches(layers) }
    guard source.name.hasSuffix(".weight") else { return false }
    // Left as they are by those who make GPTQ checkpoints: there are no linears, or the last one.
    let others = ["embed", "embd", "wte.", "wpe.", "lm_head."]
    return source.name != "output.weight" && !others.contains { source.name.contains($0) }
  }

  private func quantize(
    _ step: Step, to writer: SafetensorsWriter, _ progress: Progress, _ signals: HeldSignals
  ) throws {
    try signals.check()
    let source = step.source
    try source.checkFile()
    let values = try source.encoding.map { try QuantizationEncoding($0).dequantize(source.tensor) } ?? source.tensor
    let tensors = try naming(source) { try config.quantize(values) }
    source.releasePages()
    for (index, data) in tensors.stateDict().entries.enumerated() {
      try writer.write(data.tensor, to: step.first + index)
    }
    progress.advance(source.tensor.byteCount, name: source.name)
  }

  private func copy(
    _ step: Step, to writer: SafetensorsWriter, _ progress: Progress, _ signals: HeldSignals
  ) throws {
    let encoding = try step.source.encoding.map { try QuantizationEncoding($0) }
    try step.source.forEachPiece(columns: encoding == nil ? 1 : step.source.shape.last ?? 1) { part, _ in
      try signals.check()
      try step.source.checkFile()
      try writer.write(encoding?.dequantize(part) ?? part, to: step.first)
      progress.advance(part.byteCount, name: step.source.name)
    }
  }
}

import MaxLinear

#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// `maxlinear quantize --gptq`: a checkpoint's linear layers as GPTQ's tensors, in a safetensors file.
struct QuantizeToGPTQ {
  let input: String
  let output: String
  let config: QuantizationConfig
  /// nil for the layers that GPTQ checkpoints usually have.
  let layers: String?

  /// Values that are copied at a time.
  private static let valuesAtOnce = 4 << 20

  /// One tensor on its way, and the number of the first of those that it becomes.
  private struct Step {
    let source: WeightData
    let isQuantized: Bool
    let infos: [SafetensorsWriter.TensorInfo]
    let first: Int
    let line: String
  }

  func run(quiet: Bool, _ signals: HeldSignals) throws {
    let weights = try Weights.open([input])
    var steps: [Step] = []
    for source in weights.items() {
      steps.append(try step(source, first: steps.last.map { $0.first + $0.infos.count } ?? 0))
    }
    let configPath = try checkedConfigPath()
    let progress = QuantizeProgress(quiet: quiet, total: steps.reduce(0) { $0 + $1.source.tensor.byteCount })
    defer { progress.clear() }
    let writer = try SafetensorsWriter(
      path: output, metadata: metadata(weights), tensors: steps.flatMap(\.infos))
    defer { writer.cancel() }
    for step in steps {
      try step.isQuantized ? quantize(step, to: writer, progress, signals) : copy(step, to: writer, progress, signals)
      progress.finish(step.line)
    }
    try signals.check()
    // What was read while a file changed may be of either state.
    for step in steps { try step.source.checkFile() }
    try writer.finish { try config.write(to: configPath) }
    let count = steps.count { $0.isQuantized }
    progress.end("\(output): \(steps.count) tensors, \(count) of them quantized")
  }

  /// The place of quantize_config.json. One that says something else belongs to another checkpoint, unless OUT is replaced.
  private func checkedConfigPath() throws -> String {
    let folder = output.lastIndex(of: "/").map { String(output[...$0]) } ?? ""
    let path = folder + "quantize_config.json"
    if let there = FileManager.default.contents(atPath: path), there != Data(config.fileText.utf8),
      !FileManager.default.fileExists(atPath: output)
    {
      throw MaxLinearError(
        .invalidArgument, "\(path): is there and says something else, expected a folder without another GPTQ checkpoint"
      )
    }
    return path
  }

  /// "format" is what readers of safetensors look for. GGUF's metadata, a tokenizer among them, has no place in the file.
  private func metadata(_ weights: Weights) -> [(key: String, value: String)] {
    var metadata = weights.ggufMetadata.isEmpty ? weights.metadata : [:]
    if metadata["format"] == nil { metadata["format"] = "pt" }
    return metadata.sorted { $0.key < $1.key }
  }

  /// What becomes of a tensor.
  private func step(_ source: WeightData, first: Int) throws -> Step {
    let encoding = try source.encoding.map { try QuantizationEncoding($0) }
    var shape = source.shape
    if let encoding, let bytes = shape.popLast() {
      shape.append(bytes / encoding.blockSize * encoding.elementsPerBlock)
    }
    let size = shape.isEmpty ? "scalar" : shape.map(String.init).joined(separator: " x ")
    let what = "\(source.name): \(size) \(source.encoding ?? source.dtype.name)"
    guard isChosen(source, shape) else {
      let dtype = encoding == nil ? source.dtype : .float32
      return Step(
        source: source, isQuantized: false,
        infos: [SafetensorsWriter.TensorInfo(name: source.name, dtype: dtype, shape: shape)], first: first,
        line: encoding == nil ? "\(what) copied" : "\(what) -> float32")
    }
    let stem = source.name.hasSuffix("weight") ? String(source.name.dropLast("weight".count)) : source.name + "."
    return Step(
      source: source, isQuantized: true,
      infos: try naming(source) { try config.tensorInfos(prefix: stem, outDim: shape[0], inDim: shape[1]) },
      first: first, line: "\(what) -> GPTQ of \(config.bits) bits")
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
    if let layers { return fnmatch(layers, source.name, 0) == 0 }
    guard source.name.hasSuffix(".weight") else { return false }
    // Left as they are by those who make GPTQ checkpoints: there are no linears, or the last one.
    let others = ["embed", "embd", "wte.", "wpe.", "lm_head."]
    return source.name != "output.weight" && !others.contains { source.name.contains($0) }
  }

  private func quantize(
    _ step: Step, to writer: SafetensorsWriter, _ progress: QuantizeProgress, _ signals: HeldSignals
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
    _ step: Step, to writer: SafetensorsWriter, _ progress: QuantizeProgress, _ signals: HeldSignals
  ) throws {
    let tensor = step.source.tensor
    guard let start = tensor.pointer, tensor.count > 0 else { return }
    let encoding = try step.source.encoding.map { try QuantizationEncoding($0) }
    let columns = encoding == nil ? 1 : tensor.shape.last ?? 1
    let rowBytes = columns * tensor.dtype.bits / 8
    let rows = tensor.count / columns
    let rowsAtOnce = max(1, Self.valuesAtOnce / columns)
    for first in stride(from: 0, to: rows, by: rowsAtOnce) {
      try signals.check()
      try step.source.checkFile()
      let count = min(rowsAtOnce, rows - first)
      let part = try Tensor(
        pointer: UnsafeRawPointer(start + first * rowBytes), dtype: tensor.dtype, shape: [count, columns],
        owner: tensor.owner)
      try writer.write(encoding?.dequantize(part) ?? part, to: step.first)
      WeightData(name: step.source.name, tensor: part).releasePages()
      progress.advance(count * rowBytes, name: step.source.name)
    }
  }
}

import MaxLinear

/// What became of a tensor.
struct QuantizedTensor: Encodable {
  let name: String
  let shape: [Int]
  let was: String
  let becomes: String
  let quantized: Bool
  private let size: String

  init(_ source: WeightData, becomes: String, isQuantized: Bool) {
    name = source.name
    shape = source.valuesShape
    was = source.storedAs
    self.becomes = becomes
    quantized = isQuantized
    size = source.sizeText
  }

  private enum CodingKeys: String, CodingKey { case name, shape, was, becomes, quantized }

  var text: String {
    "\(name.printable): \(size) \(was) \(quantized || was != becomes ? "-> \(becomes)" : "copied")"
  }
}

/// What became of a checkpoint.
struct Quantized: Encodable {
  let output: String
  let tensors: [QuantizedTensor]

  func say(_ progress: Progress, quiet: Bool, json: Bool) throws {
    progress.clear()
    guard !quiet else { return }
    if json { return writeOutput(try jsonText() + "\n") }
    progress.say("\(output): \(tensors.count) tensors, \(tensors.count { $0.quantized }) of them quantized")
  }
}

import ArgumentParser
import MaxLinear

/// An activation function by its name.
private struct ActivationName: ExpressibleByArgument {
  let value: Activation

  init?(argument: String) {
    guard let found = Activation.allCases.first(where: { $0.name == argument }) else { return nil }
    value = found
  }

  static var allValueStrings: [String] { Activation.allCases.map(\.name) }
  static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }
}

private enum ComputeName: String, ExpressibleByArgument, CaseIterable {
  case automatic, float32, int8

  var value: Compute {
    switch self {
    case .automatic: .automatic
    case .float32: .float32
    case .int8: .int8
    }
  }
}

/// `maxlinear run`: a layer of a checkpoint on an array of numpy's.
struct RunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run",
    abstract: "Run a checkpoint's gated MLP or linear layer on an array in an .npy file.",
    discussion: """
      x is (..., in_dim), float32 or float16, little-endian and in C order; y has its dtype and its leading dimensions. --layer takes the MLP \
      by the names of Hugging Face (model.layers.0.mlp.gate_proj.weight) or GGUF (blk.0.ffn_gate.weight); --tensor a linear layer by its \
      weight's name, with or without ".weight" or ".qweight", and with the bias beside it.
      y's file appears once it is whole.
      """)

  @Argument(
    help: "A file, the first of a split GGUF, a safetensors index, or a folder with a checkpoint.", completion: .file())
  var checkpoint: String

  @Option(parsing: .unconditional, help: "The number of the layer whose gated MLP runs.")
  var layer: Int?

  @Option(help: ArgumentHelp("The linear layer that runs instead.", valueName: "name"))
  var tensor: String?

  @Option(name: .shortAndLong, help: ArgumentHelp("x.", valueName: "x.npy"), completion: .file(extensions: ["npy"]))
  var input: String

  @Option(
    name: .shortAndLong, help: ArgumentHelp("Where y is written.", valueName: "y.npy"),
    completion: .file(extensions: ["npy"]))
  var output: String

  @Option(help: "The MLP's activation function. Default: silu.")
  fileprivate var activation: ActivationName?

  @Option(help: "The arithmetic: int8 and automatic quantize x to 8 bits for encoded weights, float32 does not.")
  fileprivate var compute = ComputeName.automatic

  @Option(parsing: .unconditional, help: "Threads; 0 for the default.")
  var threads = 0

  @Flag(help: "Print nothing but errors.")
  var quiet = false

  @Flag(help: "Print JSON.")
  var json = false

  func validate() throws {
    guard (layer == nil) != (tensor == nil) else {
      throw ValidationError("Expected --layer or --tensor, and not both.")
    }
    if tensor != nil, let activation {
      throw ValidationError("--activation: is \(activation.value.name) beside --tensor, expected it beside --layer")
    }
    guard layer ?? 0 >= 0 else { throw ValidationError("layer must not be negative") }
    guard (0...1024).contains(threads) else { throw ValidationError("threads must be 1 to 1024, or 0 for the default") }
  }

  func run() throws {
    ignoreFailedWrites()
    try HeldSignals.during(run)
  }

  private func run(_ signals: HeldSignals) throws {
    if threads > 0 { try Threads.set(threads) }
    let x = try NPY.read(input)
    let weights = try Weights.open([checkpoint])
    try weights.checkIsNoFile(output, argument: "--output")
    let module: Layer
    if let tensor {
      module = try LinearV2.fromWeights(weights, name: tensor)
    } else {
      module = try MLPV2.fromWeights(weights, layer: layer ?? 0, activationFunction: activation?.value ?? .silu)
    }
    var prepared: PreparedLayer?
    let preparing = try BenchClock.seconds { prepared = try module.prepared(PrepareOptions(compute: compute.value)) }
    guard let prepared else { return }
    try signals.check()
    var y: Tensor?
    let running = try BenchClock.seconds { y = try prepared(x) }
    guard let y else { return }
    try signals.check()
    try NPY.write(y, to: output)
    guard !quiet else { return }
    let what = tensor.map { "linear \($0.printable)" } ?? "MLP of layer \(layer ?? 0)"
    try RunResult(
      output: output, what: what, dtype: y.dtype.name, x: x.shape, y: y.shape, kernel: prepared.kernel,
      threads: Threads.count, prepareSeconds: preparing, seconds: running
    ).write(json: json)
  }
}

private struct RunResult: OutputLine {
  let output: String
  let what: String
  let dtype: String
  let x: [Int]
  let y: [Int]
  let kernel: String
  let threads: Int
  let prepareSeconds: Double
  let seconds: Double

  private enum CodingKeys: String, CodingKey {
    case output, dtype, x, y, kernel, threads, seconds
    case what = "layer"
    case prepareSeconds = "prepare_seconds"
  }

  var text: String {
    func size(_ shape: [Int]) -> String { shape.map(String.init).joined(separator: " x ") }
    let times = formatted("prepared in %.3f s, ran in %.3f ms", prepareSeconds, seconds * 1e3)
    return "\(output): \(what), \(size(x)) -> \(size(y)) \(dtype), \(times), \(kernel)"
  }
}

import ArgumentParser
import MaxLinear

/// `maxlinear bench`: how fast the layers run here, and how fast anything could.
struct BenchCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench",
    abstract: "Time prepared layers of every encoding, or what the machine can do at most.",
    discussion: """
      y = layer(x) with x (M, K) and a weight (N, K), random but valid; an MLP has three such matrices. Calls rotate through copies of the \
      layer that outgrow the last-level cache together, so that M=1 reads memory as a model's decode does. bf16 weights meet bfloat16 x, \
      all others float32 x. GFLOP/s count 2 M K N for each matrix; weight GB/s count the encoded bytes.

      GPTQ has groups of 128 and 4 bits: GPTQ-sym, GPTQ-asym, GPTQ-act-order; or symmetric 2, 3 or 8.
      """)

  @Option(help: "Layers, as a list: linear, mlp.")
  var layer = CommaList<BenchLayer>([.linear])

  @Option(
    help: """
      Encodings, as a list, or "all": \(BenchEncoding.all.map(\.name).joined(separator: ", ")). Also \
      \(BenchEncoding.known.dropFirst(BenchEncoding.all.count).map(\.name).joined(separator: ", ")).
      """)
  var encoding = CommaList<BenchEncoding>(BenchEncoding.all)

  @Option(parsing: .unconditional, help: "Rows of x, as a list.")
  var m = CommaList<Int>([1, 4, 8, 16, 32, 128, 512])

  @Option(parsing: .unconditional, help: "Inputs.")
  var k = 4096

  @Option(parsing: .unconditional, help: "Outputs; of an MLP, its hidden width.")
  var n = 14336

  @Option(parsing: .unconditional, help: "Threads; 0 for the default.")
  var threads = 0

  @Option(parsing: .unconditional, help: "Seconds for each M, or for each ceiling.")
  var seconds = 0.5

  @Option(parsing: .unconditional, help: "Megabytes of weights that the copies have together at least.")
  var rotate = 256

  @Option(parsing: .unconditional, help: "The most copies, even where they then have fewer megabytes.")
  var copies = 64

  @Option(help: "\"always\", or \"never\": run from the weights as they are stored.")
  var pack = BenchPacking.always

  @Flag(help: "Measure the ceilings instead: operations a second of one instruction repeated, and reading memory.")
  var ceilings = false

  @Flag(help: "Print JSON, one object a line.")
  var json = false

  @Flag(
    help:
      "For one layer and encoding, or for reading memory as a ceiling: say when it is ready, then time each line \"M SECONDS\" of the input."
  )
  var requests = false

  func validate() throws {
    let sizes = 1...Int(Int32.max)
    guard sizes ~= k, sizes ~= n, m.values.allSatisfy({ sizes ~= $0 }) else {
      throw ValidationError("m, k and n must be 1 to \(sizes.upperBound)")
    }
    guard seconds >= 0 else { throw ValidationError("seconds must not be negative") }
    guard sizes.contains(rotate) || rotate == 0 else {
      throw ValidationError("rotate must be 0 to \(sizes.upperBound)")
    }
    guard 1...1024 ~= copies else { throw ValidationError("copies must be 1 to 1024") }
    guard (0...1024).contains(threads) else { throw ValidationError("threads must be 1 to 1024, or 0 for the default") }
    guard !requests || ceilings || (layer.values.count == 1 && encoding.values.count == 1) else {
      throw ValidationError("requests needs one layer and one encoding")
    }
  }

  func run() throws {
    let machine = try Machine.current()
    let threads = threads == 0 ? machine.threads : threads
    if threads > machine.threads { try Threads.set(threads) }
    if ceilings, requests {
      guard let memory = BenchMemory(threads: threads) else {
        throw ValidationError("there is no memory for the loop that reads, expected \(BenchMemory.bytes) bytes")
      }
      try answerRequests { _, seconds in try memory.read(seconds: seconds).write(json: json) }
      return
    }
    if ceilings {
      for ceiling in BenchCeiling.measureAll(machine: machine, threads: threads, seconds: seconds) {
        try ceiling.write(json: json)
      }
      return
    }
    for layer in layer.values {
      for encoding in encoding.values {
        if pack == .never, !encoding.runsUnpacked, self.encoding.values.count > 1 { continue }
        let bench = try BenchCase(
          layer: layer, encoding: encoding, inDim: k, outDim: n, threads: threads, packing: pack,
          rotatingBytes: rotate << 20, mostCopies: copies, machine: machine)
        let time = { rows, seconds in try bench.time(rows: rows, seconds: seconds).write(json: json) }
        try requests ? answerRequests(time) : m.values.forEach { try time($0, seconds) }
      }
    }
  }

  private func answerRequests(_ time: (_ rows: Int, _ seconds: Double) throws -> Void) throws {
    try BenchReady(peer: "maxlinear \(version)").write(json: json)
    while let line = readLine() {
      let words = line.split(separator: " ")
      guard words.count == 2, let rows = Int(words[0]), rows > 0, let seconds = Double(words[1]), seconds >= 0 else {
        throw ValidationError("a request is \"\(line)\", expected M and seconds")
      }
      try time(rows, seconds)
    }
  }
}

/// "a,b,c", or "all" for the default.
struct CommaList<Element: BenchArgument>: ExpressibleByArgument {
  let values: [Element]

  init(_ values: [Element]) { self.values = values }

  init?(argument: String) {
    if argument == "all", !Element.all.isEmpty {
      values = Element.all
      return
    }
    values = argument.split(separator: ",", omittingEmptySubsequences: false).compactMap { Element(String($0)) }
    guard values.count == argument.split(separator: ",", omittingEmptySubsequences: false).count else { return nil }
  }

  var defaultValueDescription: String { values.map(\.description).joined(separator: ",") }
}

/// What a list may hold.
protocol BenchArgument: LosslessStringConvertible {
  /// What "all" means; nothing where it has no meaning.
  static var all: [Self] { get }
}

extension Int: BenchArgument {
  static var all: [Int] { [] }
}

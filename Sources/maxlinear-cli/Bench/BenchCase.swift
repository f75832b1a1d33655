import ArgumentParser
import MaxLinear

enum BenchLayer: String, BenchArgument, CaseIterable {
  case linear, mlp

  init?(_ description: String) { self.init(rawValue: description) }
  static var all: [BenchLayer] { allCases }
  var description: String { rawValue }
}

enum BenchPacking: String, ExpressibleByArgument {
  case always, never
}

/// Copies of one layer, prepared, and their timing.
final class BenchCase {
  private let layer: BenchLayer
  private let encoding: BenchEncoding
  private let inDim: Int
  private let outDim: Int
  private let threads: Int
  private let packing: BenchPacking
  private let copies: [PreparedLayer]
  private let kernel: String
  /// Encoded bytes of one copy.
  private let weightBytes: Int
  /// Encoded bytes that preparing takes in a second.
  private let packRate: Double?
  private var turn = 0
  private var random = RandomBits(seed: 1)

  init(
    layer: BenchLayer, encoding: BenchEncoding, inDim: Int, outDim: Int, threads: Int, packing: BenchPacking,
    rotatingBytes: Int, mostCopies: Int, machine: Machine
  ) throws {
    self.layer = layer
    self.encoding = encoding
    self.inDim = inDim
    self.outDim = outDim
    self.threads = threads
    self.packing = packing
    var state: [WeightData] = []
    var bytes = 0
    // Packing reads the source and lets go of it. Without packing each copy needs one of its own.
    let storage = packing == .never ? WeightStorage.copy : .borrow
    for (prefix, rows, columns) in Self.matrices(layer, inDim: inDim, outDim: outDim) {
      let matrix = try encoding.weights(
        outDim: rows, inDim: columns, prefix: prefix, storage: storage, random: &random)
      state += matrix.state
      bytes += matrix.bytes
    }
    weightBytes = bytes
    let wanted = (rotatingBytes + bytes - 1) / max(bytes, 1)
    let options = PrepareOptions(packing: packing == .never ? .never : .always, threads: threads)
    var copies: [PreparedLayer] = []
    var times: [Double] = []
    for _ in 0..<min(max(wanted, 1), mostCopies) {
      let copy = try Self.module(layer, encoding, inDim: inDim, outDim: outDim)
      try copy.loadStateDict(StateDict(state), strict: true)
      var prepared: PreparedLayer?
      times.append(try BenchClock.seconds { prepared = try copy.prepared(options) })
      if let prepared { copies.append(prepared) }
    }
    self.copies = copies
    packRate = packing == .never ? nil : Double(bytes) / BenchTimes(times).median
    // bfloat16 x has a row of its own on dense bfloat16 weights.
    let rows = machine.encodings.first { $0.name == "BF16" }?.rows ?? []
    let pairs = encoding.inputDType == .bfloat16 ? rows.first { $0.compute == "bfloat16" } : nil
    kernel = pairs?.kernel ?? copies.first?.kernel ?? ""
  }

  private static func matrices(
    _ layer: BenchLayer, inDim: Int, outDim: Int
  ) -> [(prefix: String, outDim: Int, inDim: Int)] {
    switch layer {
    case .linear: [("", outDim, inDim)]
    case .mlp: [("gate_proj.", outDim, inDim), ("down_proj.", inDim, outDim), ("up_proj.", outDim, inDim)]
    }
  }

  private static func module(
    _ layer: BenchLayer, _ encoding: BenchEncoding, inDim: Int, outDim: Int
  ) throws -> Layer {
    let quantization = try encoding.quantizationEncoding()
    switch layer {
    case .mlp:
      return try MLPV2(
        dtype: encoding.dtype, quantizationEncoding: quantization, hiddenDim: inDim, feedForwardLength: outDim,
        quantizationConfig: encoding.config)
    case .linear:
      guard let config = encoding.config else {
        return try LinearV2(inDim: inDim, outDim: outDim, dtype: encoding.dtype, quantizationEncoding: quantization)
      }
      return try GPTQLinearV2(inDim: inDim, outDim: outDim, dtype: encoding.dtype, quantizationConfig: config)
    }
  }

  /// One or two calls to warm up, then calls until the time is over: at least 7, 3 where each takes longer than the time, or 1 where it takes
  /// four times as long.
  func time(rows: Int, seconds: Double) throws -> BenchResult {
    let x = try random.bellShaped(shape: [rows, inDim], dtype: encoding.inputDType)
    let y = try Tensor.zeros(shape: [rows, layer == .mlp ? inDim : outDim], dtype: encoding.inputDType)
    func call() throws -> Double {
      turn += 1
      let copy = copies[turn % copies.count]
      return try BenchClock.seconds { try copy.forward(x, into: y, threads: threads) }
    }
    let first = try call()
    if first < seconds { _ = try call() }
    let least = first < seconds ? 7 : first < 4 * seconds ? 3 : 1
    var times: [Double] = []
    var spent = 0.0
    while spent < seconds || times.count < least {
      times.append(try call())
      spent += times[times.count - 1]
    }
    let summary = BenchTimes(times)
    let operations = 2.0 * Double(rows) * Double(inDim) * Double(outDim) * (layer == .mlp ? 3 : 1)
    return BenchResult(
      layer: layer.rawValue, encoding: encoding.name, kernel: kernel, pack: packing.rawValue, m: rows, k: inDim,
      n: outDim, threads: threads, calls: times.count, seconds: summary.median, secondsLow: summary.low,
      secondsHigh: summary.high, gflops: operations / summary.median / 1e9,
      weightGigabytes: Double(weightBytes) / summary.median / 1e9, packGigabytes: packRate.map { $0 / 1e9 })
  }
}

/// The middle of some times, and where most of them lie.
struct BenchTimes {
  let median: Double
  /// The 10th percentile.
  let low: Double
  /// The 90th percentile.
  let high: Double

  init(_ times: [Double]) {
    let sorted = times.sorted()
    func at(_ share: Double) -> Double { sorted[Int((Double(sorted.count - 1) * share).rounded())] }
    median = at(0.5)
    low = at(0.1)
    high = at(0.9)
  }
}

enum BenchClock {
  static func seconds(_ body: () throws -> Void) rethrows -> Double {
    let duration = try ContinuousClock().measure(body).components
    return Double(duration.seconds) + Double(duration.attoseconds) * 1e-18
  }
}

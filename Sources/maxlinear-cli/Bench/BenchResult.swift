/// A layer, an encoding and an M, timed.
struct BenchResult: OutputLine {
  let layer: String
  let encoding: String
  let kernel: String
  let pack: String
  let m: Int
  let k: Int
  let n: Int
  let threads: Int
  let calls: Int
  /// The median, and the 10th and 90th percentile.
  let seconds: Double
  let secondsLow: Double
  let secondsHigh: Double
  let gflops: Double
  let weightGigabytes: Double
  let packGigabytes: Double?

  enum CodingKeys: String, CodingKey {
    case layer, encoding, kernel, pack, threads, calls, seconds, gflops
    case m = "M"
    case k = "K"
    case n = "N"
    case secondsLow = "seconds_10"
    case secondsHigh = "seconds_90"
    case weightGigabytes = "weight_gbs"
    case packGigabytes = "pack_gbs"
  }

  var text: String {
    let shape = "\(layer) \(encoding)".padded(to: 21)
    let rate = formatted("M=%-4d %9.1f GFLOP/s %7.1f GB/s", m, gflops, weightGigabytes)
    let spread = formatted("%10.3f ms (%.3f to %.3f)", seconds * 1e3, secondsLow * 1e3, secondsHigh * 1e3)
    let packing = packGigabytes.map { formatted("packed at %.1f GB/s", $0) } ?? "not packed"
    return "\(shape) \(rate) \(spread)  \(packing), \(kernel)"
  }
}

/// Says that requests may come.
struct BenchReady: OutputLine {
  let peer: String
  let ready = true

  enum CodingKeys: String, CodingKey { case peer, ready }

  var text: String { "\(peer) is ready" }
}

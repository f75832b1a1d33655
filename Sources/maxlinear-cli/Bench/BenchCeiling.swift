import Ceilings
import MaxLinear

/// What the machine can do at most of one kind.
struct BenchCeiling: OutputLine {
  /// "f32", "bf16", "int8", "int8 of 4-bit codes", "read".
  let ceiling: String
  /// The instructions that were repeated.
  let instructions: String
  let threads: Int
  /// The best of the measurements: others had the machine for part of the time in the slower ones.
  let rate: Double
  let median: Double

  private enum CodingKeys: String, CodingKey {
    case ceiling, instructions, threads
    // Of multiplications and additions, or of bytes: thousand millions a second.
    case rate = "giga_per_second"
    case median = "median_giga_per_second"
  }

  private static let measurements = 5

  /// One of each loop that this CPU and MAXLINEAR_ISA allow, then reading.
  static func measureAll(machine: Machine, threads: Int, seconds: Double) -> [BenchCeiling] {
    var ceilings: [BenchCeiling] = []
    let count = Int32(clamping: threads)
    for index in 0..<ceilings_loop_count() {
      guard let loop = ceilings_loop_at(index),
        machine.allowedFeatures.contains(String(cString: loop.pointee.feature))
      else { continue }
      let rates = (0..<measurements).map { _ in ceilings_compute(loop, count, seconds / Double(measurements)) }
      ceilings.append(
        BenchCeiling(
          String(cString: loop.pointee.kind), String(cString: loop.pointee.instructions), threads: threads, rates))
    }
    if let memory = BenchMemory(threads: threads) { ceilings.append(memory.read(times: measurements)) }
    return ceilings
  }

  fileprivate init(_ kind: String, _ instructions: String, threads: Int, _ rates: [Double]) {
    ceiling = kind
    self.instructions = instructions
    self.threads = threads
    rate = (rates.max() ?? 0) / 1e9
    median = BenchTimes(rates).median / 1e9
  }

  var text: String {
    let kind = ceiling.padded(to: 21)
    let unit = ceiling == "read" ? "GB/s" : "GOP/s"
    return kind + formatted(" %9.1f ", rate) + unit + formatted(" (median %.1f)  ", median) + instructions
  }
}

/// Memory that a loop only reads.
final class BenchMemory {
  /// More than last-level caches hold.
  static let bytes: Int64 = 512 << 20

  private let memory: ceilings_memory
  private let threads: Int32

  /// `nil` where there is not so much.
  init?(threads: Int) {
    self.threads = Int32(clamping: threads)
    memory = ceilings_memory_make(Self.bytes, self.threads)
    if memory.data == nil { return nil }
  }

  deinit { ceilings_memory_free(memory) }

  /// Reads all of it so often, and until so many seconds are over.
  func read(times: Int = 1, seconds: Double = 0) -> BenchCeiling {
    var rates: [Double] = []
    var left = seconds
    while rates.count < times || left > 0 {
      let rate = ceilings_read(memory, threads)
      rates.append(rate)
      // Without threads there is no rate, and no end of trying.
      left -= rate > 0 ? Double(Self.bytes) / rate : seconds
    }
    return BenchCeiling("read", "loads", threads: Int(threads), rates)
  }
}

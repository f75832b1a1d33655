import ArgumentParser
import MaxLinear

/// What `maxlinear quantize --gptq` makes.
struct GPTQOptions: ParsableArguments {
  enum Symmetry: String, EnumerableFlag {
    case sym, asym

    static func help(for value: Symmetry) -> ArgumentHelp? {
      value == .sym
        ? "Zeros in the middle of the codes (the default)." : "A zero for each group, which follows from its range."
    }
  }

  @Option(parsing: .unconditional, help: "Bits of a code: 2, 3, 4 or 8. Default: 4.")
  var bits: Int?

  @Option(parsing: .unconditional, help: "Columns that share a scale; -1 for all of them. Default: 128.")
  var groupSize: Int?

  @Flag(exclusivity: .exclusive)
  var symmetry: Symmetry?

  @Option(
    help: ArgumentHelp(
      "Groups of columns that are not consecutive: no; rounding knows no better order.", valueName: "no"))
  var descAct: String?

  var isGiven: Bool { bits != nil || groupSize != nil || symmetry != nil || descAct != nil }

  func validate() throws {
    if let bits, ![2, 3, 4, 8].contains(bits) {
      throw ValidationError("--bits: is \(bits), expected 2, 3, 4 or 8")
    }
    if let groupSize, groupSize < 1, groupSize != -1 {
      throw ValidationError("--group-size: is \(groupSize), expected 1 or more, or -1 for all columns")
    }
    guard descAct == nil || descAct == "no" else { throw ValidationError("--desc-act can only be no.") }
  }

  func config() -> QuantizationConfig {
    QuantizationConfig(
      bits: bits ?? 4, groupSize: groupSize ?? 128, sym: symmetry != .asym, checkpointFormat: "gptq")
  }
}

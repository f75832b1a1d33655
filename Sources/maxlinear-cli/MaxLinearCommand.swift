import ArgumentParser
import MaxLinear

/// The command `maxlinear`. Each subcommand is a file of its own.
@main
struct MaxLinearCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "maxlinear",
    abstract: "Linear layers for CPU inference.",
    version: MaxLinear.version,
    subcommands: [BenchCommand.self, InfoCommand.self, QuantizeCommand.self])
}

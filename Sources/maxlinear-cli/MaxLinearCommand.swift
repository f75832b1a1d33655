import ArgumentParser
import MaxLinear

/// The command `maxlinear`. Each subcommand is a file of its own.
@main
struct MaxLinearCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "maxlinear",
    abstract: "Linear layers for CPU inference.",
    discussion: """
      The exit code is 0 where all is done, 1 for a failure, whose message goes to standard error, 2 where compare finds an error above \
      --limit, 64 for arguments that do not fit, and that of the signal for a command that one has ended.
      """,
    version: MaxLinear.version,
    subcommands: [
      BenchCommand.self, CompareCommand.self, InfoCommand.self, InspectCommand.self, QuantizeCommand.self,
      RunCommand.self,
    ])

  /// Other bytes would be read as the name of another file.
  private static func checkArguments() throws {
    for index in 1..<max(1, Int(CommandLine.argc)) {
      guard let argument = CommandLine.unsafeArgv[index], String(validatingCString: argument) == nil else { continue }
      throw ValidationError("argument \(index): is \(String(cString: argument).printable), expected UTF-8")
    }
  }

  static func main() {
    openStandardDescriptors()
    do {
      do {
        try checkArguments()
        var command = try parseAsRoot()
        try command.run()
      } catch let error where exitCode(for: error).isSuccess {
        // Help, the version or completions: thrown, and yet what was asked for.
        writeOutput(fullMessage(for: error) + "\n")
      }
      try checkOutput()
    } catch let error as MaxLinearError {
      exit(withError: MaxLinearError(error.status, error.message.printable))
    } catch {
      exit(withError: error)
    }
  }
}

import ArgumentParser
import MaxLinear

/// `maxlinear info`: what this machine can run.
struct InfoCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "info",
    abstract: "Print CPU features, the kernel row chosen for each encoding, and threads.",
    discussion: """
      MAXLINEAR_ISA lowers the choice of kernels, for example MAXLINEAR_ISA=avx2.
      MAXLINEAR_NUM_THREADS sets the number of threads.
      """)

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    let machine = try Machine.current()
    writeOutput((json ? machine.json : Self.describe(machine)) + "\n")
  }

  private static func describe(_ machine: Machine) -> String {
    func list(_ names: [String]) -> String { names.isEmpty ? "none" : names.joined(separator: " ") }
    var lines = [
      "maxlinear      \(machine.version)",
      "CPU            \(machine.cpuModel.isEmpty ? "unknown" : machine.cpuModel)",
      "CPU features   \(list(machine.features))",
    ]
    if machine.allowedFeatures != machine.features {
      lines.append("MAXLINEAR_ISA  leaves \(list(machine.allowedFeatures))")
    }
    lines.append(
      "CPU variants   " + machine.isas.map { $0.isAllowed ? $0.name : "(\($0.name))" }.joined(separator: " "))
    lines.append("threads        \(machine.threads)")
    lines.append("")
    let width = machine.encodings.map(\.name.count).max() ?? 0
    for encoding in machine.encodings {
      let name = encoding.name.padded(to: max(width, 13))
      if encoding.rows.isEmpty { lines.append("\(name)  no kernel") }
      for row in encoding.rows {
        lines.append("\(name)  \(row.operation)  \(row.compute.padded(to: 7))  \(row.kernel)")
      }
    }
    for plugin in machine.plugins.dropFirst() {
      lines.append("plugin         \(plugin.name)  \(plugin.path)  \(list(plugin.encodings + plugin.communicators))")
      for message in plugin.messages { lines.append("               \(message.level): \(message.text)") }
    }
    for failure in machine.pluginFailures { lines.append("no plugin      \(failure.path): \(failure.reason)") }
    return lines.joined(separator: "\n")
  }
}

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What a command says while it runs: on a terminal a bar below the lines, elsewhere lines alone, or nothing.
final class Progress {
  private let isQuiet: Bool
  private let hasBar: Bool
  private let total: Int
  private var done = 0
  private var isDrawn = false
  private static let width = 79
  private static let barWidth = 24

  /// `total` is the bytes to be read.
  init(quiet: Bool, total: Int) {
    isQuiet = quiet
    hasBar = !quiet && isatty(STDOUT_FILENO) == 1
    self.total = total
  }

  /// So many more bytes of a tensor are done.
  func advance(_ bytes: Int, name: String) {
    done += bytes
    guard hasBar else { return }
    let part = total > 0 ? Double(done) / Double(total) : 1
    let filled = Int(part * Double(Self.barWidth))
    let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: Self.barWidth - filled)
    let line = "[\(bar)] \(formatted("%3d", Int(part * 100))) %  \(name.printable)"
    isDrawn = true
    writeOutput("\r" + String(line.prefix(Self.width)).padded(to: Self.width))
  }

  /// A tensor is done: a line of it, for those who have no bar.
  func finish(_ line: String) {
    if !hasBar { say(line) }
  }

  /// A line of the result.
  func say(_ line: String) {
    clear()
    if !isQuiet { writeOutput(line + "\n") }
  }

  /// Takes the bar away.
  func clear() {
    guard isDrawn else { return }
    isDrawn = false
    writeOutput("\r" + String(repeating: " ", count: Self.width) + "\r")
  }
}

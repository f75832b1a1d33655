#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// What `maxlinear quantize` says while it runs: a bar on a terminal, a line for each tensor elsewhere, or nothing.
final class QuantizeProgress {
  private enum Style { case bar, lines, quiet }

  private let style: Style
  private let total: Int
  private var done = 0
  private var isDrawn = false
  private static let width = 79
  private static let barWidth = 24

  /// `total` is the bytes to be read.
  init(quiet: Bool, total: Int) {
    style = quiet ? .quiet : isatty(STDOUT_FILENO) == 1 ? .bar : .lines
    self.total = total
  }

  /// So many more bytes of a tensor are done.
  func advance(_ bytes: Int, name: String) {
    done += bytes
    guard style == .bar else { return }
    let part = total > 0 ? Double(done) / Double(total) : 1
    let filled = Int(part * Double(Self.barWidth))
    let bar = String(repeating: "#", count: filled) + String(repeating: "-", count: Self.barWidth - filled)
    let line = "[\(bar)] \(formatted("%3d", Int(part * 100))) %  \(name)"
    isDrawn = true
    write("\r" + String(line.prefix(Self.width)).padded(to: Self.width))
  }

  /// A tensor is done.
  func finish(_ line: String) {
    if style == .lines { write(line + "\n") }
  }

  /// All is done.
  func end(_ line: String) {
    clear()
    if style != .quiet { write(line + "\n") }
  }

  /// Takes the bar away.
  func clear() {
    guard isDrawn else { return }
    isDrawn = false
    write("\r" + String(repeating: " ", count: Self.width) + "\r")
  }

  private func write(_ text: String) {
    print(text, terminator: "")
    flushOutput()
  }
}

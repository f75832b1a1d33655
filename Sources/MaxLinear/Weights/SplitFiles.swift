/// Checkpoints in several numbered files: name-00001-of-00003.gguf and so on.
enum SplitFiles {
  private static let digits = 5

  /// All files of the split that the path is the first of; nil when it is no first file of a split.
  static func paths(from first: String) -> [String]? {
    let suffix = ".gguf"
    guard first.hasSuffix(suffix) else { return nil }
    let stem = Array(first.utf8.dropLast(suffix.utf8.count))
    // "-00001-of-00003"
    let length = 2 * digits + 5
    guard stem.count > length else { return nil }
    let tail = Array(stem.suffix(length))
    guard tail.starts(with: "-00001-of-".utf8), let count = Int(String(decoding: tail.suffix(digits), as: UTF8.self)),
      count >= 1, tail.suffix(digits).allSatisfy({ UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 })
    else { return nil }
    let name = String(decoding: stem.dropLast(length), as: UTF8.self)
    return (1...count).map { "\(name)-\(padded($0))-of-\(padded(count))\(suffix)" }
  }

  private static func padded(_ number: Int) -> String {
    let text = "\(number)"
    return String(repeating: "0", count: max(digits - text.utf8.count, 0)) + text
  }
}

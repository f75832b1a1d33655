#if canImport(FoundationEssentials)
  import FoundationEssentials
#else
  import Foundation
#endif

/// What a command says, for people and as JSON.
protocol OutputLine: Encodable {
  /// For people.
  var text: String { get }
}

extension OutputLine {
  /// Prints it. JSON is one object on one line, its keys in the order of the alphabet.
  func write(json: Bool) throws {
    writeOutput((json ? try jsonText() : text) + "\n")
  }
}

extension Encodable {
  func jsonText() throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(self), as: UTF8.self)
  }
}

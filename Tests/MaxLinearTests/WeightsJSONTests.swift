import Foundation
import Testing

@testable import MaxLinear

private func read(_ bytes: [UInt8]) throws -> JSONValue {
  try bytes.withUnsafeBytes { try JSONValue(reading: $0, source: "text") }
}

private func skip(_ bytes: [UInt8]) throws {
  try bytes.withUnsafeBytes {
    var reader = JSONReader($0, source: "text")
    try reader.skipValue()
    try reader.finish()
  }
}

private func message(_ text: String, _ body: (inout JSONReader) throws -> Void) -> String {
  do {
    try Array(text.utf8).withUnsafeBytes {
      var reader = JSONReader($0, source: "text")
      try body(&reader)
    }
    return "no error"
  } catch let error as MaxLinearError {
    #expect(hasThreeParts(error.message), "\(error.message)")
    return error.message
  } catch {
    return "another error: \(error)"
  }
}

/// The value in a notation that Python writes too: integers, doubles by their bits, strings by their UTF-8.
private func canonical(_ value: JSONValue) -> String {
  func hexadecimal(_ text: String) -> String { text.utf8.map { String(format: "%02x", $0) }.joined() }
  switch value {
  case .object(let members):
    return "{" + members.map { "\(hexadecimal($0.key)):\(canonical($0.value))" }.joined(separator: ",") + "}"
  case .array(let elements): return "[" + elements.map(canonical).joined(separator: ",") + "]"
  case .string(let text): return "s" + hexadecimal(text)
  case .integer(let integer): return "i\(integer)"
  case .number(let double): return "d" + String(format: "%016lx", double.bitPattern)
  case .bool(let bool): return bool ? "t" : "f"
  case .null: return "n"
  }
}

private let pythonProgram = """
  import json, struct, sys

  def canonical(value):
      if isinstance(value, dict):
          return "{" + ",".join(k.encode().hex() + ":" + canonical(v) for k, v in value.items()) + "}"
      if isinstance(value, list):
          return "[" + ",".join(map(canonical, value)) + "]"
      if isinstance(value, str):
          return "s" + value.encode("utf-8", "surrogatepass").hex()
      if value is None:
          return "n"
      if isinstance(value, bool):
          return "t" if value else "f"
      if isinstance(value, int) and -2**63 <= value < 2**63:
          return f"i{value}"
      return "d" + struct.pack(">d", float(value)).hex()

  for line in open(sys.argv[1]):
      try:
          value = json.loads(bytes.fromhex(line).decode("utf-8"))
      except (ValueError, RecursionError):
          print("reject")
          continue
      try:
          print(canonical(value))
      except (UnicodeEncodeError, OverflowError):
          print("accept")
  """

/// Where python3 is; nil when there is none.
private let pythonPath: String? = (ProcessInfo.processInfo.environment["PATH"] ?? "")
  .split(separator: ":").map { "\($0)/python3" }.first { FileManager.default.isExecutableFile(atPath: $0) }

@Suite struct WeightsJSONTests {
  @Test func corpusIsLargeEnough() {
    #expect(jsonCorpus.count >= 80)
  }

  @Test(arguments: jsonCorpus)
  func acceptsOrRejects(_ json: JSONCase) {
    if json.isValid {
      #expect(throws: Never.self) { try read(json.bytes) }
    } else {
      let error = #expect(throws: MaxLinearError.self) { try read(json.bytes) }
      #expect(error?.message.hasPrefix("text: byte ") == true)
    }
    if json.isSkippable {
      #expect(throws: Never.self) { try skip(json.bytes) }
    } else {
      #expect(throws: MaxLinearError.self) { try skip(json.bytes) }
    }
  }

  @Test(.enabled(if: pythonPath != nil, "python3 is not in PATH"))
  func agreesWithPython() throws {
    let python = try #require(pythonPath)
    let folder = try TemporaryFolder()
    let lines = jsonCorpus.map { $0.bytes.map { String(format: "%02x", $0) }.joined() }
    let corpus = try folder.write("corpus.txt", Array((lines.joined(separator: "\n") + "\n").utf8))
    let process = Process()
    let output = Pipe()
    process.executableURL = URL(fileURLWithPath: python)
    process.arguments = ["-c", pythonProgram, corpus]
    process.standardOutput = output
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    #expect(process.terminationStatus == 0)
    let verdicts = String(decoding: data, as: UTF8.self).split(separator: "\n").map(String.init)
    try #require(verdicts.count == jsonCorpus.count)
    for (json, verdict) in zip(jsonCorpus, verdicts) {
      #expect((verdict != "reject") == json.isValidInPython, "Python about \(json.testDescription)")
      if json.isValid {
        let value = try read(json.bytes)
        #expect(canonical(value) == verdict, "\(json.testDescription)")
      }
    }
  }

  @Test func pullsWhatIsAskedFor() throws {
    let text = Array("{\"a\":[1,-2],\"b\":\"x\",\"c\":{\"d\":[{}]},\"e\":1.5,\"f\":true,\"g\":null}  ".utf8)
    try text.withUnsafeBytes {
      var reader = JSONReader($0, source: "text")
      try reader.enterObject()
      #expect(try reader.nextKey() == "a")
      try reader.enterArray()
      #expect(try reader.nextElement())
      #expect(try reader.readInteger() == 1)
      #expect(try reader.nextElement())
      #expect(try reader.readInteger() == -2)
      #expect(try !reader.nextElement())
      #expect(try reader.nextKey() == "b")
      #expect(try reader.readString() == "x")
      #expect(try reader.nextKey() == "c")
      try reader.skipValue()
      #expect(try reader.nextKey() == "e")
      #expect(try reader.readDouble() == 1.5)
      #expect(try reader.nextKey() == "f")
      #expect(try reader.readBool())
      #expect(try reader.nextKey() == "g")
      try reader.readNull()
      #expect(try reader.nextKey() == nil)
      try reader.finish()
    }
  }

  @Test func integersAreExact() {
    for (text, value) in [("9223372036854775807", Int.max), ("-9223372036854775808", Int.min), ("-0", 0)] {
      var result: Int?
      #expect(message(text) { result = try $0.readInteger() } == "no error")
      #expect(result == value)
    }
    for text in ["9223372036854775808", "-9223372036854775809", "100000000000000000000"] {
      #expect(message(text) { _ = try $0.readInteger() } == "text: byte 0: an integer, expected one of 64 bits")
    }
    for text in ["1.0", "1e2", "1.5"] {
      #expect(
        message(text) { _ = try $0.readInteger() }
          == "text: byte 0: a fraction or exponent, expected an integer")
    }
  }

  @Test func messagesSayWhatCameAndWhatWasExpected() {
    #expect(message("[1") { try $0.skipValue() } == "text: byte 2: the JSON text ends, expected \",\" or \"]\"")
    #expect(
      message("{\"a\":1,\"a\":2}") { try $0.skipValue() } == "text: byte 7: the key \"a\" comes twice, expected it once"
    )
    #expect(message("[\"a\"]") { try $0.enterObject() } == "text: byte 0: an array, expected an object")
    #expect(message("  12") { _ = try $0.readString() } == "text: byte 2: a number, expected a string")
    #expect(message("{\"a\" \u{1}}") { try $0.skipValue() } == "text: byte 5: a byte 0x1, expected \":\"")
    #expect(
      message(String(repeating: "[", count: 65)) { try $0.skipValue() }
        == "text: byte 64: objects and arrays nest deeper, expected at most 64 in one another")
    #expect(
      message("{}x") {
        try $0.skipValue()
        try $0.finish()
      }
        == "text: byte 2: \"x\", expected the end of the JSON text")
    #expect(message("1") { _ = try $0.nextElement() } == "text: byte 0: is elsewhere, expected to be inside an array")
    #expect(
      message("[1]") {
        try $0.enterArray()
        _ = try $0.nextKey()
      } == "text: byte 1: is elsewhere, expected to be inside an object")
  }

  @Test func pythonsWordsAreNumbersWhereTheyAreAskedFor() throws {
    let text = Array(
      "{\"a\": [NaN, Infinity, -Infinity, 1e999, -2], \"b\": {\"c\": 1, \"c\": 2}, \"d\": 1, \"d\": NaN}".utf8)
    let value = try text.withUnsafeBytes { try JSONValue(reading: $0, source: "text", dialect: .python) }
    guard case .array(let numbers)? = value["a"], case .integer(2)? = value["b"]?["c"],
      case .number(let last)? = value["d"]
    else {
      Issue.record("the last of several members is not found")
      return
    }
    #expect(last.isNaN)
    #expect(
      numbers.map(canonical).dropFirst() == ["d7ff0000000000000", "dfff0000000000000", "d7ff0000000000000", "i-2"])
    try text.withUnsafeBytes {
      var reader = JSONReader($0, source: "text", dialect: .python)
      try reader.skipValue()
      try reader.finish()
    }
    for wrong in ["Nan", "Infinit", "-Inf", "+Infinity", "[NaN NaN]", "--Infinity", "N", "I", "-"] {
      #expect(throws: MaxLinearError.self, "\(wrong)") {
        try Array(wrong.utf8).withUnsafeBytes { _ = try JSONValue(reading: $0, source: "text", dialect: .python) }
      }
    }
    #expect(message("Infinity") { try $0.skipValue() } == "text: byte 0: \"I\", expected a value")
  }

  @Test func treesFindMembersByBytes() throws {
    let value = try read(Array("{\"\u{e9}\":1,\"e\u{301}\":2}".utf8))
    guard case .integer(2)? = value["e\u{301}"], case .integer(1)? = value["\u{e9}"] else {
      Issue.record("members are not told apart by their bytes")
      return
    }
    #expect(value["e"] == nil)
  }

  /// 200,000 keys of one object in far less than the minutes that comparing each with each would take.
  @Test func manyKeysTakeLinearTime() throws {
    let text = "{" + (0..<200_000).map { "\"a key that is not short, number \($0)\":[]" }.joined(separator: ",") + "}"
    let duration = try ContinuousClock().measure { try skip(Array(text.utf8)) }
    #expect(duration < .seconds(20))
  }

  /// Seeded mutations of a valid text: any outcome but a crash, and reading and skipping agree.
  @Test func mutationsNeverCrash() {
    let original = Array(
      "{\"a\":[1,-2.5e3,\"\\ud834\\udd1e\\n\u{e9}\"],\"b\":{\"c\":null,\"d\":[true,false]},\"e\":\"\"} ".utf8)
    var random = SeededGenerator(seed: 7)
    for _ in 0..<20_000 {
      let mutated = random.mutate(original)
      let isRead = (try? read(mutated)) != nil
      let isSkipped = (try? skip(mutated)) != nil
      // Only skipping takes numbers beyond the range of a double.
      if isRead { #expect(isSkipped) }
    }
  }
}

import Foundation
import Testing

@testable import MaxLinear

@Suite("Machine")
struct MachineInfoTests {
  @Test("JSON says the same as the fields")
  func json() throws {
    let machine = try Machine.current()
    let json = try #require(try JSONSerialization.jsonObject(with: Data(machine.json.utf8)) as? [String: Any])
    #expect(json["version"] as? String == MaxLinear.version)
    #expect((json["cpu"] as? [String: Any])?["features"] as? [String] == machine.features)
    #expect((json["isa"] as? [String: Any])?["known"] as? [String] == Machine.isaNames)
    #expect(json["threads"] as? Int == machine.threads)
    let encodings = try #require(json["encodings"] as? [[String: Any]])
    #expect(encodings.compactMap { $0["name"] as? String } == machine.encodings.map(\.name))
    let dense = try #require(machine.encodings.first { $0.name == "F32" })
    #expect(dense.blockSize == 4 && dense.elementsPerBlock == 1 && dense.rows.count == 1)
  }

  @Test("text is escaped")
  func escapes() throws {
    let text = "quote \" backslash \\ tab \t null \0 é 👍"
    let decoded = try JSONSerialization.jsonObject(with: Data(JSONText.object([(text, .string(text))]).text.utf8))
    #expect(decoded as? [String: String] == [text: text])
  }

  @Test("the number of threads is 1 to 1024")
  func threads() throws {
    for count in [0, -1, 1025, Int.max, .min] {
      expectError(.invalidArgument, "threads: is \(count), expected 1 to 1024") { try Threads.set(count) }
    }
    try Threads.set(Threads.count)
  }
}

import Foundation
import Kernels
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

  @Test("names for bfloat16 x a row that runs on what the float32 row packs")
  func bfloat16Row() throws {
    let rows = try #require(try Machine.current().encodings.first { $0.name == "BF16" }?.rows)
    let named = try ["float32", "bfloat16"].map { compute in
      let kernel = try #require(rows.first { $0.compute == compute }?.kernel)
      return try #require(
        (0..<mxlk_row_count()).compactMap { mxlk_row_at($0) }.first { String(cString: $0.pointee.name) == kernel })
    }
    #expect(named[0].pointee.panel_columns == named[1].pointee.panel_columns)
    let weights = (0..<300 * 64).map { UInt16(truncatingIfNeeded: $0 &* 40503) }
    let packed = weights.withUnsafeBytes { bytes in
      var source = mxl_source()
      source.struct_size = UInt32(MemoryLayout<mxl_source>.size)
      source.clip = .infinity
      source.data = bytes.baseAddress
      source.row_stride = 600
      source.in_dim = 300
      source.out_dim = 64
      return named.map { row -> [UInt8] in
        let size = Int(row.pointee.packed_size(row, 256))
        guard let memory = mxlk_allocate(size) else { return [] }
        defer { mxlk_free(memory) }
        row.pointee.pack(row, &source, 0, 0, 256, memory)
        return [UInt8](UnsafeRawBufferPointer(start: memory, count: size))
      }
    }
    #expect(!packed[0].isEmpty && packed[0] == packed[1])
  }
}

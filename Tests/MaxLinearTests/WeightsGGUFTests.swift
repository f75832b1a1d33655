import Testing

@testable import MaxLinear

@Suite("GGUF headers")
struct WeightsGGUFTests {
  private static func bytes<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
    withUnsafeBytes(of: number.littleEndian) { Array($0) }
  }

  private static func string(_ text: String) -> [UInt8] { bytes(UInt64(text.utf8.count)) + Array(text.utf8) }

  /// Metadata of numbers (type 4, uint32) and a tensor of float32 (type 0) at offset 0, dimensions innermost first.
  private static func file(metadata: [(key: String, value: UInt32)] = [], dimensions: [UInt64]) -> [UInt8] {
    var file = Array("GGUF".utf8) + bytes(UInt32(3)) + bytes(UInt64(1)) + bytes(UInt64(metadata.count))
    for (key, value) in metadata { file += string(key) + bytes(UInt32(4)) + bytes(value) }
    file += string("w") + bytes(UInt32(dimensions.count))
    for dimension in dimensions { file += bytes(dimension) }
    file += bytes(UInt32(0)) + bytes(UInt64(0))
    return file + [UInt8](repeating: 0, count: 64)
  }

  @Test("are refused for a shape that no memory holds, a dimension of 0 in it or not")
  func shapes() throws {
    let folder = try TemporaryFolder()
    for dimensions: [UInt64] in [[1 << 40, 1 << 40], [1 << 40, 1 << 40, 0], [0, 1 << 40, 1 << 40]] {
      let path = try folder.write("m.gguf", Self.file(dimensions: dimensions))
      let shape = Array(dimensions.reversed())
      expectError(.invalidFile, "\(path): tensor \"w\": shape is \(shape), expected one that memory can hold") {
        _ = try Weights.open([path])
      }
    }
    let path = try folder.write("m.gguf", Self.file(dimensions: [3, 0]))
    #expect(try Weights.open([path])["w"]?.shape == [0, 3])
  }

  @Test("tell keys apart by their bytes, as names are")
  func keys() throws {
    let folder = try TemporaryFolder()
    let (composed, decomposed) = ("\u{e9}", "e\u{301}")
    let path = try folder.write(
      "m.gguf", Self.file(metadata: [(composed, 1), (decomposed, 2)], dimensions: [3]))
    #expect(
      try Weights.open([path]).ggufMetadata.map { Array($0.key.utf8) } == [
        Array(composed.utf8), Array(decomposed.utf8),
      ])
    let twice = try folder.write("twice.gguf", Self.file(metadata: [("a", 1), ("a", 1)], dimensions: [3]))
    #expect(thrownError { _ = try Weights.open([twice]) }?.message.contains("\"a\" comes twice") == true)
  }
}

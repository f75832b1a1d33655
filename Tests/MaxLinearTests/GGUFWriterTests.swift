import Foundation
import Testing

@testable import MaxLinear

@Suite struct GGUFWriterTests {
  let folder: TemporaryFolder
  private var path: String { "\(folder.path)/out.gguf" }

  init() throws { folder = try TemporaryFolder() }

  private static let infos = [
    GGUFWriter.TensorInfo(name: "floats", dtype: .float32, shape: [2, 3]),
    GGUFWriter.TensorInfo(name: "none", dtype: .float16, shape: [0, 4]),
    GGUFWriter.TensorInfo(name: "blocks", dtype: .uint8, shape: [1, 36], encoding: "Q4_0"),
    GGUFWriter.TensorInfo(name: "none either", dtype: .int8, shape: [0]),
  ]

  private func files() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder.path) }

  /// Every kind of value, and all that is written, is read again.
  @Test func writesWhatIsReadAgain() throws {
    let nested = try GGUFValue.array(
      of: .array, [.array(of: .uint8, [.uint8(1), .uint8(2)]), .array(of: .string, [.string("ä")])])
    let metadata = [
      GGUFMetadata("a", .uint8(200)), GGUFMetadata("b", .int8(-2)), GGUFMetadata("c", .uint16(60000)),
      GGUFMetadata("d", .int16(-300)), GGUFMetadata("e", .uint32(4_000_000_000)), GGUFMetadata("f", .int32(-70000)),
      GGUFMetadata("g", .float32(0.5)), GGUFMetadata("h", .bool(true)), GGUFMetadata("i", .string("zwölf")),
      GGUFMetadata("j", nested), GGUFMetadata("k", .uint64(.max)), GGUFMetadata("l", .int64(.min)),
      GGUFMetadata("m", .float64(1e300)), GGUFMetadata("general.alignment", .uint64(128)),
    ]
    let writer = try GGUFWriter(path: path, metadata: metadata, tensors: Self.infos)
    // Half a tensor at a time.
    try writer.write(Tensor([0, 1, 2]))
    try writer.write(Tensor([3, 4, 5]))
    let blocks = (0..<36).map { UInt8($0) }
    try writer.write(Tensor(elements: blocks, shape: [1, 36]))
    #expect(try files().allSatisfy { $0.hasSuffix(".partial") })
    try writer.finish()
    #expect(try files() == ["out.gguf"])
    let size = try Data(contentsOf: URL(fileURLWithPath: path)).count
    #expect(size % 128 == 0)

    let weights = try Weights.open([path])
    #expect(
      weights.metadata == [
        "a": "200", "b": "-2", "c": "60000", "d": "-300", "e": "4000000000", "f": "-70000", "g": "0.5", "h": "true",
        "i": "zwölf", "j": "", "k": "\(UInt64.max)", "l": "\(Int64.min)", "m": "1e+300", "general.alignment": "128",
      ])
    #expect(weights.ggufMetadata.map(\.key) == metadata.map(\.key))
    for (read, written) in zip(weights.ggufMetadata, metadata) {
      #expect(read.value.kind == written.value.kind)
      #expect(read.value.withBytes { Array($0) } == written.value.withBytes { Array($0) }, "\(read.key)")
    }
    #expect(try weights["floats"]?.tensor.floats() == [0, 1, 2, 3, 4, 5])
    #expect(weights["blocks"]?.encoding == "Q4_0")
    #expect(try weights["blocks"]?.tensor.array(of: UInt8.self) == blocks)
    #expect(weights["none"]?.shape == [0, 4] && weights["none either"]?.shape == [0])
  }

  @Test func leavesNothingUnlessFinished() throws {
    try "before".write(toFile: path, atomically: false, encoding: .utf8)
    do {
      let writer = try GGUFWriter(path: path, metadata: [], tensors: Self.infos)
      try writer.write(Tensor([0, 1, 2]))
      #expect(try refused { try writer.finish() } == .invalidArgument)
      writer.cancel()
      #expect(try files() == ["out.gguf"])
      #expect(try refused { try writer.write(Tensor([3, 4, 5])) } == .invalidArgument)
      #expect(try refused { try writer.finish() } == .invalidArgument)
    }
    do { _ = try GGUFWriter(path: path, metadata: [], tensors: Self.infos) }
    #expect(try files() == ["out.gguf"])
    #expect(try String(contentsOfFile: path, encoding: .utf8) == "before")
  }

  @Test func refusesWhatDoesNotFit() throws {
    let writer = try GGUFWriter(path: path, metadata: [], tensors: Self.infos)
    #expect(try refused { try writer.write(Tensor(elements: [1, 2] as [Double])) } == .invalidDType)
    #expect(try refused { try writer.write(Tensor([0, 1, 2, 3, 4, 5, 6])) } == .invalidArgument)
    try writer.write(Tensor([0, 1, 2, 3, 4, 5]))
    try writer.write(Tensor(elements: [UInt8](repeating: 0, count: 36)))
    #expect(try refused { try writer.write(Tensor(elements: [1] as [UInt8])) } == .invalidArgument)
    try writer.finish()
    #expect(try refused { try writer.finish() } == .invalidArgument)
    #expect(try files() == ["out.gguf"])
  }

  @Test(arguments: [
    ("shape", GGUFWriter.TensorInfo(name: "w", dtype: .float32, shape: [1, 1, 1, 1, 1]), Status.unsupported),
    ("dtype", GGUFWriter.TensorInfo(name: "w", dtype: .bool, shape: [1]), .unsupported),
    ("encoding", GGUFWriter.TensorInfo(name: "w", dtype: .uint8, shape: [18], encoding: "Q9"), .unsupported),
    (
      "long name", GGUFWriter.TensorInfo(name: String(repeating: "w", count: 64), dtype: .float32, shape: [3]),
      .unsupported
    ),
    ("floats", GGUFWriter.TensorInfo(name: "w", dtype: .float32, shape: [18], encoding: "Q4_0"), .invalidDType),
    ("rest", GGUFWriter.TensorInfo(name: "w", dtype: .uint8, shape: [2, 17], encoding: "Q4_0"), .invalidShape),
    ("scalar", GGUFWriter.TensorInfo(name: "w", dtype: .uint8, shape: [], encoding: "Q4_0"), .invalidShape),
    ("negative", GGUFWriter.TensorInfo(name: "w", dtype: .float32, shape: [-1]), .invalidShape),
    ("huge", GGUFWriter.TensorInfo(name: "w", dtype: .float32, shape: [1 << 40, 1 << 40]), .invalidShape),
    ("end", GGUFWriter.TensorInfo(name: "w", dtype: .int8, shape: [Int.max]), .invalidShape),
    ("twice", GGUFWriter.TensorInfo(name: "floats", dtype: .float32, shape: [1]), .invalidArgument),
    ("NUL", GGUFWriter.TensorInfo(name: "w\0", dtype: .float32, shape: [1]), .invalidArgument),
  ])
  func refusesTensors(_ name: String, _ info: GGUFWriter.TensorInfo, _ status: Status) throws {
    #expect(try refused { _ = try GGUFWriter(path: path, metadata: [], tensors: Self.infos + [info]) } == status)
    #expect(try files() == [])
  }

  @Test(arguments: [
    [GGUFMetadata("a", .bool(true)), GGUFMetadata("a", .bool(true))],
    [GGUFMetadata("general.alignment", .uint32(24))], [GGUFMetadata("general.alignment", .uint32(4))],
    [GGUFMetadata("general.alignment", .int32(-32))], [GGUFMetadata("general.alignment", .string("32"))],
    [GGUFMetadata("general.alignment", .uint64(.max))], [GGUFMetadata("a\0b", .bool(true))],
  ])
  func refusesMetadata(_ metadata: [GGUFMetadata]) throws {
    #expect(
      try refused { _ = try GGUFWriter(path: path, metadata: metadata, tensors: Self.infos) } == .invalidArgument)
    #expect(try files() == [])
    #expect(try refused { _ = try GGUFValue.array(of: .bool, [.uint8(1)]) } == .invalidArgument)
  }

  @Test(arguments: [("", Status.invalidArgument), ("/", .invalidArgument), ("/none/x", .io), ("\0", .invalidArgument)])
  func refusesPaths(_ end: String, _ status: Status) throws {
    #expect(
      try refused { _ = try GGUFWriter(path: folder.path + end, metadata: [], tensors: []) } == status)
  }

  typealias Status = MaxLinearError.Status

  /// The status that a call throws.
  private func refused(_ body: () throws -> Void) throws -> Status? {
    do { try body() } catch let error as MaxLinearError { return error.status }
    return nil
  }
}

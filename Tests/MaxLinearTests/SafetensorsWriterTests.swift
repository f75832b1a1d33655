import Foundation
import Testing

@testable import MaxLinear

@Suite struct SafetensorsWriterTests {
  let folder: TemporaryFolder
  private var path: String { "\(folder.path)/out.safetensors" }

  init() throws { folder = try TemporaryFolder() }

  private static let infos = [
    SafetensorsWriter.TensorInfo(name: "bytes", dtype: .uint8, shape: [3]),
    SafetensorsWriter.TensorInfo(name: "floats", dtype: .float32, shape: [2, 3]),
    SafetensorsWriter.TensorInfo(name: "none \"ä\"", dtype: .float16, shape: [0, 4]),
    SafetensorsWriter.TensorInfo(name: "wide", dtype: .float64, shape: []),
  ]

  private func files() throws -> [String] { try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() }

  @Test func writesWhatIsReadAgain() throws {
    let writer = try SafetensorsWriter(path: path, metadata: [("b", "zwölf"), ("a", "\n")], tensors: Self.infos)
    // In any order, and half a tensor at a time.
    try writer.write(Tensor([0, 1, 2]), to: 1)
    try writer.write(Tensor(elements: [UInt8(7), 8, 9], shape: [3]), to: 0)
    try writer.write(Tensor([3, 4, 5]), to: 1)
    try writer.write(Tensor(elements: [1e300], shape: []), to: 3)
    #expect(try files().allSatisfy { $0.hasSuffix(".partial") })
    try writer.finish()
    #expect(try files() == ["out.safetensors"])
    let weights = try Weights.open([path])
    #expect(weights.metadata == ["a": "\n", "b": "zwölf"])
    // The widest first.
    #expect(weights.names == ["wide", "floats", "none \"ä\"", "bytes"])
    #expect(try weights["floats"]?.tensor.floats() == [0, 1, 2, 3, 4, 5])
    #expect(try weights["bytes"]?.tensor.array(of: UInt8.self) == [7, 8, 9])
    #expect(try weights["wide"]?.tensor.array(of: Double.self) == [1e300])
    #expect(weights["none \"ä\""]?.shape == [0, 4])
  }

  @Test func leavesNothingBehind() throws {
    try Data("old".utf8).write(to: URL(fileURLWithPath: path))
    do {
      let writer = try SafetensorsWriter(path: path, tensors: Self.infos)
      try writer.write(Tensor([0, 1, 2]), to: 1)
      expectError(.invalidArgument, "\(path): tensor \"bytes\" is not written whole, expected all of it") {
        try writer.finish()
      }
    }
    let writer = try SafetensorsWriter(path: path, tensors: [])
    struct Refused: Error {}
    #expect(throws: Refused.self) { try writer.finish { throw Refused() } }
    #expect(try files() == ["out.safetensors"])
    #expect(FileManager.default.contents(atPath: path) == Data("old".utf8))
    expectError(.invalidArgument, "\(path): is closed, expected an open file") { try writer.finish() }
  }

  @Test func refusesWhatDoesNotFit() throws {
    let writer = try SafetensorsWriter(path: path, tensors: Self.infos)
    expectError(.invalidArgument, "index: is 4, expected less than the 4 tensors of \(path)") {
      try writer.write(Tensor([1]), to: 4)
    }
    expectError(.invalidDType, "tensor \"bytes\": dtype is float32, expected uint8") {
      try writer.write(Tensor([1]), to: 0)
    }
    expectError(.invalidArgument, "tensor \"floats\": 28 bytes came, expected at most the 24 left") {
      try writer.write(Tensor([0, 1, 2, 3, 4, 5, 6]), to: 1)
    }
    let twice = [Self.infos[0], Self.infos[0]]
    expectError(.invalidArgument, "tensor \"bytes\": comes twice, expected it once") {
      _ = try SafetensorsWriter(path: path, tensors: twice)
    }
    expectError(.invalidArgument, "metadata: the key \"a\" comes twice, expected it once") {
      _ = try SafetensorsWriter(path: path, metadata: [("a", ""), ("a", "")], tensors: [])
    }
    for (name, shape, status) in [
      ("__metadata__", [1], MaxLinearError.Status.invalidArgument), ("a\u{0}", [1], .invalidArgument),
      ("a", [-1], .invalidShape), ("a", [1 << 62, 8], .invalidShape),
    ] {
      let info = SafetensorsWriter.TensorInfo(name: name, dtype: .float32, shape: shape)
      #expect { _ = try SafetensorsWriter(path: path, tensors: [info]) } throws: {
        ($0 as? MaxLinearError)?.status == status
      }
    }
    #expect { _ = try SafetensorsWriter(path: folder.path, tensors: []) } throws: {
      ($0 as? MaxLinearError)?.status == .invalidArgument
    }
    writer.cancel()
    #expect(try files() == [])
  }
}

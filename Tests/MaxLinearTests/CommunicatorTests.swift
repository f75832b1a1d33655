import Foundation
import Testing

@testable import MaxLinear

/// Processes under MPI, and those that fail, are in Tests/DistributedTests.
@Suite("Communicators")
struct CommunicatorTests {
  @Test("carry what a rank states, cut where it is too long")
  func statement() {
    let facts = [Fact("rows", 3), Fact("x", checksum: .max)]
    let sent = Statement(.call, facts, MaxLinearError(.invalidShape, String(repeating: "é", count: 200)))
    #expect(sent.bytes.count == Statement.byteCount)
    let received = Statement(sent.bytes[...])
    #expect(received.step == Step.call.rawValue && received.status == 110)
    #expect(received.facts == [3, .max, 0, 0, 0, 0, 0] && received.message.hasPrefix("éé"))
    let none = Statement(Statement(.create, [], nil).bytes[...])
    #expect(none.status == 0 && none.message == "")
  }

  /// The message for ranks that state these values of one fact.
  static func message(_ values: [Int], as form: Fact.Form = .number) -> String? {
    let facts = values.map { Fact("rows", $0, as: form) }
    do {
      try Statement.compare(facts.map { Statement(.call, [$0], nil) }, facts: [facts[0]])
      return nil
    } catch {
      return error.message
    }
  }

  @Test("name the ranks that are not what most are")
  func compare() {
    #expect(Self.message([1, 1, 1]) == nil && Self.message([7]) == nil)
    #expect(Self.message([1, 2]) == "rows: is 2 on rank 1, expected 1 as on rank 0")
    #expect(Self.message([2, 1, 1]) == "rows: is 2 on rank 0, expected 1 as on rank 1")
    #expect(Self.message([1, 2, 1, 3]) == "rows: is 2 on rank 1, 3 on rank 3, expected 1 as on rank 0")
    #expect(Self.message([1, 2, 1], as: .checksum) == "rows: that of rank 1 differs, expected that of rank 0")
    #expect(Self.message([256, 513], as: .version) == "rows: is 0.2.1 on rank 1, expected 0.1.0 as on rank 0")
    #expect(Self.message([-1, 0]) == "rows: is 0 on rank 1, expected 18446744073709551615 as on rank 0")
  }

  @Test("of no plugin are refused")
  func refused() {
    let error = #expect(throws: MaxLinearError.self) { try Communicator("none") }
    #expect(error?.status == .invalidArgument && error?.message.contains("\"none\"") == true)
  }

  @Test("divide layers among ranks", .enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/gcc")))
  func ranks() async {
    await #expect(processExitsWith: .success) {
      let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      let plugin = folder.appendingPathComponent("memory.so").path
      let gcc = Process()
      gcc.executableURL = URL(fileURLWithPath: "/usr/bin/gcc")
      gcc.arguments = [
        "-shared", "-fPIC", "-I\(root.deletingLastPathComponent().path)/include",
        "\(root.path)/DistributedTests/memory.c", "-o", plugin,
      ]
      try gcc.run()
      gcc.waitUntilExit()
      try Plugin.load(path: plugin)
      let path = folder.appendingPathComponent("shared").path
      // Ranks that are threads of this process.
      try await withThrowingTaskGroup(of: Void.self) { group in
        for rank in 0..<2 { group.addTask { try await Self.run(rank: rank, of: 2, path: path) } }
        try await group.waitForAll()
      }
    }
  }

  /// What one rank does, on a thread of its own, as it waits for the other.
  static func run(rank: Int, of size: Int, path: String) async throws {
    try await withCheckedThrowingContinuation { (continuation: CheckedContinuation<Void, any Error>) in
      Thread.detachNewThread {
        continuation.resume(with: Result { try check(rank: rank, of: size, path: path) })
      }
    }
  }

  static func check(rank: Int, of size: Int, path: String) throws {
    let communicator = try "\(path) \(rank) \(size)".withCString { try Communicator("memory", native: $0) }
    try #require(communicator.rank == rank && communicator.size == size && communicator.kind == "memory")
    let state = try DistributedTests.state(nil)
    let (hidden, length) = (DistributedTests.hidden, DistributedTests.length)
    let whole = try MLPV2(dtype: .float32, hiddenDim: hidden, feedForwardLength: length)
    let mlp = try DistributedMLP(
      dtype: .float32, hiddenDim: hidden, feedForwardLength: length, communicator: communicator)
    try whole.loadStateDict(state)
    try mlp.loadStateDict(state)
    let x = try randomTensor([3, hidden], seed: 4)
    let expected = try bits(whole(x))
    try #require(try bits(mlp(x)) == expected)
    try #require(try mlp([x]).map(bits) == [expected])
    try #require(try mlp.prepared().deviceCount == 1 && mlp.prepared().shards == [0..<length / 2, length / 2..<length])
    expectError(
      .invalidArgument, "devices: there are 1, expected none beside a communicator, whose ranks are the devices"
    ) {
      _ = try ColumnParallelLinear(
        inDim: 4, outDim: 4, dtype: .float32, devices: [.cpu()], communicator: communicator)
    }
    if rank == 1 { communicator.end(because: "enough") }
    let error = #expect(throws: MaxLinearError.self) { try mlp(x) }
    try #require(error?.status == .communication && error?.message.contains("enough") == true)
  }
}

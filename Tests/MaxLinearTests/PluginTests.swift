import Foundation
import Testing

@testable import MaxLinear

/// `checks` is the plugin of Tests/KernelChecks, which is there before any test; those from files are loaded in processes of their own.
@Suite("Plugins")
struct PluginTests {
  @Test("are listed, plugin zero first")
  func listed() throws {
    let zero = try #require(Plugin.loaded.first)
    #expect(zero.name == "maxlinear" && zero.path == "" && zero.encodings.contains("Q4_K"))
    let checks = try #require(Plugin.loaded.first { $0.name == "checks" })
    #expect(checks.encodings == ["CHECK_8"] && checks.abiVersion == "1.2" && checks.communicators.isEmpty)
    #expect(!checks.kernels.isEmpty && checks.messages.isEmpty)
    #expect(try Machine.current().plugins.map(\.name).prefix(1) == ["maxlinear"])
  }

  @Test("bring encodings that layers take by name, computed in float32 unless there are rows for int8")
  func encoding() throws {
    let encoding = try QuantizationEncoding("CHECK_8")
    #expect(encoding.elementsPerBlock == 8 && encoding.blockSize == 9 && !encoding.isGGUF)
    #expect(try QuantizationEncoding("Q4_K").isGGUF && !QuantizationEncoding.gptq.isGGUF)
    let values = try randomTensor([20, 264], seed: 3)
    let blocks = try encoding.quantize(values)
    let linear = try QLinear(weight: blocks, quantizationEncoding: encoding)
    let x = try randomTensor([3, 264], seed: 4)
    let dense = try Linear(weight: encoding.dequantize(blocks))
    #expect(try linear(x).floats() == dense(x).floats())
    let again = try LinearV2(inDim: 264, outDim: 20, dtype: .uint8, quantizationEncoding: encoding)
    try again.loadStateDict(["weight": blocks])
    #expect(try again(x).floats() == dense(x).floats())
    #expect(try again.stateDict()["weight"]?.tensor.array(of: UInt8.self) == blocks.array(of: UInt8.self))
    expectError(.unsupported, "weight: is CHECK_8 with compute int8, expected a pair that a kernel has") {
      let other = try LinearV2(inDim: 264, outDim: 20, dtype: .uint8, quantizationEncoding: encoding)
      try other.loadStateDict(["weight": blocks])
      _ = try other.prepared(PrepareOptions(compute: .int8))
    }
  }

  @Test("that are not there are refused")
  func refused() throws {
    let count = Plugin.loaded.count
    expectError(.io, "/nowhere/plugin.so: No such file or directory, expected a file that can be opened") {
      try Plugin.load(path: "/nowhere/plugin.so")
    }
    expectError(.io, "/: is a directory, expected a shared library") { try Plugin.load(path: "/") }
    expectError(.invalidArgument, "path: is a\0b with a NUL byte, expected a path") { try Plugin.load(path: "a\0b") }
    let error = #expect(throws: MaxLinearError.self) { try Plugin.load(path: #filePath) }
    #expect(error?.status == .invalidFile && error?.message.contains("expected a library that can be loaded") == true)
    #expect(Plugin.loaded.count == count && Plugin.failures.isEmpty)
  }

  @Test("are loaded from a file", .enabled(if: FileManager.default.fileExists(atPath: "/usr/bin/gcc")))
  func file() async {
    await #expect(processExitsWith: .success) {
      let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
      try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
      defer { try? FileManager.default.removeItem(at: folder) }
      let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
      let path = folder.appendingPathComponent("log6.so").path
      let gcc = Process()
      gcc.executableURL = URL(fileURLWithPath: "/usr/bin/gcc")
      gcc.arguments = [
        "-std=c11", "-O2", "-shared", "-fPIC", "-ffp-contract=off", "-I\(root)/include",
        "\(root)/plugins/example-encoding/log6.c", "-o", path,
      ]
      try gcc.run()
      gcc.waitUntilExit()
      try #require(gcc.terminationStatus == 0)
      try Plugin.load(path: path)
      try Plugin.load(path: path)
      let plugin = try #require(Plugin.loaded.last)
      try #require(plugin.name == "log6" && plugin.encodings == ["LOG6"])
      try #require(plugin.messages.map(\.text) == ["LOG6: 6.5 bits a weight"])
      let encoding = try QuantizationEncoding("LOG6")
      let values = try Tensor((0..<64).map { Float($0 % 5) - 2 }, shape: [2, 32])
      let layer = try QLinear(weight: encoding.quantize(values), quantizationEncoding: encoding)
      let y = try layer(Tensor([Float](repeating: 1, count: 32), shape: [32])).floats()
      let sums = try encoding.dequantize(encoding.quantize(values)).floats()
      try #require(y.count == 2 && abs(y[0] - sums[..<32].reduce(0, +)) < 1e-4)
    }
  }
}

import Foundation
import Kernels
import Testing

@testable import MaxLinear

@Suite("Memory")
struct MemoryTests {
  private static let weightBytes = 512 * 300 * 4
  private static let biasBytes = 512 * 4

  /// Tells when it goes.
  private final class Owner: Sendable {
    let tensor: Tensor
    private let gone: @Sendable () -> Void
    init(_ tensor: Tensor, gone: @escaping @Sendable () -> Void) {
      self.tensor = tensor
      self.gone = gone
    }
    deinit { gone() }
  }

  private func packedBytes(_ prepared: PreparedLayer) throws -> Int {
    let names = (0..<mxlk_row_count()).compactMap { mxlk_row_at($0) }
    let row = try #require(names.first { String(cString: $0.pointee.name) == prepared.kernel })
    return Int(mxlk_panel_bytes(row, 300)) * Int(mxlk_panel_count(row, 512))
  }

  @Test("a copied source is given back when packed")
  func copied() throws {
    let layer = try TestLayer(inDim: 300, outDim: 512).layer
    #expect(layer.memory() == LayerMemory(source: Self.weightBytes + Self.biasBytes))
    let packed = try packedBytes(try layer.prepared())
    #expect(packed >= Self.weightBytes)
    #expect(layer.memory() == LayerMemory(packed: packed + Self.biasBytes))
  }

  @Test("without packing, and under clip_weight, the source stays")
  func kept() throws {
    let plain = try TestLayer(inDim: 300, outDim: 512).layer
    try plain.prepared(PrepareOptions(packing: .never))
    #expect(plain.memory() == LayerMemory(packed: Self.biasBytes, source: Self.weightBytes))
    let clipped = try TestLayer(inDim: 300, outDim: 512, clip: 0.5).layer
    let packed = try packedBytes(try clipped.prepared())
    #expect(clipped.memory() == LayerMemory(packed: packed + Self.biasBytes, source: Self.weightBytes))
  }

  @Test("an MLP that is prepared otherwise than its parts has their weights once")
  func partsOfAnMLP() throws {
    let encoding = try QuantizationEncoding("Q4_K")
    func linear(_ outDim: Int, _ inDim: Int, seed: UInt64) throws -> QLinear {
      try QLinear(weight: encoding.quantize(randomTensor([outDim, inDim], seed: seed)), quantizationEncoding: encoding)
    }
    let parts = [try linear(512, 256, seed: 1), try linear(256, 512, seed: 2), try linear(512, 256, seed: 3)]
    let x = try randomTensor([2, 256], seed: 4)
    let alone = try bits(parts[0](x))
    weak let packed = try parts[0].prepared()
    let mlp = MLP(gateProjection: parts[0], downProjection: parts[1], upProjection: parts[2])
    try mlp.prepared(PrepareOptions(compute: .float32))
    #expect(packed == nil)
    let direct = MLP(
      gateProjection: try linear(512, 256, seed: 1), downProjection: try linear(256, 512, seed: 2),
      upProjection: try linear(512, 256, seed: 3))
    try direct.prepared(PrepareOptions(compute: .float32))
    #expect(mlp.memory() == direct.memory())
    #expect(try bits(mlp(x)) == bits(direct(x)))
    // A part that is called by itself computes as it did.
    #expect(try bits(parts[0](x)) == alone)
    #expect(try bits(mlp(x)) == bits(direct(x)))
  }

  @Test("mapped weights are counted apart, and their pages are given back when packed")
  func mapped() throws {
    let folder = try TemporaryFolder()
    let data = randomFloats(512 * 300, seed: 1).withUnsafeBytes { Array($0) }
    let header = "{" + tensorText("weight", "F32", [512, 300], 0, data.count) + "}"
    let weights = try Weights.open([folder.write("m.safetensors", safetensors(header, data: data))])
    let never = try LinearV2(inDim: 300, outDim: 512, dtype: .float32)
    try never.load(weights)
    try never.prepared(PrepareOptions(packing: .never))
    #expect(never.memory() == LayerMemory(mapped: Self.weightBytes))
    let layer = try LinearV2(inDim: 300, outDim: 512, dtype: .float32)
    try layer.load(weights)
    #expect(layer.memory() == LayerMemory(mapped: Self.weightBytes))
    #expect(try bits(#require(weights["weight"]).tensor).count == 512 * 300)
    #expect(try mappedPages(of: folder.path) >= Self.weightBytes - 8192)
    let packed = try packedBytes(try layer.prepared())
    #expect(layer.memory() == LayerMemory(packed: packed))
    #expect(try mappedPages(of: folder.path) <= 8192)
  }

  /// Bytes of this process's mappings of files in a folder that are in its memory.
  private func mappedPages(of folder: String) throws -> Int {
    var total = 0
    var isInside = false
    let data = try #require(try FileHandle(forReadingFrom: URL(fileURLWithPath: "/proc/self/smaps")).readToEnd())
    for line in String(decoding: data, as: UTF8.self).split(separator: "\n") {
      let fields = line.split(separator: " ")
      guard let first = fields.first else { continue }
      if !first.hasSuffix(":") { isInside = line.contains(folder) }
      if isInside, first == "Rss:", fields.count > 1 { total += (Int(fields[1]) ?? 0) * 1024 }
    }
    return total
  }

  @Test("a borrowed source is let go of when packed, and kept without packing")
  func borrowed() throws {
    for packing in [Packing.always, .never] {
      let counter = Counter()
      let layer = try LinearV2(inDim: 3, outDim: 2, dtype: .float32)
      try {
        let owner = Owner(try randomTensor([2, 3], seed: 1)) { counter.add() }
        let tensor = try Tensor(pointer: owner.tensor.pointer, dtype: .float32, shape: [2, 3], owner: owner)
        try layer.loadStateDict(StateDict([WeightData(name: "weight", tensor: tensor, storage: .borrow)]))
      }()
      #expect(counter.value == 0)
      var prepared: PreparedLayer? = try layer.prepared(PrepareOptions(packing: packing))
      #expect(counter.value == (packing == .never ? 0 : 1))
      try layer.loadStateDict(["weight": randomTensor([2, 3], seed: 2)], replace: true)
      withExtendedLifetime(prepared) { #expect(counter.value == (packing == .never ? 0 : 1)) }
      prepared = nil
      #expect(counter.value == 1)
    }
  }

  @Test("packed weights larger than memory are an error that changes nothing")
  func tooLarge() throws {
    let row = try randomTensor([64], seed: 1)
    let huge = try Tensor(
      pointer: row.pointer, dtype: .float32, shape: [1 << 50, 64], strides: [0, 1], owner: row.owner)
    let layer = try LinearV2(inDim: 64, outDim: 1 << 50, dtype: .float32)
    expectError(.outOfMemory, "weight: memory ran out, expected \(64 << 52) bytes") {
      try layer.loadStateDict(["weight": huge])
    }
    #expect(!layer.weight.isLoaded)
    try layer.loadStateDict(StateDict([WeightData(name: "weight", tensor: huge, storage: .borrow)]))
    expectError(.outOfMemory, "weight, packed: memory ran out, expected \(64 << 52) bytes") { try layer.prepared() }
    #expect(layer.currentPreparedLayer == nil && layer.weight.isLoaded)
  }
}

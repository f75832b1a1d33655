import Foundation
import Testing

@testable import MaxLinear

/// The cases of Tests/Golden: what MAX computes.
@Suite("Golden cases of MAX")
struct GoldenTests {
  static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .appendingPathComponent("Golden")

  static let cases: [String] = {
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
    return names.filter { $0.hasSuffix(".safetensors") && $0.hasPrefix("linear_v") }.sorted()
  }()

  @Test("are all there")
  func present() { #expect(Self.cases.count >= 6) }

  @Test("agree within 2e-6", arguments: cases)
  func agree(_ name: String) throws {
    let weights = try Weights.open([Self.folder.appendingPathComponent(name).path])
    let layer = try Self.layer(weights)
    let x = try #require(weights["x"]).tensor
    let expected = try #require(weights["y"]).tensor
    for packing in [Packing.always, .never] {
      let y = try layer.prepared(PrepareOptions(packing: packing))(x)
      #expect(y.shape == expected.shape)
      let error = relativeError(try y.floats(), try expected.floats().map(Double.init))
      #expect(error <= 2e-6, "\(name), packing \(packing): \(error)")
      layer.parametersChanged()
    }
  }

  /// The layer that the file's metadata describes, filled from it.
  private static func layer(_ weights: Weights) throws -> Layer {
    let text = try #require(weights.metadata["arguments"])
    let arguments = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    let inDim = try #require(arguments["in_dim"] as? Int)
    let outDim = try #require(arguments["out_dim"] as? Int)
    let encoding = try (arguments["quantization_encoding"] as? String).map(QuantizationEncoding.init)
    switch arguments["cls"] as? String {
    case "Linear":
      let bias = weights["bias"]
      return try Linear.create(
        dtype: .float32, quantizationEncoding: encoding, inFeatures: inDim, outFeatures: outDim,
        weights: weights.weight, bias: bias)
    case "LinearV2":
      #expect(arguments["dtype"] as? String == "float32")
      let layer = try LinearV2(
        inDim: inDim, outDim: outDim, dtype: .float32, hasBias: try #require(arguments["has_bias"] as? Bool),
        quantizationEncoding: encoding, name: arguments["name"] as? String,
        clipWeight: (arguments["clip_weight"] as? Double).map(Float.init))
      try layer.load(weights)
      return layer
    case let other:
      throw MaxLinearError(.unsupported, "cls: \(other ?? "none")")
    }
  }
}

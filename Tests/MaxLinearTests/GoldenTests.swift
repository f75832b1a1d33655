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
    return names.filter { $0.hasSuffix(".safetensors") }.sorted()
  }()

  @Test("are all there")
  func present() { #expect(Self.cases.count >= 30) }

  /// Dense float32 agrees to rounding. With encoded weights both sides round activations, each in its own way.
  private static func tolerance(_ layer: Layer) -> Double {
    guard layer.namedWeights().contains(where: { $0.weight.quantizationEncoding != nil }) else { return 2e-6 }
    return layer is MLP ? 6e-2 : 1.5e-2
  }

  @Test("agree within their tolerance", arguments: cases)
  func agree(_ name: String) throws {
    let weights = try Weights.open([Self.folder.appendingPathComponent(name).path])
    let layer = try Self.layer(weights)
    let x = try #require(weights["x"]).tensor
    let expected = try #require(weights["y"]).tensor
    for packing in [Packing.always, .never] {
      let y = try layer.prepared(PrepareOptions(packing: packing))(x)
      #expect(y.shape == expected.shape)
      let error = relativeError(try y.floats(), try expected.floats().map(Double.init))
      #expect(error <= Self.tolerance(layer), "\(name), packing \(packing): \(error)")
      layer.parametersChanged()
    }
  }

  /// The layer that the file's metadata describes, filled from it.
  private static func layer(_ weights: Weights) throws -> Layer {
    let text = try #require(weights.metadata["arguments"])
    let arguments = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    let inDim = arguments["in_dim"] as? Int ?? 0
    let outDim = arguments["out_dim"] as? Int ?? 0
    let dtype: DType = arguments["dtype"] as? String == "uint8" ? .uint8 : .float32
    let encoding = try (arguments["quantization_encoding"] as? String).map(QuantizationEncoding.init)
    switch arguments["cls"] as? String {
    case "Linear":
      let bias = weights["bias"]
      return try Linear.create(
        dtype: .float32, quantizationEncoding: encoding, inFeatures: inDim, outFeatures: outDim,
        weights: weights.weight, bias: bias)
    case "LinearV2":
      let layer = try LinearV2(
        inDim: inDim, outDim: outDim, dtype: dtype, hasBias: try #require(arguments["has_bias"] as? Bool),
        quantizationEncoding: encoding, name: arguments["name"] as? String,
        clipWeight: (arguments["clip_weight"] as? Double).map(Float.init))
      try layer.load(weights)
      return layer
    case "QLinear":
      return try QLinear(weight: weights.weight, quantizationEncoding: encoding)
    case "MLP":
      func linear(_ name: String) throws -> Linear {
        try Linear.create(
          dtype: .float32, quantizationEncoding: encoding,
          inFeatures: name == "down_proj" ? outDim : inDim, outFeatures: name == "down_proj" ? inDim : outDim,
          weights: weights.path(name).weight)
      }
      return MLP(
        gateProjection: try linear("gate_proj"), downProjection: try linear("down_proj"),
        upProjection: try linear("up_proj"))
    case "MLPV2":
      let layer = try MLPV2(
        dtype: dtype, quantizationEncoding: encoding, hiddenDim: try #require(arguments["hidden_dim"] as? Int),
        feedForwardLength: try #require(arguments["feed_forward_length"] as? Int),
        hasBias: arguments["has_bias"] as? Bool ?? false,
        activationFunction: Activation(named: try #require(arguments["activation_function"] as? String)))
      try layer.load(weights)
      return layer
    case let other:
      throw MaxLinearError(.unsupported, "cls: \(other ?? "none")")
    }
  }
}

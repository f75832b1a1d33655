/// Where a checkpoint keeps the gated MLP of a layer: the names of its three linears, without ".weight".
struct MLPNames {
  let gate: String
  let down: String
  let up: String

  /// How checkpoints name it: what precedes the layer's number, what follows it, and the three parts.
  private struct Scheme {
    let before: String
    let after: String
    let gate: String
    let down: String
    let up: String
  }

  private static let schemes = [
    // Hugging Face: model.layers.0.mlp.gate_proj.weight
    Scheme(before: "layers.", after: ".mlp.", gate: "gate_proj", down: "down_proj", up: "up_proj"),
    // GGUF: blk.0.ffn_gate.weight
    Scheme(before: "blk.", after: ".", gate: "ffn_gate", down: "ffn_down", up: "ffn_up"),
    // Llama as it was published: layers.0.feed_forward.w1.weight
    Scheme(before: "layers.", after: ".feed_forward.", gate: "w1", down: "w2", up: "w3"),
  ]

  /// What a linear's main tensor may be called.
  static let tensors = [".weight", ".qweight"]

  /// Finds layer number `layer` behind any prefix ("model.", "language_model.model.").
  ///
  /// - Throws: `.missingKey` when there is none, naming the layers there are; `.invalidArgument` when several prefixes
  ///   have one.
  static func find(in weights: Weights, layer: Int) throws(MaxLinearError) -> MLPNames {
    var found: [MLPNames] = []
    var layers: Set<Int> = []
    for scheme in schemes {
      for (stem, number) in gates(scheme, in: weights) {
        layers.insert(number)
        guard number == layer else { continue }
        found.append(MLPNames(gate: stem + scheme.gate, down: stem + scheme.down, up: stem + scheme.up))
      }
    }
    guard let first = found.first else {
      let known =
        layers.min().flatMap { low in layers.max().map { "it has \(layers.count) of numbers \(low) to \($0)" } }
        ?? "it has none under a known name, such as model.layers.0.mlp.gate_proj.weight or blk.0.ffn_gate.weight"
      throw MaxLinearError(
        .missingKey, "layer: is \(layer), expected the number of a gated MLP in the checkpoint; \(known)")
    }
    guard found.count == 1 else {
      throw MaxLinearError(
        .invalidArgument,
        "layer: is \(layer), which several are: \(found.map(\.gate).joined(separator: ", ")), expected a number that one is; "
          + "load one by its prefix")
    }
    return first
  }

  /// What precedes the three parts' names, and the numbers, of the layers whose gate is named by a scheme.
  private static func gates(_ scheme: Scheme, in weights: Weights) -> [(stem: String, number: Int)] {
    weights.names.compactMap { name in
      guard let tensor = tensors.first(where: { name.hasSuffix(scheme.after + scheme.gate + $0) }) else { return nil }
      let stem = name.dropLast((scheme.after + scheme.gate + tensor).count)
      let digits = stem.reversed().prefix { $0.isASCII && $0.isNumber }
      guard !digits.isEmpty, let number = Int(String(digits.reversed())) else { return nil }
      let before = stem.dropLast(digits.count)
      guard before.hasSuffix(scheme.before) else { return nil }
      let prefix = before.dropLast(scheme.before.count)
      return prefix.isEmpty || prefix.hasSuffix(".") ? (stem + scheme.after, number) : nil
    }
  }
}

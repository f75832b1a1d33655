/// A tensor's name or the beginning of one, built part by part: `weights.model.layers[0].mlp` is the path
/// "model.layers.0.mlp". A path need not lead anywhere; `exists()` and `data()` tell.
@dynamicMemberLookup
public struct WeightsPath: Sendable {
  /// The checkpoint that the path is in.
  public let weights: Weights
  /// The parts joined by dots: a tensor's whole name, where the path leads to one.
  public let name: String

  /// The path with another part of the name.
  public subscript(dynamicMember part: String) -> WeightsPath { path(part) }

  /// The path with a number as another part, as checkpoints number their layers.
  public subscript(index: Int) -> WeightsPath { path(String(index)) }

  /// The path with more parts of the name; for parts that are no identifiers or are members of this type.
  public func path(_ part: String) -> WeightsPath {
    WeightsPath(weights: weights, name: name.isEmpty ? part : "\(name).\(part)")
  }

  /// Whether there is a tensor of exactly this name.
  public func exists() -> Bool { weights[name] != nil }

  /// The tensor of exactly this name. Throws `.missingKey` when there is none.
  public func data() throws -> WeightData {
    if let data = weights[name] { return data }
    let inside = items()
    guard let first = inside.first else {
      throw MaxLinearError(
        .missingKey, "\(name): missing, expected it in the checkpoint, which has none whose name begins so either")
    }
    throw MaxLinearError(
      .missingKey,
      "\(name): missing, expected it in the checkpoint, which has \(inside.count) below it, such as \(first.name)")
  }

  /// The tensor of this name, once its dtype and shape are what they are expected to be; nil accepts any.
  ///
  /// Named as in MAX. Throws `.missingKey`, `.invalidDType`, `.invalidShape`.
  public func allocate(dtype: DType? = nil, shape: [Int]? = nil) throws -> WeightData {
    let data = try data()
    if let dtype, data.tensor.dtype != dtype {
      throw MaxLinearError(
        .invalidDType, "\(name): dtype is \(data.tensor.dtype.name), expected \(dtype.name)")
    }
    if let shape, data.tensor.shape != shape {
      throw MaxLinearError(.invalidShape, "\(name): shape is \(data.tensor.shape), expected \(shape)")
    }
    return data
  }

  /// The tensors at and below this path, in the checkpoint's order. Looks at each name of the checkpoint.
  public func items() -> [WeightData] {
    guard !name.isEmpty else { return weights.items() }
    let prefix = Array("\(name).".utf8)
    return weights.items().filter { $0.name.utf8.elementsEqual(name.utf8) || $0.name.utf8.starts(with: prefix) }
  }
}

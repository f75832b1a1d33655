/// How the memory of a weight handed to a layer is kept until the layer is prepared.
public enum WeightStorage: Int32, Sendable {
  /// The layer copies the bytes when it is loaded.
  case copy = 0
  /// The layer keeps the tensor, and with it its owner, until it no longer needs the memory.
  case borrow = 1
  /// As `borrow`; the memory is a read-only file mapping, whose pages may be given back to the system.
  case map = 2
}

/// A named tensor with its encoding: an entry of a state dict or of a checkpoint.
public struct WeightData: Sendable {
  /// The key in a state dict, or the whole name in a checkpoint.
  public var name: String
  /// The elements, or for encoded weights the bytes: `.uint8` of shape [rows, row bytes].
  public var tensor: Tensor
  /// The name of the encoding, such as "Q4_K"; nil when the tensor is dense.
  public var encoding: String?
  /// How a layer that is filled with it keeps its memory.
  public var storage: WeightStorage

  /// A named tensor. Nothing is checked here: what loads it does that.
  public init(name: String, tensor: Tensor, encoding: String? = nil, storage: WeightStorage = .copy) {
    self.name = name
    self.tensor = tensor
    self.encoding = encoding
    self.storage = storage
  }

  /// The tensor's dtype: `.uint8` of encoded weights.
  public var dtype: DType { tensor.dtype }
  /// The tensor's shape: [rows, row bytes] of encoded weights.
  public var shape: [Int] { tensor.shape }

  /// The shape of the values: of a checkpoint's blocks, columns in place of bytes.
  package var valuesShape: [Int] {
    guard let encoding, let bytes = shape.last, let block = GGUF.block(of: encoding) else { return shape }
    // A reader has checked that rows are whole blocks.
    return shape.dropLast() + [bytes / block.bytes * block.elements]
  }
}

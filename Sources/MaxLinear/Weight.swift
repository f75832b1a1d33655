import CMaxLinear
import Kernels

/// A named tensor of a checkpoint or a state dict, with its encoding when it has one.
public struct WeightData: Sendable {
  public let name: String
  public let tensor: Tensor
  /// nil when the tensor is dense.
  public let quantizationEncoding: QuantizationEncoding?

  public init(name: String, tensor: Tensor, quantizationEncoding: QuantizationEncoding? = nil) {
    self.name = name
    self.tensor = tensor
    self.quantizationEncoding = quantizationEncoding
  }

  public var dtype: DType { tensor.dtype }
  /// As stored: encoded weights are (rows, row bytes).
  public var shape: [Int] { tensor.shape }
}

/// A layer's weight: what it must be, and what was loaded.
///
/// `shape` is the logical one, (out_dim, in_dim), encoded or not. The tensor that a state dict holds for it has
/// `storedShape`, which for encoded weights is (out_dim, row bytes) of uint8.
public final class Weight {
  public let name: String
  public let dtype: DType
  public let shape: [Int]
  public let device: DeviceRef
  public let quantizationEncoding: QuantizationEncoding?
  package let storedShape: [Int]

  /// What was loaded, wherever it is now.
  enum Storage {
    case none
    case tensor(Tensor)
    /// In the kernels' order; unpacking gives back what was loaded.
    case packed(PackedMatrix)
  }
  var storage = Storage.none

  /// Throws `.invalidShape` when the encoding's blocks cannot hold the last dimension.
  public init(
    name: String, dtype: DType, shape: [Int], device: DeviceRef = .cpu(),
    quantizationEncoding: QuantizationEncoding? = nil
  ) throws {
    _ = try Tensor.count(of: shape, dtype: dtype)
    self.name = name
    self.dtype = quantizationEncoding == nil ? dtype : .uint8
    self.shape = shape
    self.device = device
    self.quantizationEncoding = quantizationEncoding
    if let quantizationEncoding, let last = shape.last {
      storedShape = shape.dropLast() + [try quantizationEncoding.rowBytes(last, "in_dim")]
      _ = try Tensor.count(of: storedShape, dtype: .uint8)
    } else {
      storedShape = shape
    }
  }

  /// A weight made of a tensor at hand.
  convenience init(_ data: WeightData, name: String) throws {
    var shape = data.shape
    if let encoding = data.quantizationEncoding {
      guard data.dtype == .uint8, let bytes = shape.last else {
        throw MaxLinearError(
          .invalidDType, "\(name): dtype is \(data.dtype.name), expected uint8 blocks of \(encoding)")
      }
      guard bytes % encoding.blockSize == 0 else {
        throw MaxLinearError(
          .invalidShape, "\(name): rows have \(bytes) bytes, expected a multiple of \(encoding.blockSize), a \(encoding) block")
      }
      let (elements, overflow) = (bytes / encoding.blockSize).multipliedReportingOverflow(by: encoding.elementsPerBlock)
      guard !overflow else { throw MaxLinearError(.invalidShape, "\(name): a row of \(bytes) bytes overflows") }
      shape[shape.count - 1] = elements
    }
    try self.init(
      name: name, dtype: data.dtype, shape: shape, quantizationEncoding: data.quantizationEncoding)
    storage = .tensor(try Weight.kept(data.tensor))
  }

  package var isLoaded: Bool {
    if case .none = storage { false } else { true }
  }

  /// The tensor that can be stored for this weight, or what is wrong with it. casts: other float dtypes are converted.
  func accept(_ data: WeightData, key: String, casts: Bool) throws -> Tensor {
    var tensor = data.tensor
    if let given = data.quantizationEncoding, given != quantizationEncoding {
      let expected = quantizationEncoding?.name ?? "dense \(dtype.name)"
      throw MaxLinearError(.invalidDType, "\(key): encoding is \(given), expected \(expected)")
    }
    guard tensor.shape == storedShape else {
      let detail = quantizationEncoding.map { ", rows of \($0) blocks" } ?? ""
      throw MaxLinearError(.invalidShape, "\(key): shape is \(tensor.shape), expected \(storedShape)\(detail)")
    }
    if tensor.dtype != dtype {
      guard casts, tensor.dtype.isComputable, dtype.isComputable else {
        throw MaxLinearError(.invalidDType, "\(key): dtype is \(tensor.dtype.name), expected \(dtype.name)")
      }
      tensor = try tensor.cast(to: dtype)
    }
    return try Weight.kept(tensor)
  }

  /// A tensor that can be kept: with contiguous rows, and with an owner, or else copied.
  private static func kept(_ tensor: Tensor) throws -> Tensor {
    let rowsAreContiguous = tensor.count == 0 || (tensor.strides.last ?? 1) == 1 || (tensor.shape.last ?? 1) == 1
    let stays = tensor.owner is any MemoryOwner && rowsAreContiguous && tensor.strides.allSatisfy { $0 >= 0 }
    return stays && tensor.shape.count <= 2 ? tensor : try tensor.copy()
  }

  /// What was loaded, bit for bit; nil before. Unpacks into new memory when only packed weights are left.
  package func loaded() throws -> Tensor? {
    switch storage {
    case .none: return nil
    case .tensor(let tensor): return tensor
    case .packed(let matrix):
      let tensor = try Tensor.uninitialized(shape: storedShape, dtype: dtype)
      matrix.unpack(into: tensor)
      return tensor
    }
  }
}

extension Tensor {
  /// A contiguous copy in another dtype, rounded to nearest even; float32, float16 and bfloat16 only.
  func cast(to dtype: DType) throws -> Tensor {
    let from = try contiguous()
    let result = try Tensor.uninitialized(shape: shape, dtype: dtype)
    guard let source = from.pointer, let target = result.pointer, count > 0 else { return result }
    mxlk_convert(self.dtype.rawValue, source, dtype.rawValue, target, Int64(count))
    return result
  }
}

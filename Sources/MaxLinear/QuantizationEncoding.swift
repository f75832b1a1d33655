import Kernels

/// How a quantized weight is stored: rows of blocks, each of a fixed number of weights in a fixed number of bytes.
///
/// Encodings are told by name, GGUF's where there is one, and found among those that the library and its plugins
/// register.
public struct QuantizationEncoding: Hashable, Sendable, CustomStringConvertible {
  /// The shape of one block.
  public struct BlockParameters: Hashable, Sendable {
    /// Weights of a block.
    public let elementsPerBlock: Int
    /// Bytes of a block.
    public let blockSize: Int
  }

  /// Such as "Q4_K", "Q8_0", or that of a plugin's encoding.
  public let name: String
  /// The shape of a block.
  public let blockParameters: BlockParameters

  /// A GPTQ checkpoint's: several tensors, in which eight codes are a word of qweight.
  public static let gptq = QuantizationEncoding(
    name: "GPTQ", blockParameters: BlockParameters(elementsPerBlock: 8, blockSize: 4))

  private init(name: String, blockParameters: BlockParameters) {
    self.name = name
    self.blockParameters = blockParameters
  }

  /// The encoding of this name. Throws `.unsupported`, listing the known ones, when there is none.
  public init(_ name: String) throws { try self.init(registered: name) }

  /// `init` with the error's type.
  init(registered name: String) throws(MaxLinearError) {
    if name == Self.gptq.name {
      self = .gptq
      return
    }
    guard let encoding = Self.registered(name) else {
      let known = (Self.all + [.gptq]).map(\.name)
      throw MaxLinearError(
        .unsupported, "quantization_encoding: is \"\(name)\", expected one of \(known.joined(separator: ", "))")
    }
    self = encoding
  }

  /// All encodings of the library and its plugins that store rows of blocks, in the order they were registered.
  public static var all: [QuantizationEncoding] {
    (0..<mxlk_encoding_count()).compactMap { mxlk_encoding_at($0) }.compactMap { QuantizationEncoding($0.pointee) }
  }

  /// Weights of a block.
  public var elementsPerBlock: Int { blockParameters.elementsPerBlock }
  /// Bytes of a block.
  public var blockSize: Int { blockParameters.blockSize }

  /// Whether GGUF files store it; neither GPTQ nor a plugin's own.
  public var isGGUF: Bool { GGUF.block(of: name) != nil }

  /// Whether a tensor of it is rows of blocks: all but GPTQ.
  var storesRows: Bool { self != .gptq }

  /// The name of the encoding.
  public var description: String { name }

  /// Whether rows of so many values are whole blocks.
  public func holds(columns: Int) -> Bool { columns >= 0 && columns % elementsPerBlock == 0 }

  /// This encoding where it holds rows of so many values, else the fallback.
  ///
  /// - Throws: `.invalidShape` when neither does, naming those that do.
  public func fitting(columns: Int, fallback: QuantizationEncoding? = nil) throws -> QuantizationEncoding {
    try fitting(rowsOf: columns, fallback: fallback)
  }

  /// `fitting` with the error's type.
  package func fitting(
    rowsOf columns: Int, fallback: QuantizationEncoding?
  ) throws(MaxLinearError) -> QuantizationEncoding {
    let encodings = [self] + (fallback.map { [$0] } ?? [])
    if let other = encodings.first(where: { !$0.storesRows }) {
      throw MaxLinearError(.unsupported, "encoding: is \(other.name), expected one that stores rows of blocks")
    }
    if let fitting = encodings.first(where: { $0.holds(columns: columns) }) { return fitting }
    let wanted = encodings.map { "of \($0.elementsPerBlock) for \($0.name)" }.joined(separator: ", or ")
    throw MaxLinearError(
      .invalidShape, "K: is \(columns), expected a multiple \(wanted); \(Self.holders(columns: columns))")
  }

  /// Who holds rows of so many values, as the end of a message.
  static func holders(columns: Int) -> String {
    let names = all.filter { $0.holds(columns: columns) }.map(\.name)
    return "\(names.isEmpty ? "no block encoding" : names.joined(separator: ", ")) can hold such rows"
  }

  private static func registered(_ name: String) -> QuantizationEncoding? {
    name.withCString { mxlk_encoding_find($0) }.flatMap { QuantizationEncoding($0.pointee) }
  }

  /// nil for dense encodings, which need no name, as their dtype says all, and for the blocks that GPTQ's tensors are regrouped into, as kernels
  /// rely on what is in them.
  private init?(_ encoding: mxl_encoding) {
    guard encoding.dtype == MXL_UINT8.rawValue else { return nil }
    name = String(cString: encoding.name)
    guard !name.hasPrefix(Self.gptq.name) else { return nil }
    blockParameters = BlockParameters(
      elementsPerBlock: Int(encoding.elements_per_block), blockSize: Int(encoding.block_size))
  }
}

extension DType {
  /// The registered encoding of dense weights of this dtype, such as "F32"; nil when no kernel takes them.
  var denseEncodingName: String? {
    guard self != .uint8 else { return nil }
    for index in 0..<mxlk_encoding_count() {
      if let encoding = mxlk_encoding_at(index), encoding.pointee.dtype == rawValue {
        return String(cString: encoding.pointee.name)
      }
    }
    return nil
  }

  /// The dtypes of x, y, biases and scales, between which values are converted.
  static let floats: [DType] = [.float32, .float16, .bfloat16]
  var isFloat: Bool { Self.floats.contains(self) }

  /// Whether it is a float of 8 bits that weights may be stored in.
  var isFloat8: Bool { self == .float8E4M3 || self == .float8E5M2 }

  /// Whether a kernel takes dense weights of this dtype.
  var isDenseWeight: Bool { denseEncodingName != nil }

  /// The dtypes of dense weights that have a kernel.
  static var denseWeights: [DType] { allCases.filter(\.isDenseWeight) }
}

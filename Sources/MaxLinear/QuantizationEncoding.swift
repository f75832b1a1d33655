import CMaxLinear
import Kernels

/// How encoded weights are stored: GGUF's block formats, and those of plugins, by name.
public struct QuantizationEncoding: Hashable, Sendable, CustomStringConvertible {
  /// Elements and bytes of one block.
  public struct BlockParameters: Hashable, Sendable {
    public let elementsPerBlock: Int
    public let blockSize: Int
  }

  /// The name, such as "Q4_K".
  public let name: String
  public let blockParameters: BlockParameters

  /// The encoding of that name. Throws `.unsupported`, listing the known ones, when there is none.
  public init(_ name: String) throws {
    guard let encoding = mxlk_encoding_find(name), encoding.pointee.dtype == MXL_UINT8.rawValue else {
      let known = QuantizationEncoding.known.map(\.name).joined(separator: ", ")
      throw MaxLinearError(.unsupported, "quantization_encoding: \(name) is not known; known are: \(known)")
    }
    self.init(encoding.pointee)
  }

  private init(_ encoding: mxl_encoding) {
    name = String(cString: encoding.name)
    blockParameters = BlockParameters(
      elementsPerBlock: Int(encoding.elements_per_block), blockSize: Int(encoding.block_size))
  }

  /// All block encodings of this process.
  public static var known: [QuantizationEncoding] {
    (0..<mxlk_encoding_count()).compactMap { index in
      mxlk_encoding_at(index).flatMap { $0.pointee.dtype == MXL_UINT8.rawValue ? QuantizationEncoding($0.pointee) : nil }
    }
  }

  /// Elements of one block.
  public var elementsPerBlock: Int { blockParameters.elementsPerBlock }
  /// Bytes of one block.
  public var blockSize: Int { blockParameters.blockSize }
  /// Whether it is one of GGUF's formats.
  public var isGGUF: Bool { true }

  public var description: String { name }

  /// Bytes of a row of that many elements. Throws `.invalidShape` when blocks cannot hold it.
  func rowBytes(_ elements: Int, _ argument: String) throws -> Int {
    guard elements % elementsPerBlock == 0 else {
      let fitting = QuantizationEncoding.known.filter { elements % $0.elementsPerBlock == 0 }.map(\.name)
      let hint = fitting.isEmpty ? "" : "; these hold it: \(fitting.joined(separator: ", "))"
      throw MaxLinearError(
        .invalidShape,
        "\(argument): is \(elements), expected a multiple of \(elementsPerBlock), the elements of a \(name) block\(hint)")
    }
    let (bytes, overflow) = (elements / elementsPerBlock).multipliedReportingOverflow(by: blockSize)
    guard !overflow else { throw MaxLinearError(.invalidShape, "\(argument): a row of \(elements) overflows") }
    return bytes
  }
}

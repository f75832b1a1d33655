import ArgumentParser
import MaxLinear

/// What a tensor becomes: blocks of an encoding, or floats of another width.
enum QuantizeTarget {
  case blocks(QuantizationEncoding)
  case floats(name: String, dtype: DType)

  private static let dense: [(name: String, dtype: DType)] = [
    ("f16", .float16), ("bf16", .bfloat16), ("f32", .float32),
  ]

  /// All that there are.
  static var all: [QuantizeTarget] {
    QuantizationEncoding.all.filter { $0.isGGUF && $0.isQuantizable }.map { .blocks($0) }
      + dense.map { .floats(name: $0.name, dtype: $0.dtype) }
  }

  /// The target of this name, in whichever case; `option` is where it was given.
  init(_ name: String, option: String) throws(ValidationError) {
    guard let target = Self.all.first(where: { $0.name.lowercased() == name.lowercased() }) else {
      throw ValidationError("\(option): is \"\(name)\", expected one of \(Self.names(Self.all))")
    }
    self = target
  }

  static func names(_ targets: [QuantizeTarget]) -> String { targets.map(\.name).joined(separator: ", ") }

  var name: String {
    switch self {
    case .blocks(let encoding): encoding.name
    case .floats(let name, _): name
    }
  }

  /// Whether rows of so many values can be stored.
  func holds(columns: Int) -> Bool {
    switch self {
    case .blocks(let encoding): encoding.holds(columns: columns)
    case .floats: true
    }
  }

  /// This where it holds rows of so many values, else the fallback, as `QuantizationEncoding.fitting`; nil where neither does.
  func fitting(columns: Int, fallback: QuantizeTarget?) -> QuantizeTarget? {
    holds(columns: columns) ? self : fallback.flatMap { $0.holds(columns: columns) ? $0 : nil }
  }

  /// What the header says of a tensor that has become this.
  func info(_ source: WeightData) -> GGUFWriter.TensorInfo {
    switch self {
    case .blocks(let encoding):
      let rowBytes = (source.shape.last ?? 0) / encoding.elementsPerBlock * encoding.blockSize
      return GGUFWriter.TensorInfo(
        name: source.name, dtype: .uint8, shape: source.shape.dropLast() + [rowBytes], encoding: encoding.name)
    case .floats(_, let dtype): return GGUFWriter.TensorInfo(name: source.name, dtype: dtype, shape: source.shape)
    }
  }

  /// (rows, columns) of float32, float16 or bfloat16 as this. Throws `.invalidArgument` for a value that is not finite or
  /// too large.
  func apply(_ values: Tensor) throws -> Tensor {
    switch self {
    case .blocks(let encoding): return try encoding.quantize(values)
    case .floats(let name, let dtype):
      let result = dtype == values.dtype ? values : try values.converted(to: dtype, purpose: name)
      if let index = result.firstNotFinite {
        let columns = max(values.shape.last ?? 1, 1)
        throw MaxLinearError(
          .invalidArgument,
          "values: row \(index / columns), column \(index % columns) is too large or not finite, expected numbers within what \(name) holds"
        )
      }
      return result
    }
  }
}

extension Tensor {
  /// The place of the first infinity or NaN of a contiguous float tensor.
  fileprivate var firstNotFinite: Int? {
    switch dtype {
    case .float16: first(withAll: UInt16(0x7c00))
    case .bfloat16: first(withAll: UInt16(0x7f80))
    default: first(withAll: UInt32(0x7f80_0000))
    }
  }

  private func first<Bits: FixedWidthInteger>(withAll exponent: Bits) -> Int? {
    defer { withExtendedLifetime(owner) {} }
    guard let pointer else { return nil }
    for index in 0..<count {
      let bits = pointer.loadUnaligned(fromByteOffset: index * MemoryLayout<Bits>.size, as: Bits.self)
      if bits & exponent == exponent { return index }
    }
    return nil
  }
}

/// Element types, with the numbers of `mxl_dtype`.
///
/// Layers compute on `float32`, `float16` and `bfloat16`; encoded weights are `uint8`. The others can be listed and read from
/// checkpoints.
public enum DType: Int32, Sendable, CaseIterable {
  case float32 = 1
  case float16 = 2
  case bfloat16 = 3
  case float64 = 4
  case float8E4M3 = 5
  case float8E5M2 = 6
  case float8E8M0 = 7
  case float6E2M3 = 8
  case float6E3M2 = 9
  case float4E2M1 = 10
  case complex64 = 11
  case bool = 20
  case uint8 = 21
  case int8 = 22
  case uint16 = 23
  case int16 = 24
  case uint32 = 25
  case int32 = 26
  case uint64 = 27
  case int64 = 28

  /// Bits of one element.
  public var bits: Int {
    switch self {
    case .float4E2M1: 4
    case .float6E2M3, .float6E3M2: 6
    case .float8E4M3, .float8E5M2, .float8E8M0, .bool, .uint8, .int8: 8
    case .float16, .bfloat16, .uint16, .int16: 16
    case .float32, .uint32, .int32: 32
    case .float64, .complex64, .uint64, .int64: 64
    }
  }

  /// The name as numpy and MAX write it.
  public var name: String {
    switch self {
    case .float8E4M3: "float8_e4m3fn"
    case .float8E5M2: "float8_e5m2"
    case .float8E8M0: "float8_e8m0fnu"
    case .float6E2M3: "float6_e2m3fn"
    case .float6E3M2: "float6_e3m2fn"
    case .float4E2M1: "float4_e2m1fn"
    default: String(describing: self)
    }
  }

  /// Whether layers compute on it: float32, float16, bfloat16.
  var isComputable: Bool { self == .float32 || self == .float16 || self == .bfloat16 }

  /// The encoding's name of dense weights of this dtype, in the registry.
  var denseEncoding: String? {
    switch self {
    case .float32: "F32"
    case .float16: "F16"
    case .bfloat16: "BF16"
    default: nil
    }
  }

  /// The dtype's name, or the number when there is none.
  static func name(of number: Int32) -> String { DType(rawValue: number)?.name ?? "dtype number \(number)" }
}

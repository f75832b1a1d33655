import CMaxLinear

/// Element types, with the numbers of `mxl_dtype`. The library computes on those that a layer's documentation names;
/// the others can be listed and read from checkpoints.
public enum DType: Int32, Sendable, CaseIterable {
  case float32 = 1
  case float16 = 2
  case bfloat16 = 3
  case float64 = 4
  case float8E4M3 = 5
  case float8E5M2 = 6
  /// A power of two: 8 bits of exponent.
  case float8E8M0 = 7
  /// The sub-byte types are packed without gaps, least significant bits first.
  case float6E2M3 = 8
  case float6E3M2 = 9
  case float4E2M1 = 10
  case complex64 = 11
  case bool = 20
  /// Also the bytes of encoded weights.
  case uint8 = 21
  case int8 = 22
  case uint16 = 23
  case int16 = 24
  case uint32 = 25
  case int32 = 26
  case uint64 = 27
  case int64 = 28

  /// The name as numpy and MAX write it, such as "float32".
  public var name: String { staticName.description }

  /// `name` as static storage.
  package var staticName: StaticString {
    switch self {
    case .float32: "float32"
    case .float16: "float16"
    case .bfloat16: "bfloat16"
    case .float64: "float64"
    case .float8E4M3: "float8_e4m3fn"
    case .float8E5M2: "float8_e5m2"
    case .float8E8M0: "float8_e8m0fnu"
    case .float6E2M3: "float6_e2m3fn"
    case .float6E3M2: "float6_e3m2fn"
    case .float4E2M1: "float4_e2m1fn"
    case .complex64: "complex64"
    case .bool: "bool"
    case .uint8: "uint8"
    case .int8: "int8"
    case .uint16: "uint16"
    case .int16: "int16"
    case .uint32: "uint32"
    case .int32: "int32"
    case .uint64: "uint64"
    case .int64: "int64"
    }
  }

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
}

import CMaxLinear

/// Element types, with the numbers of `mxl_dtype`. The library computes on those that a layer's documentation names;
/// the others can be listed and read from checkpoints.
public enum DType: Int32, Sendable, CaseIterable {
  /// IEEE binary32: 8 bits of exponent, 23 of fraction.
  case float32 = 1
  /// IEEE binary16: 5 bits of exponent, 10 of fraction.
  case float16 = 2
  /// The upper half of a float32: 8 bits of exponent, 7 of fraction.
  case bfloat16 = 3
  /// IEEE binary64: 11 bits of exponent, 52 of fraction.
  case float64 = 4
  /// 4 bits of exponent, 3 of fraction; no infinities, the largest is 448.
  case float8E4M3 = 5
  /// 5 bits of exponent, 2 of fraction, with infinities; the largest is 57344.
  case float8E5M2 = 6
  /// A power of two: 8 bits of exponent.
  case float8E8M0 = 7
  /// The sub-byte types are packed without gaps, least significant bits first.
  case float6E2M3 = 8
  /// 3 bits of exponent, 2 of fraction, packed.
  case float6E3M2 = 9
  /// 2 bits of exponent, 1 of fraction, packed.
  case float4E2M1 = 10
  /// A pair of float32, real part first.
  case complex64 = 11
  /// A byte, 0 or 1.
  case bool = 20
  /// Also the bytes of encoded weights.
  case uint8 = 21
  /// Signed, 8 bits.
  case int8 = 22
  /// Unsigned, 16 bits.
  case uint16 = 23
  /// Signed, 16 bits.
  case int16 = 24
  /// Unsigned, 32 bits.
  case uint32 = 25
  /// Signed, 32 bits.
  case int32 = 26
  /// Unsigned, 64 bits.
  case uint64 = 27
  /// Signed, 64 bits.
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

import CMaxLinear
import Kernels

/// What this machine can run, and what MAXLINEAR_ISA leaves of it.
public enum CPU {
  /// The features that kernels may use, as `MXL_CPU_*`. Throws `.unsupported` when MAXLINEAR_ISA names no known variant.
  static func allowedFeatures() throws -> UInt64 {
    var features: UInt64 = 0
    guard mxlk_allowed_features(&features) != 0 else {
      throw MaxLinearError(
        .unsupported, "MAXLINEAR_ISA: not a known CPU variant; known are: \(variants.joined(separator: ", "))")
    }
    return features
  }

  /// The CPU variants, from the weakest: what MAXLINEAR_ISA may name.
  public static var variants: [String] {
    (0..<mxlk_isa_count()).compactMap { mxlk_isa_at($0).map { String(cString: $0.pointee.name) } }
  }

  /// The CPU's name, "" when it has none.
  public static var model: String { mxlk_cpu_model().map { String(cString: $0) } ?? "" }

  /// The features this machine has.
  public static var features: [String] { names(of: mxlk_cpu_features()) }

  static func names(of features: UInt64) -> [String] {
    var names: [String] = []
    var bit: UInt32 = 0
    while let name = mxlk_cpu_feature_name(bit) {
      if features & (1 << UInt64(bit)) != 0 { names.append(String(cString: name)) }
      bit += 1
    }
    return names
  }
}

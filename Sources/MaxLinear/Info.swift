import CMaxLinear
import Kernels

/// What this machine has and what the library makes of it.
public struct Info: Sendable {
  /// An encoding, and the kernel row that layers of it run on this machine, for each kind of arithmetic.
  public struct Encoding: Sendable {
    public let name: String
    public let kernels: [(compute: String, kernel: String)]
  }

  public let version: String
  public let cpu: String
  public let features: [String]
  /// What MAXLINEAR_ISA leaves of them.
  public let allowedFeatures: [String]
  /// What MAXLINEAR_ISA may name, from the weakest.
  public let variants: [String]
  public let threads: Int
  public let encodings: [Encoding]

  /// Throws `.unsupported` when MAXLINEAR_ISA names no known variant.
  public static func current() throws -> Info {
    let allowed = try CPU.allowedFeatures()
    return Info(
      version: "\(MXL_VERSION_MAJOR).\(MXL_VERSION_MINOR).\(MXL_VERSION_PATCH)", cpu: CPU.model, features: CPU.features,
      allowedFeatures: CPU.names(of: allowed), variants: CPU.variants, threads: Threads.count,
      encodings: (0..<mxlk_encoding_count()).compactMap { index in
        mxlk_encoding_at(index).map { encoding(String(cString: $0.pointee.name), allowed) }
      })
  }

  private static func encoding(_ name: String, _ features: UInt64) -> Encoding {
    let computes = [(MXL_COMPUTE_INT8, "int8"), (MXL_COMPUTE_FLOAT32, "float32"), (MXL_COMPUTE_BFLOAT16, "bfloat16")]
    return Encoding(
      name: name,
      kernels: computes.compactMap { compute, text in
        mxlk_row_find(Int32(MXL_OP_LINEAR.rawValue), name, Int32(compute.rawValue), features).map {
          (text, String(cString: $0.pointee.name))
        }
      })
  }

  /// The same as JSON.
  public var json: String {
    let encodings = encodings.map { encoding in
      let kernels = encoding.kernels.map { "\(Info.quoted($0.compute)):\(Info.quoted($0.kernel))" }
      return "{\"name\":\(Info.quoted(encoding.name)),\"kernels\":{\(kernels.joined(separator: ","))}}"
    }
    func list(_ values: [String]) -> String { "[\(values.map(Info.quoted).joined(separator: ","))]" }
    return """
      {"version":\(Info.quoted(version)),"cpu":\(Info.quoted(cpu)),"features":\(list(features)),\
      "allowed_features":\(list(allowedFeatures)),"isa":\(list(variants)),"threads":\(threads),\
      "encodings":[\(encodings.joined(separator: ","))]}
      """
  }

  private static func quoted(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"", "\\": result += "\\\(scalar)"
      case _ where scalar.value < 0x20: result += " "
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}

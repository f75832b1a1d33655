import Kernels

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The search for the row that a layer runs.
enum KernelSelection {
  /// The CPU features that MAXLINEAR_ISA leaves. Throws `.unsupported`, listing the known names, when it holds none of
  /// them.
  static func allowedFeatures() throws(MaxLinearError) -> UInt64 {
    var features: UInt64 = 0
    guard mxlk_allowed_features(&features) != 0 else {
      let value = getenv("MAXLINEAR_ISA").map { String(cString: $0) } ?? ""
      throw MaxLinearError(
        .unsupported, "MAXLINEAR_ISA: is \"\(value)\", expected one of \(Machine.isaNames.joined(separator: ", "))")
    }
    return features
  }

  /// What `.automatic` means: int8 where the encoding has rows for it, which then run on every CPU; else float32.
  /// nil is a dense weight.
  static func automaticCompute(encoding: String?) -> Compute {
    let operation = Int32(MXL_OP_LINEAR.rawValue)
    return mxlk_row_find(operation, encoding, Compute.int8.rawValue, 0) != nil ? .int8 : .float32
  }

  /// The row of highest rank that these CPU features can run. Throws `.unsupported` when no row computes this.
  static func row(
    operation: mxl_op, encoding: String, compute: Compute, features: UInt64, argument: String
  ) throws(MaxLinearError) -> UnsafePointer<mxl_kernel_row> {
    let row = encoding.withCString { mxlk_row_find(Int32(operation.rawValue), $0, compute.rawValue, features) }
    guard let row else {
      throw MaxLinearError(
        .unsupported, "\(argument): is \(encoding) with compute \(compute), expected a pair that a kernel has")
    }
    return row
  }
}

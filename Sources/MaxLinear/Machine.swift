import CMaxLinear
import Kernels

/// The library's version, such as "0.1.0".
public let version = "\(MXL_VERSION_MAJOR).\(MXL_VERSION_MINOR).\(MXL_VERSION_PATCH)"

/// What this machine can run, and the kernel rows chosen on it.
public struct Machine: Sendable {
  /// The rows of an encoding.
  public struct Encoding: Sendable {
    /// Such as "Q4_K", "BF16" or a plugin's.
    public let name: String
    /// Weights a block; 1 for dense encodings.
    public let elementsPerBlock: Int
    /// Bytes of a block.
    public let blockSize: Int
    /// What layers of this encoding would run, a row for each kind of compute.
    public let rows: [Row]
  }

  /// The row that a layer prepared now would run.
  public struct Row: Sendable {
    /// What the row computes, such as "linear".
    public let operation: String
    /// The arithmetic: "float32", "int8" or "bfloat16".
    public let compute: String
    /// Its name, such as "mxlk_linear_f32_f32_14x32__avx512".
    public let kernel: String
  }

  /// A CPU variant that MAXLINEAR_ISA can name.
  public struct ISA: Sendable {
    /// What MAXLINEAR_ISA calls it, such as "avx2".
    public let name: String
    /// Whether this CPU has what it adds to the weaker ones.
    public let isAvailable: Bool
    /// Whether MAXLINEAR_ISA leaves that.
    public let isAllowed: Bool
  }

  /// The library's version, such as "0.1.0".
  public let version: String
  /// "" where the CPU does not say.
  public let cpuModel: String
  /// The CPU's features that kernels ask for, and the operating system allows.
  public let features: [String]
  /// What MAXLINEAR_ISA leaves of `features`.
  public let allowedFeatures: [String]
  /// The CPU variants, from weakest to strongest.
  public let isas: [ISA]
  /// The budget of this moment: `Threads.count`.
  public let threads: Int
  /// What the budget is unless it is set.
  public let defaultThreads: Int
  /// The encodings there are, built in or of plugins, dense ones too.
  public let encodings: [Encoding]
  /// Plugin zero, which is built in, and those loaded since.
  public let plugins: [Plugin]
  /// What `MAXLINEAR_PLUGIN_PATH` names and could not be loaded.
  public let pluginFailures: [Plugin.Failure]

  /// This machine, under the MAXLINEAR_ISA of this moment. Throws `.unsupported` when that names no known CPU variant.
  public static func current() throws -> Machine { try Machine() }

  private init() throws(MaxLinearError) {
    let available = mxlk_cpu_features()
    let allowed = try KernelSelection.allowedFeatures()
    version = MaxLinear.version
    cpuModel = String(cString: mxlk_cpu_model())
    features = Self.featureNames(available)
    allowedFeatures = Self.featureNames(allowed)
    // A variant's features are all that it allows; what it needs are those that no weaker one has.
    var weaker: UInt64 = 0
    var isas: [ISA] = []
    for known in Self.knownISAs {
      let needed = known.features & ~weaker
      weaker |= known.features
      isas.append(
        ISA(name: known.name, isAvailable: needed & ~available == 0, isAllowed: needed & ~allowed == 0))
    }
    self.isas = isas
    threads = Threads.count
    defaultThreads = Int(mxlk_default_threads())
    encodings = (0..<mxlk_encoding_count()).compactMap { mxlk_encoding_at($0) }.map {
      Encoding($0.pointee, features: allowed)
    }
    plugins = Plugin.loaded
    pluginFailures = Plugin.failures
  }

  /// The names that MAXLINEAR_ISA may have, from weakest to strongest.
  public static var isaNames: [String] { knownISAs.map(\.name) }

  private static var knownISAs: [(name: String, features: UInt64)] {
    (0..<mxlk_isa_count()).compactMap { mxlk_isa_at($0) }.map {
      (String(cString: $0.pointee.name), $0.pointee.features)
    }
  }

  private static func featureNames(_ features: UInt64) -> [String] {
    (0..<UInt32(64)).compactMap { bit in
      features >> bit & 1 == 1 ? mxlk_cpu_feature_name(bit).map { String(cString: $0) } : nil
    }
  }

  /// The same as UTF-8 JSON.
  public var json: String {
    func list(_ values: [String]) -> JSONText { .array(values.map(JSONText.string)) }
    return JSONText.object([
      ("version", .string(version)),
      ("abi_version", .integer(Int(MXL_ABI_VERSION))),
      ("cpu", .object([("model", .string(cpuModel)), ("features", list(features))])),
      (
        "isa",
        .object([
          ("known", list(isas.map(\.name))),
          ("available", list(isas.filter(\.isAvailable).map(\.name))),
          ("allowed", list(isas.filter(\.isAllowed).map(\.name))),
          ("features", list(allowedFeatures)),
        ])
      ),
      ("threads", .integer(threads)),
      ("default_threads", .integer(defaultThreads)),
      ("encodings", .array(encodings.map(\.json))),
      ("plugins", .array(plugins.map(\.json))),
      ("plugin_failures", .array(pluginFailures.map(\.json))),
    ]).text
  }
}

extension Machine.Encoding {
  fileprivate init(_ encoding: mxl_encoding, features: UInt64) {
    name = String(cString: encoding.name)
    elementsPerBlock = Int(encoding.elements_per_block)
    blockSize = Int(encoding.block_size)
    func best(_ compute: mxl_compute) -> UnsafePointer<mxl_kernel_row>? {
      mxlk_row_find(Int32(MXL_OP_LINEAR.rawValue), encoding.name, Int32(compute.rawValue), features)
    }
    let float32 = best(MXL_COMPUTE_FLOAT32)
    // bfloat16 x meets what the float32 row has packed.
    let bfloat16 = float32.flatMap { mxlk_row_find_compatible($0, Int32(MXL_COMPUTE_BFLOAT16.rawValue), features) }
    rows = [("float32", float32), ("int8", best(MXL_COMPUTE_INT8)), ("bfloat16", bfloat16)].compactMap { compute, row in
      row.map { Machine.Row(operation: "linear", compute: compute, kernel: String(cString: $0.pointee.name)) }
    }
  }

  fileprivate var json: JSONText {
    .object([
      ("name", .string(name)),
      ("elements_per_block", .integer(elementsPerBlock)),
      ("block_size", .integer(blockSize)),
      (
        "rows",
        .array(
          rows.map {
            .object([
              ("op", .string($0.operation)), ("compute", .string($0.compute)), ("kernel", .string($0.kernel)),
            ])
          })
      ),
    ])
  }
}

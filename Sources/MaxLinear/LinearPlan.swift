import CMaxLinear
import Kernels

/// What preparing a linear layer decides before it reads what the weights hold. `PreparedLinear.prepare` goes on from here and `LinearV2.canRun`
/// stops here, so that the two cannot disagree.
struct LinearPlan {
  let row: UnsafePointer<mxl_kernel_row>
  /// What runs where x is bfloat16, too; nil for `row`.
  let bfloat16Row: UnsafePointer<mxl_kernel_row>?
  /// What runs in the place of `row` and `bfloat16Row` where x has many rows.
  let manyRow: UnsafePointer<mxl_kernel_row>?
  let bfloat16ManyRow: UnsafePointer<mxl_kernel_row>?
  /// Whether `.automatic` means that there is one.
  let automaticHasBFloat16: Bool
  let compute: Compute
  /// What `.automatic` means for these weights.
  let automatic: Compute
  /// How many pack.
  let threads: Int32
  private let packs: Bool
  /// The weight's name.
  private let name: String

  /// Of a dense weight or one of blocks.
  ///
  /// - Throws: `.unsupported` for an encoding or compute that no row has; `.invalidArgument`, `.invalidShape`, `.invalidDType` for parameters that
  ///   do not fit together.
  init(
    weight: Weight, bias: Weight?, scale: Weight?, clip: Float?, options: PrepareOptions, features: UInt64
  ) throws(MaxLinearError) {
    try LinearRules.check(weight: weight, bias: bias, scale: scale, clip: clip)
    let dense = weight.quantizationEncoding == nil ? weight.dtype.denseEncodingName : nil
    guard let encoding = weight.quantizationEncoding?.name ?? dense else {
      throw LinearRules.unsupportedDType(weight.name, weight.dtype)
    }
    try self.init(
      encoding: encoding, isDense: dense != nil, options: options, features: features, name: weight.name,
      reason: "encoded weights, expected float32 for dense ones", mayUseBFloat16: true)
  }

  /// Of GPTQ tensors whose groups allow such blocks.
  ///
  /// - Throws: as the other.
  init(
    _ weights: GPTQWeights, block: Int32?, bias: Weight?, options: PrepareOptions, features: UInt64
  ) throws(MaxLinearError) {
    if let bias { try LinearRules.check(bias: bias, outDim: weights.outDim) }
    guard options.packing != .never else {
      throw MaxLinearError(
        .unsupported,
        "pack: is never, expected always: GPTQ tensors lie column by column, which no kernel reads in place")
    }
    let encoding = block.flatMap {
      mxlk_gptq_encoding(Int32(weights.config.bits), $0, weights.scales.dtype.rawValue)
    }.map { String(cString: $0) }
    try self.init(
      encoding: encoding ?? "F32", isDense: encoding == nil, options: options, features: features,
      name: weights.qweight.name,
      reason:
        "groups of a multiple of 32 columns, the last one too, expected float32 for these, of group_size "
        + "\(weights.config.groupSize) and in_dim \(weights.inDim)",
      mayUseBFloat16: false)
  }

  private init(
    encoding: String, isDense: Bool, options: PrepareOptions, features: UInt64, name: String,
    reason: @autoclosure () -> String, mayUseBFloat16: Bool
  ) throws(MaxLinearError) {
    automatic = KernelSelection.automaticCompute(encoding: isDense ? nil : encoding)
    compute = options.compute == .automatic ? automatic : options.compute
    guard compute == .float32 || !isDense else {
      throw MaxLinearError(.unsupported, "compute: is \(compute), which needs \(reason())")
    }
    threads = try Threads.checked(options.threads)
    row = try KernelSelection.row(
      operation: MXL_OP_LINEAR, encoding: encoding, compute: compute, features: features, argument: name)
    let compatible =
      mayUseBFloat16 ? mxlk_row_find_compatible(row, Int32(MXL_COMPUTE_BFLOAT16.rawValue), features) : nil
    bfloat16Row = options.compute == .automatic ? compatible : nil
    manyRow = mxlk_row_find_many(row, features)
    bfloat16ManyRow = mxlk_row_find_many(bfloat16Row, features)
    automaticHasBFloat16 = compatible != nil
    packs = options.packing != .never
    self.name = name
  }

  /// Where the kernels' form of weights is to be written.
  struct Memory {
    /// nil where the kernels read the source in place.
    let panels: PanelMemory?
    let bias: PackedBias?
  }

  /// Memory whose size follows from the shape. Throws `.outOfMemory`.
  func allocate(inDim: Int, shards: [Range<Int>], bias: Weight?) throws(MaxLinearError) -> Memory {
    Memory(
      panels: packs ? try PanelMemory(row: row, inDim: inDim, shards: shards, purpose: "\(name), packed") : nil,
      bias: try bias.map { bias throws(MaxLinearError) in try PackedBias(for: bias) })
  }
}

extension LinearV2 {
  /// Whether a layer of these parameters can be prepared so and called: the name of the kernel row that it then runs, or the error that creating
  /// or preparing it throws.
  ///
  ///     switch LinearV2.canRun(inDim: 4096, outDim: 11008, dtype: .uint8, quantizationEncoding: try .init("Q4_K")) {
  ///     case .success(let kernel): print("runs \(kernel)")
  ///     case .failure(let reason): print(reason.message)
  ///     }
  ///
  /// It runs the code that these run, up to where they read weights, so it agrees with them for tensors that fit: memory is asked for and given
  /// back, MAXLINEAR_ISA and plugins are those of this moment. GPTQ's scales are taken to be float16, and its groups to have group_size columns,
  /// in whatever order. Any thread.
  ///
  /// - Parameters:
  ///   - inDim: as `init`'s.
  ///   - outDim: as `init`'s.
  ///   - dtype: as `init`'s.
  ///   - device: as `init`'s.
  ///   - hasBias: as `init`'s.
  ///   - quantizationEncoding: as `init`'s, or `.gptq`.
  ///   - clipWeight: as `init`'s.
  ///   - quantizationConfig: of `.gptq`, as ``GPTQLinearV2``'s.
  ///   - options: how it is to be prepared.
  public static func canRun(
    inDim: Int, outDim: Int, dtype: DType, device: DeviceRef? = nil, hasBias: Bool = false,
    quantizationEncoding: QuantizationEncoding? = nil, clipWeight: Float? = nil,
    quantizationConfig: QuantizationConfig? = nil, options: PrepareOptions = PrepareOptions()
  ) -> Result<String, MaxLinearError> {
    do {
      let layer = try make(
        inDim: inDim, outDim: outDim, dtype: dtype, device: device, hasBias: hasBias,
        quantizationEncoding: quantizationEncoding, clipWeight: clipWeight, quantizationConfig: quantizationConfig)
      return .success(String(cString: try layer.kernelName(whenPrepared: options)))
    } catch let error as MaxLinearError {
      return .failure(error)
    } catch {
      return .failure(MaxLinearError(.internal, "can_run: \(error), expected an error of the library"))
    }
  }

  /// The name, in static storage, of the kernel row that `prepared(_:)` picks once the layer is loaded. Throws what that throws for any tensors
  /// that fit.
  package final func kernelName(whenPrepared options: PrepareOptions) throws(MaxLinearError) -> UnsafePointer<CChar> {
    let plan = try plan(options, features: try KernelSelection.allowedFeatures())
    _ = try plan.allocate(inDim: inDim, shards: [0..<outDim], bias: bias)
    return plan.row.pointee.name
  }
}

import CMaxLinear
import Kernels

/// The tensors of a GPTQ or AWQ linear layer: w = scale · (code − zero), y = x Wᵀ. ``GPTQShapes`` has the shapes of the first and third.
///
/// - qweight: int32, the codes: GPTQ's packed along K, least significant first, AWQ's along N
/// - scales: [groups, outDim], float16, bfloat16 or float32
/// - qzeros: int32, the zeros, packed along N; they are 2^(bits − 1) without it
/// - g_idx: int32 [inDim], each column's group; or perm_idx: int32 [inDim], the columns in the order of their groups
struct GPTQWeights {
  let config: QuantizationConfig
  let inDim: Int
  let outDim: Int
  let qweight: Weight
  let scales: Weight
  let qzeros: Weight
  let gIdx: Weight
  let permIdx: Weight

  var all: [Weight] { [qweight, scales, qzeros, gIdx, permIdx] }

  /// Weights without contents. `prefix` begins their names.
  init(
    inDim: Int, outDim: Int, config: QuantizationConfig, device: DeviceRef, prefix: String = ""
  ) throws {
    try config.check()
    try LinearRules.checkDimension(inDim, "in_dim")
    try LinearRules.checkDimension(outDim, "out_dim")
    let shapes = GPTQShapes(config)
    try shapes.check(inDim: inDim, outDim: outDim)
    self.config = config
    self.inDim = inDim
    self.outDim = outDim
    let groups = Self.groupCount(inDim: inDim, groupSize: config.groupSize)
    qweight = try Weight(
      name: "\(prefix)qweight", dtype: .int32, shape: shapes.qweight(inDim: inDim, outDim: outDim), device: device)
    scales = try Weight(name: "\(prefix)scales", dtype: .float16, shape: [groups, outDim], device: device)
    scales.otherDTypes = DType.floats
    qzeros = try Weight(
      name: "\(prefix)qzeros", dtype: .int32, shape: [groups, shapes.words(of: outDim)], device: device)
    gIdx = try Weight(name: "\(prefix)g_idx", dtype: .int32, shape: [inDim], device: device)
    permIdx = try Weight(name: "\(prefix)perm_idx", dtype: .int32, shape: [inDim], device: device)
    for weight in [qzeros, gIdx, permIdx] { weight.isOptional = true }
    for weight in all { weight.mayChangeEncoding = false }
  }

  /// The same contents, shared.
  init(sharing other: GPTQWeights) {
    config = other.config
    inDim = other.inDim
    outDim = other.outDim
    qweight = Weight(sharing: other.qweight)
    scales = Weight(sharing: other.scales)
    qzeros = Weight(sharing: other.qzeros)
    gIdx = Weight(sharing: other.gIdx)
    permIdx = Weight(sharing: other.permIdx)
  }

  /// Takes the contents that a state dict has. Throws as a load, `.missingKey` where one that is needed is not there.
  func fill(from state: StateDict) throws(MaxLinearError) {
    let source = try StateDictSource(state)
    for weight in all {
      guard let data = source.data(forKey: weight.name) else {
        if weight.isOptional { continue }
        throw source.missing(weight.name)
      }
      weight.state = try weight.loaded(data, key: weight.name, options: LoadOptions())
    }
  }

  /// What the layer's field `weight` says: (outDim, inDim), without contents.
  func description() throws(MaxLinearError) -> Weight {
    try Weight(describing: [outDim, inDim], device: qweight.device)
  }

  static func groupCount(inDim: Int, groupSize: Int) -> Int {
    groupSize == -1 ? 1 : inDim / groupSize + (inDim % groupSize == 0 ? 0 : 1)
  }

  /// What follows from the contents of g_idx, perm_idx and qzeros.
  struct Layout {
    /// The columns of x that it is about, counted from the first of them below.
    let columns: Range<Int>
    /// Each column's group.
    let groupOf: [Int32]
    /// The columns in the order of their groups; nil when they are in it.
    let order: [Int32]?
    /// What stored zeros lack.
    let zeroOffset: Int32
    /// The largest of 256, 128, 64 and 32 consecutive ordered columns that never meet two groups; nil when there is none.
    let block: Int32?
  }

  /// Throws `.notLoaded`; `.invalidArgument` for an index outside its range, zeros that fit no format, or tensors that contradict the
  /// config.
  func layout(columns: Range<Int>? = nil) throws(MaxLinearError) -> Layout {
    _ = try qweight.source()
    try checkRoom()
    let columns = columns ?? 0..<inDim
    let inDim = columns.count
    let groupOf = Array(try groups()[columns])
    let order = Self.order(of: groupOf, groups: scales.shape[0])
    let sorted = order.map { order in order.map { groupOf[Int($0)] } } ?? groupOf
    let block = Self.blockSizes.first { size in
      inDim % size == 0
        && (0..<inDim / size).allSatisfy { chunk in
          let first = sorted[chunk * size]
          return sorted[chunk * size..<(chunk + 1) * size].allSatisfy { $0 == first }
        }
    }
    return Layout(
      columns: columns, groupOf: groupOf, order: order, zeroOffset: try zeroOffset(), block: block.map(Int32.init))
  }

  /// Throws `.outOfMemory` unless there is room for the arrays that the layout needs, whose allocation cannot fail otherwise.
  func checkRoom() throws(MaxLinearError) {
    _ = try HeapMemory(byteCount: 6 * MemoryLayout<Int32>.stride * inDim, purpose: "\(gIdx.name), sorting")
  }

  private static let blockSizes = [256, 128, 64, 32]

  /// The layout's block where each group has `groupSize` columns, whatever their order.
  var regularBlock: Int32? {
    let size = config.groupSize == -1 ? inDim : config.groupSize
    return Self.blockSizes.first { inDim % $0 == 0 && (size % $0 == 0 || size >= inDim) }.map(Int32.init)
  }

  private func groups() throws(MaxLinearError) -> [Int32] {
    let count = scales.shape[0]
    let size = config.groupSize == -1 ? inDim : config.groupSize
    let plain = (0..<inDim).map { Int32($0 / size) }
    if gIdx.isLoaded {
      let found = try Self.integers(gIdx)
      if let bad = found.firstIndex(where: { $0 < 0 || $0 >= count }) {
        throw MaxLinearError(
          .invalidArgument, "\(gIdx.name): column \(bad) is in group \(found[bad]), expected 0 to \(count - 1)")
      }
      if permIdx.isLoaded {
        let permutation = try checkedPermutation()
        for (left, right) in zip(permutation, permutation.dropFirst()) where found[Int(left)] > found[Int(right)] {
          throw MaxLinearError(
            .invalidArgument,
            "\(permIdx.name): contradicts g_idx, expected the columns in the order of their groups")
        }
      }
      return found
    }
    if permIdx.isLoaded {
      var found = plain
      for (place, column) in try checkedPermutation().enumerated() { found[Int(column)] = plain[place] }
      return found
    }
    guard !config.descAct else {
      throw MaxLinearError(
        .missingKey,
        "\(gIdx.name): missing, and perm_idx too, expected one of them: desc_act says that groups are not consecutive")
    }
    return plain
  }

  private func checkedPermutation() throws(MaxLinearError) -> [Int32] {
    let permutation = try Self.integers(permIdx)
    var seen = [Bool](repeating: false, count: inDim)
    for (place, column) in permutation.enumerated() {
      guard column >= 0, column < inDim, !seen[Int(column)] else {
        throw MaxLinearError(
          .invalidArgument,
          "\(permIdx.name): place \(place) holds \(column), expected each of 0 to \(inDim - 1) once")
      }
      seen[Int(column)] = true
    }
    return permutation
  }

  /// The columns sorted by group, those of a group as they were; nil when that is the order they are in.
  private static func order(of groupOf: [Int32], groups: Int) -> [Int32]? {
    guard zip(groupOf, groupOf.dropFirst()).contains(where: { $0 > $1 }) else { return nil }
    var next = [Int](repeating: 0, count: groups + 1)
    for group in groupOf { next[Int(group) + 1] += 1 }
    for group in 0..<groups { next[group + 1] += next[group] }
    var order = [Int32](repeating: 0, count: groupOf.count)
    for (column, group) in groupOf.enumerated() {
      order[next[Int(group)]] = Int32(column)
      next[Int(group)] += 1
    }
    return order
  }

  /// 1 where qzeros hold zero - 1, else 0.
  private func zeroOffset() throws(MaxLinearError) -> Int32 {
    guard qzeros.isLoaded else {
      guard config.sym else {
        throw MaxLinearError(
          .missingKey, "\(qzeros.name): missing, expected the zeros, which differ where sym is false")
      }
      return 0
    }
    if config.isAWQ { return 0 }
    guard config.sym else { return config.checkpointFormat == "gptq_v2" ? 0 : 1 }
    // Symmetric zeros are 2^(bits - 1). Checkpoints in the field say "gptq" and store either form, so the tensor decides.
    let words = try Self.integers(qzeros)
    let width = qzeros.shape[1]
    let middle = UInt32(1) << UInt32(config.bits - 1)
    var found: UInt32?
    for group in 0..<qzeros.shape[0] {
      for output in 0..<outDim {
        let (word, shift) = (config.bits * output).quotientAndRemainder(dividingBy: 32)
        var bits = UInt64(UInt32(bitPattern: words[group * width + word])) >> UInt64(shift)
        if shift + config.bits > 32 {
          bits |= UInt64(UInt32(bitPattern: words[group * width + word + 1])) << UInt64(32 - shift)
        }
        let stored = UInt32(truncatingIfNeeded: bits) & (2 * middle - 1)
        guard stored == middle - 1 || stored == middle, found == nil || found == stored else {
          throw MaxLinearError(
            .invalidArgument,
            "\(qzeros.name): group \(group), output \(output) holds \(stored): with sym "
              + "expected \(middle - 1) everywhere (gptq) or \(middle) everywhere (gptq_v2)")
        }
        found = stored
      }
    }
    return found == middle - 1 ? 1 : 0
  }

  private static func integers(_ weight: Weight) throws(MaxLinearError) -> [Int32] {
    let tensor = try weight.source().tensor
    return [Int32](unsafeUninitializedCapacity: tensor.count) { buffer, initialized in
      if let start = buffer.baseAddress { tensor.copyContiguously(to: UnsafeMutableRawPointer(start)) }
      initialized = tensor.count
    }
  }

  /// The tensors of each shard's outputs as the kernels see them, during the call; each begins at a multiple of `GPTQShapes.shardUnit`. `includingCodes` false
  /// leaves qweight out, for unpacking.
  func withTensors<Result>(
    _ layout: Layout, shards: [Range<Int>], includingCodes: Bool = true,
    _ body: (UnsafeBufferPointer<mxlk_gptq_tensors>) -> Result
  ) throws(MaxLinearError) -> Result {
    let codes = includingCodes ? try qweight.source().tensor : nil
    let scales = try scales.source().tensor
    let zeros = qzeros.isLoaded ? try qzeros.source().tensor : nil
    return layout.groupOf.withUnsafeBufferPointer { groupOf in
      (layout.order ?? []).withUnsafeBufferPointer { order in
        let views = shards.map { outputs in
          var tensors = mxlk_gptq_tensors()
          let shapes = GPTQShapes(config)
          let stride = codes.map(\.rowBytes) ?? 4 * qweight.shape[1]
          let first = shapes.qweightOffset(
            column: layout.columns.lowerBound, output: outputs.lowerBound, stride: stride)
          tensors.qweight = codes.flatMap { UnsafeRawPointer($0.pointer) }.map { $0 + first }
          tensors.qweight_stride = Int64(stride)
          tensors.qzeros = zeros.flatMap { UnsafeRawPointer($0.pointer) }.map {
            $0 + 4 * shapes.words(of: outputs.lowerBound)
          }
          tensors.qzeros_stride = zeros.map { Int64($0.rowBytes) } ?? 0
          let scaleBytes = scales.dtype.bits / 8
          tensors.scales = UnsafeRawPointer(scales.pointer).map { $0 + scaleBytes * outputs.lowerBound }
          tensors.scales_stride = Int64(scales.rowBytes)
          tensors.scales_dtype = scales.dtype.rawValue
          tensors.bits = Int32(config.bits)
          tensors.awq = config.isAWQ ? 1 : 0
          tensors.zero_offset = layout.zeroOffset
          tensors.group_of = groupOf.baseAddress
          tensors.order = layout.order == nil ? nil : order.baseAddress
          tensors.in_dim = Int64(layout.columns.count)
          tensors.out_dim = Int64(outputs.count)
          return tensors
        }
        return withExtendedLifetime((codes, scales, zeros)) { views.withUnsafeBufferPointer(body) }
      }
    }
  }
}

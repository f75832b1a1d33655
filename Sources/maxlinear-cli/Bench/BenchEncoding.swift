import MaxLinear

/// An encoding of the benchmark, and random weights in it: made in a moment, and as ordinary as the kernels can tell.
struct BenchEncoding: BenchArgument {
  let name: String
  private let kind: Kind

  private enum Kind {
    case dense(DType)
    case blocks
    case gptq(QuantizationConfig)
  }

  /// What "all" means.
  static let all: [BenchEncoding] = [
    BenchEncoding(name: "f32", kind: .dense(.float32)),
    BenchEncoding(name: "bf16", kind: .dense(.bfloat16)),
    BenchEncoding(name: "Q4_0", kind: .blocks),
    BenchEncoding(name: "Q4_K", kind: .blocks),
    BenchEncoding(name: "Q5_K", kind: .blocks),
    BenchEncoding(name: "Q6_K", kind: .blocks),
    BenchEncoding(name: "Q8_0", kind: .blocks),
    BenchEncoding(name: "GPTQ-sym", kind: .gptq(QuantizationConfig(bits: 4, groupSize: 128, sym: true))),
    BenchEncoding(name: "GPTQ-asym", kind: .gptq(QuantizationConfig(bits: 4, groupSize: 128))),
    BenchEncoding(
      name: "GPTQ-act-order", kind: .gptq(QuantizationConfig(bits: 4, groupSize: 128, descAct: true, sym: true))),
  ]

  /// Those, every other block encoding that the library can make, and GPTQ of other bits.
  static var known: [BenchEncoding] {
    let others = QuantizationEncoding.all.filter { encoding in
      encoding.isGGUF && encoding.isQuantizable && !all.contains { $0.name == encoding.name }
    }
    return all + others.map { BenchEncoding(name: $0.name, kind: .blocks) }
      + [2, 3, 8].map { bits in
        BenchEncoding(name: "GPTQ-\(bits)", kind: .gptq(QuantizationConfig(bits: bits, groupSize: 128, sym: true)))
      }
  }

  private init(name: String, kind: Kind) {
    self.name = name
    self.kind = kind
  }

  init?(_ name: String) {
    guard let known = Self.known.first(where: { $0.name.lowercased() == name.lowercased() }) else { return nil }
    self = known
  }

  var description: String { name }

  /// Whether the kernels take it with `pack = never`.
  var runsUnpacked: Bool { config == nil }

  /// The dtype of x and y.
  var inputDType: DType { dtype == .bfloat16 ? .bfloat16 : .float32 }

  /// What a layer's constructor is told.
  var dtype: DType { if case .dense(let dtype) = kind { dtype } else { .uint8 } }

  var config: QuantizationConfig? { if case .gptq(let config) = kind { config } else { nil } }

  func quantizationEncoding() throws -> QuantizationEncoding? {
    switch kind {
    case .dense: nil
    case .blocks: try QuantizationEncoding(name)
    case .gptq: .gptq
    }
  }

  /// The entries of a matrix, and the bytes that a call must read of them. `storage` as in `WeightData`.
  func weights(
    outDim: Int, inDim: Int, prefix: String, storage: WeightStorage, random: inout RandomBits
  ) throws -> (state: [WeightData], bytes: Int) {
    func entry(_ name: String, _ tensor: Tensor, encoding: String? = nil) -> WeightData {
      WeightData(name: prefix + name, tensor: tensor, encoding: encoding, storage: storage)
    }
    switch kind {
    case .dense(let dtype):
      let values = try random.floats(shape: [outDim, inDim], dtype: dtype, exponent: -7)
      return ([entry("weight", values)], values.byteCount)
    case .blocks:
      let encoding = try QuantizationEncoding(name)
      let blocks = try Tensor.zeros(
        shape: [outDim, inDim / encoding.elementsPerBlock * encoding.blockSize], dtype: .uint8)
      // Some blocks of random values, over and over.
      let values = try random.floats(shape: [Self.valuesOnce], dtype: .float32, exponent: -7)
      let once = try encoding.quantize(values)
      if let start = blocks.pointer, let source = once.pointer {
        for at in stride(from: 0, to: blocks.byteCount, by: once.byteCount) {
          (start + at).copyMemory(from: source, byteCount: min(once.byteCount, blocks.byteCount - at))
        }
      }
      return ([entry("weight", blocks, encoding: name)], blocks.byteCount)
    case .gptq(let config):
      let groups = (inDim + config.groupSize - 1) / config.groupSize
      let codes = try random.bits(shape: [inDim * config.bits / 32, outDim], dtype: .int32)
      let scales = try Tensor(
        elements: [Float16](repeating: Float16(bitPattern: Self.scale), count: groups * outDim),
        shape: [groups, outDim])
      let zeros = try random.bits(shape: [groups, (outDim * config.bits + 31) / 32], dtype: .int32)
      var columns = (0..<inDim).map { Int32($0 / config.groupSize) }
      if config.descAct { columns.shuffle(using: &random) }
      var state = [
        entry("qweight", codes), entry("scales", scales), entry("g_idx", try Tensor(elements: columns)),
      ]
      var bytes = codes.byteCount + scales.byteCount
      // Absent zeros are 8, which is what symmetric ones must be.
      if !config.sym {
        state.append(entry("qzeros", zeros))
        bytes += zeros.byteCount
      }
      return (state, bytes)
    }
  }

  /// Whole blocks of any encoding.
  private static let valuesOnce = 1 << 16

  /// 0.01 as float16.
  private static let scale: UInt16 = 0x211f
}

/// SplitMix64, and tensors of its bits.
struct RandomBits: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var bits = state
    bits = (bits ^ bits >> 30) &* 0xbf58_476d_1ce4_e5b9
    bits = (bits ^ bits >> 27) &* 0x94d0_49bb_1331_11eb
    return bits ^ bits >> 31
  }

  /// Of those bits that `mask` has; the others are `constant`'s.
  mutating func bits(shape: [Int], dtype: DType, mask: UInt64 = .max, constant: UInt64 = 0) throws -> Tensor {
    let tensor = try Tensor.zeros(shape: shape, dtype: dtype)
    guard let start = tensor.pointer else { return tensor }
    let bytes = tensor.byteCount
    for offset in stride(from: 0, to: bytes - 7, by: 8) {
      start.storeBytes(of: next() & mask | constant, toByteOffset: offset, as: UInt64.self)
    }
    let last = next() & mask | constant
    withUnsafeBytes(of: last) {
      UnsafeMutableRawBufferPointer(start: start + bytes / 8 * 8, count: bytes % 8).copyBytes(from: $0[..<(bytes % 8)])
    }
    return tensor
  }

  /// Near a normal distribution, as a model's activations are: four numbers between -1 and 1 added up.
  mutating func bellShaped(shape: [Int], dtype: DType) throws -> Tensor {
    let tensor = try Tensor.zeros(shape: shape, dtype: dtype)
    guard let start = tensor.pointer else { return tensor }
    let size = dtype == .bfloat16 ? 2 : 4
    for offset in stride(from: 0, to: tensor.byteCount, by: size) {
      let bits = next()
      let sum = (0..<4).reduce(into: Int32(0)) { $0 += Int32(Int16(truncatingIfNeeded: bits >> (16 * $1))) }
      let value = (Float(sum) / 32768).bitPattern
      if size == 2 {
        start.storeBytes(of: UInt16(value >> 16), toByteOffset: offset, as: UInt16.self)
      } else {
        start.storeBytes(of: value, toByteOffset: offset, as: UInt32.self)
      }
    }
    return tensor
  }

  /// Of either sign, their magnitudes between 2^exponent and twice that.
  mutating func floats(shape: [Int], dtype: DType, exponent: Int) throws -> Tensor {
    // Sign and fraction are random, the exponent is not.
    let biased = UInt64(127 + exponent)
    guard dtype == .bfloat16 else {
      return try bits(
        shape: shape, dtype: dtype, mask: 0x807f_ffff_807f_ffff, constant: (biased << 23) &* 0x1_0000_0001)
    }
    return try bits(
      shape: shape, dtype: dtype, mask: 0x807f_807f_807f_807f, constant: (biased << 7) &* 0x1_0001_0001_0001)
  }
}

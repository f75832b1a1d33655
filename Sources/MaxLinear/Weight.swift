/// A parameter of a layer: a name, what it must look like, and, once loaded, its contents.
///
/// A reference type, so that a layer's field and the state dict mean the same weight. Not Sendable, like the layers.
public final class Weight {
  /// The last part of the state dict's key: "weight", "lin.bias".
  public var name: String
  /// The dtype of the values. Encoded weights are stored as bytes, see `storedDType`.
  public private(set) var dtype: DType
  /// (out_dim, in_dim) for a matrix, whether it is encoded or not.
  public private(set) var shape: [Int]
  /// Where the weight is: the CPU.
  public let device: DeviceRef
  /// How it is stored; nil for dense.
  public private(set) var quantizationEncoding: QuantizationEncoding?

  var contents = WeightContents.empty
  /// A state dict may lack it.
  var isOptional = false
  /// What else a load may bring; it becomes the dtype.
  var otherDTypes: [DType] = []
  /// Other shapes that a load may bring; then they are its shape.
  var otherShapes: [[Int]] = []
  /// Whether a load may bring another encoding where it is asked to; only matrices may have one.
  var mayChangeEncoding = true
  /// What ends the key of an entry that a load refuses, as it would change what this weight means, and why.
  var unserved: (suffix: String, reason: String)?
  /// When the weight was last loaded, in `Revision`'s time.
  private(set) var revision = Revision.next()

  /// A weight without contents.
  ///
  /// - Throws: `.invalidShape` for a negative dimension, a size that overflows, or rows that are no whole number of
  ///   blocks; `.noDevice` for a device other than the CPU with id 0.
  public init(
    name: String, dtype: DType, shape: [Int], device: DeviceRef = .cpu(),
    quantizationEncoding: QuantizationEncoding? = nil
  ) throws {
    try device.check(name)
    self.name = name
    self.dtype = dtype
    self.shape = shape
    self.device = device
    self.quantizationEncoding = quantizationEncoding
    storedShape = try Self.storedShape(name, shape, quantizationEncoding)
    try Self.checkSize(name, shape: storedShape, bits: storedDType.bits)
  }

  /// A weight with contents, copied, borrowed or mapped as `data.storage` says. Dtype, shape and encoding are the
  /// data's.
  ///
  /// - Throws: as `init(name:dtype:shape:device:quantizationEncoding:)`, and `.outOfMemory`.
  public convenience init(_ data: WeightData, name: String? = nil) throws {
    let encoding = try data.encoding.map(QuantizationEncoding.init)
    var shape = data.shape
    if let encoding, let bytes = shape.last {
      let elements = Self.blocks(in: bytes, of: encoding.blockSize, becoming: encoding.elementsPerBlock)
      guard data.dtype == .uint8, let elements else {
        throw MaxLinearError(
          .invalidShape,
          "\(name ?? data.name): \(data.dtype.name) of shape \(shape), expected uint8 rows of whole "
            + "\(encoding) blocks of \(encoding.blockSize) bytes")
      }
      shape[shape.count - 1] = elements
    }
    try self.init(
      name: name ?? data.name, dtype: encoding == nil ? data.dtype : .float32, shape: shape,
      quantizationEncoding: encoding)
    state = try loaded(data, key: self.name, options: LoadOptions())
  }

  /// A GPTQ weight of that shape, whose contents are other weights'.
  init(describing shape: [Int], device: DeviceRef) throws(MaxLinearError) {
    name = "weight"
    dtype = .uint8
    self.shape = shape
    self.device = device
    quantizationEncoding = .gptq
    storedShape = shape
  }

  /// A weight with the same contents, which are shared.
  init(sharing other: Weight) {
    name = other.name
    dtype = other.dtype
    shape = other.shape
    device = other.device
    quantizationEncoding = other.quantizationEncoding
    storedShape = other.storedShape
    isOptional = other.isOptional
    otherDTypes = other.otherDTypes
    otherShapes = other.otherShapes
    mayChangeEncoding = other.mayChangeEncoding
    unserved = other.unserved
    contents = other.contents
  }

  /// The shape of what is stored: for encoded weights, [rows, row bytes].
  public private(set) var storedShape: [Int]

  /// The dtype of what is stored: `.uint8` for encoded weights.
  public var storedDType: DType { quantizationEncoding == nil ? dtype : .uint8 }

  /// Whether the weight has contents.
  public var isLoaded: Bool { if case .empty = contents { false } else { true } }

  /// What was loaded, bit for bit, for reading only; nil before that. After the layer was prepared this may unpack a
  /// new copy.
  ///
  /// Throws `.outOfMemory`.
  public func data() throws -> WeightData? {
    switch contents {
    case .empty: nil
    case .source(let data):
      WeightData(
        // Blocks may have come as plain bytes.
        name: name, tensor: try data.tensor.asReadOnly(), encoding: quantizationEncoding?.name,
        storage: data.storage == .map ? .map : .borrow)
    case .prepared: try source()
    }
  }

  /// The contents in stored order. Throws `.notLoaded`.
  func source() throws(MaxLinearError) -> WeightData {
    switch contents {
    case .empty:
      throw MaxLinearError(
        .notLoaded, "\(name): not loaded, expected a state dict that is loaded before the layer is prepared or called")
    case .source(let data): return data
    case .prepared(let memory):
      return WeightData(
        name: name, tensor: try memory.restored(), encoding: quantizationEncoding?.name, storage: .borrow)
    }
  }

  /// What a load sets, so that one that fails can put it back.
  struct State {
    fileprivate(set) var contents: WeightContents
    fileprivate let encoding: QuantizationEncoding?
    fileprivate let shape: [Int]
    fileprivate let storedShape: [Int]
    fileprivate let dtype: DType
  }

  var state: State {
    get {
      State(contents: contents, encoding: quantizationEncoding, shape: shape, storedShape: storedShape, dtype: dtype)
    }
    set {
      contents = newValue.contents
      quantizationEncoding = newValue.encoding
      shape = newValue.shape
      storedShape = newValue.storedShape
      dtype = newValue.dtype
      revision = Revision.next()
    }
  }

  /// The state with this data, once it fits the weight. `key` names it in messages.
  func loaded(_ data: WeightData, key: String, options: LoadOptions) throws(MaxLinearError) -> State {
    var encoding = quantizationEncoding
    if options.overrideQuantizationEncoding, mayChangeEncoding, shape.count >= 2, let name = data.encoding,
      name != encoding?.name
    {
      encoding = try QuantizationEncoding(registered: name)
    }
    let shape = otherShapes.contains(data.shape) ? data.shape : shape
    let storedShape = try Self.storedShape(key, shape, encoding)
    let dtype = otherDTypes.contains(data.dtype) ? data.dtype : dtype
    if !otherShapes.isEmpty, data.shape != shape {
      throw MaxLinearError(.invalidShape, "\(key): shape is \(data.shape), expected one of \(otherShapes)")
    }
    let data = try Self.kept(
      data, key: key, encoding: encoding, dtype: encoding == nil ? dtype : .uint8, shape: storedShape)
    return State(contents: .source(data), encoding: encoding, shape: shape, storedShape: storedShape, dtype: dtype)
  }

  /// The state without contents.
  var emptied: State {
    State(contents: .empty, encoding: quantizationEncoding, shape: shape, storedShape: storedShape, dtype: dtype)
  }

  /// The data, once it fits, kept as its storage asks: copied, or as it is. Rows whose elements are not adjacent are copied in any
  /// case, and a checkpoint's tensor of another float dtype is converted.
  private static func kept(
    _ data: WeightData, key: String, encoding: QuantizationEncoding?, dtype: DType, shape: [Int]
  ) throws(MaxLinearError) -> WeightData {
    // Blocks may come as plain bytes: the weight knows their encoding.
    guard data.encoding == encoding?.name || (data.encoding == nil && data.dtype == dtype) else {
      throw MaxLinearError(
        .invalidDType, "\(key): encoding is \(data.encoding ?? "none"), expected \(encoding?.name ?? "none")")
    }
    var data = data
    // numpy has no 8-bit floats: their bytes are taken as they are.
    if dtype.isFloat8, data.dtype == .uint8, data.encoding == nil { data.tensor = try data.tensor.bytes(as: dtype) }
    let isCast = data.storage == .map && data.dtype.isFloat && dtype.isFloat && data.dtype != dtype
    guard data.dtype == dtype || isCast else {
      throw MaxLinearError(.invalidDType, "\(key): dtype is \(data.dtype.name), expected \(dtype.name)")
    }
    guard data.shape == shape else {
      throw MaxLinearError(.invalidShape, "\(key): shape is \(data.shape), expected \(shape)")
    }
    try data.checkFile()
    let tensor = data.tensor
    if isCast {
      let converted = try tensor.converted(to: dtype, purpose: key)
      try data.checkFile()
      data.releasePages()
      return WeightData(name: data.name, tensor: converted, encoding: nil, storage: .copy)
    }
    let rowsAreAdjacent = tensor.rank < 2 || tensor.shape[tensor.rank - 1] <= 1 || tensor.strides[tensor.rank - 1] == 1
    if data.storage != .copy, rowsAreAdjacent { return data }
    let copy = try Tensor(uninitialized: tensor.shape, dtype: tensor.dtype, purpose: key)
    if let destination = copy.pointer { tensor.copyContiguously(to: destination) }
    return WeightData(name: data.name, tensor: copy, encoding: data.encoding, storage: .copy)
  }

  /// Throws `.invalidShape` unless these parts of the inputs are whole blocks.
  func checkWholeBlocks(_ parts: [Range<Int>]) throws(MaxLinearError) {
    guard let encoding = quantizationEncoding, let inputs = shape.last else { return }
    for range in parts {
      guard
        [range.lowerBound, range.upperBound].allSatisfy({ $0 % encoding.elementsPerBlock == 0 || $0 == inputs })
      else {
        throw MaxLinearError(
          .invalidShape,
          "\(name): inputs \(range) of a device, expected whole \(encoding) blocks of \(encoding.elementsPerBlock): a layer that is made with "
            + "this encoding is divided so")
      }
    }
  }

  /// A matrix of some of the columns, which are whole blocks, viewing the source.
  func columns(_ range: Range<Int>, of source: WeightData) throws(MaxLinearError) -> Weight {
    try checkWholeBlocks([range])
    let elements = quantizationEncoding?.elementsPerBlock ?? 1
    let stored = quantizationEncoding?.blockSize ?? 1
    let columns = (range.count / elements) * stored
    let offset = range.lowerBound / elements * stored * (storedDType.bits / 8)
    let part = Weight(sharing: self)
    part.shape = [shape[0], range.count]
    part.storedShape = [shape[0], columns]
    part.contents = .source(
      WeightData(
        name: name, tensor: try source.tensor.view(offset: offset, shape: part.storedShape), encoding: source.encoding,
        storage: source.storage))
    return part
  }

  private static func storedShape(
    _ name: String, _ shape: [Int], _ encoding: QuantizationEncoding?
  ) throws(MaxLinearError) -> [Int] {
    guard let encoding, let elements = shape.last else { return shape }
    guard let bytes = blocks(in: elements, of: encoding.elementsPerBlock, becoming: encoding.blockSize) else {
      let wanted =
        "\(name): last dimension is \(elements), expected a multiple of \(encoding)'s \(encoding.elementsPerBlock)"
      let reason =
        encoding.holds(columns: elements)
        ? " that memory can hold" : "; \(QuantizationEncoding.holders(columns: elements))"
      throw MaxLinearError(.invalidShape, wanted + reason)
    }
    return shape.dropLast() + [bytes]
  }

  /// The whole blocks of `size` in `amount`, each as `other`; nil when there is a rest or the result overflows.
  private static func blocks(in amount: Int, of size: Int, becoming other: Int) -> Int? {
    guard amount >= 0, size > 0, amount % size == 0 else { return nil }
    let result = (amount / size).multipliedReportingOverflow(by: other)
    return result.overflow ? nil : result.partialValue
  }

  private static func checkSize(_ name: String, shape: [Int], bits: Int) throws(MaxLinearError) {
    guard shape.count <= Tensor.maximumRank else {
      throw MaxLinearError(.invalidShape, "\(name): rank is \(shape.count), expected at most \(Tensor.maximumRank)")
    }
    var product = bits
    for dimension in shape {
      guard dimension >= 0 else {
        throw MaxLinearError(.invalidShape, "\(name): shape is \(shape), expected no negative dimension")
      }
      let next = product.multipliedReportingOverflow(by: max(dimension, 1))
      guard !next.overflow, next.partialValue <= Int.max - 7 else {
        throw MaxLinearError(.invalidShape, "\(name): shape is \(shape), expected one that memory can hold")
      }
      product = next.partialValue
    }
  }
}

/// What a weight holds.
enum WeightContents {
  case empty
  /// In stored order, as loaded.
  case source(WeightData)
  /// Only as the kernels want it.
  case prepared(any RestorableMemory)

  /// What this contributes to a layer's memory; prepared memory is counted by the prepared layer.
  var memory: LayerMemory {
    guard case .source(let data) = self else { return LayerMemory() }
    let bytes = data.tensor.byteCount
    return data.storage == .map ? LayerMemory(mapped: bytes) : LayerMemory(source: bytes)
  }
}

/// Prepared memory that gives back what it was made from.
protocol RestorableMemory: AnyObject, Sendable {
  /// What was loaded, bit for bit.
  func restored() throws(MaxLinearError) -> Tensor
}

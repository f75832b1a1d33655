import CMaxLinear
import MaxLinear

/// What an `mxl_entry` that leaves the library points to: name, encoding, shape, and the tensor itself.
final class EntryHolder: @unchecked Sendable {
  // Written in init alone.
  private let name: UnsafeMutablePointer<CChar>
  private let encoding: UnsafeMutablePointer<CChar>?
  private let shape: UnsafeMutablePointer<Int64>
  private let strides: UnsafeMutablePointer<Int64>
  private let data: WeightData
  private let loaded: Bool
  private let storage: mxl_storage

  init(_ data: WeightData, loaded: Bool = true, storage: mxl_storage) {
    self.data = data
    self.loaded = loaded
    self.storage = storage
    name = EntryHolder.copy(data.name)
    encoding = data.quantizationEncoding.map { EntryHolder.copy($0.name) }
    shape = EntryHolder.copy(data.tensor.shape)
    strides = EntryHolder.copy(data.tensor.strides)
  }

  /// Entry number `index` of a layer's state dict.
  convenience init(stateOf module: Module, _ index: Int) throws {
    let weights = module.weights
    guard weights.indices.contains(index) else {
      throw MaxLinearError(
        .invalidArgument, "index: is \(UInt(bitPattern: index)), but the state dict has \(weights.count) entries")
    }
    let (key, weight) = weights[index]
    let tensor = try weight.loaded()
    let shown = try tensor ?? Tensor(described: weight.storedShape, dtype: weight.dtype)
    self.init(
      WeightData(name: key, tensor: shown, quantizationEncoding: weight.quantizationEncoding), loaded: tensor != nil,
      storage: MXL_STORAGE_BORROW)
  }

  deinit {
    name.deallocate()
    encoding?.deallocate()
    shape.deallocate()
    strides.deallocate()
  }

  /// The entry, borrowed from this holder.
  var borrowed: mxl_entry {
    let tensor = data.tensor
    return mxl_entry(
      name: name, encoding: encoding,
      tensor: mxl_tensor(
        data: loaded ? tensor.pointer : nil, dtype: tensor.dtype.rawValue,
        rank: Int32(truncatingIfNeeded: tensor.shape.count), device: mxl_device(type: Int32(MXL_DEVICE_CPU.rawValue), id: 0),
        shape: shape, strides: tensor.isContiguous ? nil : UnsafePointer(strides)),
      storage: Int32(storage.rawValue), release: nil, owner: nil)
  }

  /// The entry, owned by whoever gets it.
  var given: mxl_entry {
    var entry = borrowed
    entry.owner = Unmanaged.passRetained(self).toOpaque()
    entry.release = { owner in
      if let owner { Unmanaged<EntryHolder>.fromOpaque(owner).release() }
    }
    return entry
  }

  private static func copy(_ text: String) -> UnsafeMutablePointer<CChar> {
    let copy = UnsafeMutablePointer<CChar>.allocate(capacity: text.utf8.count + 1)
    for (index, byte) in (Array(text.utf8) + [0]).enumerated() { copy[index] = CChar(bitPattern: byte) }
    return copy
  }

  private static func copy(_ numbers: [Int]) -> UnsafeMutablePointer<Int64> {
    let copy = UnsafeMutablePointer<Int64>.allocate(capacity: max(numbers.count, 1))
    for (index, number) in numbers.enumerated() { copy[index] = Int64(number) }
    return copy
  }
}

/// An entry that came in: its tensor, and what to arm once the call it came with has succeeded.
struct IncomingEntry {
  let data: WeightData
  let memory: ForeignMemory?

  /// Checks the entry and, for MXL_STORAGE_COPY, copies its bytes.
  init(_ entry: mxl_entry, _ argument: String) throws {
    let name = try text(entry.name, "\(argument).name")
    let storage = try enumerator(entry.storage, "\(name): storage", Storage.self)
    let encoding = try entry.encoding.map { try QuantizationEncoding(try text($0, "\(name): encoding")) }
    let memory = storage == .copy ? nil : ForeignMemory(entry, isMapped: storage == .map)
    let view = try Tensor(entry.tensor, argument: name, owner: memory)
    data = WeightData(
      name: name, tensor: storage == .copy ? try view.copy() : view, quantizationEncoding: encoding)
    self.memory = memory
  }

  enum Storage: Int32 {
    case copy = 0
    case borrow = 1
    case map = 2
  }
}

/// The entries of an array, all checked. Names must differ.
func incoming(_ entries: UnsafePointer<mxl_entry>?, _ count: Int) throws -> [IncomingEntry] {
  guard count > 0 else { return [] }
  let entries = try required(entries, "entries")
  var names: Set<String> = []
  return try (0..<count).map { index in
    let entry = try IncomingEntry(entries[index], "entries[\(index)]")
    guard names.insert(entry.data.name).inserted else {
      throw MaxLinearError(.invalidArgument, "entries[\(index)]: \(entry.data.name) comes twice")
    }
    return entry
  }
}

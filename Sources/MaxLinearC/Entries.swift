// mxl_entry in both directions: tensors handed to the library, and tensors handed out.
import CHandles
import MaxLinear
import Synchronization

/// Memory that an entry handed to the library, given back by the entry's release once nothing refers to it.
///
/// Unchecked: the header demands of the caller that release may be called from any thread.
final class BorrowedMemory: @unchecked Sendable {
  private let release: @convention(c) (UnsafeMutableRawPointer?) -> Void
  private let owner: UnsafeMutableRawPointer?
  private let isOurs = Atomic(false)

  init(_ release: @escaping @convention(c) (UnsafeMutableRawPointer?) -> Void, _ owner: UnsafeMutableRawPointer?) {
    self.release = release
    self.owner = owner
  }

  /// The call has succeeded: from now on the library owns the memory. Before that it is the caller's.
  func take() { isOurs.store(true, ordering: .releasing) }

  deinit {
    if isOurs.load(ordering: .acquiring) { release(owner) }
  }
}

/// Entries as the core takes them, and the memory that they lend.
struct LentEntries {
  var entries: [WeightData] = []
  private var memory: [BorrowedMemory] = []

  /// Checks an entry. `argument` names it in messages; `name` is what it is called whatever its own name.
  mutating func append(_ entry: mxl_entry, _ argument: String, name: String? = nil) throws(MaxLinearError) {
    let known = name
    let name = if let known { known } else { try requiredText(entry.name, "\(argument).name") }
    let argument = known == nil ? "\(argument) (\(name))" : argument
    guard let storage = WeightStorage(rawValue: entry.storage) else {
      throw MaxLinearError(.invalidArgument, "\(argument): storage is \(entry.storage), expected an mxl_storage")
    }
    let lent = entry.release.map { BorrowedMemory($0, entry.owner) }
    // A checkpoint's entries come without release: what is filled from them keeps the file mapped.
    let owner: (any AnyObject & Sendable)? = lent ?? FileMapping.mapped(at: entry.tensor.data)
    let tensor = try Tensor(entry.tensor, owner: owner, isReadOnly: true, argument: argument)
    let encoding = try text(entry.encoding, "\(argument).encoding")
    entries.append(WeightData(name: name, tensor: tensor, encoding: encoding, storage: storage))
    if let lent { memory.append(lent) }
  }

  /// The entry of that name.
  subscript(name: String) -> WeightData? { entries.first { $0.name == name } }

  /// The call has succeeded.
  func take() {
    for lent in memory { lent.take() }
  }
}

/// What an entry handed out points to: its name, encoding, shape and strides, and the tensor that keeps the data alive.
///
/// Unchecked: written in init, freed in deinit, only read in between.
final class EntryMemory: @unchecked Sendable {
  private let tensor: Tensor?
  private let dtype: DType
  private let storage: WeightStorage
  private let names: UnsafeMutableBufferPointer<CChar>
  private let encodingOffset: Int?
  private let dimensions: UnsafeMutableBufferPointer<Int64>
  private let rank: Int

  /// An entry with data.
  init(_ data: WeightData) {
    tensor = data.tensor
    dtype = data.dtype
    storage = data.storage == .map ? .map : .borrow
    rank = data.shape.count
    (names, encodingOffset) = Self.names(data.name, data.encoding)
    dimensions = Self.copy(data.shape + data.tensor.strides)
  }

  /// An entry of a weight that has no data yet.
  init(key: String, _ weight: Weight) {
    tensor = nil
    dtype = weight.storedDType
    storage = .borrow
    rank = weight.storedShape.count
    (names, encodingOffset) = Self.names(key, weight.quantizationEncoding?.name)
    dimensions = Self.copy(weight.storedShape)
  }

  deinit {
    names.deallocate()
    dimensions.deallocate()
  }

  /// The entry, valid as long as this object; without release.
  var borrowed: mxl_entry {
    var entry = mxl_entry()
    entry.name = UnsafePointer(names.baseAddress)
    entry.encoding = encodingOffset.flatMap { offset in names.baseAddress.map { UnsafePointer($0 + offset) } }
    entry.storage = storage.rawValue
    entry.tensor.data = tensor?.pointer
    entry.tensor.dtype = dtype.rawValue
    entry.tensor.rank = Int32(rank)
    entry.tensor.device.type = MXL_DEVICE_CPU.rawValue
    entry.tensor.shape = UnsafePointer(dimensions.baseAddress)
    if let tensor, !tensor.isContiguous {
      entry.tensor.strides = dimensions.baseAddress.map { UnsafePointer($0 + rank) }
    }
    return entry
  }

  /// The entry with a release, which the receiver calls; until then it keeps this object.
  func handedOut() -> mxl_entry {
    var entry = borrowed
    entry.owner = Unmanaged.passRetained(self).toOpaque()
    entry.release = { owner in
      if let owner { Unmanaged<EntryMemory>.fromOpaque(owner).release() }
    }
    return entry
  }

  private static func names(_ name: String, _ encoding: String?) -> (UnsafeMutableBufferPointer<CChar>, Int?) {
    var text = Array(name.utf8CString)
    let offset = encoding == nil ? nil : text.count
    if let encoding { text += encoding.utf8CString }
    return (copy(text), offset)
  }

  private static func copy<Element: BitwiseCopyable>(_ values: [Element]) -> UnsafeMutableBufferPointer<Element> {
    let memory = UnsafeMutableBufferPointer<Element>.allocate(capacity: values.count)
    _ = memory.initialize(from: values)
    return memory
  }

  private static func copy(_ values: [Int]) -> UnsafeMutableBufferPointer<Int64> { copy(values.map(Int64.init)) }
}

import CHandles
import CMaxLinear
import MaxLinear
import Synchronization

/// What an mxl_layer points to: the module, and what was last prepared.
///
/// The module is touched under `moduleLock` only. What is prepared has a lock of its own, held for as long as it takes to copy a
/// reference, so that a forward never waits for a load.
final class LayerHandle: @unchecked Sendable {
  let module: Module
  /// One lock for all handles that reach the module: an MLP made of three layers takes theirs.
  private let moduleLock: SharedLock
  private let current = Mutex<PreparedLayer?>(nil)
  private let owners = Atomic<Int>(1)

  private init(_ module: Module, _ lock: SharedLock) {
    self.module = module
    moduleLock = lock
  }

  /// A handle that the caller owns.
  static func make(_ module: Module, lock parts: [LayerHandle] = []) -> UnsafeMutablePointer<mxl_layer> {
    let object = LayerHandle(module, SharedLock(parts.map(\.moduleLock)))
    let handle = UnsafeMutablePointer<mxl_layer>.allocate(capacity: 1)
    handle.initialize(to: mxl_layer(magic: MXL_LAYER_MAGIC, object: Unmanaged.passRetained(object).toOpaque()))
    return handle
  }

  /// The object behind a handle. Throws `.invalidHandle` for another type's, a destroyed one's or NULL.
  static func of(_ handle: UnsafePointer<mxl_layer>?, _ argument: String = "layer") throws -> LayerHandle {
    guard let handle, handle.pointee.magic == MXL_LAYER_MAGIC, let object = handle.pointee.object else {
      throw MaxLinearError(.invalidHandle, "\(argument): is not a live mxl_layer")
    }
    return Unmanaged<LayerHandle>.fromOpaque(object).takeUnretainedValue()
  }

  static func of(_ handle: UnsafeMutablePointer<mxl_layer>?, _ argument: String = "layer") throws -> LayerHandle {
    try of(handle.map { UnsafePointer($0) }, argument)
  }

  static func retain(_ handle: UnsafeMutablePointer<mxl_layer>?) {
    guard let object = try? of(handle) else { return }
    object.owners.add(1, ordering: .relaxed)
  }

  static func destroy(_ handle: UnsafeMutablePointer<mxl_layer>?) {
    guard let handle, let object = try? of(handle) else { return }
    guard object.owners.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 else { return }
    handle.pointee.magic = 0
    handle.pointee.object = nil
    Unmanaged.passUnretained(object).release()
    handle.deallocate()
  }

  /// Calls the body with the module, alone.
  func locked<Result>(_ body: (Module) throws -> Result) rethrows -> Result {
    try moduleLock.locked { try body(module) }
  }

  /// What forward runs.
  func prepared() throws -> PreparedLayer {
    if let layer = current.withLock({ $0 }) { return layer }
    guard locked({ $0.weights.allSatisfy { $0.weight.isLoaded } }) else {
      throw MaxLinearError(.notLoaded, "layer: not loaded; load a state dict first")
    }
    throw MaxLinearError(.notPrepared, "layer: not prepared; call mxl_layer_prepare first")
  }

  func prepare(_ options: PrepareOptions) throws {
    try locked { module in
      let before = current.withLock { $0 }
      if before != nil, module.preparedOptions != options {
        throw MaxLinearError(.alreadyPrepared, "layer: already prepared with other options")
      }
      let layer = try module.prepared(options)
      current.withLock { $0 = layer }
    }
  }

  /// Loads, and on a prepared layer, when that is asked for, prepares the new weights before the old ones go.
  func load(_ flags: UInt32, _ body: (_ module: Module, _ strict: Bool) throws -> Void) throws {
    let known = MXL_LOAD_STRICT | MXL_LOAD_REPLACE
    guard flags & ~known == 0 else {
      throw MaxLinearError(.invalidArgument, "flags: \(flags) has bits other than MXL_LOAD_STRICT and MXL_LOAD_REPLACE")
    }
    try locked { module in
      let options = current.withLock { $0 } == nil ? nil : module.preparedOptions
      if options != nil && flags & MXL_LOAD_REPLACE == 0 {
        throw MaxLinearError(
          .alreadyPrepared, "layer: already prepared; MXL_LOAD_REPLACE replaces the weights of a prepared layer")
      }
      try module.replacing {
        try body(module, flags & MXL_LOAD_STRICT != 0)
        guard let options else { return }
        let layer = try module.prepared(options)
        current.withLock { $0 = layer }
      }
    }
  }
}

/// A lock that several handles may share: of an MLP made of layers, their locks in a fixed order.
final class SharedLock: Sendable {
  private let own = Mutex<Void>(())
  private let parts: [SharedLock]

  init(_ parts: [SharedLock]) {
    var distinct: [ObjectIdentifier: SharedLock] = [:]
    for part in parts { distinct[ObjectIdentifier(part)] = part }
    self.parts = distinct.sorted { $0.key < $1.key }.map(\.value)
  }

  func locked<Result>(_ body: () throws -> Result) rethrows -> Result { try locked(from: 0, body) }

  private func locked<Result>(from index: Int, _ body: () throws -> Result) rethrows -> Result {
    guard index < parts.count else {
      own._unsafeLock()
      defer { own._unsafeUnlock() }
      return try body()
    }
    return try parts[index].locked { try locked(from: index + 1, body) }
  }
}

/// Memory that came in through an entry: kept, and given back by the entry's release once nothing refers to it.
final class ForeignMemory: MemoryOwner, @unchecked Sendable {
  let isMapped: Bool
  private let entry: mxl_entry
  private let armed = Atomic<Bool>(false)

  init(_ entry: mxl_entry, isMapped: Bool) {
    self.entry = entry
    self.isMapped = isMapped
  }

  /// From now on the memory is the library's to give back. A call that fails never arms.
  func arm() { armed.store(true, ordering: .relaxed) }

  deinit {
    if armed.load(ordering: .relaxed) { entry.release?(entry.owner) }
  }
}

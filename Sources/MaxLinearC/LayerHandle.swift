// What an mxl_layer holds.
import CHandles
import MaxLinear
import Synchronization

/// A layer behind a handle.
///
/// Two locks: `layer` serializes the calls that load, prepare and inspect, and may be held for as long as packing
/// takes; `prepared` is held for an instant, so that forward never waits for those.
final class LayerHandle: HandleObject {
  typealias Handle = mxl_layer
  static let kind = MXLH_LAYER

  private let layer: Mutex<Layer>
  private let prepared = Mutex<PreparedLayer?>(nil)
  private let owners = Atomic(1)
  /// Entries as they are before a load, valid as long as the handle.
  private let emptyEntries: [EntryMemory]

  private init(_ layer: sending Layer) {
    emptyEntries = layer.namedWeights().map { EntryMemory(key: $0.key, $0.weight) }
    self.layer = Mutex(layer)
  }

  /// A new handle, owned once. Throws `.outOfMemory`.
  static func create(_ layer: sending Layer) throws(MaxLinearError) -> UnsafeMutablePointer<mxl_layer> {
    try LayerHandle(layer).handedOut()
  }

  static func of(_ handle: UnsafePointer<mxl_layer>?) throws(MaxLinearError) -> LayerHandle { try of(handle, "layer") }

  func retain() { owners.add(1, ordering: .relaxed) }

  /// Ends one ownership; the last frees the handle and the object.
  static func destroy(_ handle: UnsafeMutablePointer<mxl_layer>) {
    guard let object = try? unretained(handle, "layer") else { return }
    let left = object._withUnsafeGuaranteedRef { $0.owners.subtract(1, ordering: .acquiringAndReleasing).newValue }
    if left == 0 { end(handle) }
  }

  var entryCount: Int { emptyEntries.count }

  func entry(at index: Int) throws(MaxLinearError) -> mxl_entry {
    guard emptyEntries.indices.contains(index) else {
      throw MaxLinearError(.invalidArgument, "index: is \(index), expected less than the \(entryCount) entries")
    }
    let data = try layer.withLock { layer throws(MaxLinearError) -> WeightData? in
      let (key, weight) = layer.namedWeights()[index]
      return try typed { try weight.data() }.map { data in
        WeightData(name: key, tensor: data.tensor, encoding: data.encoding, storage: data.storage)
      }
    }
    return data.map { EntryMemory($0).handedOut() } ?? emptyEntries[index].borrowed
  }

  /// Loads, and when prepared layers were replaced, swaps: forwards that run finish on the old weights.
  func load(_ body: (Layer) throws -> Module.Retired) throws(MaxLinearError) {
    let retired = try change { layer throws(MaxLinearError) in try typed { try body(layer) } }
    withExtendedLifetime(retired) {}
  }

  /// The error of a load's arguments, once the ranks that come to it have been told.
  func toldOfLoading(_ error: MaxLinearError, replace: Bool) -> MaxLinearError {
    layer.withLock { $0.toldOfLoading(error, replace: replace) }
  }

  /// The same of preparing.
  func toldOfPreparing(_ error: MaxLinearError) -> MaxLinearError { layer.withLock { $0.toldOfPreparing(error) } }

  func prepare(_ options: PrepareOptions) throws(MaxLinearError) {
    let retired = try change { layer throws(MaxLinearError) in try layer.prepareKeepingRetired(options).retired }
    withExtendedLifetime(retired) {}
  }

  /// Changes the layer under its lock and publishes its prepared form. What was replaced is returned and let go of by
  /// the caller, outside both locks: freeing it may run the release functions of other people.
  private func change(
    _ body: (Layer) throws(MaxLinearError) -> Module.Retired
  ) throws(MaxLinearError) -> Module.Retired {
    try layer.withLock { layer throws(MaxLinearError) -> Module.Retired in
      var retired = try body(layer)
      let current = layer.currentPreparedLayer
      let old = prepared.withLock { slot in
        let old = slot
        slot = current
        return old
      }
      if let old { retired.keep(old) }
      return retired
    }
  }

  /// A layer of its own that shares this one's contents; nil when its forward may be somebody else's.
  func sharingContents() throws(MaxLinearError) -> sending Layer? {
    try layer.withLock { layer throws(MaxLinearError) in
      // What the two share is immutable.
      nonisolated(unsafe) let copy = try layer.sharingContents()
      return copy
    }
  }

  func memory() -> LayerMemory { layer.withLock { $0.memory() } }

  /// The prepared layer of this moment. Another thread may replace it meanwhile: the caller's reference keeps this one.
  @inline(__always)
  static func preparedLayer(
    _ handle: UnsafePointer<mxl_layer>?, _ argument: StaticString = "layer"
  ) throws(MaxLinearError) -> PreparedLayer {
    let current = try unretained(handle, argument)._withUnsafeGuaranteedRef { $0.prepared.withLock { $0 } }
    guard let current else {
      throw MaxLinearError(.notPrepared, "\(argument): is not prepared, expected mxl_layer_prepare before this call")
    }
    return current
  }
}

// The objects behind handles: looked up in the table of live ones, so that a pointer that is none is refused, not followed.
import CHandles
import MaxLinear

extension mxlh_kind {
  static var all: [mxlh_kind] { (0..<MXLH_KINDS.rawValue).map { mxlh_kind(rawValue: $0) } }

  /// What messages call it.
  var name: String {
    switch self {
    case MXLH_LAYER: "a layer"
    case MXLH_WEIGHTS: "a checkpoint"
    default: "a communicator"
    }
  }
}

/// An object that handles of one kind stand for.
protocol HandleObject: AnyObject, Sendable {
  associatedtype Handle
  static var kind: mxlh_kind { get }
}

extension HandleObject {
  /// A new handle, which owns the object. Throws `.outOfMemory`.
  func handedOut() throws(MaxLinearError) -> UnsafeMutablePointer<Handle> {
    let object = Unmanaged.passRetained(self)
    guard let handle = mxlh_add(Self.kind, object.toOpaque()) else {
      object.release()
      throw MaxLinearError(.outOfMemory, "handle: memory or places for \(Self.kind.name) ran out, expected some")
    }
    return handle.assumingMemoryBound(to: Handle.self)
  }

  /// The object of a live handle, without a retain: the caller's ownership of the handle keeps it alive.
  @inline(__always)
  static func unretained(
    _ handle: UnsafePointer<Handle>?, _ argument: StaticString
  ) throws(MaxLinearError) -> Unmanaged<Self> {
    guard let object = mxlh_find(handle, kind) else { throw refusal(handle, argument) }
    return Unmanaged.fromOpaque(object)
  }

  static func of(_ handle: UnsafePointer<Handle>?, _ argument: StaticString) throws(MaxLinearError) -> Self {
    try unretained(handle, argument).takeUnretainedValue()
  }

  /// Ends a live handle and what it owns; nothing for what is none.
  static func end(_ handle: UnsafePointer<Handle>) {
    if let object = mxlh_remove(handle, kind) { Unmanaged<Self>.fromOpaque(object).release() }
  }

  @inline(never)
  private static func refusal(_ handle: UnsafePointer<Handle>?, _ argument: StaticString) -> MaxLinearError {
    let other = mxlh_kind.all.first { mxlh_find(handle, $0) != nil }
    let came =
      if handle == nil {
        "NULL"
      } else if let other {
        "the handle of \(other.name)"
      } else if mxlh_was(handle, kind) != 0 {
        "the handle of \(kind.name) that was destroyed"
      } else {
        "no handle"
      }
    return MaxLinearError(.invalidHandle, "\(argument): is \(came), expected the handle of \(kind.name)")
  }
}

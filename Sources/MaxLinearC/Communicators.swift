// maxlinear/communicator.h
import CHandles
import MaxLinear

/// What an mxl_communicator holds.
final class CommunicatorHandle: HandleObject {
  typealias Handle = mxl_communicator
  static let kind = MXLH_COMMUNICATOR

  private let communicator: Communicator

  private init(_ communicator: Communicator) { self.communicator = communicator }

  /// A new handle. Throws `.outOfMemory`.
  static func create(_ communicator: Communicator) throws(MaxLinearError) -> UnsafeMutablePointer<mxl_communicator> {
    try CommunicatorHandle(communicator).handedOut()
  }

  static func of(_ handle: UnsafePointer<mxl_communicator>?) throws(MaxLinearError) -> Communicator {
    try of(handle, "communicator").communicator
  }

  /// nil for NULL.
  static func optional(_ handle: UnsafePointer<mxl_communicator>?) throws(MaxLinearError) -> Communicator? {
    handle == nil ? nil : try of(handle)
  }
}

@_cdecl("mxl_communicator_create") @implementation
public func mxl_communicator_create(
  _ kind: UnsafePointer<CChar>!, _ native: UnsafeRawPointer!,
  _ communicator: UnsafeMutablePointer<UnsafeMutablePointer<mxl_communicator>?>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let communicator = try required(communicator, "communicator")
    let kind = try requiredText(kind, "kind")
    communicator.pointee = try CommunicatorHandle.create(try typed { try Communicator(kind, native: native) })
  }
}

@_cdecl("mxl_communicator_rank") @implementation
public func mxl_communicator_rank(
  _ communicator: UnsafePointer<mxl_communicator>!, _ rank: UnsafeMutablePointer<Int32>!,
  _ size: UnsafeMutablePointer<Int32>!, _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let communicator = try CommunicatorHandle.of(communicator)
    if let rank { rank.pointee = Int32(clamping: communicator.rank) }
    if let size { size.pointee = Int32(clamping: communicator.size) }
  }
}

@_cdecl("mxl_communicator_abort") @implementation
public func mxl_communicator_abort(
  _ communicator: UnsafeMutablePointer<mxl_communicator>!, _ message: UnsafePointer<CChar>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let communicator = try CommunicatorHandle.of(communicator)
    communicator.end(because: try requiredText(message, "message"))
  }
}

@_cdecl("mxl_communicator_destroy") @implementation
public func mxl_communicator_destroy(_ communicator: UnsafeMutablePointer<mxl_communicator>!) {
  if let communicator { CommunicatorHandle.end(communicator) }
}

// maxlinear/communicator.h
import CHandles
import MaxLinear

/// What an mxl_communicator holds.
enum CommunicatorHandle {
  static func create(_ communicator: Communicator) -> UnsafeMutablePointer<mxl_communicator> {
    let handle = UnsafeMutablePointer<mxl_communicator>.allocate(capacity: 1)
    let object = Unmanaged.passRetained(communicator).toOpaque()
    handle.initialize(to: mxl_communicator(magic: MXL_COMMUNICATOR_MAGIC, object: object))
    return handle
  }

  static func of(_ handle: UnsafePointer<mxl_communicator>?) throws(MaxLinearError) -> Communicator {
    guard let handle, handle.pointee.magic == MXL_COMMUNICATOR_MAGIC, let object = handle.pointee.object else {
      throw MaxLinearError(
        .invalidHandle,
        handle == nil ? "communicator: is NULL" : "communicator: is no communicator's handle, or was destroyed")
    }
    return Unmanaged<Communicator>.fromOpaque(object).takeUnretainedValue()
  }

  /// nil for NULL.
  static func optional(_ handle: UnsafePointer<mxl_communicator>?) throws(MaxLinearError) -> Communicator? {
    handle == nil ? nil : try of(handle)
  }

  static func destroy(_ handle: UnsafeMutablePointer<mxl_communicator>) {
    guard handle.pointee.magic == MXL_COMMUNICATOR_MAGIC, let object = handle.pointee.object else { return }
    handle.pointee = mxl_communicator(magic: 0, object: nil)
    handle.deallocate()
    Unmanaged<Communicator>.fromOpaque(object).release()
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
    communicator.pointee = CommunicatorHandle.create(try typed { try Communicator(kind, native: native) })
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
  if let communicator { CommunicatorHandle.destroy(communicator) }
}

// maxlinear/status.h, and how a thrown error crosses the border.
import CHandles
import MaxLinear

/// Runs an export's body: success is MXL_OK, a thrown error its status, with the message written for the caller.
@inline(__always)
func reporting(
  to error: UnsafeMutablePointer<mxl_error>?, _ body: () throws(MaxLinearError) -> Void
) -> mxl_status {
  do {
    try body()
    return MXL_OK
  } catch let thrown {
    return write(thrown, to: error)
  }
}

/// Runs code that throws untyped errors, all of which are the library's.
func typed<Result>(_ body: () throws -> sending Result) throws(MaxLinearError) -> sending Result {
  do {
    return try body()
  } catch let error as MaxLinearError {
    throw error
  } catch {
    throw MaxLinearError(.internal, "unexpected error: \(error)")
  }
}

/// Writes the error as far as the caller's struct_size reaches; the message is cut between characters and ends with
/// NUL.
@inline(never)
private func write(_ thrown: MaxLinearError, to error: UnsafeMutablePointer<mxl_error>?) -> mxl_status {
  let status = mxl_status(rawValue: thrown.status.rawValue)
  guard let error else { return status }
  let bytes = UnsafeMutableRawPointer(error)
  let size = min(Int(bytes.load(as: UInt32.self)), MemoryLayout<mxl_error>.size)
  guard let statusOffset = MemoryLayout<mxl_error>.offset(of: \mxl_error.status),
    let messageOffset = MemoryLayout<mxl_error>.offset(of: \mxl_error.message),
    size >= statusOffset + MemoryLayout<mxl_status>.size
  else { return status }
  bytes.storeBytes(of: status.rawValue, toByteOffset: statusOffset, as: Int32.self)
  let capacity = size - messageOffset
  guard capacity > 0 else { return status }
  // A NUL inside, which a file's name may have, would end the message early.
  let message = Array(thrown.message.utf8.map { $0 == 0 ? UInt8(ascii: "?") : $0 })
  var count = min(message.count, capacity - 1)
  if count < message.count {
    // Bytes 10xxxxxx continue a character: step back to where one begins.
    while count > 0, message[count] & 0xC0 == 0x80 { count -= 1 }
  }
  message.withUnsafeBytes { source in
    if count > 0, let start = source.baseAddress {
      (bytes + messageOffset).copyMemory(from: start, byteCount: count)
    }
  }
  bytes.storeBytes(of: 0, toByteOffset: messageOffset + count, as: UInt8.self)
  return status
}

@_cdecl("mxl_status_name") @implementation
public func mxl_status_name(_ status: mxl_status) -> UnsafePointer<CChar>! {
  let name: StaticString =
    switch status {
    case MXL_OK: "MXL_OK"
    case MXL_INVALID_ARGUMENT: "MXL_INVALID_ARGUMENT"
    case MXL_INVALID_SHAPE: "MXL_INVALID_SHAPE"
    case MXL_INVALID_DTYPE: "MXL_INVALID_DTYPE"
    case MXL_INVALID_HANDLE: "MXL_INVALID_HANDLE"
    case MXL_MISSING_KEY: "MXL_MISSING_KEY"
    case MXL_UNEXPECTED_KEY: "MXL_UNEXPECTED_KEY"
    case MXL_NOT_LOADED: "MXL_NOT_LOADED"
    case MXL_NOT_PREPARED: "MXL_NOT_PREPARED"
    case MXL_ALREADY_PREPARED: "MXL_ALREADY_PREPARED"
    case MXL_UNSUPPORTED: "MXL_UNSUPPORTED"
    case MXL_NO_DEVICE: "MXL_NO_DEVICE"
    case MXL_IO: "MXL_IO"
    case MXL_INVALID_FILE: "MXL_INVALID_FILE"
    case MXL_COMMUNICATION: "MXL_COMMUNICATION"
    case MXL_OUT_OF_MEMORY: "MXL_OUT_OF_MEMORY"
    case MXL_INTERNAL: "MXL_INTERNAL"
    default: "MXL_UNKNOWN"
    }
  return name.cString
}

extension StaticString {
  /// The bytes, which end with NUL, in static storage.
  var cString: UnsafePointer<CChar> { UnsafeRawPointer(utf8Start).assumingMemoryBound(to: CChar.self) }
}

import CHandles
import CMaxLinear
import MaxLinear

/// Runs the body of an export: what it throws becomes a status and a message.
func status(_ error: UnsafeMutablePointer<mxl_error>?, _ body: () throws -> Void) -> mxl_status {
  do {
    try body()
    return MXL_OK
  } catch let failure as MaxLinearError {
    return report(mxl_status(rawValue: failure.status.rawValue), failure.message, error)
  } catch let failure {
    return report(MXL_INTERNAL, "\(failure)", error)
  }
}

/// Writes as much as the caller's struct_size has room for. The message ends between characters, with NUL.
private func report(_ status: mxl_status, _ message: String, _ error: UnsafeMutablePointer<mxl_error>?) -> mxl_status {
  guard let error else { return status }
  let raw = UnsafeMutableRawPointer(error)
  let size = min(Int(raw.loadUnaligned(as: UInt32.self)), MemoryLayout<mxl_error>.size)
  let textAt = 8
  if size >= textAt { raw.storeBytes(of: status.rawValue, toByteOffset: 4, as: Int32.self) }
  guard size > textAt else { return status }
  var bytes = Array(message.utf8.prefix(size - textAt - 1))
  if bytes.count < message.utf8.count {
    // A cut character's lead byte and the bytes behind it go.
    while let last = bytes.last, last & 0xC0 == 0x80 { bytes.removeLast() }
    if let last = bytes.last, last >= 0xC0 { bytes.removeLast() }
  }
  for (index, byte) in (bytes + [0]).enumerated() {
    raw.storeBytes(of: byte, toByteOffset: textAt + index, as: UInt8.self)
  }
  return status
}

/// The pointer, or an error that names the argument.
func required<Pointer>(_ pointer: Pointer?, _ argument: String) throws -> Pointer {
  guard let pointer else { throw MaxLinearError(.invalidArgument, "\(argument): is NULL") }
  return pointer
}

/// A C string, which must be UTF-8.
func text(_ pointer: UnsafePointer<CChar>?, _ argument: String) throws -> String {
  guard let string = String(validatingCString: try required(pointer, argument)) else {
    throw MaxLinearError(.invalidArgument, "\(argument): is not UTF-8")
  }
  return string
}

/// A struct that begins with struct_size, as this library knows it: fields that an older client does not have are zero, fields
/// of a newer client that this library does not know are not read. `first` is the size the struct was first published with.
func options<Options: BitwiseCopyable>(
  _ pointer: UnsafePointer<Options>, _ argument: String, first: Int
) throws -> Options {
  let given = Int(UnsafeRawPointer(pointer).loadUnaligned(as: UInt32.self))
  guard given >= first else {
    throw MaxLinearError(.invalidArgument, "\(argument): struct_size is \(given), expected at least \(first)")
  }
  let size = MemoryLayout<Options>.size
  return withUnsafeTemporaryAllocation(byteCount: size, alignment: MemoryLayout<Options>.alignment) { buffer in
    buffer.initializeMemory(as: UInt8.self, repeating: 0)
    buffer.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: min(given, size)))
    return buffer.loadUnaligned(as: Options.self)
  }
}

/// 0 or 1, or an error.
func flag(_ value: Int32, _ argument: String) throws -> Bool {
  guard value == 0 || value == 1 else {
    throw MaxLinearError(.invalidArgument, "\(argument): is \(value), expected 0 or 1")
  }
  return value == 1
}

/// A dtype, or an error that names the argument.
func dtype(_ number: Int32, _ argument: String) throws -> DType {
  guard let dtype = DType(rawValue: number) else {
    throw MaxLinearError(.invalidDType, "\(argument): \(number) is no mxl_dtype")
  }
  return dtype
}

/// One of an enum's values, or an error that names the argument.
func enumerator<Value: RawRepresentable>(_ value: Int32, _ argument: String, _ type: Value.Type) throws -> Value
where Value.RawValue == Int32 {
  guard let result = Value(rawValue: value) else {
    throw MaxLinearError(.invalidArgument, "\(argument): \(value) is not one of its values")
  }
  return result
}

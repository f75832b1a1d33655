// Reading what C hands over: every pointer, size and enumerator is checked before it is used.
import CHandles
import MaxLinear

/// A struct that begins with struct_size, and the size it had in version 0.1, which no client's is below.
protocol SizedStruct {
  init()
  static var firstSize: Int { get }
  static var cName: StaticString { get }
}

extension mxl_linear_options: SizedStruct {
  static var firstSize: Int { 64 }
  static var cName: StaticString { "mxl_linear_options" }
}
extension mxl_linear_v1_options: SizedStruct {
  static var firstSize: Int { 48 }
  static var cName: StaticString { "mxl_linear_v1_options" }
}
extension mxl_mlp_options: SizedStruct {
  static var firstSize: Int { 56 }
  static var cName: StaticString { "mxl_mlp_options" }
}
extension mxl_parallel_options: SizedStruct {
  static var firstSize: Int { 32 }
  static var cName: StaticString { "mxl_parallel_options" }
}
extension mxl_quantization: SizedStruct {
  static var firstSize: Int { 40 }
  static var cName: StaticString { "mxl_quantization" }
}
extension mxl_mlp_weights_options: SizedStruct {
  static var firstSize: Int { 32 }
  static var cName: StaticString { "mxl_mlp_weights_options" }
}
extension mxl_prepare_options: SizedStruct {
  static var firstSize: Int { 16 }
  static var cName: StaticString { "mxl_prepare_options" }
}
extension mxl_run_options: SizedStruct {
  static var firstSize: Int { 12 }
  static var cName: StaticString { "mxl_run_options" }
}
extension mxl_memory: SizedStruct {
  static var firstSize: Int { 32 }
  static var cName: StaticString { "mxl_memory" }
}

/// How many bytes of the caller's struct may be read or written: struct_size, and no more than this library knows. No version of a struct ends amid a
/// field, of which half a pointer would be read.
@inline(__always)
func checkedSize<Struct: SizedStruct>(
  _ pointer: UnsafePointer<Struct>, _ argument: StaticString
) throws(MaxLinearError) -> Int {
  let size = UnsafeRawPointer(pointer).load(as: UInt32.self)
  guard size >= Struct.firstSize, Int(size) % MemoryLayout<Struct>.alignment == 0 else {
    throw MaxLinearError(
      .invalidArgument,
      "\(argument): struct_size is \(size), expected sizeof(\(Struct.cName)), at least \(Struct.firstSize) and a multiple of "
        + "\(MemoryLayout<Struct>.alignment)")
  }
  return min(Int(size), MemoryLayout<Struct>.size)
}

/// The caller's struct as far as struct_size reaches; fields beyond are zero.
@inline(__always)
func copied<Struct: SizedStruct>(
  _ pointer: UnsafePointer<Struct>, _ argument: StaticString
) throws(MaxLinearError) -> Struct {
  let size = try checkedSize(pointer, argument)
  var value = Struct()
  withUnsafeMutableBytes(of: &value) { $0.copyMemory(from: UnsafeRawBufferPointer(start: pointer, count: size)) }
  return value
}

/// Writes the first `size` bytes of a struct, as `checkedSize` found them, to the caller's.
func write<Struct: SizedStruct>(_ value: Struct, to pointer: UnsafeMutablePointer<Struct>, size: Int) {
  withUnsafeBytes(of: value) { bytes in
    UnsafeMutableRawBufferPointer(start: pointer, count: size).copyMemory(
      from: UnsafeRawBufferPointer(rebasing: bytes[..<size]))
  }
}

/// The pointer, once it is not NULL.
@inline(__always)
func required<Pointee>(
  _ pointer: UnsafePointer<Pointee>?, _ argument: StaticString
) throws(MaxLinearError) -> UnsafePointer<Pointee> {
  guard let pointer else { throw MaxLinearError(.invalidArgument, "\(argument): is NULL, expected a pointer") }
  return pointer
}

@inline(__always)
func required<Pointee>(
  _ pointer: UnsafeMutablePointer<Pointee>?, _ argument: StaticString
) throws(MaxLinearError) -> UnsafeMutablePointer<Pointee> {
  guard let pointer else { throw MaxLinearError(.invalidArgument, "\(argument): is NULL, expected a pointer") }
  return pointer
}

/// A C string, nil for NULL. Throws unless it is UTF-8.
func text(_ pointer: UnsafePointer<CChar>?, _ argument: @autoclosure () -> String) throws(MaxLinearError) -> String? {
  guard let pointer else { return nil }
  guard let text = String(validatingCString: pointer) else {
    throw MaxLinearError(.invalidArgument, "\(argument()): is other bytes, expected valid UTF-8")
  }
  return text
}

/// A C string that may not be NULL.
func requiredText(
  _ pointer: UnsafePointer<CChar>?, _ argument: @autoclosure () -> String
) throws(MaxLinearError) -> String {
  guard let text = try text(pointer, argument()) else {
    throw MaxLinearError(.invalidArgument, "\(argument()): is NULL, expected a string")
  }
  return text
}

/// A GPTQ config, nil for NULL.
func quantization(_ pointer: UnsafePointer<mxl_quantization>?) throws(MaxLinearError) -> QuantizationConfig? {
  guard let pointer else { return nil }
  let options = try copied(pointer, "quantization")
  return QuantizationConfig(
    quantMethod: try text(options.quant_method, "quantization.quant_method") ?? "gptq", bits: Int(options.bits),
    groupSize: Int(options.group_size), descAct: try flag(options.desc_act, "quantization.desc_act"),
    sym: try flag(options.sym, "quantization.sym"),
    checkpointFormat: try text(options.checkpoint_format, "quantization.checkpoint_format"))
}

/// A C truth value: 0 or 1.
@inline(__always)
func flag(_ value: Int32, _ argument: StaticString) throws(MaxLinearError) -> Bool {
  guard value == 0 || value == 1 else {
    throw MaxLinearError(.invalidArgument, "\(argument): is \(value), expected 0 or 1")
  }
  return value == 1
}

/// A dtype that options name.
func dtype(_ value: Int32, _ argument: StaticString) throws(MaxLinearError) -> DType {
  guard let dtype = DType(rawValue: value) else {
    throw MaxLinearError(.invalidDType, "\(argument): is \(value), expected an mxl_dtype")
  }
  return dtype
}

/// The devices that options name.
func devices(_ devices: UnsafePointer<mxl_device>?, _ count: Int) throws(MaxLinearError) -> [DeviceRef] {
  guard count >= 0, count <= 1024 else {
    throw MaxLinearError(.invalidArgument, "device_count: is \(UInt(bitPattern: count)), expected at most 1024")
  }
  guard let devices else {
    if count == 0 { return [] }
    throw MaxLinearError(.invalidArgument, "devices: is NULL, expected \(count) devices")
  }
  var result: [DeviceRef] = []
  for index in 0..<count { result.append(try DeviceRef(devices[index], argument: "devices[\(index)]")) }
  return result
}

// maxlinear/encodings.h
import CHandles
import MaxLinear

extension mxl_quantize_options: SizedStruct {
  static var firstSize: Int { 16 }
  static var cName: StaticString { "mxl_quantize_options" }
}

private func encoding(
  _ name: UnsafePointer<CChar>?, _ argument: String = "encoding"
) throws(MaxLinearError) -> QuantizationEncoding {
  let name = try requiredText(name, argument)
  return try typed { try QuantizationEncoding(name) }
}

@_cdecl("mxl_encoding_block") @implementation
public func mxl_encoding_block(
  _ name: UnsafePointer<CChar>!, _ elements: UnsafeMutablePointer<Int64>!, _ bytes: UnsafeMutablePointer<Int64>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let encoding = try encoding(name)
    if let elements { elements.pointee = Int64(encoding.elementsPerBlock) }
    if let bytes { bytes.pointee = Int64(encoding.blockSize) }
  }
}

@_cdecl("mxl_encoding_choose") @implementation
public func mxl_encoding_choose(
  _ name: UnsafePointer<CChar>!, _ fallback: UnsafePointer<CChar>!, _ k: Int64,
  _ chosen: UnsafeMutablePointer<UnsafePointer<CChar>?>!, _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let chosen = try required(chosen, "chosen")
    let wanted = try encoding(name)
    let other = fallback == nil ? nil : try encoding(fallback, "fallback")
    guard k >= 0 else { throw MaxLinearError(.invalidShape, "k: is \(k), expected a number from 0") }
    let fitting = try wanted.fitting(rowsOf: Int(k), fallback: other)
    chosen.pointee = fitting == wanted ? name : fallback
  }
}

@_cdecl("mxl_quantize") @implementation
public func mxl_quantize(
  _ name: UnsafePointer<CChar>!, _ options: UnsafePointer<mxl_quantize_options>!,
  _ values: UnsafePointer<mxl_tensor>!, _ blocks: UnsafeMutablePointer<mxl_tensor>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let encoding = try encoding(name)
    let options = options == nil ? mxl_quantize_options() : try copied(options, "options")
    try encoding.quantize(
      required(values, "values").pointee, importance: options.importance?.pointee,
      into: required(blocks, "blocks").pointee, threads: Int(options.threads))
  }
}

@_cdecl("mxl_dequantize") @implementation
public func mxl_dequantize(
  _ name: UnsafePointer<CChar>!, _ blocks: UnsafePointer<mxl_tensor>!, _ values: UnsafeMutablePointer<mxl_tensor>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let encoding = try encoding(name)
    try encoding.dequantize(required(blocks, "blocks").pointee, into: required(values, "values").pointee)
  }
}

@_cdecl("mxl_quantize_gptq") @implementation
public func mxl_quantize_gptq(
  _ config: UnsafePointer<mxl_quantization>!, _ options: UnsafePointer<mxl_quantize_options>!,
  _ values: UnsafePointer<mxl_tensor>!, _ qweight: UnsafeMutablePointer<mxl_tensor>!,
  _ qzeros: UnsafeMutablePointer<mxl_tensor>!, _ scales: UnsafeMutablePointer<mxl_tensor>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    guard let config = try quantization(config) else {
      throw MaxLinearError(.invalidArgument, "config: is NULL, expected how to quantize")
    }
    let options = options == nil ? mxl_quantize_options() : try copied(options, "options")
    guard options.importance == nil else {
      throw MaxLinearError(.unsupported, "importance: rounding to nearest weighs nothing, expected NULL")
    }
    try config.quantize(
      required(values, "values").pointee, qweight: required(qweight, "qweight").pointee,
      qzeros: required(qzeros, "qzeros").pointee, scales: required(scales, "scales").pointee,
      threads: Int(options.threads))
  }
}

@_cdecl("mxl_quantize_float8") @implementation
public func mxl_quantize_float8(
  _ options: UnsafePointer<mxl_quantize_options>!, _ values: UnsafePointer<mxl_tensor>!,
  _ weight: UnsafeMutablePointer<mxl_tensor>!, _ scale: UnsafeMutablePointer<mxl_tensor>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    let options = options == nil ? mxl_quantize_options() : try copied(options, "options")
    guard options.importance == nil else {
      throw MaxLinearError(.unsupported, "importance: rounding to nearest weighs nothing, expected NULL")
    }
    try Float8Views.quantize(
      required(values, "values").pointee, weight: required(weight, "weight").pointee, scale: scale?.pointee,
      threads: Int(options.threads))
  }
}

@_cdecl("mxl_dequantize_float8") @implementation
public func mxl_dequantize_float8(
  _ weight: UnsafePointer<mxl_tensor>!, _ scale: UnsafePointer<mxl_tensor>!,
  _ values: UnsafeMutablePointer<mxl_tensor>!,
  _ error: UnsafeMutablePointer<mxl_error>!
) -> mxl_status {
  reporting(to: error) { () throws(MaxLinearError) in
    try Float8Views.dequantize(
      required(weight, "weight").pointee, scale: scale?.pointee, into: required(values, "values").pointee)
  }
}

import CHandles
import MaxLinearC
import Testing

/// Memory for a C call's arguments, freed with the object.
final class Arguments {
  private var frees: [() -> Void] = []

  deinit { for free in frees { free() } }

  func array<Element>(_ values: [Element]) -> UnsafeMutablePointer<Element> {
    let memory = UnsafeMutablePointer<Element>.allocate(capacity: max(values.count, 1))
    memory.initialize(from: values, count: values.count)
    frees.append { memory.deallocate() }
    return memory
  }

  func string(_ text: String) -> UnsafePointer<CChar> { UnsafePointer(array(Array(text.utf8CString))) }

  func tensor(_ values: [Float], _ shape: [Int64]) -> mxl_tensor {
    mxl_tensor(
      data: array(values), dtype: MXL_FLOAT32.rawValue, rank: Int32(shape.count), device: mxl_device(),
      shape: array(shape), strides: nil)
  }

  func entry(_ name: String, _ values: [Float], _ shape: [Int64]) -> mxl_entry {
    var entry = mxl_entry()
    entry.name = string(name)
    entry.tensor = tensor(values, shape)
    return entry
  }

  func layer(inDim: Int64, outDim: Int64, hasBias: Bool = false) -> UnsafeMutablePointer<mxl_layer>? {
    var options = linearOptions(inDim: inDim, outDim: outDim, hasBias: hasBias)
    var layer: UnsafeMutablePointer<mxl_layer>?
    expectOK { mxl_linear_create(&options, &layer, $0) }
    frees.append { mxl_layer_destroy(layer) }
    return layer
  }
}

func linearOptions(inDim: Int64, outDim: Int64, hasBias: Bool = false) -> mxl_linear_options {
  var options = mxl_linear_options()
  options.struct_size = UInt32(MemoryLayout<mxl_linear_options>.size)
  options.dtype = MXL_FLOAT32.rawValue
  options.in_dim = inDim
  options.out_dim = outDim
  options.has_bias = hasBias ? 1 : 0
  return options
}

func newError() -> mxl_error {
  var error = mxl_error()
  error.struct_size = UInt32(MemoryLayout<mxl_error>.size)
  return error
}

func message(_ error: mxl_error) -> String {
  withUnsafeBytes(of: error.message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
}

func expectOK(
  sourceLocation: SourceLocation = #_sourceLocation, _ call: (UnsafeMutablePointer<mxl_error>) -> mxl_status
) {
  var error = newError()
  let status = call(&error)
  #expect(status == MXL_OK, "\(message(error))", sourceLocation: sourceLocation)
}

/// Checks the status, that the error says the same, and the message; and that a NULL error is fine too.
func expectStatus(
  _ status: mxl_status, _ text: String, sourceLocation: SourceLocation = #_sourceLocation,
  _ call: (UnsafeMutablePointer<mxl_error>?) -> mxl_status
) {
  var error = newError()
  let returned = call(&error)
  #expect(returned == status && error.status == status, sourceLocation: sourceLocation)
  #expect(message(error) == text, sourceLocation: sourceLocation)
  #expect(hasThreeParts(text), "\(text)", sourceLocation: sourceLocation)
  #expect(call(nil) == status, sourceLocation: sourceLocation)
}

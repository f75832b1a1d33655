import CMaxLinear

/// An `mxl_tensor` once its fields are known to make sense: rank, dtype, device, dimensions, strides, and that every byte it
/// reaches has an address. Nothing is allocated; the shape and strides stay the caller's.
struct TensorView {
  let data: UnsafeMutableRawPointer?
  let dtype: DType
  let rank: Int
  /// The product of the shape.
  let count: Int
  private let shape: UnsafePointer<Int64>?
  private let givenStrides: UnsafePointer<Int64>?

  /// Throws what is wrong, naming the argument.
  init(_ tensor: mxl_tensor, _ argument: @autoclosure () -> String) throws {
    guard let dtype = DType(rawValue: tensor.dtype) else {
      throw MaxLinearError(.invalidDType, "\(argument()): dtype \(tensor.dtype) is no mxl_dtype")
    }
    guard tensor.rank >= 0, tensor.rank <= MXL_MAX_RANK else {
      throw MaxLinearError(.invalidShape, "\(argument()): rank is \(tensor.rank), expected 0 to \(MXL_MAX_RANK)")
    }
    guard tensor.rank == 0 || tensor.shape != nil else {
      throw MaxLinearError(.invalidArgument, "\(argument()): shape is NULL, expected \(tensor.rank) dimensions")
    }
    try DeviceRef(tensor.device, argument()).check(argument())
    data = tensor.data
    self.dtype = dtype
    rank = Int(tensor.rank)
    shape = tensor.shape
    givenStrides = tensor.strides
    var count = 1
    var nonzero = 1
    for index in 0..<rank {
      let dimension = tensor.shape[index]
      guard dimension >= 0 else {
        throw MaxLinearError(.invalidShape, "\(argument()): dimension \(index) is \(dimension), expected 0 or more")
      }
      let (product, overflow) = nonzero.multipliedReportingOverflow(by: max(Int(dimension), 1))
      guard !overflow, product <= Int.max / 64 else {
        throw MaxLinearError(.invalidShape, "\(argument()): the shape's product overflows at dimension \(index)")
      }
      nonzero = product
      count = dimension == 0 ? 0 : count * Int(dimension)
    }
    self.count = count
    guard count == 0 || data != nil else {
      throw MaxLinearError(.invalidArgument, "\(argument()): data is NULL, expected \(count) elements")
    }
    _ = try byteRange(argument())
  }

  func dimension(_ index: Int) -> Int { shape.map { Int($0[index]) } ?? 0 }

  /// In elements. Where strides were not given, the product of the dimensions behind it.
  func stride(_ index: Int) -> Int {
    if let givenStrides { return Int(givenStrides[index]) }
    var stride = 1
    for inner in (index + 1)..<max(rank, index + 1) { stride *= max(dimension(inner), 1) }
    return stride
  }

  var elementBytes: Int { max(dtype.bits / 8, 1) }

  /// The addresses from the lowest byte to behind the highest. Throws when they cannot be computed.
  func byteRange(_ argument: @autoclosure () -> String) throws -> (low: UInt, high: UInt) {
    guard count > 0, let data else { return (0, 0) }
    var low = 0
    var high = 1
    for index in 0..<rank {
      let (extent, overflow) = stride(index).multipliedReportingOverflow(by: dimension(index) - 1)
      let (sum, sumOverflow) = (extent < 0 ? low : high).addingReportingOverflow(extent)
      guard !overflow, !sumOverflow else { throw Self.unaddressable(argument(), index) }
      if extent < 0 { low = sum } else { high = sum }
    }
    let base = UInt(bitPattern: data)
    let (lowBytes, lowOverflow) = low.multipliedReportingOverflow(by: elementBytes)
    let (highBytes, highOverflow) = high.multipliedReportingOverflow(by: elementBytes)
    let (first, underflow) = base.subtractingReportingOverflow(lowBytes.magnitude)
    let (end, endOverflow) = base.addingReportingOverflow(UInt(bitPattern: highBytes))
    guard !lowOverflow, !highOverflow, highBytes >= 0, !underflow, !endOverflow else {
      throw Self.unaddressable(argument(), nil)
    }
    return (first, end)
  }

  var shapeDescription: String {
    "(" + (0..<rank).map { "\(dimension($0))" }.joined(separator: ", ") + (rank == 1 ? ",)" : ")")
  }
}

extension TensorView {
  private static func unaddressable(_ argument: String, _ dimension: Int?) -> MaxLinearError {
    let place = dimension.map { " at dimension \($0)" } ?? ""
    return MaxLinearError(.invalidShape, "\(argument): strides times shape leave the address space\(place)")
  }
}

extension DeviceRef {
  /// The C device; a zeroed one is the CPU.
  package init(_ device: mxl_device, _ argument: @autoclosure () -> String) throws {
    switch device.type {
    case Int32(MXL_DEVICE_DEFAULT.rawValue), Int32(MXL_DEVICE_CPU.rawValue): self = .cpu(id: Int(device.id))
    case Int32(MXL_DEVICE_CUDA.rawValue): self = .gpu(id: Int(device.id))
    default: throw MaxLinearError(.noDevice, "\(argument()): device type \(device.type) is none that this library knows")
    }
  }
}

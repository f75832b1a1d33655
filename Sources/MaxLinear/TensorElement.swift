/// A Swift type whose values are the elements of a dtype.
public protocol TensorElement: BitwiseCopyable, Sendable {
  /// The dtype that tensors of such elements have.
  static var dtype: DType { get }
}

extension Float: TensorElement { public static var dtype: DType { .float32 } }
extension Double: TensorElement { public static var dtype: DType { .float64 } }
extension UInt8: TensorElement { public static var dtype: DType { .uint8 } }
extension Int8: TensorElement { public static var dtype: DType { .int8 } }
extension UInt16: TensorElement { public static var dtype: DType { .uint16 } }
extension Int16: TensorElement { public static var dtype: DType { .int16 } }
extension UInt32: TensorElement { public static var dtype: DType { .uint32 } }
extension Int32: TensorElement { public static var dtype: DType { .int32 } }
extension UInt64: TensorElement { public static var dtype: DType { .uint64 } }
extension Int64: TensorElement { public static var dtype: DType { .int64 } }
#if !((os(macOS) || targetEnvironment(macCatalyst)) && arch(x86_64))
  extension Float16: TensorElement { public static var dtype: DType { .float16 } }
#endif

extension Tensor {
  /// A copy of float32 values. `shape` nil is a vector.
  ///
  /// Throws `.invalidShape` when the shape does not have as many elements, `.outOfMemory`.
  public init(_ values: [Float], shape: [Int]? = nil) throws {
    try self.init(elements: values, shape: shape)
  }

  /// A copy of values of any element type. `shape` nil is a vector.
  ///
  /// Throws `.invalidShape` when the shape does not have as many elements, `.outOfMemory`.
  public init<Element: TensorElement>(elements: [Element], shape: [Int]? = nil) throws {
    let shape = shape ?? [elements.count]
    try self.init(uninitialized: shape, dtype: Element.dtype, purpose: "tensor")
    guard count == elements.count else {
      throw MaxLinearError(
        .invalidShape, "elements: there are \(elements.count), expected the \(count) of shape \(shape)")
    }
    elements.withUnsafeBytes { source in
      if let pointer, let start = source.baseAddress { pointer.copyMemory(from: start, byteCount: source.count) }
    }
  }

  /// The elements in C order. Throws `.invalidDType` when the tensor has another dtype.
  public func array<Element: TensorElement>(of type: Element.Type) throws -> [Element] {
    guard dtype == Element.dtype else {
      throw MaxLinearError(.invalidDType, "tensor: dtype is \(dtype.name), expected \(Element.dtype.name)")
    }
    return [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
      if let start = buffer.baseAddress { copyContiguously(to: UnsafeMutableRawPointer(start)) }
      initialized = count
    }
  }

  /// The elements of a float32 tensor in C order. Throws `.invalidDType` for another dtype.
  public func floats() throws -> [Float] { try array(of: Float.self) }
}

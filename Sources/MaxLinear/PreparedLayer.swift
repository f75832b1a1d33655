import CMaxLinear

/// A layer ready to run: its weights packed for the kernel row that was chosen when it was prepared.
///
/// Immutable and Sendable: any number of threads may call it at once. It keeps what it needs of the weights, whatever
/// becomes of the layer it was made from.
public final class PreparedLayer: Sendable {
  let computation: any PreparedComputation
  /// An address in each matrix that every call reads from a file: without packing.
  private nonisolated(unsafe) let mapped: [UnsafeRawPointer]

  init(_ computation: any PreparedComputation) {
    self.computation = computation
    mapped = computation.mapped
  }

  /// y = layer(x), in a new tensor.
  ///
  /// - Parameters:
  ///   - x: (..., in_dim), float32, float16 or bfloat16, any rank from 1, any strides whose last is 1. Zero rows give
  ///     zero rows.
  ///   - threads: the most this call may use, 1 to 1024; 0 for `Threads.count`.
  /// - Returns: (..., out_dim), of x's dtype, contiguous. The bits of a row do not depend on the other rows, on threads, or
  ///   on the CPU.
  /// - Throws: `.invalidShape`, `.invalidDType`, `.invalidArgument` for x; `.outOfMemory`; without packing `.io` when a mapped file has
  ///   changed since it was opened.
  public func callAsFunction(_ x: Tensor, threads: Int = 0) throws -> Tensor {
    let y = try telling { () throws(MaxLinearError) in
      let shape = try x.withCTensor { view throws(MaxLinearError) in try computation.outputShape(view) }
      return try Tensor(uninitialized: shape, dtype: x.dtype, purpose: "y")
    }
    try forward(x, into: y, threads: threads)
    return y
  }

  /// y = layer(x), or y += layer(x), in place.
  ///
  /// - Parameters:
  ///   - x: as in `callAsFunction`.
  ///   - y: x's leading dimensions, then out_dim; of any of these dtypes, any strides whose last is 1. Its elements must not share
  ///     memory with one another or with x. Untouched when the call fails.
  ///   - accumulate: adds to what y holds.
  ///   - threads: the most this call may use, 1 to 1024; 0 for `Threads.count`.
  /// - Throws: `.invalidShape`, `.invalidDType`, `.invalidArgument`, `.outOfMemory`, `.io`.
  public func forward(_ x: Tensor, into y: Tensor, accumulate: Bool = false, threads: Int = 0) throws {
    guard !y.isReadOnly else {
      throw computation.told(MaxLinearError(.invalidArgument, "y: is read-only, expected memory to write to"))
    }
    try x.withCTensor { xView throws(MaxLinearError) in
      try y.withCTensor { yView throws(MaxLinearError) in
        try forward(xView, into: yView, accumulate: accumulate, threads: threads)
      }
    }
  }

  /// `forward` on borrowed views, which may hold anything.
  package func forward(
    _ x: mxl_tensor, into y: mxl_tensor, accumulate: Bool, threads: Int
  ) throws(MaxLinearError) {
    let threads = try telling { () throws(MaxLinearError) in
      try checkFiles()
      return try Threads.checked(threads)
    }
    try computation.run(x, into: y, accumulate: accumulate, threads: threads)
  }

  /// One y a device, in new tensors of x's dtype. Errors as `callAsFunction`'s; `.invalidArgument` unless there is one x for each device.
  public func callAsFunction(devices xs: [Tensor], threads: Int = 0) throws -> [Tensor] {
    let ys = try telling { () throws(MaxLinearError) in
      guard xs.count == deviceCount else {
        throw MaxLinearError(
          .invalidArgument, "xs: there are \(xs.count), expected one for each of the \(deviceCount) devices")
      }
      var ys: [Tensor] = []
      for (device, x) in xs.enumerated() {
        let shape = try x.withCTensor { view throws(MaxLinearError) in
          try computation.outputShape(view, device: device)
        }
        ys.append(try Tensor(uninitialized: shape, dtype: x.dtype, purpose: "y"))
      }
      return ys
    }
    try forward(devices: xs, into: ys, threads: threads)
    return ys
  }

  /// One y a device, in place: as `forward`, with one x and one y for each of `deviceCount` devices.
  ///
  /// - Throws: as `forward`; `.invalidArgument` for another number of tensors, or xs that differ where all devices take the same.
  public func forward(
    devices xs: [Tensor], into ys: [Tensor], accumulate: Bool = false, threads: Int = 0
  ) throws {
    for (device, y) in ys.enumerated() where y.isReadOnly {
      throw computation.told(
        MaxLinearError(.invalidArgument, "ys[\(device)]: is read-only, expected memory to write to"))
    }
    try Self.withViews(xs) { xs in
      try Self.withViews(ys) { ys in try forward(devices: xs, into: ys, accumulate: accumulate, threads: threads) }
    }
  }

  /// `forward` on borrowed views, which may hold anything.
  package func forward(
    devices xs: [mxl_tensor], into ys: [mxl_tensor], accumulate: Bool, threads: Int
  ) throws(MaxLinearError) {
    let (views, threads) = try telling { () throws(MaxLinearError) in
      try checkFiles()
      return (try DeviceViews(xs: xs, ys: ys, devices: deviceCount), try Threads.checked(threads))
    }
    try computation.run(devices: views, accumulate: accumulate, threads: threads)
  }

  /// The error to be thrown, once the other ranks that come to the call, if there are any, have been told of it.
  package func told(_ error: MaxLinearError) -> MaxLinearError { computation.told(error) }

  /// What is checked before a call begins. Ranks that come to the call are told of an error here.
  @inline(__always)
  private func telling<Result>(
    _ check: () throws(MaxLinearError) -> Result
  ) throws(MaxLinearError) -> Result {
    do throws(MaxLinearError) { return try check() } catch { throw computation.told(error) }
  }

  /// Throws `.io` when a file that the call would read has changed since it was opened.
  @inline(__always)
  func checkFiles() throws(MaxLinearError) {
    for address in mapped { try MappedFiles.check(address) }
  }

  /// The views of all tensors during the call.
  static func withViews(
    _ tensors: [Tensor], _ views: [mxl_tensor] = [], _ body: ([mxl_tensor]) throws -> Void
  ) throws {
    guard let first = tensors.first else { return try body(views) }
    try first.withCTensor { view in try withViews(Array(tensors.dropFirst()), views + [view], body) }
  }

  /// The number of devices of this process: 1 for layers that are not distributed, or whose devices are the ranks of a communicator.
  public var deviceCount: Int { computation.deviceCount }

  /// What each device has: outputs of a column-parallel layer, inputs of a row-parallel one, columns of h of an MLP. Empty for layers that are
  /// not distributed.
  public var shards: [Range<Int>] { computation.shards }

  /// The name of the kernel row that runs, such as "mxlk_linear_f32_f32_14x32__avx512".
  public var kernel: String { String(cString: computation.kernelName) }

  /// `kernel` in static storage.
  package var kernelName: UnsafePointer<CChar> { computation.kernelName }

  /// Bytes allocated for packed weights and biases.
  public var packedBytes: Int { computation.packedBytes }
}

/// What a prepared layer computes: the weights in the kernels' form, and the shape rules. One class a kind of layer.
protocol PreparedComputation: AnyObject, Sendable {
  var kernelName: UnsafePointer<CChar> { get }
  var packedBytes: Int { get }
  /// An address in each matrix that is read from a mapped file.
  var mapped: [UnsafeRawPointer] { get }
  /// Whether preparing with these options would give the same computation.
  func matches(_ options: PrepareOptions) -> Bool
  /// The shape of y, once x's shape is checked.
  func outputShape(_ x: mxl_tensor) throws(MaxLinearError) -> [Int]
  /// Checks x and y, then computes. y is untouched when it throws.
  func run(_ x: mxl_tensor, into y: mxl_tensor, accumulate: Bool, threads: Int32) throws(MaxLinearError)
  /// What each device has; empty for one device that has all.
  var shards: [Range<Int>] { get }
  /// How many of them are of this process.
  var deviceCount: Int { get }
  /// The shape of a device's y, once its x's shape is checked.
  func outputShape(_ x: mxl_tensor, device: Int) throws(MaxLinearError) -> [Int]
  /// `run` with one x and one y a device.
  func run(devices: DeviceViews, accumulate: Bool, threads: Int32) throws(MaxLinearError)
  /// Tells the other ranks, if there are any, of an error that keeps this one from a call. Returns the error to be thrown.
  func told(_ error: MaxLinearError) -> MaxLinearError
}

extension PreparedComputation {
  func told(_ error: MaxLinearError) -> MaxLinearError { error }
  var shards: [Range<Int>] { [] }
  var deviceCount: Int { max(shards.count, 1) }
  func outputShape(_ x: mxl_tensor, device: Int) throws(MaxLinearError) -> [Int] { try outputShape(x) }
  func run(devices: DeviceViews, accumulate: Bool, threads: Int32) throws(MaxLinearError) {
    if let x = devices.xs.first, let y = devices.ys.first {
      try run(x, into: y, accumulate: accumulate, threads: threads)
    }
  }
}

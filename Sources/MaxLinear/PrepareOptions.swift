/// What kind of arithmetic a prepared layer uses.
public enum Compute: Int32, Sendable {
  /// int8 for encoded weights, float32 where a plugin brings no rows for it; float32 for dense ones, or bfloat16 arithmetic where weights and x
  /// are both bfloat16.
  case automatic = 0
  /// float32 activations, float32 accumulation.
  case float32 = 1
  /// Activations quantized to 8 bits: encoded weights only.
  case int8 = 2
}

/// Whether preparing reorders the weights for the kernels.
public enum Packing: Int32, Sendable {
  /// The library's choice, which is `always`.
  case automatic = 0
  /// A packed copy; the source is given back.
  case always = 1
  /// The kernels read the source in place: no second copy, slower calls.
  case never = 2
}

/// How a layer is prepared.
public struct PrepareOptions: Sendable {
  /// The kind of arithmetic; `.automatic` is int8 for encoded weights, float32 for dense ones.
  public var compute: Compute
  /// Whether weights are reordered for the kernels.
  public var packing: Packing
  /// The most threads packing may use, 1 to 1024; 0 for `Threads.count`.
  public var threads: Int

  /// Options; what is left out is what a layer's first call takes. `threads`: the most that packing may use; 0 for `Threads.count`.
  public init(compute: Compute = .automatic, packing: Packing = .automatic, threads: Int = 0) {
    self.compute = compute
    self.packing = packing
    self.threads = threads
  }

  /// Whether both ask for the same computation, on whatever threads.
  func asksForTheSame(as other: PrepareOptions) -> Bool { compute == other.compute && packing == other.packing }
}

/// How a layer is prepared.
public struct PrepareOptions: Hashable, Sendable {
  /// What arithmetic the layer uses.
  public enum Compute: Int32, Sendable {
    /// int8 for encoded weights, float32 for dense ones (and bfloat16 where weights and x are both bfloat16).
    case standard = 0
    case float32 = 1
    /// Activations quantized to 8 bits: encoded weights only.
    case int8 = 2
  }

  /// Whether preparing reorders the weights for the kernels.
  public enum Pack: Int32, Sendable {
    /// As `always`.
    case standard = 0
    /// A packed copy; the source is given back.
    case always = 1
    /// The kernels read the source in place: no second copy, slower calls.
    case never = 2
  }

  public var compute: Compute
  public var pack: Pack
  /// The most threads packing may use; 0 for `Threads.count`.
  public var threads: Int

  public init(compute: Compute = .standard, pack: Pack = .standard, threads: Int = 0) {
    self.compute = compute
    self.pack = pack
    self.threads = threads
  }
}

/// How a prepared layer is run.
public struct RunOptions: Hashable, Sendable {
  /// The most threads the call may use; 0 for `Threads.count`.
  public var threads: Int
  /// y += the layer's output instead of y = it.
  public var accumulate: Bool

  public init(threads: Int = 0, accumulate: Bool = false) {
    self.threads = threads
    self.accumulate = accumulate
  }
}

/// The activation function of an MLP, with the numbers of `mxl_activation`.
public enum Activation: Int32, Sendable, CaseIterable {
  /// v / (1 + e^-v)
  case silu = 0
  /// v (1 + erf(v / √2)) / 2
  case gelu = 1
  /// v (1 + tanh(√(2/π) (v + 0.044715 v³))) / 2
  case geluTanh = 2
  /// max(v, 0)
  case relu = 3
  case tanh = 4
  /// 1 / (1 + e^-v)
  case sigmoid = 5

  /// The name as MAX spells it.
  public var name: String { self == .geluTanh ? "gelu_tanh" : String(describing: self) }

  /// The function of that name. Throws `.invalidArgument`, listing the known ones.
  public init(named name: String) throws {
    guard let found = Activation.allCases.first(where: { $0.name == name }) else {
      let known = Activation.allCases.map(\.name).joined(separator: ", ")
      throw MaxLinearError(.invalidArgument, "activation_function: \(name) is not known; known are: \(known)")
    }
    self = found
  }
}

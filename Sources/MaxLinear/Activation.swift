import CMaxLinear
import Kernels

/// The activation function of a gated MLP, with the numbers of `mxl_activation`.
///
/// exp, tanh and erf are the library's own, so that the bits are the same on every CPU (docs/NUMERICS.md).
public enum Activation: Int32, Sendable, CaseIterable {
  /// silu(v) = v / (1 + e^-v)
  case silu = 0
  /// v (1 + erf(v / √2)) / 2
  case gelu = 1
  /// v (1 + tanh(√(2/π) (v + 0.044715 v³))) / 2
  case geluTanh = 2
  /// relu(v) = max(v, 0)
  case relu = 3
  /// The hyperbolic tangent.
  case tanh = 4
  /// sigmoid(v) = 1 / (1 + e^-v)
  case sigmoid = 5

  /// The name as MAX spells it, such as "gelu_tanh".
  public var name: String { self == .geluTanh ? "gelu_tanh" : "\(self)" }

  /// The function of that name. Throws `.invalidArgument`, listing the known ones.
  public init(named name: String) throws {
    guard let found = Activation.allCases.first(where: { $0.name == name }) else {
      let known = Activation.allCases.map(\.name).joined(separator: ", ")
      throw MaxLinearError(.invalidArgument, "activation_function: is \"\(name)\", expected one of \(known)")
    }
    self = found
  }

  /// activation(gate) · up, element by element, in a new tensor. Both are float32 of one shape.
  ///
  /// Throws `.invalidShape`, `.invalidDType`, `.outOfMemory`.
  public func gate(_ gate: Tensor, _ up: Tensor) throws -> Tensor {
    let hidden = try Tensor(uninitialized: gate.shape, dtype: .float32, purpose: "hidden")
    try gate.withCTensor { gate throws(MaxLinearError) in
      try up.withCTensor { up throws(MaxLinearError) in
        try hidden.withCTensor { hidden throws(MaxLinearError) in try run(gate: gate, up: up, into: hidden) }
      }
    }
    return hidden
  }

  /// `gate` on borrowed views, which may hold anything. hidden may be gate or up.
  package func run(gate: mxl_tensor, up: mxl_tensor, into hidden: mxl_tensor) throws(MaxLinearError) {
    let extent = try Self.checked(gate, "gate")
    for (view, argument) in [(up, "up"), (hidden, "hidden")] {
      _ = try Self.checked(view, argument)
      guard view.rank == gate.rank, (0..<Int(view.rank)).allSatisfy({ view.shape[$0] == gate.shape[$0] }) else {
        throw MaxLinearError(
          .invalidShape, "\(argument): shape is \(view.shapeText), expected gate's \(gate.shapeText)")
      }
    }
    let bytes = UInt(extent.high)
    for (view, argument) in [(gate, "gate"), (up, "up")] where view.data != hidden.data && bytes > 0 {
      let first = UInt(bitPattern: view.data), second = UInt(bitPattern: hidden.data)
      guard max(first, second) - min(first, second) >= bytes else {
        throw MaxLinearError(
          .invalidArgument, "hidden: overlaps \(argument), expected memory of its own, or \(argument) itself")
      }
    }
    mxlk_gate_run(rawValue, gate.data, up.data, Int64(extent.count), hidden.data, mxlk_threads())
  }

  private static func checked(_ view: mxl_tensor, _ argument: String) throws(MaxLinearError) -> TensorExtent {
    let dtype = try view.checkedDType(argument)
    guard dtype == .float32 else {
      throw MaxLinearError(.invalidDType, "\(argument): dtype is \(dtype.name), expected float32")
    }
    try view.checkDevice(argument)
    let extent = try view.checkedExtent(bits: 32, argument)
    guard view.isContiguous || extent.count == 0 else {
      throw MaxLinearError(.invalidShape, "\(argument): strides are \(view.stridesText), expected C order")
    }
    return extent
  }
}

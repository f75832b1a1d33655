import CMaxLinear
import Kernels

extension Activation {
  /// hidden = activation(gate) · up, element by element: float32 tensors of one shape in C order. hidden may be gate or up.
  ///
  /// Throws `.invalidShape`, `.invalidDType`.
  package func gate(_ gate: mxl_tensor, _ up: mxl_tensor, into hidden: mxl_tensor) throws {
    let gateView = try Activation.checked(gate, "gate")
    let upView = try Activation.checked(up, "up")
    let hiddenView = try Activation.checked(hidden, "hidden")
    for (view, argument) in [(upView, "up"), (hiddenView, "hidden")] {
      guard view.rank == gateView.rank, (0..<view.rank).allSatisfy({ view.dimension($0) == gateView.dimension($0) }) else {
        throw MaxLinearError(
          .invalidShape, "\(argument): shape is \(view.shapeDescription), expected gate's \(gateView.shapeDescription)")
      }
    }
    let target = try hiddenView.byteRange("hidden")
    for (view, argument) in [(gateView, "gate"), (upView, "up")] where view.data != hiddenView.data {
      let range = try view.byteRange(argument)
      guard range.high <= target.low || target.high <= range.low else {
        throw MaxLinearError(.invalidArgument, "hidden: overlaps \(argument) without being it")
      }
    }
    guard gateView.count > 0 else { return }
    mxlk_gate_run(
      rawValue, gateView.data?.assumingMemoryBound(to: Float.self), upView.data?.assumingMemoryBound(to: Float.self),
      Int64(gateView.count), hiddenView.data?.assumingMemoryBound(to: Float.self))
  }

  private static func checked(_ tensor: mxl_tensor, _ argument: String) throws -> TensorView {
    let view = try TensorView(tensor, argument)
    guard view.dtype == .float32 else {
      throw MaxLinearError(.invalidDType, "\(argument): dtype is \(view.dtype.name), expected float32")
    }
    var stride = 1
    for index in (0..<view.rank).reversed() {
      guard view.dimension(index) <= 1 || view.count == 0 || view.stride(index) == stride else {
        throw MaxLinearError(.invalidShape, "\(argument): is strided, expected C order")
      }
      stride *= max(view.dimension(index), 1)
    }
    return view
  }
}

import CMaxLinear
import Kernels

/// A prepared gated MLP: three linears and the activation between. Immutable, so any number of threads may use it.
final class PreparedMLP: Sendable {
  let gate: PreparedLinear
  let down: PreparedLinear
  let up: PreparedLinear
  let activation: Activation

  /// Throws `.invalidShape` when the three do not fit each other.
  init(gate: PreparedLinear, down: PreparedLinear, up: PreparedLinear, activation: Activation) throws {
    guard gate.inDim == up.inDim, gate.outDim == up.outDim else {
      throw MaxLinearError(
        .invalidShape,
        "up_proj: is (\(up.outDim), \(up.inDim)), expected gate_proj's (\(gate.outDim), \(gate.inDim))")
    }
    guard down.inDim == gate.outDim else {
      throw MaxLinearError(
        .invalidShape, "down_proj: in_dim is \(down.inDim), expected \(gate.outDim), the out_dim of gate_proj")
    }
    self.gate = gate
    self.down = down
    self.up = up
    self.activation = activation
  }

  /// Runs a job whose x, y and rows were checked.
  func run(_ job: mxlk_linear_job) -> mxl_status {
    var whole = mxlk_mlp_job(
      gate: UnsafePointer(gate.weights), up: UnsafePointer(up.weights), down: UnsafePointer(down.weights),
      activation: activation.rawValue, job: job)
    return mxlk_mlp_run(&whole)
  }
}

/// y = down(silu(gate x) · up x), of three linears at hand.
///
/// gate and up are (feedForwardLength, hiddenDim), down is (hiddenDim, feedForwardLength). The activations between are float32,
/// whatever x's dtype. Where gate and up run the same kernel, they share one pass over x; the bits are those of the three
/// linears called one by one.
open class MLP: Module {
  public let gateProjection: Module
  public let downProjection: Module
  public let upProjection: Module
  let activation: Activation

  /// Throws `.invalidShape` at `prepared()` when the three do not fit each other.
  public convenience init(gateProjection: Linear, downProjection: Linear, upProjection: Linear) {
    self.init(gate: gateProjection, down: downProjection, up: upProjection, activation: .silu)
  }

  /// Of any modules whose prepared form is one linear.
  package init(gate: Module, down: Module, up: Module, activation: Activation) {
    gateProjection = gate
    downProjection = down
    upProjection = up
    self.activation = activation
  }

  override open var weights: [(key: String, weight: Weight)] {
    let parts = [("gate_proj", gateProjection), ("down_proj", downProjection), ("up_proj", upProjection)]
    return parts.flatMap { name, module in module.weights.map { (key: "\(name).\($0.key)", weight: $0.weight) } }
  }

  override open func makePrepared(_ options: PrepareOptions) throws -> PreparedLayer {
    func linear(_ module: Module, _ name: String) throws -> PreparedLinear {
      guard case .linear(let linear) = try module.makePrepared(options).body else {
        throw MaxLinearError(.invalidArgument, "\(name): is not a linear layer")
      }
      return linear
    }
    let gate = try linear(gateProjection, "gate_proj")
    let down = try linear(downProjection, "down_proj")
    let up = try linear(upProjection, "up_proj")
    return PreparedLayer(.mlp(try PreparedMLP(gate: gate, down: down, up: up, activation: activation)))
  }
}

/// y = down(silu(gate x) · (up x)), of three linears at hand.
///
/// gate and up are (feedForwardLength, hiddenDim), down is (hiddenDim, feedForwardLength). The activations between them are
/// float32, whatever x's dtype. Keys: "gate_proj.weight", "down_proj.weight", "up_proj.weight", and ".bias" where there is one.
///
/// Where all three are the library's own layers, they run fused: gate and up in one pass over x. The bits are those of the
/// three called one by one. Where one is a subclass, its `callAsFunction` is called.
///
/// See also: ``MLPV2``, which makes its linears and is filled from a state dict.
open class MLP: Layer {
  public final let gateProjection: Layer
  public final let downProjection: Layer
  public final let upProjection: Layer
  public final let activationFunction: Activation

  /// That the shapes do not fit is found when the layer is prepared (`.invalidShape`).
  public convenience init(gateProjection: Linear, downProjection: Linear, upProjection: Linear) {
    self.init(gate: gateProjection, down: downProjection, up: upProjection, activation: .silu)
  }

  /// Of any three layers.
  package init(gate: Layer, down: Layer, up: Layer, activation: Activation) {
    gateProjection = gate
    downProjection = down
    upProjection = up
    activationFunction = activation
    super.init()
  }

  open override var modules: [(name: String, module: Module)] {
    [("gate_proj", gateProjection), ("down_proj", downProjection), ("up_proj", upProjection)]
  }

  override func prepare(_ options: PrepareOptions) throws(MaxLinearError) -> Preparation {
    var linears: [PreparedLinear] = []
    var contents: [(weight: Weight, contents: WeightContents)] = []
    for (name, layer) in [("gate_proj", gateProjection), ("down_proj", downProjection), ("up_proj", upProjection)] {
      let part = try layer.prepare(options)
      guard let linear = part.layer.computation as? PreparedLinear else {
        throw MaxLinearError(.unsupported, "\(name): is a \(type(of: layer)), expected a linear layer")
      }
      linears.append(linear)
      contents += part.contents
    }
    let prepared = try PreparedMLP(gate: linears[0], down: linears[1], up: linears[2], activation: activationFunction)
    return Preparation(layer: PreparedLayer(prepared), contents: contents)
  }

  /// Whether all three are layers whose forward nobody has overridden.
  private var isOfLibraryLayers: Bool {
    [gateProjection, downProjection, upProjection].allSatisfy {
      type(of: $0) == Linear.self || type(of: $0) == QLinear.self || type(of: $0) == LinearV2.self
    }
  }

  /// y = layer(x), in a new tensor of x's dtype. Prepares on first use.
  open override func callAsFunction(_ x: Tensor) throws -> Tensor {
    guard !isOfLibraryLayers else { return try super.callAsFunction(x) }
    let wide = x.dtype == .float32 ? x : try x.converted(to: DType.float32, purpose: "x")
    let hidden = try activationFunction.gate(gateProjection(wide), upProjection(wide))
    let y = try downProjection(hidden)
    return x.dtype == y.dtype ? y : try y.converted(to: x.dtype, purpose: "y")
  }
}

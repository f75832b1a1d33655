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
  /// (feedForwardLength, hiddenDim): its outputs go through the activation function.
  public final let gateProjection: Layer
  /// (hiddenDim, feedForwardLength): from h to y.
  public final let downProjection: Layer
  /// (feedForwardLength, hiddenDim): its outputs are multiplied with the activated ones.
  public final let upProjection: Layer
  /// What gate's outputs go through; silu unless an ``MLPV2`` says otherwise.
  public final let activationFunction: Activation

  /// An MLP of three layers at hand, which it keeps. That their shapes do not fit is found when the layer is prepared (`.invalidShape`).
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

  /// An MLP that shares the contents of three layers as they are now: of the library's own linear layers only. Throws `.unsupported`
  /// for others, `.invalidShape` for three that do not fit one another.
  package static func sharing(
    gate: Layer, down: Layer, up: Layer, activation: Activation
  ) throws(MaxLinearError) -> MLP {
    var shared: [Layer] = []
    for (name, layer) in [("gate", gate), ("down", down), ("up", up)] {
      guard let copy = try layer.sharingContents() else {
        throw MaxLinearError(.unsupported, "\(name): is a \(type(of: layer)), expected a linear layer")
      }
      shared.append(copy)
    }
    let shapes = shared.map { ($0 as? LinearV2)?.weight.shape ?? [] }
    guard shapes[2] == shapes[0] else {
      throw MaxLinearError(.invalidShape, "up: is \(shapes[2]), expected gate's \(shapes[0])")
    }
    guard shapes[1].last == shapes[0].first else {
      throw MaxLinearError(.invalidShape, "down: is \(shapes[1]), expected in_dim = gate's out_dim of \(shapes[0])")
    }
    return MLP(gate: shared[0], down: shared[1], up: shared[2], activation: activation)
  }

  /// The three linears: "gate_proj", "down_proj", "up_proj".
  open override var modules: [(name: String, module: Module)] {
    [("gate_proj", gateProjection), ("down_proj", downProjection), ("up_proj", upProjection)]
  }

  /// The three linears: gate, down, up.
  typealias PreparedLinears = (gate: PreparedLinear, down: any PreparedComputation, up: PreparedLinear)

  /// Prepares each of the three that is not yet.
  final func prepareLinears(
    _ options: PrepareOptions
  ) throws(MaxLinearError) -> (linears: PreparedLinears, contents: [(weight: Weight, contents: WeightContents)]) {
    var computations: [any PreparedComputation] = []
    var contents: [(weight: Weight, contents: WeightContents)] = []
    for (name, layer) in [("gate_proj", gateProjection), ("down_proj", downProjection), ("up_proj", upProjection)] {
      guard Self.isOfLibrary(layer) else {
        throw MaxLinearError(
          .unsupported,
          "\(name): is a \(type(of: layer)) with a forward of its own, expected a layer of the library: a prepared MLP would pass that forward by; call the MLP"
        )
      }
      let prepared: PreparedLayer
      if let ready = layer.preparedLayer(matching: options) {
        prepared = ready
      } else {
        let part: Preparation
        do throws(MaxLinearError) { part = try layer.prepare(within: options) } catch {
          throw error.status == .notLoaded ? MaxLinearError(.notLoaded, "\(name).\(error.message)") : error
        }
        prepared = part.layer
        contents += part.contents
      }
      computations.append(prepared.computation)
    }
    // Those that were ready have not looked.
    _ = try Threads.checked(options.threads)
    guard let gate = computations[0] as? PreparedLinear, let up = computations[2] as? PreparedLinear else {
      throw MaxLinearError(.unsupported, "gate_proj, up_proj: expected linear layers that are not summed over devices")
    }
    return ((gate, computations[1], up), contents)
  }

  override func prepare(_ options: PrepareOptions) throws(MaxLinearError) -> Preparation {
    let ((gate, down, up), contents) = try prepareLinears(options)
    let prepared: any PreparedComputation
    switch down {
    case let down as PreparedLinear:
      prepared = try PreparedMLP(
        gate: gate, down: down, up: up, activation: activationFunction, options: options, shards: hiddenShards)
    case let down as PreparedRowParallel:
      prepared = PreparedReducedMLP(
        PreparedHidden(gate: gate, up: up, activation: activationFunction), down: down, options: options)
    default: throw MaxLinearError(.unsupported, "down_proj: expected a linear layer")
    }
    return Preparation(layer: PreparedLayer(prepared), contents: contents)
  }

  /// The columns of h that each device has; empty where there is one.
  var hiddenShards: [Range<Int>] { [] }

  /// Whether all three are layers whose forward nobody has overridden.
  final var isOfLibraryLayers: Bool {
    [gateProjection, downProjection, upProjection].allSatisfy(Self.isOfLibrary)
  }

  private static func isOfLibrary(_ layer: Layer) -> Bool {
    let known: [Layer.Type] = [Linear.self, QLinear.self, GPTQLinear.self, LinearV2.self, GPTQLinearV2.self]
    return known.contains { $0 == type(of: layer) }
  }

  /// y = down(activation(gate x) · (up x)), in a new tensor of x's dtype. Prepares on first use.
  ///
  /// x is (..., hiddenDim) of any rank from 1, float32, float16 or bfloat16, y has its shape. Errors are those of `prepared(_:)` and of
  /// `PreparedLayer`.
  open override func callAsFunction(_ x: Tensor) throws -> Tensor {
    guard !isOfLibraryLayers else { return try super.callAsFunction(x) }
    let wide = x.dtype == .float32 ? x : try x.converted(to: DType.float32, purpose: "x")
    let hidden = try activationFunction.gate(gateProjection(wide), upProjection(wide))
    let y = try downProjection(hidden)
    return x.dtype == y.dtype ? y : try y.converted(to: x.dtype, purpose: "y")
  }
}

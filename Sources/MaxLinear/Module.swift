/// Something with a state dict: weights of its own, and modules inside it.
///
/// A key of the state dict is the path of module names, joined by dots, and the weight's name: "mlp.gate_proj.weight".
/// Subclass to compose layers, and override `modules` (and `weights`) to say what is inside.
///
/// Not Sendable: one thread at a time. `Layer.prepared()` gives what several may call.
open class Module {
  /// A module without weights; subclasses say what is inside.
  public init() {}

  /// The module's own weights, in the state dict's order.
  open var weights: [Weight] { [] }

  /// The modules inside, by the names that lead to them, in the state dict's order.
  open var modules: [(name: String, module: Module)] { [] }

  /// All weights with their keys: the own ones, then those of the modules inside.
  public final func namedWeights() -> [(key: String, weight: Weight)] {
    weights.map { ($0.name, $0) }
      + modules.flatMap { name, module in module.namedWeights().map { ("\(name).\($0.key)", $0.weight) } }
  }

  /// What was loaded, bit for bit, in order. Prepared weights are unpacked into new memory.
  ///
  /// - Parameter autoInitialize: give zeros for weights without contents, as MAX does, instead of throwing `.notLoaded`.
  /// - Throws: `.notLoaded`, `.outOfMemory`.
  public final func stateDict(autoInitialize: Bool = false) throws -> StateDict {
    StateDict(
      try namedWeights().compactMap { key, weight in
        if var data = try weight.data() {
          data.name = key
          return data
        }
        if weight.isOptional { return nil }
        guard autoInitialize else {
          throw MaxLinearError(.notLoaded, "\(key): not loaded, expected a state dict that is loaded first")
        }
        return WeightData(
          name: key, tensor: try Tensor.zeros(shape: weight.storedShape, dtype: weight.storedDType),
          encoding: weight.quantizationEncoding?.name)
      })
  }

  /// Fills all weights from a state dict. When it throws, nothing has changed.
  ///
  /// - Parameters:
  ///   - state: a tensor or `WeightData` for each key of the module. `WeightData.storage` says whether it is copied; a
  ///     checkpoint's tensor (`.map`) of another float dtype is converted.
  ///   - strict: refuse keys that the module does not have; otherwise they are ignored.
  ///   - replace: accept prepared layers: the new weights are prepared as the old ones were. A `PreparedLayer` that was
  ///     handed out keeps the old ones.
  ///   - overrideQuantizationEncoding: a weight takes the encoding of data that brings its own.
  /// - Throws: `.missingKey`, `.unexpectedKey`, `.invalidShape`, `.invalidDType`, `.invalidArgument` for a key that
  ///   comes twice, `.alreadyPrepared` without `replace`, `.outOfMemory`.
  public final func loadStateDict(
    _ state: StateDict, strict: Bool = false, replace: Bool = false, overrideQuantizationEncoding: Bool = false
  ) throws {
    let options = LoadOptions(
      strict: strict, replace: replace, overrideQuantizationEncoding: overrideQuantizationEncoding)
    _ = try loadKeepingRetired(state, options)
  }

  /// Fills all weights from copies of named tensors, with the errors of the other `loadStateDict`.
  public final func loadStateDict(_ state: [String: Tensor], strict: Bool = false, replace: Bool = false) throws {
    try loadStateDict(StateDict(state), strict: strict, replace: replace)
  }

  /// Fills all weights from a checkpoint's tensors named prefix + key, mapped, without a copy.
  ///
  /// Parameters and errors as those of `loadStateDict`, and `.io` when a file has changed since it was opened; with `strict`, tensors under
  /// another prefix are no error.
  public final func load(
    _ weights: Weights, prefix: String = "", strict: Bool = false, replace: Bool = false,
    overrideQuantizationEncoding: Bool = false
  ) throws {
    let options = LoadOptions(
      strict: strict, replace: replace, overrideQuantizationEncoding: overrideQuantizationEncoding)
    _ = try loadKeepingRetired(weights, prefix: prefix, options)
  }

  /// What a load took out. The caller lets go of it, without holding a lock: owners may run code of other people.
  package struct Retired {
    var contents: [WeightContents] = []
    var prepared: [PreparedLayer] = []

    package mutating func keep(_ layer: PreparedLayer) { prepared.append(layer) }

    mutating func keep(_ other: Retired) {
      contents += other.contents
      prepared += other.prepared
    }
  }

  /// `loadStateDict`, giving back what it took out.
  package final func loadKeepingRetired(_ state: StateDict, _ options: LoadOptions) throws -> Retired {
    try load(options) { () throws(MaxLinearError) in try StateDictSource(state) }
  }

  /// `load` from a checkpoint, giving back what it took out.
  package final func loadKeepingRetired(
    _ weights: Weights, prefix: String, _ options: LoadOptions
  ) throws -> Retired {
    try load(options) { CheckpointSource(weights: weights, prefix: prefix) }
  }

  /// The error of arguments that keep this rank from loading: those that come to prepare the new weights are told.
  package final func toldOfLoading(_ error: MaxLinearError, replace: Bool) -> MaxLinearError {
    replace ? Self.told(preparedLayers(), error) : error
  }

  func load<Source: WeightSource>(
    _ options: LoadOptions, from makeSource: () throws(MaxLinearError) -> Source
  ) throws(MaxLinearError) -> Retired {
    let layers = preparedLayers()
    guard options.replace || layers.isEmpty else {
      throw MaxLinearError(
        .alreadyPrepared, "load: the layer is prepared, expected one that is not, or the option to replace its weights")
    }
    let named = namedWeights()
    let staged: [Weight.State]
    do throws(MaxLinearError) { staged = try states(of: named, from: try makeSource(), options) } catch {
      throw Self.told(layers, error)
    }
    let before = named.map(\.weight.state)
    var retired = Retired(contents: before.map(\.contents), prepared: layers.compactMap(\.preparedLayer))
    // A layer whose fields were assigned since it was prepared has none that may come back.
    let current = layers.map(\.currentPreparedLayer)
    for ((_, weight), state) in zip(named, staged) { weight.state = state }
    do throws(MaxLinearError) {
      do throws(MaxLinearError) { try checkContents() } catch { throw Self.told(layers, error) }
      // A layer may use what the layers inside it have prepared, and they come first.
      for layer in layers { layer.preparedLayer = nil }
      for (index, layer) in layers.enumerated() {
        do throws(MaxLinearError) { retired.keep(try layer.prepareAgain()) } catch {
          // The ranks of the layers behind one that has none would wait.
          throw layer.ranksCommunicator == nil ? Self.told(Array(layers[(index + 1)...]), error) : error
        }
      }
    } catch {
      for ((_, weight), state) in zip(named, before) { weight.state = state }
      for (layer, prepared) in zip(layers, current) {
        if let prepared { layer.restore(prepared) } else { layer.preparedLayer = nil }
      }
      throw error
    }
    return retired
  }

  /// What the weights are to become.
  private func states(
    of named: [(key: String, weight: Weight)], from source: some WeightSource, _ options: LoadOptions
  ) throws(MaxLinearError) -> [Weight.State] {
    var found: [WeightData?] = []
    for (key, weight) in named {
      let data = source.data(forKey: key)
      guard data != nil || weight.isOptional else { throw source.missing(key) }
      if let unserved = weight.unserved, let other = source.data(forKey: key + unserved.suffix) {
        throw MaxLinearError(
          .unsupported, "\(source.fullName(key))\(unserved.suffix): shape is \(other.shape), \(unserved.reason)")
      }
      found.append(data)
    }
    if options.strict { try checkNoOthers(source, named.map(\.key)) }
    var staged: [Weight.State] = []
    for ((key, weight), data) in zip(named, found) {
      staged.append(
        try data.map { data throws(MaxLinearError) in
          try weight.loaded(data, key: source.fullName(key), options: options)
        } ?? weight.emptied)
    }
    return staged
  }

  /// Ranks that come to prepare these layers anew are told of the error, by the first layer that they share.
  private static func told(_ layers: [Layer], _ error: MaxLinearError) -> MaxLinearError {
    for layer in layers {
      if let told = layer.toldRanks(error) { return told }
    }
    return error
  }

  /// Throws unless the loaded weights make sense together, in the modules inside too.
  func checkContents() throws(MaxLinearError) {
    for (_, module) in modules { try module.checkContents() }
  }

  private func preparedLayers() -> [Layer] {
    let own = (self as? Layer).map { $0.preparedLayer == nil ? [] : [$0] } ?? []
    return modules.flatMap { $0.module.preparedLayers() } + own
  }

  private func checkNoOthers(_ source: some WeightSource, _ expected: [String]) throws(MaxLinearError) {
    let known = Set(expected.map(ByteExactString.init))
    for key in source.keys where !known.contains(ByteExactString(key)) {
      var hint = nearestKey(to: key, among: expected).map { "; the nearest is \"\($0)\"" } ?? ""
      // As torch's linears have one unless told otherwise.
      if key.hasSuffix("bias"), !expected.contains(where: { $0.hasSuffix("bias") }) {
        hint = "; it was made without has_bias"
      }
      let most = 8
      let more = expected.count > most ? " and \(expected.count - most) more" : ""
      throw MaxLinearError(
        .unexpectedKey,
        "\(source.fullName(key)): is none of the layer's keys, expected only \(expected.prefix(most).joined(separator: ", "))\(more)\(hint)"
      )
    }
  }
}

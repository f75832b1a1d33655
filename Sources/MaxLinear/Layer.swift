/// A module with a forward.
///
/// Loading fills its weights, preparing packs them for this CPU's kernels, and then it is called. The first call
/// prepares with the default options; `prepared(_:)` does it at a time of one's own choosing and gives what several
/// threads may call.
open class Layer: Module {
  /// Set when prepared, and gone when a field that it depends on is assigned.
  final var preparedLayer: PreparedLayer?
  /// `revision` when `preparedLayer` was made.
  private final var preparedRevision = 0
  /// When a field was last assigned.
  private final var assigned = Revision.next()
  /// The options of the last time; those of the next unless others are given.
  final private(set) var preparedOptions = PrepareOptions()

  // Only the library's own layers know how to prepare; others compose them in a Module.
  override init() { super.init() }

  /// The prepared layer of the weights as they are; nil before.
  package final var currentPreparedLayer: PreparedLayer? { preparedRevision == revision ? preparedLayer : nil }
  /// The same with the options it was prepared with, for a layer that shares the contents.
  final var currentPreparation: (layer: PreparedLayer, options: PrepareOptions)? {
    currentPreparedLayer.map { ($0, preparedOptions) }
  }

  /// A layer with this one's weights as they are now, sharing their memory and what is prepared of them. Later changes of either do not
  /// reach the other. nil for layers whose forward may be somebody else's.
  package func sharingContents() throws(MaxLinearError) -> Layer? { nil }

  /// The prepared computation, and what the weights hold from now on.
  struct Preparation {
    let layer: PreparedLayer
    let contents: [(weight: Weight, contents: WeightContents)]
  }

  /// Packs for the kernels. Must change nothing: `prepared` takes the result over.
  func prepare(_ options: PrepareOptions) throws(MaxLinearError) -> Preparation {
    throw MaxLinearError(.internal, "\(type(of: self)): has no kernels of its own, expected a layer of the library")
  }

  /// Picks a kernel row and packs the weights for it, then gives the source back: copies are freed, mapped pages
  /// returned to the system. `stateDict()` unpacks them again.
  ///
  /// Preparing twice with the same options returns the same layer. Changes nothing when it throws.
  ///
  /// - Throws: `.notLoaded`, `.alreadyPrepared` when prepared with other options, `.unsupported`, `.outOfMemory`, `.io` when a
  ///   mapped file has changed since it was opened, and the errors of parameters that do not fit together.
  @discardableResult
  public final func prepared(_ options: PrepareOptions = PrepareOptions()) throws -> PreparedLayer {
    try prepareKeepingRetired(options).layer
  }

  /// `prepared`, and the contents it took out of the weights.
  package final func prepareKeepingRetired(
    _ options: PrepareOptions
  ) throws(MaxLinearError) -> (layer: PreparedLayer, retired: Retired) {
    if let preparedLayer, preparedRevision == revision {
      guard preparedLayer.computation.matches(options) else {
        throw MaxLinearError(
          .alreadyPrepared,
          "prepare: the layer is prepared with other options, expected those, or a layer that is not prepared")
      }
      return (preparedLayer, Retired())
    }
    let retired = try takeOver(options)
    preparedOptions = options
    guard let preparedLayer else {
      throw MaxLinearError(.internal, "prepare: there is no result, expected a prepared layer")
    }
    return (preparedLayer, retired)
  }

  /// Prepares as before, after the weights have changed. Returns what it took out of them.
  final func prepareAgain() throws(MaxLinearError) -> Retired {
    try takeOver(preparedOptions)
  }

  private func takeOver(_ options: PrepareOptions) throws(MaxLinearError) -> Retired {
    do throws(MaxLinearError) { try checkFiles() } catch { throw toldRanks(error) ?? error }
    let preparation = try prepare(options)
    // What was read while a file changed may be of either state.
    try checkFiles()
    var retired = Retired(contents: preparation.contents.map(\.weight.contents))
    for (weight, contents) in preparation.contents { weight.contents = contents }
    retired.prepared = dropPrepared(within: Set(preparation.contents.map { ObjectIdentifier($0.weight) }))
    restore(preparation.layer)
    return retired
  }

  /// Of the layers inside, what was prepared of these weights, which hold another form by now: it would stay in memory beside that. Such a layer
  /// prepares anew when it is called by itself.
  private func dropPrepared(within weights: Set<ObjectIdentifier>) -> [PreparedLayer] {
    var dropped: [PreparedLayer] = []
    for case let layer as Layer in modules.map(\.module)
    where layer.weights.contains(where: { weights.contains(ObjectIdentifier($0)) }) {
      if let prepared = layer.preparedLayer { dropped.append(prepared) }
      layer.preparedLayer = nil
    }
    return dropped
  }

  /// Throws `.io` when a file that weights are mapped from has changed since it was opened.
  private func checkFiles() throws(MaxLinearError) {
    for (_, weight) in namedWeights() {
      if case .source(let data) = weight.contents { try data.checkFile() }
    }
  }

  /// The ranks that prepare the layer together, where there are such.
  var ranksCommunicator: Communicator? { nil }

  /// Tells the ranks that come to prepare the layer of an error that keeps this one from it. Returns the error to be thrown, nil where there
  /// are no ranks.
  final func toldRanks(_ error: MaxLinearError) -> MaxLinearError? { ranksCommunicator?.told(error, .prepare) }

  /// The error of arguments that keep this rank from preparing: those that come to it are told.
  package final func toldOfPreparing(_ error: MaxLinearError) -> MaxLinearError {
    currentPreparedLayer == nil ? toldRanks(error) ?? error : error
  }

  /// Takes over what another layer of the same contents has prepared.
  final func restore(_ preparation: (layer: PreparedLayer, options: PrepareOptions)) {
    restore(preparation.layer)
    preparedOptions = preparation.options
  }

  /// Prepares for a layer around this one: where the options leave the choice, with those of the time before.
  final func prepare(within options: PrepareOptions) throws(MaxLinearError) -> Preparation {
    guard options.asksForTheSame(as: PrepareOptions()) else { return try prepare(options) }
    var chosen = preparedOptions
    chosen.threads = options.threads
    return try prepare(chosen)
  }

  /// Makes this the prepared layer of the weights as they are.
  final func restore(_ prepared: PreparedLayer) {
    preparedLayer = prepared
    preparedRevision = revision
  }

  /// The prepared layer of the weights as they are, when it was prepared with these options, or when the options leave the choice.
  final func preparedLayer(matching options: PrepareOptions) -> PreparedLayer? {
    guard let prepared = currentPreparedLayer else { return nil }
    return options.asksForTheSame(as: PrepareOptions()) || prepared.computation.matches(options) ? prepared : nil
  }

  /// For the `didSet` of fields that the prepared layer depends on: the next call prepares anew.
  final func parametersChanged() {
    preparedLayer = nil
    assigned = Revision.next()
  }

  /// Layers that it is made of beside its modules, whose weights are its own.
  var parts: [Layer] { [] }

  /// When anything that the prepared layer depends on last changed, in the layers inside too.
  final var revision: Int {
    let inside = (modules.compactMap { $0.module as? Layer } + parts).map(\.revision)
    return (inside + weights.map(\.revision)).reduce(assigned, max)
  }

  /// y = layer(x), in a new tensor. Prepares on first use.
  ///
  /// x is (..., in_dim) of any rank from 1, y has its leading dimensions. Errors are those of `prepared(_:)` and of
  /// `PreparedLayer`.
  open func callAsFunction(_ x: Tensor) throws -> Tensor { try prepared(preparedOptions)(x) }

  /// y = layer(x), or y += layer(x), in place. Prepares on first use.
  ///
  /// - Parameters:
  ///   - x: (..., in_dim) of any rank from 1, float32, float16 or bfloat16.
  ///   - y: x's leading dimensions, then out_dim; see `PreparedLayer.forward`.
  ///   - accumulate: adds to what y holds.
  ///   - threads: the most this call may use, 1 to 1024; 0 for `Threads.count`.
  /// - Throws: as `prepared(_:)` and `PreparedLayer.forward`; y is untouched then.
  open func forward(_ x: Tensor, into y: Tensor, accumulate: Bool = false, threads: Int = 0) throws {
    try prepared(preparedOptions).forward(x, into: y, accumulate: accumulate, threads: threads)
  }

  /// What the layer holds in memory.
  public final func memory() -> LayerMemory {
    namedWeights().reduce(LayerMemory(packed: packedBytes)) { $0 + $1.weight.contents.memory }
  }

  /// Before it is prepared, what the layers inside are.
  private final var packedBytes: Int {
    preparedLayer?.packedBytes ?? modules.reduce(0) { $0 + (($1.module as? Layer)?.packedBytes ?? 0) }
  }
}

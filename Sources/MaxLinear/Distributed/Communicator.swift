import CMaxLinear
import Kernels
import Synchronization

/// Processes that share layers: a group, in which each has a rank, and a way to reach one another that a plugin brings.
///
///     try Plugin.load(path: "mpi.so")
///     let communicator = try Communicator("mpi")
///     let layer = try DistributedMLP.fromWeights(weights, communicator: communicator)
///     let y = try layer(x)
///
/// A layer made with one is divided among the ranks: each packs and computes its own shard alone. Making a communicator, preparing such a layer and
/// calling it are collective: all ranks do the same ones in the same order, from any thread; threads of one rank are held apart. In each the ranks
/// first tell each other what they are about to do. Where they disagree, or one cannot, all throw an error that names it, none has changed anything
/// and they may go on. Where one has ended, does not come in the communicator's time or fails later than that, the others throw `.communication`, and
/// so does every later call.
public final class Communicator: Sendable {
  /// What brought it: the name of a plugin's communicator, such as "mpi".
  public let kind: String
  /// 0 to `size` - 1.
  public let rank: Int
  /// The number of processes.
  public let size: Int
  let collectives: Collectives
  private let state = Mutex(State())

  private struct State {
    var failure: MaxLinearError?
    /// How many layers were prepared: their numbers are the same on all ranks.
    var layers: UInt64 = 0
  }

  /// This process's end of a communicator.
  ///
  /// - Parameters:
  ///   - kind: the name of what a loaded plugin brings, such as "mpi".
  ///   - native: what the kind documents, such as an `MPI_Comm *`; nil for the group of all processes.
  /// - Throws: `.invalidArgument` when there is no such kind, `.communication` when the ranks' libraries differ, what the kind fails with.
  public init(_ kind: String, native: UnsafeRawPointer? = nil) throws {
    guard let functions = kind.withCString({ mxlk_communicator_find($0) }) else {
      let known = Plugin.loaded.flatMap(\.communicators)
      let list =
        known.isEmpty ? "that of a plugin, and none with one is loaded" : "one of \(known.joined(separator: ", "))"
      throw MaxLinearError(.invalidArgument, "kind: is \"\(kind)\", expected \(list)")
    }
    self.kind = kind
    collectives = try Collectives(functions, native: native)
    rank = collectives.rank
    size = collectives.size
    try together(.create) { _ throws(MaxLinearError) in
      [
        Fact(
          "library version", Int(MXL_VERSION_MAJOR << 16 | MXL_VERSION_MINOR << 8 | MXL_VERSION_PATCH), as: .version),
        Fact("number of processes", size),
        Fact("byte order and sizes", 0x0102_0304_0506_0708),
      ]
    } body: { _ in
    }
  }

  /// Says that this process cannot go on, so that the others' next calls fail with this message instead of waiting for it. Waits for a call of this
  /// process that is running.
  public func end(because message: String) {
    state.withLock { state in
      guard state.failure == nil else { return }
      state.failure = MaxLinearError(
        .communication,
        "communicator: was ended by rank \(rank), this one, expected one that goes on: \(message)")
      collectives.end(because: message)
    }
  }

  /// A step that all ranks take: they compare what they state about it, then each runs the body.
  ///
  /// - Parameters:
  ///   - statement: checks what this rank is given; where it throws, no rank runs the body.
  ///   - body: what it throws ends the communicator, as the others may be in the middle of it.
  func together(
    _ step: Step, _ statement: (_ layer: UInt64) throws(MaxLinearError) -> [Fact],
    body: (Collectives) throws(MaxLinearError) -> Void
  ) throws(MaxLinearError) {
    try state.withLock { state throws(MaxLinearError) in
      if let failure = state.failure { throw failure }
      var own: MaxLinearError?
      var facts: [Fact] = []
      do throws(MaxLinearError) { facts = try statement(state.layers) } catch { own = error }
      let statements: [Statement]
      do throws(MaxLinearError) {
        statements = try collectives.exchange(Statement(step, facts, own))
      } catch {
        state.failure = error
        throw own ?? error
      }
      if let own { throw own }
      try Statement.compare(statements, facts: facts)
      do throws(MaxLinearError) {
        try body(collectives)
      } catch {
        state.failure = MaxLinearError(
          .communication, "communicator: an earlier call failed, expected none after it: \(error.message)")
        collectives.end(because: error.message)
        throw error
      }
      if step == .prepare { state.layers += 1 }
    }
  }
}

/// What ranks do together.
enum Step: Int32 {
  case create = 1
  case prepare = 2
  case call = 3
  case callWithOwnPart = 4

  var description: String {
    switch self {
    case .create: "makes a communicator"
    case .prepare: "prepares a layer"
    case .call: "calls a layer"
    case .callWithOwnPart: "calls a layer by devices"
    }
  }
}

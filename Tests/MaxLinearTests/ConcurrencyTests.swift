import Foundation
import Synchronization
import Testing

@testable import MaxLinear

/// A number that several threads raise.
final class Counter: Sendable {
  private let count = Atomic(0)
  func add() { count.add(1, ordering: .sequentiallyConsistent) }
  var value: Int { count.load(ordering: .sequentiallyConsistent) }
}

/// Runs body on that many threads of the operating system at once, and returns when all have ended.
func onThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
  let group = DispatchGroup()
  for index in 0..<count {
    group.enter()
    Thread.detachNewThread {
      body(index)
      group.leave()
    }
  }
  group.wait()
}

@Suite("Concurrency")
struct ConcurrencyTests {
  @Test("eight threads call one prepared layer", arguments: [Packing.always, .never])
  func manyCallers(_ packing: Packing) throws {
    let made = try TestLayer(inDim: 200, outDim: 96)
    let prepared = try made.layer.prepared(PrepareOptions(packing: packing))
    let inputs = try (0..<8).map { try randomTensor([$0 + 1, 200], seed: UInt64($0)) }
    let expected = try inputs.map { try bits(prepared($0)) }
    let right = Counter()
    onThreads(8) { index in
      for _ in 0..<50 {
        let y = try? bits(prepared(inputs[index], threads: index % 3))
        if y == expected[index] { right.add() }
      }
    }
    #expect(right.value == 8 * 50)
  }

  @Test("forwards on the old weights finish while a layer is replaced")
  func replaced() throws {
    let made = try TestLayer(inDim: 64, outDim: 64)
    let other = try TestLayer(inDim: 64, outDim: 64, seed: 90)
    let x = try randomTensor([2, 64], seed: 3)
    let first = try made.layer.prepared()
    let expected = try bits(first(x))
    let right = Counter()
    let stop = Counter()
    let group = DispatchGroup()
    for _ in 0..<3 {
      group.enter()
      Thread.detachNewThread {
        var wrong = 0
        repeat { if (try? bits(first(x))) != expected { wrong += 1 } } while stop.value == 0
        if wrong == 0 { right.add() }
        group.leave()
      }
    }
    for round in 0..<50 { try made.layer.loadStateDict(round % 2 == 0 ? other.state : made.state, replace: true) }
    stop.add()
    group.wait()
    #expect(right.value == 3)
    #expect(try bits(made.layer(x)) == expected)
  }
}

import Synchronization

/// A time that only moves on: when a weight was loaded or a field assigned, in the order in which that happened.
enum Revision {
  private static let last = Atomic(0)

  static func next() -> Int { last.add(1, ordering: .relaxed).newValue }
}

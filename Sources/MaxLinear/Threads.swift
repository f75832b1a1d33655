import Kernels

/// The process-wide budget of threads.
public enum Threads {
  /// The most threads a call uses unless told otherwise, and the most that run at once over all calls.
  ///
  /// At first MAXLINEAR_NUM_THREADS, else the CPUs of the affinity mask, at most the cgroup's CPU limit rounded up.
  public static var count: Int { Int(mxlk_threads()) }

  /// Sets `count`, 1 to 1024. Holds for calls that begin afterwards; any thread. Throws `.invalidArgument` for another number.
  public static func set(_ count: Int) throws {
    guard (1...maximum).contains(count) else {
      throw MaxLinearError(.invalidArgument, "threads: is \(count), expected 1 to \(maximum)")
    }
    mxlk_set_threads(Int32(count))
  }

  static let maximum = 1024

  /// The number of threads that a call asks for: `count` when it says 0.
  @inline(__always)
  static func checked(_ threads: Int) throws(MaxLinearError) -> Int32 {
    guard threads >= 0, threads <= maximum else {
      throw MaxLinearError(
        .invalidArgument, "threads: is \(threads), expected 1 to \(maximum), or 0 for the default")
    }
    return threads == 0 ? mxlk_threads() : Int32(truncatingIfNeeded: threads)
  }
}

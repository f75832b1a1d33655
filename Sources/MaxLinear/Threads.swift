import Kernels

/// The process-wide number of threads.
public enum Threads {
  /// The most threads a call uses unless told otherwise, and the budget that all calls of the process share. Default:
  /// MAXLINEAR_NUM_THREADS, else the CPUs that the affinity mask and the cgroup leave.
  public static var count: Int { Int(mxlk_threads()) }

  /// Sets `count`, 1 to 1024, for calls that begin afterwards. Any thread.
  public static func setCount(_ count: Int) throws {
    mxlk_set_threads(try checked(count, "threads", least: 1))
  }

  /// A number of threads as the kernels take it: 0 means `count`.
  static func resolved(_ threads: Int) throws -> Int32 {
    let given = try checked(threads, "threads", least: 0)
    return given == 0 ? mxlk_threads() : given
  }

  private static func checked(_ threads: Int, _ argument: String, least: Int) throws -> Int32 {
    guard threads >= least, threads <= 1024 else {
      throw MaxLinearError(.invalidArgument, "\(argument): is \(threads), expected \(least) to 1024")
    }
    return Int32(threads)
  }
}

import KernelChecks
import Kernels
import Testing

/// All kernel tests, one at a time: they share buffers, the thread budget and the environment.
@Suite("Kernels", .serialized)
enum KernelTests {}

extension check_result {
  var firstFailure: String {
    withUnsafeBytes(of: message) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
  }
}

/// Passes when something was compared and nothing differed; each row of the registry must have run, or been skipped
/// because this CPU lacks its features.
func expectEqual(_ result: check_result, everyRow: Bool = true) {
  #expect(result.failures == 0, "\(result.firstFailure)")
  #expect(result.comparisons > 0)
  guard everyRow else { return }
  #expect(result.rows_run > 0)
  #expect(Int(result.rows_run + result.rows_skipped) == mxlk_row_count())
}

/// What the numbers of a test are.
struct Values: CustomTestStringConvertible, Sendable {
  let kind: check_values
  static let all = (0..<CHECK_VALUES_COUNT.rawValue).map { Values(kind: check_values(rawValue: $0)) }

  var testDescription: String { String(cString: check_values_name(kind)) }
}

/// The caller's floating point environment.
struct Environment: CustomTestStringConvertible, Sendable {
  let kind: check_environment
  static let all = (0..<CHECK_ENVIRONMENT_COUNT.rawValue).map { Environment(kind: check_environment(rawValue: $0)) }

  var testDescription: String {
    switch kind {
    case CHECK_DEFAULT_ENVIRONMENT: "the default"
    case CHECK_FLUSH: "FTZ and DAZ"
    case CHECK_ROUND_UP: "rounding up"
    case CHECK_UNMASKED: "unmasked exceptions"
    default: "environment \(kind.rawValue)"
    }
  }
}

extension KernelTests {
  @Suite("Every row returns the bits of the scalar arithmetic")
  struct Rows {
    @Test("for every number of rows up to two tiles, of tall ones for some", arguments: Values.all)
    func everyNumberOfRows(values: Values) { expectEqual(check_rows_over_rows(values.kind)) }

    @Test("for every number of outputs up to two panels", arguments: Values.all)
    func everyNumberOfOutputs(values: Values) { expectEqual(check_rows_over_columns(values.kind)) }

    @Test("for every depth up to two superblocks", arguments: Values.all)
    func everyDepth(values: Values) { expectEqual(check_rows_over_k(values.kind)) }

    @Test("on random shapes, strides and alignments, with bias and accumulation", arguments: Values.all)
    func randomShapes(values: Values) {
      expectEqual(check_rows_on_random_shapes(values.kind, 12, values.kind.rawValue &+ 11))
    }

    @Test("where sums of codes come near what 16 bits hold")
    func largeSums() { expectEqual(check_rows_on_random_shapes(CHECK_LARGE_SUMS, 40, 5)) }

    @Test("whatever the caller's floating point environment is", arguments: Environment.all)
    func environments(environment: Environment) { expectEqual(check_rows_in_environment(environment.kind, 0)) }

    @Test("float16 is the same float32 and back in every environment", arguments: Environment.all)
    func conversions(environment: Environment) {
      expectEqual(check_conversions_in_environment(environment.kind), everyRow: false)
    }

    @Test("bfloat16 is rounded to nearest even, one value and many")
    func bfloat16Rounding() { expectEqual(check_bfloat16_rounding(), everyRow: false) }

    @Test("on a foreign thread in that environment, too", arguments: Environment.all)
    func foreignThreads(environment: Environment) { expectEqual(check_rows_in_environment(environment.kind, 1)) }

    @Test("for a fused MLP as for its three linears, in every environment", arguments: Environment.all, [0, 1])
    func mlps(environment: Environment, foreignThread: Int32) {
      expectEqual(check_mlps_in_environment(environment.kind, foreignThread), everyRow: false)
    }

    @Test("for jobs that run together as for each alone, in every environment", arguments: Environment.all)
    func together(environment: Environment) { expectEqual(check_jobs_together(environment.kind)) }

    @Test("when codes and scales are searched for")
    func quantizing() { expectEqual(check_quantize_variants(), everyRow: false) }

    @Test("for a row of a batch as for the row alone")
    func batches() { expectEqual(check_batch_against_single_rows()) }

    @Test("on one thread as on eight")
    func threadCounts() { expectEqual(check_thread_counts()) }

    @Test("when eight callers run at once")
    func concurrentCallers() { expectEqual(check_concurrent_callers(8), everyRow: false) }
  }

  @Suite("A call")
  struct Calls {
    @Test("without rows leaves y alone")
    func nothingToDo() { expectEqual(check_nothing_to_do(), everyRow: false) }

    @Test("whose scratch is refused says so and leaves y alone")
    func scratchRefused() { expectEqual(check_scratch_refused(), everyRow: false) }

    @Test("uses the threads it was given, up to the budget")
    func budget() {
      // Calls of other tests that run at this moment may have taken all but one of the budget.
      #expect((0..<50).contains { _ in check_threads_taking_part(8, 8) > 1 })
      #expect(check_threads_taking_part(8, 8) <= 8)
      #expect(check_threads_taking_part(8, 2) <= 2)
      #expect(check_threads_taking_part(8, 1) == 1)
      #expect(check_threads_taking_part(1, 8) == 1)
    }

    @Test(
      "of eight callers at once adds no more threads than the budget has beside a caller", arguments: [1, 2, 3, 5, 20])
    func budgetOfMany(budget: Int32) {
      let workers = check_workers_beside_callers(budget, 8)
      #expect((budget > 8 ? 1 : 0)...budget - 1 ~= workers)
    }

    @Test("runs on its own thread while another holds the whole budget")
    func spentBudget() { #expect(check_threads_beside_a_running_call() == 1) }
  }
}

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

extension check_values: @retroactive CaseIterable, @retroactive CustomTestStringConvertible {
  public static var allCases: [check_values] { (0..<CHECK_VALUES_COUNT.rawValue).map { check_values(rawValue: $0) } }

  public var testDescription: String {
    switch self {
    case CHECK_PLAIN: "plain numbers"
    case CHECK_ZEROS: "zeros of both signs"
    case CHECK_DENORMALS: "denormals"
    case CHECK_HUGE: "numbers that overflow"
    case CHECK_NAN_ROW: "a NaN in one row of x"
    case CHECK_INFINITIES: "infinities"
    case CHECK_ANY_BITS: "any bits"
    default: "values \(rawValue)"
    }
  }
}

extension check_environment: @retroactive CaseIterable, @retroactive CustomTestStringConvertible {
  public static var allCases: [check_environment] {
    (0..<CHECK_ENVIRONMENT_COUNT.rawValue).map { check_environment(rawValue: $0) }
  }

  public var testDescription: String {
    switch self {
    case CHECK_DEFAULT_ENVIRONMENT: "the default"
    case CHECK_FLUSH: "FTZ and DAZ"
    case CHECK_ROUND_UP: "rounding up"
    case CHECK_UNMASKED: "unmasked exceptions"
    default: "environment \(rawValue)"
    }
  }
}

extension KernelTests {
  @Suite("Every row returns the bits of the scalar arithmetic")
  struct Rows {
    @Test("for every number of rows up to two tiles", arguments: check_values.allCases)
    func everyNumberOfRows(values: check_values) { expectEqual(check_rows_over_rows(values)) }

    @Test("for every number of outputs up to two panels", arguments: check_values.allCases)
    func everyNumberOfOutputs(values: check_values) { expectEqual(check_rows_over_columns(values)) }

    @Test("for every depth up to two superblocks", arguments: check_values.allCases)
    func everyDepth(values: check_values) { expectEqual(check_rows_over_k(values)) }

    @Test("on random shapes, strides and alignments, with bias and accumulation", arguments: check_values.allCases)
    func randomShapes(values: check_values) {
      expectEqual(check_rows_on_random_shapes(values, 150, values.rawValue &+ 11))
    }

    @Test("whatever the caller's floating point environment is", arguments: check_environment.allCases)
    func environments(environment: check_environment) { expectEqual(check_rows_in_environment(environment, 0)) }

    @Test("on a foreign thread in that environment, too", arguments: check_environment.allCases)
    func foreignThreads(environment: check_environment) { expectEqual(check_rows_in_environment(environment, 1)) }

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
      #expect(check_threads_taking_part(8, 8) > 1)
      #expect(check_threads_taking_part(8, 8) <= 8)
      #expect(check_threads_taking_part(8, 2) <= 2)
      #expect(check_threads_taking_part(8, 1) == 1)
      #expect(check_threads_taking_part(1, 8) == 1)
    }

    @Test("runs on its own thread while another holds the whole budget")
    func spentBudget() { #expect(check_threads_beside_a_running_call() == 1) }
  }
}

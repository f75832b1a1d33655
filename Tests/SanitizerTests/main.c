/* The kernel checks of Tests/KernelTests that say most for their time under a sanitizer, whose finding ends the program: `checks`,
 * `checks all` for more of them, or `checks threads` for those of several threads. Prints each check; exits 1 when one has failed. */
#define _POSIX_C_SOURCE 200809L
#include <kernel_checks.h>

#include <stdio.h>
#include <string.h>
#include <time.h>

static int failed;

static void expect(const char *name, check_result result) {
  static struct timespec before;
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  int good = result.failures == 0 && result.comparisons > 0;
  printf("%s  %-48s %10lld compared, %5.1f s of CPU\n", good ? "ok  " : "FAIL", name, (long long)result.comparisons,
         (double)(now.tv_sec - before.tv_sec) + (double)(now.tv_nsec - before.tv_nsec) / 1e9);
  if (!good) printf("      %lld failures, the first: %s\n", (long long)result.failures, result.message);
  fflush(stdout);
  before = now;
  failed |= !good;
}

int main(int count, char **arguments) {
  const char *which = count > 1 ? arguments[1] : "";
  if (strcmp(which, "threads") == 0) {
    expect("eight callers at once", check_concurrent_callers(8));
    expect("one thread and eight", check_thread_counts());
    return failed;
  }
  char name[64];
  for (int v = 0; v < CHECK_VALUES_COUNT; v++) {
    snprintf(name, sizeof name, "random shapes, %s", check_values_name(v));
    expect(name, check_rows_on_random_shapes(v, 4, (uint32_t)v + 11));
  }
  expect("every number of rows", check_rows_over_rows(CHECK_ANY_BITS));
  expect("every depth", check_rows_over_k(CHECK_ANY_BITS));
  expect("MLPs", check_mlps_in_environment(CHECK_DEFAULT_ENVIRONMENT, 0));
  expect("the search for codes and scales", check_quantize_variants());
  expect("a batch and its rows alone", check_batch_against_single_rows());
  expect("nothing to do", check_nothing_to_do());
  expect("scratch that is refused", check_scratch_refused());
  if (strcmp(which, "all") == 0) {
    expect("every number of outputs", check_rows_over_columns(CHECK_ANY_BITS));
    expect("jobs together and one by one", check_jobs_together(CHECK_DEFAULT_ENVIRONMENT));
  }
  return failed;
}

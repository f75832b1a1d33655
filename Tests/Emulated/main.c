/* The kernel checks of Tests/KernelTests over the AVX-512, AVX-VNNI and AMX rows, emulated: `checks [PART OF A ROW'S NAME]`. Prints each
 * check; exits 1 when one has failed. */
#define _POSIX_C_SOURCE 200809L
#include "instructions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const uint64_t emulated = MXL_CPU_AVX2 | MXL_CPU_AVX_VNNI | MXL_CPU_AVX512 | MXL_CPU_AVX512_VNNI |
                                 MXL_CPU_AVX512_SHARED_PORTS | MXL_CPU_AVX512_BF16 | MXL_CPU_AMX_INT8 |
                                 MXL_CPU_AMX_BF16;

/* The linker puts these in the place of the functions without __wrap_ (see the Makefile). */
uint64_t __wrap_mxlk_cpu_features(void);
uint64_t __wrap_mxlk_cpu_features(void) { return emulated; }

static const char *wanted = "";

/* The other rows run natively in Tests/KernelTests. */
static int is_emulated(const mxl_kernel_row *row) {
  return (row->cpu_features & emulated & ~(uint64_t)MXL_CPU_AVX2) != 0 && strstr(row->name, wanted) != NULL;
}

int __real_visit_row(check_result *result, size_t index);
int __wrap_visit_row(check_result *result, size_t index);
int __wrap_visit_row(check_result *result, size_t index) {
  return is_emulated(mxlk_row_at(index)) && __real_visit_row(result, index);
}

static int failed;

/* every_row: each emulated row of the registry was run, or was not for want of another feature. */
static void expect(const char *name, check_result result, int every_row) {
  static struct timespec before;
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  int good = result.failures == 0 && result.comparisons > 0;
  int64_t rows = 0;
  for (size_t i = 0; i < mxlk_row_count(); i++) rows += is_emulated(mxlk_row_at(i));
  if (every_row) good &= result.rows_run + result.rows_skipped == rows && result.rows_run > 0;
  printf("%s  %-48s %10lld compared, %3lld rows, %5.1f s of CPU\n", good ? "ok  " : "FAIL", name,
         (long long)result.comparisons, (long long)result.rows_run,
         (double)(now.tv_sec - before.tv_sec) + (double)(now.tv_nsec - before.tv_nsec) / 1e9);
  if (!good) printf("      %lld failures, the first: %s\n", (long long)result.failures, result.message);
  fflush(stdout);
  before = now;
  failed |= !good;
}

/* Every kind of numbers on few shapes; on all tails, the two that say most. */
int main(int count, char **arguments) {
  if (count > 1) wanted = arguments[1];
  expect("the emulated instructions", check_emulated_instructions(), 0);
  char name[64];
  for (int v = 0; v < CHECK_VALUES_COUNT; v++) {
    snprintf(name, sizeof name, "random shapes, %s", check_values_name(v));
    expect(name, check_rows_on_random_shapes(v, 12, (uint32_t)v + 11), 1);
    snprintf(name, sizeof name, "every number of rows, %s", check_values_name(v));
    expect(name, check_rows_over_rows(v), 1);
    if (v != CHECK_PLAIN && v != CHECK_ANY_BITS) continue;
    snprintf(name, sizeof name, "every number of outputs, %s", check_values_name(v));
    expect(name, check_rows_over_columns(v), 1);
    snprintf(name, sizeof name, "every depth, %s", check_values_name(v));
    expect(name, check_rows_over_k(v), 1);
  }
  expect("random shapes, sums about 2^15", check_rows_on_random_shapes(CHECK_LARGE_SUMS, 40, 5), 1);
  expect("a caller with FTZ and DAZ", check_rows_in_environment(CHECK_FLUSH, 0), 1);
  expect("MLPs of a caller with FTZ and DAZ", check_mlps_in_environment(CHECK_FLUSH, 0), 0);
  expect("jobs together and one by one", check_jobs_together(CHECK_DEFAULT_ENVIRONMENT), 1);
  expect("the search for codes and scales", check_quantize_variants(), 0);
  expect("a batch and its rows alone", check_batch_against_single_rows(), 1);
  return failed;
}

/* Shapes: every tail of each axis, and random ones. */
#include "problem.h"

#include <pthread.h>
#include <string.h>

/* The largest tile among the rows of an arithmetic. */
static void largest_tile(const mxl_encoding *encoding, int32_t compute, int64_t *rows, int64_t *columns) {
  *rows = *columns = 1;
  for (size_t i = 0; i < mxlk_row_count(); i++) {
    const mxl_kernel_row *row = mxlk_row_at(i);
    if (strcmp(row->encoding, encoding->name) != 0 || row->compute != compute) continue;
    if (row->tile_rows > *rows) *rows = row->tile_rows;
    if (row->panel_columns > *columns) *columns = row->panel_columns;
  }
}

static int64_t whole_blocks(const mxl_encoding *encoding, int64_t k) {
  int64_t elements = encoding->elements_per_block;
  return (k + elements - 1) / elements * elements;
}

static void check_shape(const mxl_encoding *encoding, int32_t compute, int64_t m, int64_t n, int64_t k,
                        check_values values, check_result *result) {
  shape one = {m, n, whole_blocks(encoding, k), values,
               (uint32_t)(m * 7919 + n * 104729 + k * 1299709 + values * 15485863)};
  problem p;
  if (!problem_begin(&p, &one, encoding, compute, result)) return;
  check_problem(&p, result);
  problem_end(&p);
}

typedef struct sweep {
  check_values values;
  int count;
  uint32_t seed;
  check_result result;
} sweep;

static void over_rows(const mxl_encoding *encoding, int32_t compute, void *context) {
  sweep *s = context;
  int64_t rows, columns;
  largest_tile(encoding, compute, &rows, &columns);
  for (int64_t m = 1; m <= 2 * rows + 1; m++) {
    check_shape(encoding, compute, m, 1, 1, s->values, &s->result);
    check_shape(encoding, compute, m, columns + 3, 17, s->values, &s->result);
    check_shape(encoding, compute, m, columns, MXL_SUPERBLOCK + 44, s->values, &s->result);
  }
}

static void over_columns(const mxl_encoding *encoding, int32_t compute, void *context) {
  sweep *s = context;
  int64_t rows, columns;
  largest_tile(encoding, compute, &rows, &columns);
  for (int64_t n = 1; n <= 2 * columns + 1; n++) {
    check_shape(encoding, compute, 1, n, MXL_SUPERBLOCK + 1, s->values, &s->result);
    check_shape(encoding, compute, rows, n, 5, s->values, &s->result);
    check_shape(encoding, compute, rows + 1, n, 33, s->values, &s->result);
  }
}

static void over_k(const mxl_encoding *encoding, int32_t compute, void *context) {
  sweep *s = context;
  int64_t rows, columns;
  largest_tile(encoding, compute, &rows, &columns);
  int64_t step = encoding->elements_per_block;
  for (int64_t k = step; k <= 2 * MXL_SUPERBLOCK + step; k += step) {
    check_shape(encoding, compute, 1, columns + 1, k, s->values, &s->result);
    check_shape(encoding, compute, 2, 3, k, s->values, &s->result);
    if (k % 3 == 0 || k % MXL_SUPERBLOCK < 2) check_shape(encoding, compute, rows + 1, 5, k, s->values, &s->result);
  }
  /* Few rows may take several superblocks at once. */
  for (int64_t m = 1; m <= 3; m++)
    check_shape(encoding, compute, m, columns + 1, 7 * MXL_SUPERBLOCK + step, s->values, &s->result);
}

static void over_random(const mxl_encoding *encoding, int32_t compute, void *context) {
  sweep *s = context;
  int64_t rows, columns;
  largest_tile(encoding, compute, &rows, &columns);
  uint32_t random = s->seed;
  for (int i = 0; i < s->count; i++) {
    int64_t m = 1 + below(&random, 3 * rows), n = 1 + below(&random, 4 * columns), k = 1 + below(&random, 800);
    check_shape(encoding, compute, m, n, k, s->values, &s->result);
  }
}

static check_result run_sweep(void (*body)(const mxl_encoding *, int32_t, void *), check_values values, int count,
                              uint32_t seed) {
  sweep s = {values, count, seed, {0}};
  int32_t before = mxlk_threads();
  mxlk_set_threads(8);
  each_arithmetic(body, &s);
  mxlk_set_threads(before);
  return s.result;
}

check_result check_rows_over_rows(check_values values) { return run_sweep(over_rows, values, 0, 0); }
check_result check_rows_over_columns(check_values values) { return run_sweep(over_columns, values, 0, 0); }
check_result check_rows_over_k(check_values values) { return run_sweep(over_k, values, 0, 0); }
check_result check_rows_on_random_shapes(check_values values, int count, uint32_t seed) {
  return run_sweep(over_random, values, count, seed);
}

/* Large enough that several threads share it. */
static void in_environment(const mxl_encoding *encoding, check_environment environment, int32_t compute,
                           check_result *result) {
  static const check_values values[] = {CHECK_PLAIN, CHECK_DENORMALS, CHECK_HUGE, CHECK_NAN_ROW, CHECK_ANY_BITS};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    static const int64_t rows[] = {1, 2, 19}, columns[] = {301, 301, 70};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
      shape one = {rows[r], columns[r], whole_blocks(encoding, 2 * MXL_SUPERBLOCK + 50), values[i],
                   (uint32_t)(7 * i + r + 1)};
      problem p;
      if (!problem_begin(&p, &one, encoding, compute, result)) return;
      check_problem_in_environment(&p, environment, result);
      problem_end(&p);
    }
  }
}

typedef struct visit {
  check_environment environment;
  check_result result;
} visit;

static void visit_environment(const mxl_encoding *encoding, int32_t compute, void *context) {
  visit *v = context;
  in_environment(encoding, v->environment, compute, &v->result);
}

static void *visit_all(void *context) {
  each_arithmetic(visit_environment, context);
  return NULL;
}

check_result check_rows_in_environment(check_environment environment, int foreign_thread) {
  visit v = {environment, {0}};
  int32_t before = mxlk_threads();
  mxlk_set_threads(8);
  pthread_t thread;
  if (!foreign_thread) {
    visit_all(&v);
  } else if (pthread_create(&thread, NULL, visit_all, &v) != 0 || pthread_join(thread, NULL) != 0) {
    fail(&v.result, "no thread");
  }
  mxlk_set_threads(before);
  return v.result;
}

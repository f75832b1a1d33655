/* Shapes: every tail of each axis, and random ones. */
#include "problem.h"

#include <pthread.h>
#include <string.h>

/* The largest tile among the rows of an arithmetic that run here. */
static void largest_tile(const mxl_encoding *encoding, int32_t compute, int64_t *rows, int64_t *columns) {
  *rows = *columns = 1;
  for (size_t i = 0; i < mxlk_row_count(); i++) {
    const mxl_kernel_row *row = mxlk_row_at(i);
    if (strcmp(row->encoding, encoding->name) != 0 || row->compute != compute) continue;
    if ((row->cpu_features & ~mxlk_cpu_features()) != 0) continue;
    if (row->tile_rows > *rows) *rows = row->tile_rows;
    if (row->panel_columns > *columns) *columns = row->panel_columns;
  }
}

static int64_t whole_blocks(const mxl_encoding *encoding, int64_t k) {
  int64_t elements = encoding->elements_per_block;
  return (k + elements - 1) / elements * elements;
}

static void check_shape(const mxl_encoding *encoding, int32_t compute, int64_t m, int64_t n, int64_t k,
                        check_values values, int leaves_scalar, check_result *result) {
  shape one = {m,
               n,
               whole_blocks(encoding, k),
               values,
               (uint32_t)(m * 7919 + n * 104729 + k * 1299709 + values * 15485863),
               leaves_scalar};
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

/* The scalar row has the same loop for every size and every number, so it runs on all sizes up to two of its tiles with the numbers that say
 * most, with the others on the last size and on random shapes. Where no other row runs, it is on everything. */
static int leaves_scalar(const mxl_encoding *encoding, int32_t compute, check_values values, int64_t size, int64_t tile,
                         int64_t last) {
  if (size == last || !has_faster_row(encoding->name, compute)) return 0;
  return size > 2 * tile + 1 || (values != CHECK_PLAIN && values != CHECK_ANY_BITS);
}

static void over_rows(const mxl_encoding *encoding, int32_t compute, void *context) {
  sweep *s = context;
  int64_t rows, columns;
  largest_tile(encoding, compute, &rows, &columns);
  int64_t tile = scalar_row(encoding->name, compute)->tile_rows;
  /* Tall tiles are made of strips that are alike: every number up to two of 16 rows, then some. */
  for (int64_t m = 1; m <= 2 * rows + 1; m += m < 33 || m + 7 > 2 * rows ? 1 : 7) {
    int leaves = leaves_scalar(encoding, compute, s->values, m, tile, 2 * rows + 1);
    check_shape(encoding, compute, m, 1, 1, s->values, leaves, &s->result);
    check_shape(encoding, compute, m, columns + 3, 17, s->values, leaves, &s->result);
    check_shape(encoding, compute, m, columns, MXL_SUPERBLOCK + 44, s->values, leaves, &s->result);
  }
}

/* Of a tile, or of a tall one, whose strips of 16 rows are alike. */
static int64_t strip_of(int64_t rows) { return rows < 16 ? rows : 16; }

static void over_columns(const mxl_encoding *encoding, int32_t compute, void *context) {
  sweep *s = context;
  int64_t rows, columns;
  largest_tile(encoding, compute, &rows, &columns);
  int64_t tile = scalar_row(encoding->name, compute)->panel_columns;
  for (int64_t n = 1; n <= 2 * columns + 1; n++) {
    int leaves = leaves_scalar(encoding, compute, s->values, n, tile, 2 * columns + 1);
    check_shape(encoding, compute, 1, n, MXL_SUPERBLOCK + 1, s->values, leaves, &s->result);
    check_shape(encoding, compute, strip_of(rows), n, 5, s->values, leaves, &s->result);
    check_shape(encoding, compute, strip_of(rows) + 1, n, 33, s->values, leaves, &s->result);
  }
}

static void over_k(const mxl_encoding *encoding, int32_t compute, void *context) {
  sweep *s = context;
  int64_t rows, columns;
  largest_tile(encoding, compute, &rows, &columns);
  int64_t step = encoding->elements_per_block;
  for (int64_t k = step; k <= 2 * MXL_SUPERBLOCK + step; k += step) {
    int leaves = leaves_scalar(encoding, compute, s->values, k, k, 2 * MXL_SUPERBLOCK + step);
    check_shape(encoding, compute, 1, columns + 1, k, s->values, leaves, &s->result);
    check_shape(encoding, compute, 2, 3, k, s->values, leaves, &s->result);
    if (k % 3 == 0 || k % MXL_SUPERBLOCK < 2)
      check_shape(encoding, compute, strip_of(rows) + 1, 5, k, s->values, leaves, &s->result);
  }
  int leaves = has_faster_row(encoding->name, compute);
  /* Few rows may take several superblocks or panels at once, and many superblocks in parts. */
  for (int64_t m = 1; m <= 3; m++) {
    check_shape(encoding, compute, m, columns + 1, 7 * MXL_SUPERBLOCK + step, s->values, 0, &s->result);
    check_shape(encoding, compute, m, 9 * columns + 1, 3 * MXL_SUPERBLOCK + step, s->values, leaves, &s->result);
  }
  if (s->values == CHECK_PLAIN) {
    check_shape(encoding, compute, 1, 5 * columns, 17 * MXL_SUPERBLOCK, s->values, leaves, &s->result);
    for (int64_t m = 1; m <= 2; m++)
      check_shape(encoding, compute, m, 1, 67 * MXL_SUPERBLOCK + step, s->values, leaves, &s->result);
  }
}

static void over_random(const mxl_encoding *encoding, int32_t compute, void *context) {
  sweep *s = context;
  int64_t rows, columns;
  largest_tile(encoding, compute, &rows, &columns);
  uint32_t random = s->seed;
  for (int i = 0; i < s->count; i++) {
    int64_t m = 1 + below(&random, 3 * rows), n = 1 + below(&random, 4 * columns), k = 1 + below(&random, 800);
    int leaves = i % 3 != 0 && has_faster_row(encoding->name, compute);
    check_shape(encoding, compute, m, n, k, s->values, leaves, &s->result);
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

/* Large enough that several threads share it. On a foreign thread nothing differs but how the environment is found and put back: the numbers
 * that it changes will do. */
static void in_environment(const mxl_encoding *encoding, check_environment environment, int foreign_thread,
                           int32_t compute, check_result *result) {
  static const check_values values[] = {CHECK_DENORMALS, CHECK_ANY_BITS, CHECK_PLAIN, CHECK_HUGE, CHECK_NAN_ROW};
  size_t count = foreign_thread ? 2 : sizeof values / sizeof *values;
  for (size_t i = 0; i < count; i++) {
    static const int64_t rows[] = {1, 2, 19}, columns[] = {301, 301, 70};
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
      shape one = {rows[r],
                   columns[r],
                   whole_blocks(encoding, 2 * MXL_SUPERBLOCK + 50),
                   values[i],
                   (uint32_t)(7 * i + r + 1),
                   i % 3 != r && has_faster_row(encoding->name, compute)};
      problem p;
      if (!problem_begin(&p, &one, encoding, compute, result)) return;
      check_problem_in_environment(&p, environment, result);
      problem_end(&p);
    }
  }
}

typedef struct visit {
  check_environment environment;
  int foreign_thread;
  check_result result;
} visit;

static void visit_environment(const mxl_encoding *encoding, int32_t compute, void *context) {
  visit *v = context;
  in_environment(encoding, v->environment, v->foreign_thread, compute, &v->result);
}

static void *visit_all(void *context) {
  each_arithmetic(visit_environment, context);
  return NULL;
}

check_result check_rows_in_environment(check_environment environment, int foreign_thread) {
  visit v = {environment, foreign_thread, {0}};
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

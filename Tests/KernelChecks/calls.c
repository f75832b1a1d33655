/* Whole calls: batches, thread counts, callers at once, calls that do nothing or cannot run. */
#define _GNU_SOURCE
#include "environment.h"
#include "problem.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Memory of one plain call on contiguous data, for any row; freed by call_end. */
typedef struct call {
  int64_t rows, out_dim, in_dim;
  char *source;
  float *x, *y;
  void *packed;
  mxlk_linear_weights weights;
  int32_t x_dtype;
  int64_t x_size;
} call;

static int call_begin(call *c, const mxl_kernel_row *row, int64_t m, int64_t n, int64_t k, uint32_t seed) {
  const mxl_encoding *encoding = mxlk_encoding_find(row->encoding);
  int64_t stride = k / encoding->elements_per_block * encoding->block_size;
  *c = (call){.rows = m, .out_dim = n, .in_dim = k};
  c->source = malloc((size_t)(n * stride));
  c->x = malloc((size_t)(m * k) * 4);
  c->y = calloc((size_t)(m * n), 4);
  c->packed = mxlk_allocate(mxlk_panel_bytes(row, k) * (size_t)mxlk_panel_count(row, n));
  if (c->source == NULL || c->x == NULL || c->y == NULL || c->packed == NULL) return 0;
  float *floats = (float *)(void *)c->source;
  if (encoding->dtype == MXL_FLOAT32) {
    for (int64_t i = 0; i < n * k; i++) floats[i] = (float)(int32_t)next_random(&seed) * 0x1p-31f;
  } else {
    for (int64_t i = 0; i < n * stride; i++) c->source[i] = (char)next_random(&seed);
  }
  for (int64_t i = 0; i < m * k; i++) c->x[i] = (float)(int32_t)next_random(&seed) * 0x1p-31f;
  c->weights = (mxlk_linear_weights){
      .row = row, .source = {sizeof(mxl_source), INFINITY, c->source, stride, k, n}, .packed = c->packed};
  c->x_dtype = row->compute == MXL_COMPUTE_BFLOAT16 ? MXL_BFLOAT16 : MXL_FLOAT32;
  c->x_size = row->compute == MXL_COMPUTE_BFLOAT16 ? 2 : 4;
  mxlk_linear_pack(row, &c->weights.source, c->packed, 2);
  return 1;
}

static void call_end(call *c) {
  free(c->source), free(c->x), free(c->y);
  mxlk_free(c->packed);
}

static mxl_status call_run(const call *c, int64_t first, int64_t count, float *y, int32_t threads) {
  mxlk_linear_job job = {
      .weights = &c->weights,
      .x = (const char *)c->x + first * c->in_dim * c->x_size,
      .y = y,
      .x_dtype = c->x_dtype,
      .y_dtype = MXL_FLOAT32,
      .rows = {1, {count}, {c->in_dim}, {c->out_dim}},
      .threads = threads,
  };
  return mxlk_linear_run(&job);
}

static int same_floats(const float *a, const float *b, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    if (!same_float(a[i], b[i])) return 0;
  }
  return 1;
}

/* Calls body with every row that this CPU can run. */
static check_result each_runnable(void (*body)(const mxl_kernel_row *, check_result *)) {
  check_result result = {0};
  int32_t before = mxlk_threads();
  mxlk_set_threads(8);
  for (size_t i = 0; i < mxlk_row_count(); i++) {
    if (visit_row(&result, i)) body(mxlk_row_at(i), &result);
  }
  mxlk_set_threads(before);
  return result;
}

static void batch_body(const mxl_kernel_row *row, check_result *result) {
  call c;
  if (call_begin(&c, row, 67, 131, 512 + 256, 5)) {
    float alone[131];
    call_run(&c, 0, c.rows, c.y, 2);
    for (int64_t m = 0; m < c.rows; m++) {
      call_run(&c, m, 1, alone, 1);
      result->comparisons++;
      if (!same_floats(alone, c.y + m * c.out_dim, c.out_dim))
        fail(result, "%s: row %lld of a batch differs from the row alone", row->name, (long long)m);
    }
  } else {
    fail(result, "no memory");
  }
  call_end(&c);
}

check_result check_batch_against_single_rows(void) { return each_runnable(batch_body); }

static void threads_body(const mxl_kernel_row *row, check_result *result) {
  call c;
  int64_t columns = 9 * row->panel_columns + 5;
  /* More rows than a block has, so that blocks, too, are shared out; fewer where a row is slow. */
  int64_t rows = row->cpu_features == 0 ? 67 : row->tile_rows > 48 ? 8 * row->tile_rows + 17 : 401;
  if (call_begin(&c, row, rows, columns, 512, 6)) {
    float *one = malloc((size_t)(c.rows * columns) * 4);
    if (one != NULL) call_run(&c, 0, c.rows, one, 1);
    for (int32_t threads = 1; one != NULL && threads <= 8; threads += row->cpu_features == 0 && threads > 1 ? 3 : 1) {
      memset(c.y, 0xff, (size_t)(c.rows * columns) * 4);
      call_run(&c, 0, c.rows, c.y, threads);
      result->comparisons++;
      if (!same_floats(one, c.y, c.rows * columns)) fail(result, "%s: %d threads differ from one", row->name, threads);
    }
    free(one);
  } else {
    fail(result, "no memory");
  }
  call_end(&c);
}

check_result check_thread_counts(void) { return each_runnable(threads_body); }

typedef struct caller {
  pthread_t thread;
  const call *shared;
  const float *expected;
  int failed;
} caller;

static void *call_often(void *context) {
  caller *me = context;
  float *y = malloc((size_t)(me->shared->rows * me->shared->out_dim) * 4);
  me->failed = y == NULL;
  for (int i = 0; i < 40 && !me->failed; i++) {
    int64_t rows = i % 2 == 0 ? 1 : me->shared->rows;
    me->failed = call_run(me->shared, 0, rows, y, 1 + i % 4) != MXL_OK ||
                 !same_floats(y, me->expected, rows * me->shared->out_dim);
  }
  free(y);
  return NULL;
}

check_result check_concurrent_callers(int callers) {
  check_result result = {0};
  int32_t before = mxlk_threads();
  mxlk_set_threads(4);
  call c;
  caller all[64];
  if (callers > 64) callers = 64;
  if (call_begin(&c, mxlk_row_find(MXL_OP_LINEAR, "F32", MXL_COMPUTE_FLOAT32, mxlk_cpu_features()), 20, 700, 700, 7)) {
    call_run(&c, 0, c.rows, c.y, 1);
    for (int i = 0; i < callers; i++) {
      all[i] = (caller){.shared = &c, .expected = c.y};
      if (pthread_create(&all[i].thread, NULL, call_often, &all[i]) != 0) callers = i;
    }
    for (int i = 0; i < callers; i++) {
      pthread_join(all[i].thread, NULL);
      result.comparisons++;
      if (all[i].failed) fail(&result, "caller %d of %d got other bits", i, callers);
    }
  }
  call_end(&c);
  mxlk_set_threads(before);
  return result;
}

check_result check_conversions_in_environment(check_environment environment) {
  check_result result = {0};
  for (uint32_t bits = 0; bits < 0x10000; bits++) {
    uint16_t half = (uint16_t)bits, back = 0;
    uint32_t inside, outside;
    mxlk_convert(MXL_FLOAT16, &half, MXL_FLOAT32, &outside, 1);
    uint64_t before = enter(environment);
    mxlk_convert(MXL_FLOAT16, &half, MXL_FLOAT32, &inside, 1);
    mxlk_convert(MXL_FLOAT32, &inside, MXL_FLOAT16, &back, 1);
    leave(environment, before);
    int is_nan = (half & 0x7c00) == 0x7c00 && (half & 0x3ff) != 0;
    result.comparisons++;
    if (inside != outside || (back != half && !is_nan))
      fail(&result, "%04x is %08x, in the environment %08x and back %04x", half, outside, inside, back);
  }
  /* As many as a vector has: rounded, too large, too small, and signaling NaN. */
  const float values[8] = {1e5f, -1e30f, 1e-8f, 1e-40f, 0.1f, 3.3f, -2.7f, 65519.0f};
  uint16_t halves[8], expected[8], signaling[8];
  float wide[8], expected_wide[8];
  for (int i = 0; i < 8; i++) signaling[i] = 0x7c01;
  mxlk_convert(MXL_FLOAT32, values, MXL_FLOAT16, expected, 8);
  mxlk_convert(MXL_FLOAT16, signaling, MXL_FLOAT32, expected_wide, 8);
  uint64_t before = enter(environment);
  mxlk_convert(MXL_FLOAT32, values, MXL_FLOAT16, halves, 8);
  mxlk_convert(MXL_FLOAT16, signaling, MXL_FLOAT32, wide, 8);
  int kept = leave(environment, before);
  result.comparisons++;
  if (!kept || memcmp(halves, expected, sizeof halves) != 0 || memcmp(wide, expected_wide, sizeof wide) != 0)
    fail(&result, "eight values at once are others, or the environment changed");
  return result;
}

check_result check_bfloat16_rounding(void) {
  check_result result = {0};
  static const uint32_t rests[] = {0, 1, 0x7fff, 0x8000, 0x8001, 0xffff};
  enum { count = 0x10000 };
  static float values[count];
  static uint16_t together[count];
  for (size_t r = 0; r < sizeof rests / sizeof *rests; r++) {
    for (uint32_t upper = 0; upper < count; upper++) {
      uint32_t bits = upper << 16 | rests[r];
      memcpy(&values[upper], &bits, sizeof bits);
    }
    mxlk_convert(MXL_FLOAT32, values, MXL_BFLOAT16, together, count);
    for (uint32_t upper = 0; upper < count; upper++) {
      uint32_t bits = upper << 16 | rests[r];
      int is_nan = (bits & 0x7fffffff) > 0x7f800000;
      uint16_t alone, nearest = (uint16_t)(upper + (rests[r] > 0x8000 || (rests[r] == 0x8000 && upper % 2 == 1)));
      mxlk_convert(MXL_FLOAT32, &values[upper], MXL_BFLOAT16, &alone, 1);
      result.comparisons++;
      if (alone != together[upper] || (is_nan ? (alone & 0x7fff) <= 0x7f80 : alone != nearest))
        fail(&result, "%08x is %04x, beside others %04x, and nearest is %04x", bits, alone, together[upper], nearest);
    }
  }
  return result;
}

check_result check_nothing_to_do(void) {
  check_result result = {0};
  call c;
  if (call_begin(&c, scalar_row("F32", MXL_COMPUTE_FLOAT32), 1, 8, 8, 8)) {
    float y[8] = {1, 2, 3, 4, 5, 6, 7, 8}, before[8];
    memcpy(before, y, sizeof y);
    mxlk_linear_job job = {.weights = &c.weights,
                           .y = y,
                           .x_dtype = MXL_FLOAT32,
                           .y_dtype = MXL_FLOAT32,
                           .rows = {2, {3, 0}, {8, 8}, {8, 8}},
                           .threads = 2};
    result.comparisons = 2;
    if (mxlk_linear_run(&job) != MXL_OK) fail(&result, "zero rows are no error");
    if (memcmp(y, before, sizeof y) != 0) fail(&result, "zero rows changed y");
  }
  call_end(&c);
  return result;
}

check_result check_scratch_refused(void) {
  check_result result = {.comparisons = 2};
  /* Two rows of 2^44 columns: packing x would need 128 TiB. */
  char weight[64] = {0};
  float x[2] = {1, 1}, y[2] = {3, 4};
  mxlk_linear_weights weights = {.row = scalar_row("F32", MXL_COMPUTE_FLOAT32),
                                 .source = {sizeof(mxl_source), INFINITY, NULL, 4, (int64_t)1 << 44, 1},
                                 .packed = weight};
  mxlk_linear_job job = {.weights = &weights,
                         .x = x,
                         .y = y,
                         .x_dtype = MXL_FLOAT32,
                         .y_dtype = MXL_FLOAT32,
                         .rows = {1, {2}, {0}, {1}},
                         .threads = 2};
  mxl_status status = mxlk_linear_run(&job);
  if (status != MXL_OUT_OF_MEMORY) fail(&result, "status %d", (int)status);
  if (y[0] != 3 || y[1] != 4) fail(&result, "y changed");
  return result;
}

/* A row that takes its time and counts the threads that run it. */
static pthread_t seen[64];
static _Atomic int seen_count;
static _Atomic int hold, held;
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;

static void note_thread(void) {
  pthread_mutex_lock(&seen_lock);
  int known = 0;
  for (int i = 0; i < seen_count; i++) known |= pthread_equal(seen[i], pthread_self());
  if (!known && seen_count < 64) seen[seen_count++] = pthread_self();
  pthread_mutex_unlock(&seen_lock);
}

static void slow_run(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  note_thread();
  struct timespec pause = {0, 2000000};
  nanosleep(&pause, NULL);
  (void)tile;
}

static void held_run(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  atomic_store(&held, 1);
  while (atomic_load(&hold)) sched_yield();
  (void)tile;
}

/* One call of 640 x 1024 weights on a row with that run. */
static void run_with(void (*run)(const mxl_kernel_row *, const mxl_tile *), int32_t threads) {
  mxl_kernel_row row = *scalar_row("F32", MXL_COMPUTE_FLOAT32);
  call c;
  if (call_begin(&c, &row, 1, 640, 1024, 9)) {
    row.run = run;
    call_run(&c, 0, 1, c.y, threads);
  }
  call_end(&c);
}

static void *hold_two(void *unused) {
  run_with(held_run, 2);
  return unused;
}

int32_t check_threads_taking_part(int32_t budget, int32_t threads) {
  int32_t before = mxlk_threads();
  mxlk_set_threads(budget);
  seen_count = 0;
  run_with(slow_run, threads);
  mxlk_set_threads(before);
  return seen_count;
}

int32_t check_threads_beside_a_running_call(void) {
  int32_t before = mxlk_threads();
  mxlk_set_threads(2);
  seen_count = 0;
  hold = 1;
  held = 0;
  pthread_t other;
  if (pthread_create(&other, NULL, hold_two, NULL) == 0) {
    while (!atomic_load(&held)) sched_yield();
    run_with(slow_run, 2);
    atomic_store(&hold, 0);
    pthread_join(other, NULL);
  }
  mxlk_set_threads(before);
  return seen_count;
}

static _Atomic int32_t workers, most_workers;
static _Thread_local int is_caller;

static void counted_run(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  struct timespec pause = {0, 200000};
  int32_t now = is_caller ? 0 : atomic_fetch_add(&workers, 1) + 1, known = atomic_load(&most_workers);
  while (now > known && !atomic_compare_exchange_weak(&most_workers, &known, now)) {
  }
  nanosleep(&pause, NULL);
  if (!is_caller) atomic_fetch_sub(&workers, 1);
  (void)tile;
}

static void *call_counted(void *unused) {
  is_caller = 1;
  for (int i = 0; i < 20; i++) run_with(counted_run, 8);
  return unused;
}

int32_t check_workers_beside_callers(int32_t budget, int callers) {
  int32_t before = mxlk_threads();
  pthread_t threads[64];
  mxlk_set_threads(budget);
  most_workers = 0;
  int started = 0;
  while (started < callers && started < 64 && pthread_create(&threads[started], NULL, call_counted, NULL) == 0)
    started++;
  for (int i = 0; i < started; i++) pthread_join(threads[i], NULL);
  mxlk_set_threads(before);
  return started == callers ? most_workers : -1;
}

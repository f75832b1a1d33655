/* Jobs that run together against the same jobs one by one. */
#include "environment.h"
#include "matrix.h"
#include "problem.h"

#include <stdlib.h>
#include <string.h>

enum { IN = 768, MOST_OUT = 300, MOST_ROWS = 67, FEW_ROWS = 9, MOST_TOGETHER = 6, GAP = 3 };
enum { X_ELEMENTS = MOST_ROWS * (IN + GAP), Y_ELEMENTS = MOST_ROWS * (MOST_OUT + GAP) };

/* A row of the registry with two matrices of one shape. */
typedef struct candidate {
  matrix matrices[2];
} candidate;

typedef struct together {
  candidate *candidates;
  int64_t count;
  int32_t *orders; /* three of x's columns, the first two equal */
  char *x;
  char *expected, *y; /* MOST_TOGETHER times Y_ELEMENTS of 4 bytes */
  check_environment environment;
  uint32_t random;
  check_result *result;
} together;

/* A scalar row where there are faster ones. */
static int is_slow(const candidate *c) {
  const mxl_kernel_row *row = c->matrices[0].weights.row;
  return row->cpu_features == 0 && has_faster_row(row->encoding, row->compute);
}

/* Rows of compute bfloat16 take no other x. */
static int takes(const candidate *c, int32_t x_dtype) {
  return x_dtype == MXL_BFLOAT16 || c->matrices[0].weights.row->compute != MXL_COMPUTE_BFLOAT16;
}

static int any_takes(const together *t, int32_t x_dtype) {
  for (int64_t i = 0; i < t->count; i++)
    if (takes(&t->candidates[i], x_dtype)) return 1;
  return 0;
}

static int64_t element_bytes(int32_t dtype) { return dtype == MXL_FLOAT32 ? 4 : 2; }

static void make_orders(together *t) {
  for (int32_t which = 0; which < 3; which++) {
    int32_t *order = t->orders + which * IN;
    for (int32_t i = 0; i < IN; i++) order[i] = i;
    uint32_t random = which < 2 ? 5 : 6;
    for (int32_t i = IN - 1; i > 0; i--) {
      int32_t other = (int32_t)below(&random, i + 1), before = order[i];
      order[i] = order[other];
      order[other] = before;
    }
  }
}

/* One job on a random candidate, or on that one; what it needs of memory lies in *weights and *gate. */
static mxlk_linear_job random_job(together *t, int64_t wanted, int32_t x_dtype, int64_t rows, char *y,
                                  mxlk_linear_weights *weights, mxlk_linear_weights *gate) {
  static const int32_t dtypes[] = {MXL_FLOAT32, MXL_FLOAT16, MXL_BFLOAT16};
  uint32_t *random = &t->random;
  const candidate *c = &t->candidates[wanted >= 0 ? wanted : below(random, t->count)];
  /* Slow rows come with few rows of x. */
  while (wanted < 0 && rows > FEW_ROWS && is_slow(c)) c = &t->candidates[below(random, t->count)];
  while (!takes(c, x_dtype)) c = &t->candidates[below(random, t->count)];
  *weights = c->matrices[0].weights;
  if (below(random, 2) == 0) weights->bias = NULL;
  int pairs = weights->row->compute == MXL_COMPUTE_BFLOAT16 || weights->bfloat16_row != NULL;
  if (!pairs && below(random, 3) == 0) weights->columns = t->orders + below(random, 3) * IN;
  if (below(random, 5) == 0) {
    weights->packed = NULL;
    weights->source.data = c->matrices[0].stored;
  }
  *gate = c->matrices[1].weights;
  gate->columns = weights->columns;
  int64_t out_dim = weights->source.out_dim;
  return (mxlk_linear_job){
      .weights = weights,
      .gate = below(random, 4) == 0 ? gate : NULL,
      .activation = (int32_t)below(random, 6),
      .x = t->x,
      .y = y,
      .x_dtype = x_dtype,
      .y_dtype = dtypes[below(random, 3)],
      .rows = {.rank = 1, .shape = {rows}, .x_strides = {IN + GAP}, .y_strides = {out_dim + below(random, GAP + 1)}},
      .accumulate = below(random, 3) == 0,
  };
}

static void check_group(together *t, int64_t first, int64_t rows) {
  static const int32_t x_dtypes[] = {MXL_FLOAT32, MXL_FLOAT32, MXL_FLOAT16, MXL_BFLOAT16};
  mxlk_linear_weights weights[MOST_TOGETHER], gates[MOST_TOGETHER];
  mxlk_linear_job jobs[MOST_TOGETHER];
  int32_t x_dtype = x_dtypes[below(&t->random, 4)];
  if (!any_takes(t, x_dtype)) x_dtype = MXL_BFLOAT16;
  int32_t count = 1 + (int32_t)below(&t->random, MOST_TOGETHER);
  size_t each = (size_t)Y_ELEMENTS * 4, bytes = each * (size_t)count;
  for (int64_t i = 0; i < X_ELEMENTS; i++) {
    float value = matrix_number(&t->random) * (i % 97 == 0 ? 1e-4f : 1);
    mxlk_convert(MXL_FLOAT32, &value, x_dtype, t->x + i * element_bytes(x_dtype), 1);
  }
  memset(t->expected, 0x3c, bytes); /* numbers near 0.01 and 1, which some jobs add to */
  for (int32_t i = 0; i < count; i++) {
    jobs[i] = random_job(t, i < 2 ? first : -1, x_dtype, rows, t->expected + (size_t)i * each, &weights[i], &gates[i]);
    jobs[i].threads = 1;
    if (mxlk_linear_run(&jobs[i]) != MXL_OK) fail(t->result, "a job alone failed");
  }
  for (int32_t threads = 1; threads <= 4; threads++) {
    memset(t->y, 0x3c, bytes);
    for (int32_t i = 0; i < count; i++) jobs[i].y = t->y + (size_t)i * each;
    jobs[0].threads = threads;
    uint64_t before = enter(t->environment);
    mxl_status status = mxlk_linear_run_together(jobs, count);
    if (!leave(t->environment, before)) fail(t->result, "the caller's environment changed");
    if (status != MXL_OK) fail(t->result, "%d jobs together failed", (int)count);
    for (int32_t i = 0; i < count; i++) {
      t->result->comparisons++;
      if (memcmp(t->y + (size_t)i * each, t->expected + (size_t)i * each, each) != 0)
        fail(t->result, "%s, job %d of %d, %lld rows, %d threads: differs from the job alone", weights[i].row->name,
             (int)i, (int)count, (long long)rows, (int)threads);
    }
  }
}

check_result check_jobs_together(check_environment environment) {
  check_result result = {0};
  int32_t before = mxlk_threads();
  mxlk_set_threads(4);
  together t = {.environment = environment, .random = 3, .result = &result};
  t.candidates = calloc(mxlk_row_count(), sizeof *t.candidates);
  t.orders = malloc(3 * IN * sizeof *t.orders);
  t.x = malloc((size_t)X_ELEMENTS * 4);
  t.expected = malloc((size_t)Y_ELEMENTS * 4 * MOST_TOGETHER);
  t.y = malloc((size_t)Y_ELEMENTS * 4 * MOST_TOGETHER);
  int made = t.candidates != NULL && t.orders != NULL && t.x != NULL && t.expected != NULL && t.y != NULL;
  if (made) make_orders(&t);
  for (size_t i = 0; made && i < mxlk_row_count(); i++) {
    if (!visit_row(&result, i)) continue;
    const mxl_kernel_row *row = mxlk_row_at(i);
    const mxl_encoding *encoding = mxlk_encoding_find(row->encoding);
    int64_t out_dim = 1 + 37 * (t.count + 1) % MOST_OUT;
    candidate *c = &t.candidates[t.count++];
    made = matrix_make(&c->matrices[0], encoding, row, out_dim, IN, (uint32_t)i);
    made &= matrix_make(&c->matrices[1], encoding, row, out_dim, IN, (uint32_t)i + 1000);
  }
  static const int64_t rows[] = {1, 2, 3, 5, 9, 33, MOST_ROWS};
  /* Elsewhere than in the default environment fewer will do. */
  for (int64_t i = 0; made && i < t.count; i += environment == CHECK_DEFAULT_ENVIRONMENT ? 1 : 4) {
    int64_t kinds = is_slow(&t.candidates[i]) ? 5 : 7;
    for (int64_t r = 0; r < 3; r++) check_group(&t, i, rows[(i + 2 * r) % kinds]);
  }
  if (!made) fail(&result, "no memory");
  for (int64_t i = 0; t.candidates != NULL && i < t.count; i++) {
    matrix_free(&t.candidates[i].matrices[0]);
    matrix_free(&t.candidates[i].matrices[1]);
  }
  free(t.candidates), free(t.orders), free(t.x), free(t.expected), free(t.y);
  mxlk_set_threads(before);
  return result;
}

/* The fused MLP against its three linears. */
#include "environment.h"
#include "problem.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { HIDDEN = 512, LENGTH = 768, MOST_ROWS = 37 };

typedef struct matrix {
  mxlk_linear_weights weights;
  void *stored, *packed;
} matrix;

static float number(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return (float)((int32_t)*state >> 8) / 0x1p23f;
}

static void matrix_free(matrix *m) {
  free(m->stored);
  mxlk_free(m->packed);
  free((void *)(uintptr_t)m->weights.bias);
  free((void *)(uintptr_t)m->weights.scale);
}

/* Random weights in an encoding, packed for a row. False without memory. */
static int matrix_make(matrix *m, const mxl_encoding *encoding, const mxl_kernel_row *row, int64_t out_dim,
                       int64_t in_dim, uint32_t seed) {
  int64_t row_bytes = in_dim / encoding->elements_per_block * encoding->block_size;
  float *values = malloc((size_t)(out_dim * in_dim) * 4), *bias = malloc((size_t)out_dim * 4);
  *m = (matrix){.stored = malloc((size_t)(out_dim * row_bytes)),
                .packed = mxlk_allocate(mxlk_panel_bytes(row, in_dim) * (size_t)mxlk_panel_count(row, out_dim))};
  m->weights = (mxlk_linear_weights){.row = row, .packed = m->packed, .bias = bias};
  m->weights.bfloat16_row = mxlk_row_find_compatible(row, MXL_COMPUTE_BFLOAT16, mxlk_cpu_features());
  if (values == NULL || bias == NULL || m->stored == NULL || m->packed == NULL) {
    free(values);
    return 0;
  }
  for (int64_t i = 0; i < out_dim * in_dim; i++) values[i] = number(&seed) / 16;
  for (int64_t i = 0; i < out_dim; i++) bias[i] = number(&seed);
  mxlk_blocks_job job = {.encoding = encoding,
                         .values = values,
                         .dtype = MXL_FLOAT32,
                         .blocks = m->stored,
                         .rows = out_dim,
                         .k = in_dim,
                         .threads = 2};
  if (encoding->block_size == 1) {
    float *scale = malloc((size_t)out_dim * 4);
    mxlk_float8_job narrow = {.values = values, .dtype = MXL_FLOAT32, .float8 = encoding->dtype, .codes = m->stored};
    narrow.rows = out_dim, narrow.k = in_dim, narrow.scale_stride = 1, narrow.threads = 2;
    m->weights.scale = narrow.scales = scale;
    if (scale != NULL) mxlk_float8_scales(&narrow, scale);
    mxlk_float8_quantize(&narrow);
  } else if (encoding->dtype == MXL_UINT8)
    mxlk_quantize(&job);
  else
    mxlk_convert(MXL_FLOAT32, values, encoding->dtype, m->stored, out_dim * in_dim);
  free(values);
  mxl_source source = {sizeof source, __builtin_inff(), m->stored, row_bytes, in_dim, out_dim};
  mxlk_linear_pack(row, &source, m->packed, 2);
  source.data = NULL;
  m->weights.source = source;
  return 1;
}

static mxlk_linear_job job_of(const mxlk_linear_weights *weights, const float *x, float *y, int64_t rows,
                              int32_t threads) {
  mxlk_linear_job job = {
      .weights = weights, .x = x, .y = y, .x_dtype = MXL_FLOAT32, .y_dtype = MXL_FLOAT32, .threads = threads};
  job.rows = (mxlk_rows){
      .rank = 1, .shape = {rows}, .x_strides = {weights->source.in_dim}, .y_strides = {weights->source.out_dim}};
  return job;
}

static void check_one(const mxl_encoding *encoding, int32_t compute, const matrix *parts, int64_t rows,
                      check_environment environment, check_result *result) {
  static float x[MOST_ROWS * HIDDEN], y[MOST_ROWS * HIDDEN], expected[MOST_ROWS * HIDDEN];
  static float gates[MOST_ROWS * LENGTH], ups[MOST_ROWS * LENGTH];
  uint32_t seed = (uint32_t)rows;
  for (int64_t i = 0; i < rows * HIDDEN; i++) x[i] = number(&seed) * (i % 97 == 0 ? 1e-30f : 1);
  int32_t activation = (int32_t)(rows % 6);
  mxlk_linear_job job = job_of(&parts[0].weights, x, gates, rows, 1);
  mxl_status status = mxlk_linear_run(&job);
  job = job_of(&parts[2].weights, x, ups, rows, 1);
  status = status == MXL_OK ? mxlk_linear_run(&job) : status;
  mxlk_gate_run(activation, gates, ups, rows * LENGTH, ups);
  job = job_of(&parts[1].weights, ups, expected, rows, 1);
  status = status == MXL_OK ? mxlk_linear_run(&job) : status;
  for (int32_t threads = 1; threads <= 8 && status == MXL_OK; threads++) {
    mxlk_mlp_job mlp = {&parts[0].weights, &parts[2].weights, &parts[1].weights, activation,
                        job_of(&parts[0].weights, x, y, rows, threads)};
    mlp.job.rows.y_strides[0] = HIDDEN;
    memset(y, 0xff, sizeof y);
    uint64_t before = enter(environment);
    status = mxlk_mlp_run(&mlp);
    if (!leave(environment, before)) fail(result, "%s: the caller's environment changed", encoding->name);
    result->comparisons++;
    if (memcmp(y, expected, (size_t)(rows * HIDDEN) * 4) != 0)
      fail(result, "%s, compute %d, %d rows, %d threads, environment %d: the MLP differs from its linears",
           encoding->name, (int)compute, (int)rows, (int)threads, (int)environment);
  }
  if (status != MXL_OK) fail(result, "%s: a run failed", encoding->name);
}

typedef struct visit {
  check_environment environment;
  check_result result;
} visit;

static void visit_mlp(const mxl_encoding *encoding, int32_t compute, void *context) {
  visit *v = context;
  const mxl_kernel_row *row = mxlk_row_find(MXL_OP_LINEAR, encoding->name, compute, mxlk_cpu_features());
  if (row == NULL || compute == MXL_COMPUTE_BFLOAT16) return;
  matrix parts[3];
  int made = matrix_make(&parts[0], encoding, row, LENGTH, HIDDEN, 1);
  made &= matrix_make(&parts[1], encoding, row, HIDDEN, LENGTH, 2);
  made &= matrix_make(&parts[2], encoding, row, LENGTH, HIDDEN, 3);
  static const int64_t rows[] = {1, 2, 5, MOST_ROWS};
  for (int i = 0; made && i < 4; i++) check_one(encoding, compute, parts, rows[i], v->environment, &v->result);
  if (!made) fail(&v->result, "%s: no memory", encoding->name);
  for (int i = 0; i < 3; i++) matrix_free(&parts[i]);
}

static void *visit_all(void *context) {
  each_arithmetic(visit_mlp, context);
  return NULL;
}

check_result check_mlps_in_environment(check_environment environment, int foreign_thread) {
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

/* The fused MLP against its three linears. */
#include "environment.h"
#include "matrix.h"
#include "problem.h"

#include <pthread.h>
#include <string.h>

enum { HIDDEN = 512, LENGTH = 768, MOST_ROWS = 67 };

static mxlk_linear_job job_of(const mxlk_linear_weights *weights, const float *x, float *y, int64_t rows,
                              int32_t threads) {
  mxlk_linear_job job = {
      .weights = weights, .x = x, .y = y, .x_dtype = MXL_FLOAT32, .y_dtype = MXL_FLOAT32, .threads = threads};
  job.rows = (mxlk_rows){
      .rank = 1, .shape = {rows}, .x_strides = {weights->source.in_dim}, .y_strides = {weights->source.out_dim}};
  return job;
}

static void check_one(const mxl_encoding *encoding, int32_t compute, const matrix *parts, int64_t rows,
                      check_environment environment, int every_count, check_result *result) {
  static float x[MOST_ROWS * HIDDEN], y[MOST_ROWS * HIDDEN], expected[MOST_ROWS * HIDDEN];
  static float gates[MOST_ROWS * LENGTH], ups[MOST_ROWS * LENGTH];
  uint32_t seed = (uint32_t)rows;
  for (int64_t i = 0; i < rows * HIDDEN; i++) x[i] = matrix_number(&seed) * (i % 97 == 0 ? 1e-30f : 1);
  int32_t activation = (int32_t)(rows % 6);
  mxlk_linear_job job = job_of(&parts[0].weights, x, gates, rows, 1);
  mxl_status status = mxlk_linear_run(&job);
  job = job_of(&parts[2].weights, x, ups, rows, 1);
  status = status == MXL_OK ? mxlk_linear_run(&job) : status;
  mxlk_gate_run(activation, gates, ups, rows * LENGTH, ups, mxlk_threads());
  job = job_of(&parts[1].weights, ups, expected, rows, 1);
  status = status == MXL_OK ? mxlk_linear_run(&job) : status;
  int32_t step = every_count ? 1 : 3;
  for (int32_t threads = 1; threads <= 8 && status == MXL_OK; threads += step) {
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
  int every_count; /* of threads and of rows */
  check_result result;
} visit;

static void visit_mlp(const mxl_encoding *encoding, int32_t compute, void *context) {
  visit *v = context;
  const mxl_kernel_row *row = mxlk_row_find(MXL_OP_LINEAR, encoding->name, compute, mxlk_cpu_features());
  if (row == NULL || compute == MXL_COMPUTE_BFLOAT16) return;
  const mxl_kernel_row *dense = mxlk_row_find(MXL_OP_LINEAR, "F32", MXL_COMPUTE_FLOAT32, mxlk_cpu_features());
  matrix parts[4];
  int made = matrix_make(&parts[0], encoding, row, LENGTH, HIDDEN, 1);
  made &= matrix_make(&parts[1], encoding, row, HIDDEN, LENGTH, 2);
  made &= matrix_make(&parts[2], encoding, row, LENGTH, HIDDEN, 3);
  made &= matrix_make(&parts[3], mxlk_encoding_find("F32"), dense, LENGTH, HIDDEN, 4);
  const matrix mixed[] = {parts[3], parts[1], parts[2]}; /* gate and up of different rows */
  static const int64_t rows[] = {1, 2, 5, MOST_ROWS};
  for (int i = v->every_count ? 0 : 1; made && i < 4; i += v->every_count ? 1 : 2) {
    check_one(encoding, compute, parts, rows[i], v->environment, v->every_count, &v->result);
    check_one(encoding, compute, mixed, rows[i], v->environment, v->every_count, &v->result);
  }
  if (!made) fail(&v->result, "%s: no memory", encoding->name);
  for (int i = 0; i < 4; i++) matrix_free(&parts[i]);
}

static void *visit_all(void *context) {
  each_arithmetic(visit_mlp, context);
  return NULL;
}

check_result check_mlps_in_environment(check_environment environment, int foreign_thread) {
  /* Once will do. */
  visit v = {environment, environment == CHECK_DEFAULT_ENVIRONMENT && !foreign_thread, {0}};
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

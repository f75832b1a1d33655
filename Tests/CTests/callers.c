/* Eight threads call one layer at once: the bits must be those of one caller, and together they must get as much done. Prints, for
 * each shape, the median over rounds of their calls a second over one caller's, the two measured in turn. */
#define _GNU_SOURCE /* clock_gettime, pthread_barrier_t */
#include <maxlinear.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { CALLERS = 8, ROUNDS = 7, MOST_ROWS = 16, MOST_OUT = 4096, MOST_IN = 4096 };

typedef struct crowd {
  const mxl_layer *layer;
  const mxl_tensor *x;
  const float *expected;
  int64_t out_dim;
  int32_t calls; /* a caller's */
  pthread_barrier_t start;
  _Atomic int wrong;
} crowd;

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void *caller(void *context) {
  crowd *c = context;
  int64_t shape[] = {c->x->shape[0], c->out_dim};
  size_t bytes = sizeof(float) * (size_t)(shape[0] * shape[1]);
  float *values = calloc(1, bytes);
  mxl_tensor y = {.data = values, .dtype = MXL_FLOAT32, .rank = 2, .shape = shape};
  pthread_barrier_wait(&c->start);
  for (int32_t call = 0; call < c->calls; call++)
    if (values == NULL || mxl_layer_forward((mxl_layer *)c->layer, NULL, c->x, &y, NULL) != MXL_OK) c->wrong = 1;
  if (values == NULL || memcmp(values, c->expected, bytes) != 0) c->wrong = 1;
  free(values);
  return NULL;
}

/* Calls a second of so many callers. */
static double rate(crowd *c, int callers, int32_t calls) {
  pthread_t threads[CALLERS];
  c->calls = calls / callers;
  pthread_barrier_init(&c->start, NULL, (unsigned)callers + 1);
  for (int i = 0; i < callers; i++)
    if (pthread_create(&threads[i], NULL, caller, c) != 0) exit(4);
  pthread_barrier_wait(&c->start);
  double begin = seconds();
  for (int i = 0; i < callers; i++) pthread_join(threads[i], NULL);
  double took = seconds() - begin;
  pthread_barrier_destroy(&c->start);
  return c->calls * callers / took;
}

static int ascending(const void *left, const void *right) {
  double difference = *(const double *)left - *(const double *)right;
  return (difference > 0) - (difference < 0);
}

static int measure(int64_t in_dim, int64_t out_dim, int64_t rows) {
  static float weight[MOST_OUT * MOST_IN], x[MOST_ROWS * MOST_IN], y[MOST_ROWS * MOST_OUT];
  const int64_t weight_shape[] = {out_dim, in_dim}, x_shape[] = {rows, in_dim}, y_shape[] = {rows, out_dim};
  for (int64_t i = 0; i < out_dim * in_dim; i++) weight[i] = (float)(i % 1013) / 1013 - 0.5f;
  for (int64_t i = 0; i < rows * in_dim; i++) x[i] = (float)(i % 7) - 3;
  mxl_entry entry = {.name = "weight",
                     .tensor = {.data = weight, .dtype = MXL_FLOAT32, .rank = 2, .shape = weight_shape}};
  mxl_tensor in = {.data = x, .dtype = MXL_FLOAT32, .rank = 2, .shape = x_shape}, out = in;
  out.data = y;
  out.shape = y_shape;
  mxl_linear_options options = {
      .struct_size = sizeof options, .dtype = MXL_FLOAT32, .in_dim = in_dim, .out_dim = out_dim};
  mxl_layer *layer = NULL;
  mxl_error error = MXL_ERROR_INIT;
  if (mxl_linear_create(&options, &layer, &error) || mxl_layer_load(layer, &entry, 1, 0, &error) ||
      mxl_layer_prepare(layer, NULL, &error) || mxl_layer_forward(layer, NULL, &in, &out, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  crowd c = {.layer = layer, .x = &in, .expected = y, .out_dim = out_dim};
  double begin = seconds();
  for (int i = 0; i < 8; i++) mxl_layer_forward(layer, NULL, &in, &out, NULL);
  int32_t calls = (int32_t)(0.05 / ((seconds() - begin) / 8)) / CALLERS * CALLERS + CALLERS;
  double ratios[ROUNDS];
  for (int round = 0; round < ROUNDS; round++) {
    double one = rate(&c, 1, calls);
    ratios[round] = rate(&c, CALLERS, calls) / one;
  }
  qsort(ratios, ROUNDS, sizeof ratios[0], ascending);
  mxl_layer_destroy(layer);
  if (c.wrong) return fputs("a caller got other bits\n", stderr), 3;
  printf("%.3f\n", ratios[ROUNDS / 2]);
  return 0;
}

int main(void) {
  int status = measure(256, 256, 1);
  if (status == 0) status = measure(1024, 2816, 1);
  if (status == 0) status = measure(1024, 1024, 16);
  return status != 0 ? status : measure(4096, 4096, 4);
}

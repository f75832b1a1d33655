/* Times mxlk_linear_run and packing of dense float32 on rotating weights, larger together than the last level cache, so
 * that M=1 reads memory as a model's decode does. Prints one JSON object a line.
 *
 * kernels [K N [threads [seconds [row-name-part [M,M,... [never]]]]]]; never runs from the unpacked source. */
#define _GNU_SOURCE
#include "kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CACHE_BYTES ((int64_t)256 << 20)

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static float *random_floats(int64_t count, uint32_t seed) {
  float *values = mxlk_allocate((size_t)count * 4);
  for (int64_t i = 0; values != NULL && i < count; i++) {
    seed = seed * 1664525u + 1013904223u;
    values[i] = (float)(int32_t)seed * 0x1p-32f;
  }
  return values;
}

int main(int argc, char **argv) {
  int64_t in_dim = argc > 2 ? atoll(argv[1]) : 4096, out_dim = argc > 2 ? atoll(argv[2]) : 14336;
  int threads = argc > 3 ? atoi(argv[3]) : mxlk_threads();
  double seconds = argc > 4 ? atof(argv[4]) : 1;
  const char *part = argc > 5 ? argv[5] : "";
  const char *sizes = argc > 6 ? argv[6] : "1,4,8,32,128,512";
  uint64_t features;
  if (!mxlk_allowed_features(&features)) return 1;
  const mxl_kernel_row *row = NULL;
  for (size_t i = 0; i < mxlk_row_count(); i++) {
    const mxl_kernel_row *candidate = mxlk_row_at(i);
    if ((candidate->cpu_features & ~features) == 0 && strstr(candidate->name, part) != NULL &&
        strcmp(candidate->encoding, "F32") == 0 && (row == NULL || candidate->rank > row->rank))
      row = candidate;
  }
  if (row == NULL) return 1;

  int64_t weight_bytes = in_dim * out_dim * 4, copies = CACHE_BYTES / weight_bytes;
  copies = copies < 1 ? 1 : copies > 64 ? 64 : copies;
  float *source = random_floats(in_dim * out_dim, 1);
  size_t packed_bytes = mxlk_panel_bytes(row, in_dim) * (size_t)mxlk_panel_count(row, out_dim);
  mxlk_linear_weights weights[64];
  for (int64_t i = 0; i < copies; i++) {
    weights[i] = (mxlk_linear_weights){.row = row,
                                       .source = {sizeof(mxl_source), INFINITY, source, in_dim * 4, in_dim, out_dim},
                                       .packed = mxlk_allocate(packed_bytes)};
    if (source == NULL || weights[i].packed == NULL) return 1;
    memset((void *)(uintptr_t)weights[i].packed, 0, packed_bytes);
    double begin = now();
    mxlk_linear_pack(row, &weights[i].source, (void *)(uintptr_t)weights[i].packed, threads);
    if (i == 0)
      printf("{\"pack_gbs\": %.2f, \"row\": \"%s\"}\n", (double)weight_bytes / (now() - begin) / 1e9, row->name);
  }
  int never = argc > 7 && strcmp(argv[7], "never") == 0;
  for (int64_t i = 0; never && i < copies; i++) {
    /* The packed copies become sources: memory that rotates, whatever it holds. */
    weights[i].source.data = weights[i].packed;
    weights[i].packed = NULL;
  }
  for (const char *at = sizes; at != NULL; at = strchr(at, ',')) {
    if (*at == ',') at++;
    int64_t m = atoll(at);
    float *x = random_floats(m * in_dim, 2), *y = random_floats(m * out_dim, 3);
    static double times[1 << 20];
    int64_t count = 0;
    double start = now();
    if (x == NULL || y == NULL) return 1;
    while (count < 9 || (now() - start < seconds && count < 1 << 20)) {
      mxlk_linear_job job = {.weights = &weights[count % copies],
                             .x = x,
                             .y = y,
                             .x_dtype = MXL_FLOAT32,
                             .y_dtype = MXL_FLOAT32,
                             .rows = {1, {m}, {in_dim}, {out_dim}},
                             .threads = threads};
      double begin = now();
      if (mxlk_linear_run(&job) != MXL_OK) return 1;
      times[count++] = now() - begin;
    }
    qsort(times + 2, (size_t)count - 2, sizeof *times, ascending);
    double median = times[2 + (count - 2) / 2];
    printf(
        "{\"row\": \"%s\", \"pack\": \"%s\", \"M\": %lld, \"K\": %lld, \"N\": %lld, \"threads\": %d, \"seconds\": "
        "%.9f, \"gflops\": %.1f, "
        "\"weight_gbs\": %.1f}\n",
        row->name, never ? "never" : "always", (long long)m, (long long)in_dim, (long long)out_dim, threads, median,
        2e-9 * (double)m * (double)in_dim * (double)out_dim / median, (double)weight_bytes / median / 1e9);
    fflush(stdout);
    mxlk_free(x);
    mxlk_free(y);
  }
  return 0;
}

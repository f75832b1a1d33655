/* Times packing, unpacking and pack = never of every encoding on one thread, in its CPU time, so that others on the machine disturb less.
 * Prints one JSON object a line; GB/s are of the checkpoint's bytes.
 *
 * loading [K N [row-name-part [M,M,...]]] packs for every row that this CPU can pack for; with M also pack = never, on the best row. */
#define _GNU_SOURCE
#include "gptq_tensors.h"
#include "kernels.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RUNS 7

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *times) {
  qsort(times, RUNS, sizeof *times, ascending);
  return times[RUNS / 2];
}

/* Bytes that make small floats and halves, no NaN. */
static char *filled(size_t bytes) {
  uint8_t *memory = mxlk_allocate(bytes);
  if (memory == NULL) exit(1);
  uint32_t seed = 1;
  for (size_t i = 0; i < bytes; i++) memory[i] = (uint8_t)((seed = seed * 1664525u + 1013904223u) >> 24) & 0x3b;
  return (char *)memory;
}

static char *zeroed(size_t bytes) {
  char *memory = mxlk_allocate(bytes);
  if (memory == NULL) exit(1);
  return memset(memory, 0, bytes);
}

static size_t packed_bytes(const mxl_kernel_row *row, int64_t k, int64_t n) {
  return mxlk_panel_bytes(row, k) * (size_t)mxlk_panel_count(row, n);
}

static void report(const mxl_kernel_row *row, const char *order, size_t bytes, size_t packed, double *pack,
                   double *unpack) {
  printf("{\"row\": \"%s\", \"order\": \"%s\", \"pack_gbs\": %.2f, \"unpack_gbs\": %.2f, \"packed\": %.4f}\n",
         row->name, order, (double)bytes / median(pack) / 1e9, (double)bytes / median(unpack) / 1e9,
         (double)packed / (double)bytes);
  fflush(stdout);
}

static void time_blocks(const mxl_kernel_row *row, const mxl_encoding *encoding, int64_t k, int64_t n) {
  size_t row_bytes = (size_t)(k / encoding->elements_per_block * encoding->block_size), bytes = row_bytes * (size_t)n;
  char *data = filled(bytes), *back = zeroed(bytes), *packed = zeroed(packed_bytes(row, k, n));
  mxl_source source = {sizeof source, INFINITY, data, (int64_t)row_bytes, k, n}, destination = source;
  destination.data = back;
  double pack[RUNS], unpack[RUNS];
  for (int i = 0; i < RUNS; i++) {
    double begin = now();
    mxlk_linear_pack(row, &source, packed, 1);
    pack[i] = now() - begin;
    begin = now();
    mxlk_linear_unpack(row, packed, &destination, 1);
    unpack[i] = now() - begin;
  }
  report(row, "", bytes, packed_bytes(row, k, n), pack, unpack);
  mxlk_free(data), mxlk_free(back), mxlk_free(packed);
}

/* Groups of 128 columns, in x's order or in a random one. */
static void time_gptq(const mxl_kernel_row *row, int64_t k, int64_t n, int act_order) {
  size_t code_bytes = (size_t)(k / 8 * n) * 4, zero_bytes = (size_t)(k / 128 * (n / 8)) * 4;
  size_t scale_bytes = (size_t)(k / 128 * n) * 2, bytes = code_bytes + zero_bytes + scale_bytes;
  char *codes = filled(code_bytes), *zeros = filled(zero_bytes), *scales = filled(scale_bytes);
  char *back = zeroed(code_bytes), *packed = zeroed(packed_bytes(row, k, n));
  int32_t *group_of = (int32_t *)(void *)zeroed((size_t)k * 4), *order = (int32_t *)(void *)zeroed((size_t)k * 4);
  for (int64_t i = 0; i < k; i++) order[i] = (int32_t)i;
  uint32_t seed = 2;
  for (int64_t i = k - 1; act_order && i > 0; i--) {
    int64_t other = (int64_t)((seed = seed * 1664525u + 1013904223u) >> 8) % (i + 1);
    int32_t kept = order[i];
    order[i] = order[other], order[other] = kept;
  }
  for (int64_t i = 0; i < k; i++) group_of[order[i]] = (int32_t)(i / 128);
  mxlk_gptq_tensors tensors = {
      .qweight = codes,
      .qzeros = zeros,
      .scales = scales,
      .qweight_stride = 4 * n,
      .qzeros_stride = n / 8 * 4,
      .scales_stride = 2 * n,
      .scales_dtype = MXL_FLOAT16,
      .bits = 4,
      .zero_offset = 1,
      .group_of = group_of,
      .order = act_order ? order : NULL,
      .in_dim = k,
      .out_dim = n,
  };
  double pack[RUNS], unpack[RUNS];
  void *to = packed;
  for (int i = 0; i < RUNS; i++) {
    double begin = now();
    if (mxlk_gptq_pack(row, &tensors, &to, 1, 1) != MXL_OK) exit(1);
    pack[i] = now() - begin;
    memset(back, 0, code_bytes);
    begin = now();
    if (mxlk_gptq_unpack(row, packed, &tensors, back, 1) != MXL_OK) exit(1);
    unpack[i] = now() - begin;
  }
  report(row, act_order ? "act-order" : "consecutive", bytes, packed_bytes(row, k, n), pack, unpack);
  mxlk_free(codes), mxlk_free(zeros), mxlk_free(scales), mxlk_free(back), mxlk_free(packed);
  mxlk_free(group_of), mxlk_free(order);
}

/* Calls on the stored weights. */
static void time_never(const mxl_kernel_row *row, const mxl_encoding *encoding, int64_t k, int64_t n, int64_t m) {
  size_t row_bytes = (size_t)(k / encoding->elements_per_block * encoding->block_size);
  char *data = filled(row_bytes * (size_t)n), *x = filled((size_t)(m * k) * 4), *y = zeroed((size_t)(m * n) * 4);
  mxlk_linear_weights weights = {.row = row, .source = {sizeof(mxl_source), INFINITY, data, (int64_t)row_bytes, k, n}};
  mxlk_linear_job job = {.weights = &weights,
                         .x = x,
                         .y = y,
                         .x_dtype = MXL_FLOAT32,
                         .y_dtype = MXL_FLOAT32,
                         .rows = {1, {m}, {k}, {n}},
                         .threads = 1};
  double times[RUNS];
  for (int i = 0; i < RUNS; i++) {
    double begin = now();
    if (mxlk_linear_run(&job) != MXL_OK) exit(1);
    times[i] = now() - begin;
  }
  double seconds = median(times);
  printf("{\"row\": \"%s\", \"pack\": \"never\", \"M\": %lld, \"seconds\": %.6f, \"gflops\": %.1f}\n", row->name,
         (long long)m, seconds, 2e-9 * (double)m * (double)k * (double)n / seconds);
  fflush(stdout);
  mxlk_free(data), mxlk_free(x), mxlk_free(y);
}

int main(int argc, char **argv) {
  int64_t k = argc > 2 ? atoll(argv[1]) : 4096, n = argc > 2 ? atoll(argv[2]) : 4096;
  const char *part = argc > 3 ? argv[3] : "";
  uint64_t features;
  if (!mxlk_allowed_features(&features)) return 1;
  for (size_t i = 0; i < mxlk_row_count(); i++) {
    const mxl_kernel_row *row = mxlk_row_at(i);
    const mxl_encoding *encoding = mxlk_encoding_find(row->encoding);
    int is_gptq = strncmp(row->encoding, "GPTQ", 4) == 0, is_dense = encoding->elements_per_block == 1;
    /* One row of each packing; packing blocks for AVX-512 asks for AVX2 only. */
    uint64_t needed = strcmp(row->encoding, "F32") == 0 ? row->cpu_features : row->cpu_features & MXL_CPU_AVX2;
    if (strstr(row->name, part) == NULL || (needed & ~features) != 0) continue;
    if (row->compute != (is_dense ? MXL_COMPUTE_FLOAT32 : MXL_COMPUTE_INT8)) continue;
    if (is_gptq && strcmp(row->encoding, "GPTQ_128") != 0) continue;
    if (argc <= 4) {
      if (!is_gptq) time_blocks(row, encoding, k, n);
      for (int act_order = 0; is_gptq && act_order < 2; act_order++) time_gptq(row, k, n, act_order);
      continue;
    }
    if (is_gptq || row != mxlk_row_find(row->op, row->encoding, row->compute, features)) continue;
    for (const char *at = argv[4]; at != NULL; at = strchr(at, ',')) {
      if (*at == ',') at++;
      time_never(row, encoding, k, n, atoll(at));
    }
  }
  return 0;
}

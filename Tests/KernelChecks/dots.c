/* The arithmetic of bfloat16 weights with bfloat16 x, in the CPU's own fused operations and its own flushing. */
#include "problem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef __x86_64__
#include <xmmintrin.h>

/* t of one superblock, for all columns of one row of x. weights: [k][columns]; sums: of the even k, then of the odd ones. A function of its own:
 * no operation leaves it for where MXCSR is another. */
__attribute__((target("avx2,fma"), noinline)) static void superblock(const char *x, const float *weights,
                                                                     int64_t k_count, int64_t columns, float *sums,
                                                                     float *t) {
  memset(t, 0, (size_t)columns * 4);
  for (int64_t begin = 0; begin < k_count; begin += 32) {
    memset(sums, 0, (size_t)columns * 8);
    for (int64_t k = begin; k < k_count && k < begin + 32; k++) {
      float one = 0, *to = sums + k % 2 * columns;
      memcpy((char *)&one + 2, x + 2 * k, 2);
      for (int64_t column = 0; column < columns; column++)
        to[column] = fmaf(one, weights[k * columns + column], to[column]);
    }
    for (int64_t column = 0; column < columns; column++)
      t[column] = t[column] + (sums[column] + sums[columns + column]);
  }
}

__attribute__((noinline)) static void add(const float *t, int64_t columns, float *y) {
  for (int64_t column = 0; column < columns; column++) y[column] = y[column] + t[column];
}

int multiply_bfloat16(problem *p) {
  int64_t columns = p->shape.out_dim, k = p->shape.in_dim;
  if ((mxlk_cpu_features() & MXL_CPU_AVX2) == 0) return -1;
  float *weights = malloc((size_t)(columns * k) * 4), *sums = malloc((size_t)columns * 3 * 4);
  if (weights == NULL || sums == NULL) {
    free(weights), free(sums);
    return 0;
  }
  float clip = p->source.clip, *t = sums + 2 * columns;
  for (int64_t column = 0; column < columns; column++)
    for (int64_t j = 0; j < k; j++) {
      float w = 0;
      memcpy((char *)&w + 2, (const char *)p->source.data + column * p->source.row_stride + 2 * j, 2);
      weights[j * columns + column] = w > clip ? clip : w < -clip ? -clip : w;
    }
  memset(p->product, 0, (size_t)(p->shape.rows * columns) * 4);
  for (int64_t m = 0; m < p->shape.rows; m++)
    for (int64_t begin = 0; begin < k; begin += 256) {
      uint32_t before = _mm_getcsr();
      _mm_setcsr(before | 0x8040); /* results to zero, inputs as zero */
      superblock(p->x + 2 * (problem_x_at(p, m) + begin), weights + begin * columns, k - begin < 256 ? k - begin : 256,
                 columns, sums, t);
      _mm_setcsr(before);
      add(t, columns, p->product + m * columns);
    }
  free(weights), free(sums);
  return 1;
}

#else

int multiply_bfloat16(problem *p) {
  (void)p;
  return -1;
}

#endif

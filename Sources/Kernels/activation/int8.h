/* Activations quantized to 8 bits, one format for all encodings.
 *
 * A superblock is 256 consecutive k of one row (the last may be shorter), a sub-block b is 32 of them.
 *
 *   A     = max |x| of the superblock, a_b of the sub-block
 *   e_b   = how many of j = 1, 2, 3 have a_b 2^j <= A;  s_b = 3 - e_b
 *   q     = x ((127 / A) 2^e_b), rounded to nearest even, within +-127
 *   alpha = (A / 127) / 8, so that x is about q 2^s_b alpha
 *
 * A not finite: alpha = NaN, q = 0. A < 2^-100: alpha = 0, q = 0. Plain loops, included under each variant's target attribute. */
#ifndef MXLK_ACTIVATION_INT8_H
#define MXLK_ACTIVATION_INT8_H

#include "float16.h"
#include "kernels.h"

typedef mxl_int8_activation mxlk_activation;

_Static_assert(sizeof(mxlk_activation) == 384, "an activation record has six cache lines");

/* The sums of the codes. */
static inline __attribute__((always_inline)) void mxlk_activation_sum(mxlk_activation *restrict out) {
  typedef int16_t eight __attribute__((vector_size(16)));
  for (int i = 0; i < 16; i++) {
    eight codes, pairs; /* two codes a lane, then their sum */
    memcpy(&codes, out->codes + 16 * i, 16);
    pairs = (codes << 8 >> 8) + (codes >> 8);
    pairs += __builtin_shufflevector(pairs, pairs, 4, 5, 6, 7, 0, 1, 2, 3);
    pairs += __builtin_shufflevector(pairs, pairs, 2, 3, 0, 1, 6, 7, 4, 5);
    memcpy(out->lanes16 + 2 * i, &pairs, 4);
    out->sums16[i] = (int16_t)(pairs[0] + pairs[1]);
  }
  for (int b = 0; b < 8; b++)
    out->sums32[b] = (int16_t)((out->sums16[2 * b] + out->sums16[2 * b + 1]) * (1 << out->shifts[b]));
}

/* Quantizes k <= 256 values, a multiple of 32. */
static inline __attribute__((always_inline)) void mxlk_activation_quantize(const float *restrict x, int64_t k,
                                                                           mxlk_activation *restrict out) {
  typedef float floats32 __attribute__((vector_size(128))); /* a sub-block */
  typedef int32_t ints32 __attribute__((vector_size(128)));
  typedef int8_t bytes32 __attribute__((vector_size(32)));
  const int blocks = (int)(k / 32);
  int32_t maxima[8], maximum = 0;
  for (int b = 0; b < blocks; b++) {
    ints32 bits;
    memcpy(&bits, x + 32 * b, sizeof bits);
    maxima[b] = __builtin_reduce_max(bits & 0x7fffffff);
    maximum = maxima[b] > maximum ? maxima[b] : maximum;
  }
  memset(out, 0, sizeof *out);
  float A = mxlk_float_from_bits((uint32_t)maximum);
  if (maximum >= 0x7f800000) {
    out->alpha = mxlk_float_from_bits(0x7fc00000u);
    return;
  }
  if (A < 0x1p-100f) return;
  out->alpha = A / 127.0f / 8.0f;
  float scale = 127.0f / A;
  for (int b = 0; b < blocks; b++) {
    float a = mxlk_float_from_bits((uint32_t)maxima[b]);
    int e = (a * 2.0f <= A) + (a * 4.0f <= A) + (a * 8.0f <= A);
    floats32 values;
    memcpy(&values, x + 32 * b, sizeof values);
    values = values * (scale * (float)(1 << e)) + 0x1.8p23f - 0x1.8p23f; /* to nearest even, as |x factor| < 2^22 */
    ints32 q = __builtin_convertvector(values, ints32);
    q = __builtin_elementwise_max(__builtin_elementwise_min(q, (ints32){} + 127), (ints32){} - 127);
    bytes32 codes = __builtin_convertvector(q, bytes32);
    memcpy(out->codes + 32 * b, &codes, sizeof codes);
    out->shifts[b] = (uint8_t)(3 - e);
  }
  mxlk_activation_sum(out);
}

#endif

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

typedef int32_t mxlk_ints16 __attribute__((vector_size(64)));
typedef int32_t mxlk_ints8 __attribute__((vector_size(32)));

/* The sums of the codes. */
static inline __attribute__((always_inline)) void mxlk_activation_sum(mxlk_activation *restrict out) {
  typedef int16_t shorts32 __attribute__((vector_size(64)));
  typedef int16_t shorts16 __attribute__((vector_size(32)));
  typedef int16_t shorts8 __attribute__((vector_size(16)));
  typedef uint8_t bytes8 __attribute__((vector_size(8)));
  for (int i = 0; i < 4; i++) {
    shorts32 codes; /* two codes a lane, then their sum: four times 16 k */
    memcpy(&codes, out->codes + 64 * i, sizeof codes);
    codes = (codes << 8 >> 8) + (codes >> 8);
    codes += __builtin_shufflevector(codes, codes, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11, 20, 21, 22, 23,
                                     16, 17, 18, 19, 28, 29, 30, 31, 24, 25, 26, 27);
    codes += __builtin_shufflevector(codes, codes, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13, 18, 19, 16, 17,
                                     22, 23, 20, 21, 26, 27, 24, 25, 30, 31, 28, 29);
    shorts8 lanes = __builtin_shufflevector(codes, codes, 0, 1, 8, 9, 16, 17, 24, 25);
    memcpy(out->lanes16 + 8 * i, &lanes, sizeof lanes);
  }
  mxlk_ints16 pairs;
  memcpy(&pairs, out->lanes16, sizeof pairs);
  shorts16 sums = __builtin_convertvector((pairs << 16 >> 16) + (pairs >> 16), shorts16);
  memcpy(out->sums16, &sums, sizeof sums);
  bytes8 shifts;
  mxlk_ints8 halves = (mxlk_ints8)sums;
  memcpy(&shifts, out->shifts, sizeof shifts);
  halves = ((halves << 16 >> 16) + (halves >> 16)) << __builtin_convertvector(shifts, mxlk_ints8);
  shorts8 wholes = __builtin_convertvector(halves, shorts8);
  memcpy(out->sums32, &wholes, sizeof wholes);
}

/* to[i]: the maxima of neighbouring lanes of from[2 i] and from[2 i + 1], whose every four lanes hold four of one vector; then, in twos, those of
 * what then is [a b a b], which become [a b c d]. In place, too. */
static inline __attribute__((always_inline)) void mxlk_larger_of_ones(const mxlk_ints16 *from, int count,
                                                                      mxlk_ints16 *to) {
  for (int i = 0; i < count; i++) {
    mxlk_ints16 a = from[2 * i], b = from[2 * i + 1];
    to[i] = __builtin_elementwise_max(
        __builtin_shufflevector(a, b, 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29),
        __builtin_shufflevector(a, b, 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31));
  }
}
static inline __attribute__((always_inline)) void mxlk_larger_of_twos(const mxlk_ints16 *from, int count,
                                                                      mxlk_ints16 *to) {
  for (int i = 0; i < count; i++) {
    mxlk_ints16 a = from[2 * i], b = from[2 * i + 1];
    to[i] = __builtin_elementwise_max(
        __builtin_shufflevector(a, b, 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29),
        __builtin_shufflevector(a, b, 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31));
  }
}

/* The bits of max |x| of each sub-block; 0 for those that do not exist. */
static inline __attribute__((always_inline)) void mxlk_activation_maxima(const float *restrict x, int blocks,
                                                                         mxlk_ints8 *maxima) {
  mxlk_ints16 larger[8], both;
#pragma clang loop unroll(full)
  for (int b = 0; b < 8; b++) {
    mxlk_ints16 two[2] = {{0}, {0}};
    if (b < blocks) memcpy(two, x + 32 * b, sizeof two);
    larger[b] = __builtin_elementwise_max(two[0] & 0x7fffffff, two[1] & 0x7fffffff);
  }
  mxlk_larger_of_ones(larger, 4, larger);
  mxlk_larger_of_twos(larger, 2, larger);
  both = __builtin_elementwise_max(
      __builtin_shufflevector(larger[0], larger[1], 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
      __builtin_shufflevector(larger[0], larger[1], 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31));
  *maxima = __builtin_elementwise_max(__builtin_shufflevector(both, both, 0, 1, 2, 3, 8, 9, 10, 11),
                                      __builtin_shufflevector(both, both, 4, 5, 6, 7, 12, 13, 14, 15));
}

/* Quantizes k <= 256 values, a multiple of 32. */
static inline __attribute__((always_inline)) void mxlk_activation_quantize(const float *restrict x, int64_t k,
                                                                           mxlk_activation *restrict out) {
  typedef float floats8 __attribute__((vector_size(32)));
  typedef float floats32 __attribute__((vector_size(128))); /* a sub-block */
  typedef int32_t ints32 __attribute__((vector_size(128)));
  typedef int8_t bytes32 __attribute__((vector_size(32)));
  typedef uint8_t bytes8 __attribute__((vector_size(8)));
  const int blocks = (int)(k / 32);
  mxlk_ints8 maxima;
  mxlk_activation_maxima(x, blocks, &maxima);
  int32_t maximum = __builtin_reduce_max(maxima);
  memset(out, 0, sizeof *out);
  float A = mxlk_float_from_bits((uint32_t)maximum);
  if (maximum >= 0x7f800000) {
    out->alpha = mxlk_float_from_bits(0x7fc00000u);
    return;
  }
  if (A < 0x1p-100f) return;
  out->alpha = A / 127.0f / 8.0f;
  floats8 a = (floats8)maxima;
  mxlk_ints8 e = -((a * 2.0f <= A) + (a * 4.0f <= A) + (a * 8.0f <= A));
  bytes8 shifts = __builtin_convertvector(3 - e, bytes8);
  memcpy(out->shifts, &shifts, sizeof shifts);
  floats8 factors = __builtin_convertvector(1 << e, floats8) * (127.0f / A);
  float factor[8];
  memcpy(factor, &factors, sizeof factor);
  for (int b = 0; b < blocks; b++) {
    floats32 values;
    memcpy(&values, x + 32 * b, sizeof values);
    /* To nearest even, as |x factor| < 2^22. It is at most 127 and two roundings, so that the lowest byte has q. */
    values = values * factor[b] + 0x1.8p23f;
    bytes32 codes = __builtin_convertvector((ints32)values, bytes32);
    memcpy(out->codes + 32 * b, &codes, sizeof codes);
  }
  mxlk_activation_sum(out);
}

#endif

/* Vectors of 16 floats for the search of quantize_search.h: the same order of operations on every CPU variant. */
#ifndef MXLK_PANEL_QUANTIZE_LANES_H
#define MXLK_PANEL_QUANTIZE_LANES_H

#include "contract.h"

/* All functions here are inlined, so no vector crosses a call. */
#pragma clang diagnostic ignored "-Wpsabi"

typedef float lanes __attribute__((vector_size(64)));
typedef int32_t integer_lanes __attribute__((vector_size(64)));
typedef float eight_lanes __attribute__((vector_size(32)));

MXLK_INLINE lanes all(float value) { return (lanes){0} + value; }

MXLK_INLINE float sum(lanes v) {
  v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
  v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1);
  return v[0] + v[1];
}

/* sum(a) and sum(b), in the same order of additions. */
MXLK_INLINE void sum_both(lanes a, lanes b, float *sum_a, float *sum_b) {
  eight_lanes a8 = __builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7) +
                   __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15);
  eight_lanes b8 = __builtin_shufflevector(b, b, 0, 1, 2, 3, 4, 5, 6, 7) +
                   __builtin_shufflevector(b, b, 8, 9, 10, 11, 12, 13, 14, 15);
  eight_lanes v = __builtin_shufflevector(a8, b8, 0, 1, 2, 3, 8, 9, 10, 11) +
                  __builtin_shufflevector(a8, b8, 4, 5, 6, 7, 12, 13, 14, 15);
  v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5);
  v += __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6);
  *sum_a = v[0];
  *sum_b = v[4];
}

MXLK_INLINE lanes select(integer_lanes mask, lanes yes, lanes no) {
  return (lanes)(((integer_lanes)yes & mask) | ((integer_lanes)no & ~mask));
}

MXLK_INLINE lanes smaller(lanes a, lanes b) { return select(a < b, a, b); }
MXLK_INLINE lanes larger(lanes a, lanes b) { return select(a > b, a, b); }

/* Lanes 8 to 15, 4 to 7, 2 and 3, or lane 1, in place of the first ones. */
#define UPPER_8(v) __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15)
#define UPPER_4(v) __builtin_shufflevector(v, v, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7, 4, 5, 6, 7)
#define UPPER_2(v) __builtin_shufflevector(v, v, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 3)
#define UPPER_1(v) __builtin_shufflevector(v, v, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)

MXLK_INLINE float least_of(lanes v) {
  v = smaller(UPPER_8(v), v);
  v = smaller(UPPER_4(v), v);
  v = smaller(UPPER_2(v), v);
  return smaller(UPPER_1(v), v)[0];
}

/* Lane i: sum(v[i]), in the same order of additions; of 8 vectors. */
MXLK_INLINE eight_lanes sums_of_8(const lanes *v) {
  eight_lanes halves[8], quarters[4], pairs[2];
  for (int i = 0; i < 8; i++)
    halves[i] = __builtin_shufflevector(v[i], v[i], 0, 1, 2, 3, 4, 5, 6, 7) +
                __builtin_shufflevector(v[i], v[i], 8, 9, 10, 11, 12, 13, 14, 15);
  for (int i = 0; i < 4; i++)
    quarters[i] = __builtin_shufflevector(halves[i], halves[i + 4], 0, 1, 2, 3, 8, 9, 10, 11) +
                  __builtin_shufflevector(halves[i], halves[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  for (int i = 0; i < 2; i++) {
    eight_lanes a = quarters[2 * i], b = quarters[2 * i + 1];
    pairs[i] = __builtin_shufflevector(a, b, 0, 1, 8, 9, 4, 5, 12, 13) +
               __builtin_shufflevector(a, b, 2, 3, 10, 11, 6, 7, 14, 15);
  }
  return __builtin_shufflevector(pairs[0], pairs[1], 0, 2, 8, 10, 4, 6, 12, 14) +
         __builtin_shufflevector(pairs[0], pairs[1], 1, 3, 9, 11, 5, 7, 13, 15);
}

/* The same of 16 vectors, or of 8 and zeros. */
MXLK_INLINE lanes sums_of(const lanes *v, const int count) {
  eight_lanes low = sums_of_8(v), high = {0};
  if (count > 8) high = sums_of_8(v + 8);
  return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}

/* The nearest integers, ties to even, in [low, high], which lies within +-2^22. */
MXLK_INLINE lanes nearest_codes(lanes v, float low, float high) {
  v = select(v < all(low), all(low), v);
  v = select(v > all(high), all(high), v);
  return (v + 0x1.8p23f) - 0x1.8p23f;
}

MXLK_INLINE float nearest_code(float v, float low, float high) {
  v = v < low ? low : v;
  v = v > high ? high : v;
  return (v + 0x1.8p23f) - 0x1.8p23f;
}

#endif

/* Vectors of 16 floats for the search of quantize_search.h: the same order of operations on every CPU variant. */
#ifndef MXLK_PANEL_QUANTIZE_LANES_H
#define MXLK_PANEL_QUANTIZE_LANES_H

#include "contract.h"

/* All functions here are inlined, so no vector crosses a call. */
#pragma clang diagnostic ignored "-Wpsabi"

typedef float lanes __attribute__((vector_size(64)));
typedef int32_t integer_lanes __attribute__((vector_size(64)));

MXLK_INLINE lanes all(float value) { return (lanes){0} + value; }

MXLK_INLINE float sum(lanes v) {
  v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
  v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1);
  return v[0] + v[1];
}

/* sum(a) and sum(b), in the same order of additions. */
MXLK_INLINE void sum_both(lanes a, lanes b, float *sum_a, float *sum_b) {
  typedef float eight __attribute__((vector_size(32)));
  eight a8 = __builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7) +
             __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15);
  eight b8 = __builtin_shufflevector(b, b, 0, 1, 2, 3, 4, 5, 6, 7) +
             __builtin_shufflevector(b, b, 8, 9, 10, 11, 12, 13, 14, 15);
  eight v = __builtin_shufflevector(a8, b8, 0, 1, 2, 3, 8, 9, 10, 11) +
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

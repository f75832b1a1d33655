/* What the search of quantize.h is made of. Vectors of 16 lanes in plain arithmetic without fused operations, which every CPU variant rounds
 * alike. */
#ifndef MXLK_PANEL_QUANTIZE_PARTS_H
#define MXLK_PANEL_QUANTIZE_PARTS_H

#include "float16.h"
#include "panel/expand.h"
#include "panel/quantize.h"

#include <string.h>

/* All functions here are inlined, so no vector crosses a call. */
#pragma clang diagnostic ignored "-Wpsabi"

typedef float lanes __attribute__((vector_size(64)));
typedef int32_t integer_lanes __attribute__((vector_size(64)));

/* 16 or 32 values under one scale, and what their squared errors weigh. */
typedef struct part {
  lanes x[2], weight[2];
  int vectors;
} part;

/* w = factor code - offset. */
typedef struct fit {
  float factor, offset;
} fit;

MXLK_INLINE lanes all(float value) { return (lanes){0} + value; }

MXLK_INLINE float sum(lanes v) {
  v += __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
  v += __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3);
  v += __builtin_shufflevector(v, v, 2, 3, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1);
  return v[0] + v[1];
}

MXLK_INLINE lanes select(integer_lanes mask, lanes yes, lanes no) {
  return (lanes)(((integer_lanes)yes & mask) | ((integer_lanes)no & ~mask));
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

/* The codes between `low` and `high`: the integers, or what the format's table has. `step` is about their distance at the ends. */
typedef struct grid {
  float low, high, step;
  const mxlk_block_format *format; /* of the table, or NULL */
} grid;

/* Entry i of the format's table as a centred code. */
MXLK_INLINE float entry_of(const mxlk_block_format *format, int i) { return (float)(format->table[i] - format->zero); }

/* The nearest codes of the grid. */
MXLK_INLINE lanes nearest_on(const grid *codes, lanes v) {
  if (codes->format == NULL) return nearest_codes(v, codes->low, codes->high);
  lanes nearest = all(codes->low);
  for (int i = 1; i < 16; i++) {
    float entry = entry_of(codes->format, i), middle = (entry_of(codes->format, i - 1) + entry) / 2;
    nearest = select(v > all(middle), all(entry), nearest);
  }
  return nearest;
}

/* 1 / v, and 0 where that is not finite. */
MXLK_INLINE float inverse_of(float v) {
  float inverse = 1 / v;
  return inverse - inverse == 0 ? inverse : 0;
}

/* The half that is nearest, without overflow; 0 for a NaN. */
MXLK_INLINE uint16_t half_of(float v) {
  v = v != v ? 0 : v;
  v = v > 65504 ? 65504 : v;
  return mxlk_half_from_float(v < -65504 ? -65504 : v);
}

/* The half nearest to extreme / code, or its neighbour away from zero when the code would not reach the extreme: among denormal halves
 * the step is large. */
MXLK_INLINE uint16_t half_reaching(float extreme, float code) {
  uint16_t half = half_of(extreme / code);
  float reached = mxlk_float_from_half(half) * code;
  int reaches = extreme < 0 ? reached <= extreme : reached >= extreme;
  return reaches || (half & 0x7fff) == 0x7bff ? half : (uint16_t)(half + 1);
}

MXLK_INLINE part part_at(const float *values, const float *importance, int count) {
  part p = {.vectors = count / 16};
  for (int i = 0; i < p.vectors; i++) {
    memcpy(&p.x[i], values + 16 * i, sizeof p.x[i]);
    p.weight[i] = all(1);
    if (importance != NULL) memcpy(&p.weight[i], importance + 16 * i, sizeof p.weight[i]);
  }
  /* Weights of nothing at all would leave the codes to chance. */
  if (sum(p.weight[0]) + (p.vectors > 1 ? sum(p.weight[1]) : 0) == 0) p.weight[0] = p.weight[1] = all(1);
  return p;
}

MXLK_INLINE lanes codes_at(const part *p, int i, fit f, float low, float high) {
  return nearest_codes((p->x[i] + f.offset) * inverse_of(f.factor), low, high);
}

MXLK_INLINE float error_of(const part *p, fit f, float low, float high) {
  lanes error = all(0);
  for (int i = 0; i < p->vectors; i++) {
    lanes difference = p->x[i] - (codes_at(p, i, f, low, high) * f.factor - f.offset);
    error += p->weight[i] * difference * difference;
  }
  return sum(error);
}

/* Of w = factor code, codes on the grid. */
MXLK_INLINE float error_on(const part *p, float factor, const grid *codes) {
  lanes error = all(0);
  for (int i = 0; i < p->vectors; i++) {
    lanes difference = p->x[i] - nearest_on(codes, p->x[i] * inverse_of(factor)) * factor;
    error += p->weight[i] * difference * difference;
  }
  return sum(error);
}

/* Writes codes - shift, where a code of shift means 0. */
MXLK_INLINE void put_codes(const part *p, fit f, float low, float high, int shift, uint8_t *codes) {
  for (int i = 0; i < p->vectors; i++) {
    lanes values = codes_at(p, i, f, low, high);
    for (int j = 0; j < 16; j++) codes[16 * i + j] = (uint8_t)((int)values[j] + shift);
  }
}

/* The value of largest magnitude, with its sign. */
MXLK_INLINE float extreme_of(const part *p) {
  lanes low = p->x[0], high = p->x[0];
  if (p->vectors > 1) {
    low = select(p->x[1] < low, p->x[1], low);
    high = select(p->x[1] > high, p->x[1], high);
  }
  float least = low[0], most = high[0];
  for (int i = 1; i < 16; i++) {
    least = low[i] < least ? low[i] : least;
    most = high[i] > most ? high[i] : most;
  }
  return -least > most ? least : most;
}

/* The least-squares factor for the codes that 1 / inverse gives, without an offset; *gain is how much it lowers the squared error. */
MXLK_INLINE float fitted_factor(const part *p, float inverse, const grid *codes, float *gain) {
  lanes xq = all(0), qq = all(0);
  for (int i = 0; i < p->vectors; i++) {
    lanes q = nearest_on(codes, p->x[i] * inverse), wq = p->weight[i] * q;
    xq += wq * p->x[i];
    qq += wq * q;
  }
  float numerator = sum(xq), denominator = sum(qq);
  if (!(denominator > 0)) {
    *gain = 0;
    return 0;
  }
  float factor = numerator / denominator;
  *gain = numerator * factor;
  return factor;
}

/* The factor for codes of the grid: the extreme value as a code near either end, fitted, then codes and factor in turn. */
MXLK_INLINE float best_factor(const part *p, const grid *codes) {
  float best = 0, best_gain = 0, gain;
  float inverse_extreme = inverse_of(extreme_of(p));
  for (int i = 0; i < 14; i++) {
    float steps = i < 10 ? -0.75f + 0.25f * (float)i : -0.25f + 0.25f * (float)(i - 10);
    float code = (i < 10 ? codes->low : codes->high) + codes->step * steps;
    float factor = fitted_factor(p, code * inverse_extreme, codes, &gain);
    if (gain > best_gain) {
      best_gain = gain;
      best = factor;
    }
  }
  for (int i = 0; i < 2; i++) {
    float factor = fitted_factor(p, inverse_of(best), codes, &gain);
    if (gain > best_gain) {
      best_gain = gain;
      best = factor;
    }
  }
  return best;
}

#endif

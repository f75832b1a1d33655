/* What the search of quantize_search.h is made of: parts of a block, the codes nearest to their values, and the best factor for them. */
#ifndef MXLK_PANEL_QUANTIZE_PARTS_H
#define MXLK_PANEL_QUANTIZE_PARTS_H

#include "float16.h"
#include "panel/expand.h"
#include "panel/quantize.h"
#include "panel/quantize_lanes.h"

#include <string.h>

/* 16 or 32 values under one scale, and what their squared errors weigh. */
typedef struct part {
  lanes x[2], weight[2];
  int vectors;
} part;

/* w = factor code - offset. */
typedef struct fit {
  float factor, offset;
} fit;

/* The codes between `low` and `high`: the integers, or what the format's table has. `step` is about their distance at the ends. */
typedef struct grid {
  float low, high, step;
  const mxlk_block_format *format; /* of the table, or NULL */
  int is_quick;                    /* 8 factors are tried at first, not 14: enough for some formats */
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

MXLK_INLINE lanes lanes_at(const float *values) {
  lanes v;
  memcpy(&v, values, sizeof v);
  return v;
}

/* Here and where time counts the two vectors are not a loop: a part whose places are all constants stays in registers. */
MXLK_INLINE part part_at(const float *values, const float *importance, int count) {
  part p = {.vectors = count / 16};
  p.x[0] = lanes_at(values);
  p.weight[0] = p.weight[1] = all(1);
  if (p.vectors > 1) p.x[1] = lanes_at(values + 16);
  if (importance == NULL) return p;
  lanes first = lanes_at(importance), second = p.vectors > 1 ? lanes_at(importance + 16) : all(0);
  /* Weights of nothing at all would leave the codes to chance. */
  if (sum(first) + sum(second) == 0) return p;
  p.weight[0] = first;
  p.weight[1] = second;
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

MXLK_INLINE void put_lanes(lanes values, int shift, uint8_t *codes) {
  typedef uint8_t bytes16 __attribute__((vector_size(16)));
  bytes16 bytes = __builtin_convertvector(__builtin_convertvector(values, integer_lanes) + shift, bytes16);
  memcpy(codes, &bytes, sizeof bytes);
}

/* Writes codes - shift, where a code of shift means 0. */
MXLK_INLINE void put_codes(const part *p, fit f, float low, float high, int shift, uint8_t *codes) {
  put_lanes(codes_at(p, 0, f, low, high), shift, codes);
  if (p->vectors > 1) put_lanes(codes_at(p, 1, f, low, high), shift, codes + 16);
}

/* The least and the largest value. */
MXLK_INLINE void range_of(const part *p, float *least, float *most) {
  lanes low = p->x[0], high = p->x[0];
  if (p->vectors > 1) low = smaller(p->x[1], low), high = larger(p->x[1], high);
  *least = least_of(low);
  *most = -least_of(-high);
}

/* The value of largest magnitude, with its sign. */
MXLK_INLINE float extreme_of(const part *p) {
  float least, most;
  range_of(p, &least, &most);
  return -least > most ? least : most;
}

/* Lanes whose sums, weight x q and weight q q, are those of the least-squares factor without an offset for the codes q that 1 / inverse
 * gives: their quotient. */
MXLK_INLINE void products(const part *p, float inverse, const grid *codes, lanes *xq, lanes *qq) {
  lanes q = nearest_on(codes, p->x[0] * inverse), wq = p->weight[0] * q;
  *xq = wq * p->x[0];
  *qq = wq * q;
  if (p->vectors == 1) return;
  q = nearest_on(codes, p->x[1] * inverse);
  wq = p->weight[1] * q;
  *xq += wq * p->x[1];
  *qq += wq * q;
}

/* Of two lanes the factor that lowers the squared error more. */
MXLK_INLINE void keep_better(lanes *factor, lanes *gain, lanes other, lanes its) {
  *factor = select(its > *gain, other, *factor);
  *gain = select(its > *gain, its, *gain);
}

/* A factor, and how much it lowers the squared error. */
typedef struct try_kept {
  float factor, gain;
} try_kept;

/* The best of a few factors: the extreme value as a code near either end, fitted. The tries have a lane each: none waits for another's
 * sums, and there is no branch that could not be foreseen. */
MXLK_INLINE try_kept best_first_factor(const part *p, const grid *codes, float inverse_extreme) {
  const int tries = codes->is_quick ? 8 : 14;
  const lanes few = {-0.95f, -0.55f, -0.25f, 0, 0.3f, 0.7f, 1.1f, 1.85f};
  const lanes many = {-0.75f, -0.5f, -0.25f, 0, 0.25f, 0.5f, 0.75f, 1, 1.25f, 1.5f, -0.25f, 0, 0.25f, 0.5f};
  const integer_lanes at_high = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1};
  lanes ends = codes->is_quick ? all(codes->low) : select(at_high, all(codes->high), all(codes->low)), xq[16], qq[16];
  lanes inverses = ends + codes->step * (codes->is_quick ? few : many);
  inverses *= inverse_extreme;
  for (int i = 0; i < tries; i++) products(p, inverses[i], codes, &xq[i], &qq[i]);
  for (int i = tries; i < 16; i++) xq[i] = qq[i] = all(0);
  lanes numerators = sums_of(xq, tries), denominators = sums_of(qq, tries);
  lanes factors = select(denominators > all(0), numerators / denominators, all(0)), gains = numerators * factors;
  if (tries > 8) keep_better(&factors, &gains, UPPER_8(factors), UPPER_8(gains));
  keep_better(&factors, &gains, UPPER_4(factors), UPPER_4(gains));
  keep_better(&factors, &gains, UPPER_2(factors), UPPER_2(gains));
  keep_better(&factors, &gains, UPPER_1(factors), UPPER_1(gains));
  return (try_kept){gains[0] > 0 ? factors[0] : 0, gains[0]};
}

/* The kept factor, or the one that fits its codes, if that is better. */
MXLK_INLINE try_kept refined_factor(const part *p, const grid *codes, try_kept kept) {
  float above, below;
  lanes xq, qq;
  products(p, inverse_of(kept.factor), codes, &xq, &qq);
  sum_both(xq, qq, &above, &below);
  float fitted = below > 0 ? above / below : 0, gain = above * fitted;
  return (try_kept){gain > kept.gain ? fitted : kept.factor, gain > kept.gain ? gain : kept.gain};
}

/* The factor for codes of the grid: codes and factor fitted in turn. */
MXLK_INLINE float best_factor(const part *p, const grid *codes) {
  try_kept kept = best_first_factor(p, codes, inverse_of(extreme_of(p)));
  return refined_factor(p, codes, refined_factor(p, codes, kept)).factor;
}

#endif

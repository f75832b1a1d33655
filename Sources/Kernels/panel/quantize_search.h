/* The search of quantize.h. Vectors of 16 lanes in plain arithmetic without fused operations, which every CPU variant rounds alike.
 *
 * Given the codes, the best scale is a least-squares fit; given the scale, the best codes are the nearest ones. So each part of a block
 * tries a few scales, keeps the codes whose fit is best, and lets the two improve each other. Where scales are themselves codes of a
 * superblock's scale, their neighbours are tried with codes chosen anew, and the superblock's scale is fitted at the end. */
#ifndef MXLK_PANEL_QUANTIZE_SEARCH_H
#define MXLK_PANEL_QUANTIZE_SEARCH_H

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

MXLK_INLINE void quantize_block32(const mxlk_block_format *format, const float *values, const float *importance,
                                  int64_t k, mxlk_column *column) {
  float low = (float)-format->zero, high = (float)(format->zero - 1);
  if (format->code_bits == 8) low = -high; /* the format's own rule */
  const grid codes = {low, high, 1, NULL};
  for (int64_t b = 0; b < k / 32; b++) {
    part p = part_at(values + 32 * b, importance == NULL ? NULL : importance + 32 * b, 32);
    float factor;
    if (format->code_bits == 8) {
      float extreme = extreme_of(&p);
      factor = (extreme < 0 ? -extreme : extreme) / high;
    } else {
      factor = best_factor(&p, &codes);
    }
    column->d[b] = half_of(factor);
    fit f = {mxlk_float_from_half(column->d[b]), 0};
    put_codes(&p, f, low, high, format->zero, column->codes + 32 * b);
  }
}

/* BLOCK32 with a table. */
MXLK_INLINE void quantize_table32(const mxlk_block_format *format, const float *values, const float *importance,
                                  int64_t k, mxlk_column *column) {
  const grid codes = {entry_of(format, 0), entry_of(format, 15), 16, format};
  for (int64_t b = 0; b < k / 32; b++) {
    part p = part_at(values + 32 * b, importance == NULL ? NULL : importance + 32 * b, 32);
    column->d[b] = half_of(best_factor(&p, &codes));
    float inverse = inverse_of(mxlk_float_from_half(column->d[b]));
    for (int i = 0; i < 32; i++) {
      float v = p.x[i / 16][i % 16] * inverse;
      uint8_t code = 0;
      for (int j = 1; j < 16; j++) code += v > (entry_of(format, j - 1) + entry_of(format, j)) / 2;
      column->codes[32 * b + i] = code;
    }
  }
}

MXLK_INLINE void quantize_super16(const mxlk_block_format *format, const float *values, const float *importance,
                                  mxlk_column *column) {
  float low = (float)-format->zero, high = (float)(format->zero - 1);
  const grid codes = {low, high, 1, NULL};
  part parts[16];
  float factors[16], scales[16], extreme = 0;
  for (int b = 0; b < 16; b++) {
    parts[b] = part_at(values + 16 * b, importance == NULL ? NULL : importance + 16 * b, 16);
    factors[b] = best_factor(&parts[b], &codes);
    float magnitude = factors[b] < 0 ? -factors[b] : factors[b];
    if (magnitude > (extreme < 0 ? -extreme : extreme)) extreme = factors[b];
  }
  uint16_t half = half_reaching(extreme, -128), best_half = half;
  float best_error = -1, best_scales[16];
  for (int round = 0; round < 2; round++) {
    float d = mxlk_float_from_half(half), inverse = inverse_of(d), error = 0;
    for (int b = 0; b < 16; b++) {
      float near = nearest_code(factors[b] * inverse, -128, 127), least = -1;
      for (float scale = near - 1; scale <= near + 1; scale++) {
        if (scale < -128 || scale > 127) continue;
        float tried = error_of(&parts[b], (fit){d * scale, 0}, low, high);
        if (least >= 0 && !(tried < least)) continue;
        least = tried;
        scales[b] = scale;
      }
      error += least;
    }
    if (best_error >= 0 && !(error < best_error)) break;
    best_error = error;
    best_half = half;
    memcpy(best_scales, scales, sizeof scales);
    float xa = 0, aa = 0; /* d = sum w x a / sum w a a, a = scale code */
    for (int b = 0; b < 16; b++) {
      lanes a = codes_at(&parts[b], 0, (fit){d * scales[b], 0}, low, high) * scales[b];
      xa += sum(parts[b].weight[0] * parts[b].x[0] * a);
      aa += sum(parts[b].weight[0] * a * a);
    }
    half = half_of(xa * inverse_of(aa));
  }
  column->d[0] = best_half;
  for (int b = 0; b < 16; b++) {
    column->scales[b] = (uint8_t)(int8_t)best_scales[b];
    fit f = {mxlk_float_from_half(best_half) * best_scales[b], 0};
    put_codes(&parts[b], f, low, high, format->zero, column->codes + 16 * b);
  }
}

/* The least-squares factor and offset, >= 0 unless it may have either sign, for the codes that f gives, and the squared error that they
 * leave. */
MXLK_INLINE fit fitted(const part *p, fit f, float top, const int either_sign, float *error) {
  lanes w = all(0), q1 = w, q2 = w, x1 = w, x2 = w, xq = w;
  for (int i = 0; i < p->vectors; i++) {
    lanes q = codes_at(p, i, f, 0, top), weight = p->weight[i], x = p->x[i];
    w += weight;
    q1 += weight * q;
    q2 += weight * q * q;
    x1 += weight * x;
    x2 += weight * x * x;
    xq += weight * x * q;
  }
  float sw = sum(w), sq = sum(q1), sqq = sum(q2), sx = sum(x1), sxq = sum(xq);
  float determinant = sw * sqq - sq * sq;
  fit result = {inverse_of(determinant) * (sw * sxq - sx * sq), 0};
  result.offset = (result.factor * sq - sx) * inverse_of(sw);
  if (either_sign) {
    if (!(determinant > 0)) result = (fit){0, -sx * inverse_of(sw)};
  } else if (!(determinant > 0) || !(result.offset >= 0)) {
    result = (fit){sxq * inverse_of(sqq), 0};
  }
  *error = sum(x2) - 2 * result.factor * sxq + 2 * result.offset * sx + result.factor * result.factor * sqq -
           2 * result.factor * result.offset * sq + result.offset * result.offset * sw;
  return result;
}

/* Factor and offset for codes in [0, top]: the range of the values over top and a bit more or less, fitted, then codes and fit in
 * turn. */
MXLK_INLINE fit best_fit(const part *p, float top, const int either_sign) {
  float least = 0, most = p->x[0][0];
  for (int i = 0; i < 16 * p->vectors; i++) {
    float x = p->x[i / 16][i % 16];
    least = x < least ? x : least;
    most = x > most ? x : most;
  }
  if (!(most > least)) return (fit){0, -least};
  fit best = {(most - least) / top, -least};
  float best_error = error_of(p, best, 0, top), error;
  for (int i = 0; i < 12; i++) {
    fit f = fitted(p, (fit){(most - least) / (top - 0.5f + 0.25f * (float)i), -least}, top, either_sign, &error);
    if (error < best_error) {
      best_error = error;
      best = f;
    }
  }
  for (int i = 0; i < 2; i++) {
    fit f = fitted(p, best, top, either_sign, &error);
    if (error < best_error) {
      best_error = error;
      best = f;
    }
  }
  return best;
}

/* The search is for the values above the least of them, so that its sums do not lose what is small beside a minimum far from 0. */
MXLK_INLINE void quantize_block32_min(const mxlk_block_format *format, const float *values, const float *importance,
                                      int64_t k, mxlk_column *column) {
  float top = (float)((1 << format->code_bits) - 1);
  for (int64_t b = 0; b < k / 32; b++) {
    part p = part_at(values + 32 * b, importance == NULL ? NULL : importance + 32 * b, 32);
    float least = p.x[0][0];
    for (int i = 0; i < 32; i++) least = p.x[i / 16][i % 16] < least ? p.x[i / 16][i % 16] : least;
    part above = p;
    for (int i = 0; i < 2; i++) above.x[i] -= least;
    fit wanted = best_fit(&above, top, 1);
    column->d[b] = half_of(wanted.factor);
    column->m[b] = half_of(least - wanted.offset);
    fit f = {mxlk_float_from_half(column->d[b]), -mxlk_float_from_half(column->m[b])};
    put_codes(&p, f, 0, top, 0, column->codes + 32 * b);
  }
}

/* The scale and minimum of one part, in 6 bits each: the nearest, and their neighbours. Returns the squared error. */
MXLK_INLINE float best_scales(const part *p, fit wanted, float d, float dmin, float top, float *scale, float *minimum) {
  float near_scale = nearest_code(wanted.factor * inverse_of(d), 0, 63);
  float near_minimum = nearest_code(wanted.offset * inverse_of(dmin), 0, 63), least = -1;
  for (float s = near_scale - 1; s <= near_scale + 1; s++)
    for (float m = near_minimum - 1; m <= near_minimum + 1; m++) {
      if (s < 0 || s > 63 || m < 0 || m > 63) continue;
      float tried = error_of(p, (fit){d * s, dmin * m}, 0, top);
      if (least >= 0 && !(tried < least)) continue;
      least = tried;
      *scale = s;
      *minimum = m;
    }
  return least;
}

/* d and dmin that fit the codes best: the normal equations of sum w (x - d a + dmin m)^2, a = scale code. */
MXLK_INLINE fit fitted_superblock(const part *parts, fit d, const float *scales, const float *minima, float top) {
  double aa = 0, am = 0, mm = 0, xa = 0, xm = 0;
  for (int b = 0; b < 8; b++) {
    fit f = {d.factor * scales[b], d.offset * minima[b]};
    for (int i = 0; i < 2; i++) {
      lanes a = codes_at(&parts[b], i, f, 0, top) * scales[b], weight = parts[b].weight[i], x = parts[b].x[i];
      aa += sum(weight * a * a);
      am += sum(weight * a) * minima[b];
      mm += sum(weight) * minima[b] * minima[b];
      xa += sum(weight * x * a);
      xm += sum(weight * x) * minima[b];
    }
  }
  double determinant = aa * mm - am * am;
  if (!(determinant > 0)) return (fit){aa > 0 ? (float)(xa / aa) : d.factor, d.offset};
  return (fit){(float)((xa * mm - xm * am) / determinant), (float)((xa * am - xm * aa) / determinant)};
}

MXLK_INLINE void quantize_super32(const mxlk_block_format *format, const float *values, const float *importance,
                                  mxlk_column *column) {
  float top = (float)((1 << format->code_bits) - 1);
  part parts[8];
  fit wanted[8];
  float scales[8], minima[8], largest_factor = 0, largest_offset = 0;
  for (int b = 0; b < 8; b++) {
    parts[b] = part_at(values + 32 * b, importance == NULL ? NULL : importance + 32 * b, 32);
    wanted[b] = best_fit(&parts[b], top, 0);
    if (wanted[b].factor > largest_factor) largest_factor = wanted[b].factor;
    if (wanted[b].offset > largest_offset) largest_offset = wanted[b].offset;
  }
  uint16_t d = half_reaching(largest_factor, 63), dmin = half_reaching(largest_offset, 63);
  float best_error = -1;
  for (int round = 0; round < 3; round++) {
    fit halves = {mxlk_float_from_half(d), mxlk_float_from_half(dmin)};
    float error = 0;
    for (int b = 0; b < 8; b++)
      error += best_scales(&parts[b], wanted[b], halves.factor, halves.offset, top, &scales[b], &minima[b]);
    if (best_error >= 0 && !(error < best_error)) break;
    best_error = error;
    column->d[0] = d;
    column->d[1] = dmin;
    for (int b = 0; b < 8; b++) {
      column->scales[b] = (uint8_t)scales[b];
      column->minima[b] = (uint8_t)minima[b];
    }
    halves = fitted_superblock(parts, halves, scales, minima, top);
    d = half_of(halves.factor > 0 ? halves.factor : 0);
    dmin = half_of(halves.offset > 0 ? halves.offset : 0);
  }
  for (int b = 0; b < 8; b++) {
    fit f = {mxlk_float_from_half(column->d[0]) * (float)column->scales[b],
             mxlk_float_from_half(column->d[1]) * (float)column->minima[b]};
    put_codes(&parts[b], f, 0, top, 0, column->codes + 32 * b);
  }
}

/* Round to nearest: the group's range, widened to hold 0, over the largest code, and the nearest zero. */
MXLK_INLINE void quantize_group(const mxlk_block_format *format, const float *values, int64_t k, mxlk_column *column) {
  const float top = (float)((1 << format->code_bits) - 1);
  for (int64_t g = 0; g < k / format->group; g++) {
    float least = 0, most = 0;
    for (int64_t i = g * format->group; i < (g + 1) * format->group; i++) {
      least = values[i] < least ? values[i] : least;
      most = values[i] > most ? values[i] : most;
    }
    float wanted = (most - least) / top;
    uint32_t bits = format->scale_bytes == 2 ? half_of(wanted) : mxlk_bits_from_float(wanted);
    float scale = mxlk_group_scale(format, bits), inverse = inverse_of(scale);
    float zero = nearest_code(-least * inverse, 0, top);
    column->group_scales[g] = bits;
    column->minima[g] = (uint8_t)zero;
    column->m[g] = (uint16_t)zero;
    for (int64_t i = g * format->group; i < (g + 1) * format->group; i++)
      column->codes[i] = (uint8_t)nearest_code(values[i] * inverse + zero, 0, top);
  }
}

MXLK_INLINE void column_quantize(const mxlk_block_format *format, const float *values, const float *importance,
                                 int64_t k, mxlk_column *column) {
  switch (format->scheme) {
    case MXLK_SCHEME_BLOCK32:
      if (format->table != NULL)
        quantize_table32(format, values, importance, k, column);
      else
        quantize_block32(format, values, importance, k, column);
      break;
    case MXLK_SCHEME_BLOCK32_MIN: quantize_block32_min(format, values, importance, k, column); break;
    case MXLK_SCHEME_SUPER32: quantize_super32(format, values, importance, column); break;
    case MXLK_SCHEME_SUPER16: quantize_super16(format, values, importance, column); break;
    case MXLK_SCHEME_GROUP: quantize_group(format, values, k, column); break;
  }
}

#endif

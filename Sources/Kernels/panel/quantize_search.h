/* The search of quantize.h. Vectors of 16 lanes in plain arithmetic without fused operations, which every CPU variant rounds alike.
 *
 * Given the codes, the best scale is a least-squares fit; given the scale, the best codes are the nearest ones. So each part of a block
 * tries a few scales, keeps the codes whose fit is best, and lets the two improve each other. Where scales are themselves codes of a
 * superblock's scale, their neighbours are tried with codes chosen anew, and the superblock's scale is fitted at the end. */
#ifndef MXLK_PANEL_QUANTIZE_SEARCH_H
#define MXLK_PANEL_QUANTIZE_SEARCH_H

#include "panel/quantize_parts.h"

/* Step by step for all blocks, so that a CPU has the next block at hand where one waits for its sums and quotients. */
MXLK_INLINE void quantize_block32(const mxlk_block_format *format, const float *values, const float *importance,
                                  int64_t k, mxlk_column *column) {
  float low = (float)-format->zero, high = (float)(format->zero - 1);
  const grid codes = {low, high, 1, NULL, 1};
  try_kept kept[8];
  float inverses[8];
  for (int64_t b = 0; b < k / 32; b++) {
    part p = part_at(values + 32 * b, NULL, 32);
    inverses[b] = inverse_of(extreme_of(&p));
  }
  for (int64_t b = 0; b < k / 32; b++) {
    part p = part_at(values + 32 * b, importance == NULL ? NULL : importance + 32 * b, 32);
    kept[b] = best_first_factor(&p, &codes, inverses[b]);
  }
  for (int64_t b = 0; b < k / 32; b++) {
    part p = part_at(values + 32 * b, importance == NULL ? NULL : importance + 32 * b, 32);
    kept[b] = refined_factor(&p, &codes, kept[b]);
  }
  for (int64_t b = 0; b < k / 32; b++) {
    part p = part_at(values + 32 * b, NULL, 32);
    column->d[b] = half_of(kept[b].factor);
    put_codes(&p, (fit){mxlk_float_from_half(column->d[b]), 0}, low, high, format->zero, column->codes + 32 * b);
  }
}

/* BLOCK32 of 8 bits: the format's own rule, without a search. */
MXLK_INLINE void quantize_bytes32(const mxlk_block_format *format, const float *values, int64_t k,
                                  mxlk_column *column) {
  float high = (float)(format->zero - 1);
  for (int64_t b = 0; b < k / 32; b++) {
    part p = part_at(values + 32 * b, NULL, 32);
    float extreme = extreme_of(&p);
    column->d[b] = half_of((extreme < 0 ? -extreme : extreme) / high);
    put_codes(&p, (fit){mxlk_float_from_half(column->d[b]), 0}, -high, high, format->zero, column->codes + 32 * b);
  }
}

/* Writes the codes whose entries, times factor, are nearest. */
MXLK_INLINE void put_entries(const part *p, float factor, const mxlk_block_format *format, uint8_t *codes) {
  float inverse = inverse_of(factor);
  for (int i = 0; i < p->vectors; i++) {
    integer_lanes above = {0};
    for (int j = 1; j < 16; j++) above -= p->x[i] * inverse > all((entry_of(format, j - 1) + entry_of(format, j)) / 2);
    for (int j = 0; j < 16; j++) codes[16 * i + j] = (uint8_t)above[j];
  }
}

/* BLOCK32 with a table. */
MXLK_INLINE void quantize_table32(const mxlk_block_format *format, const float *values, const float *importance,
                                  int64_t k, mxlk_column *column) {
  const grid codes = {entry_of(format, 0), entry_of(format, 15), 16, format, 0};
  for (int64_t b = 0; b < k / 32; b++) {
    part p = part_at(values + 32 * b, importance == NULL ? NULL : importance + 32 * b, 32);
    column->d[b] = half_of(best_factor(&p, &codes));
    put_entries(&p, mxlk_float_from_half(column->d[b]), format, column->codes + 32 * b);
  }
}

/* Where w = d sc code, with one d for `blocks` parts and sc an integer of [low, high], -low >= high: the half d, and sc of each part. */
MXLK_INLINE uint16_t signed_scales(const part *parts, const int blocks, const grid *codes, float low, float high,
                                   float *best_scales) {
  float factors[16], scales[16], extreme = 0;
  for (int b = 0; b < blocks; b++) {
    factors[b] = best_factor(&parts[b], codes);
    float magnitude = factors[b] < 0 ? -factors[b] : factors[b];
    if (magnitude > (extreme < 0 ? -extreme : extreme)) extreme = factors[b];
  }
  uint16_t half = half_reaching(extreme, low), best_half = half;
  float best_error = -1;
  for (int round = 0; round < 2; round++) {
    float d = mxlk_float_from_half(half), inverse = inverse_of(d), error = 0;
    for (int b = 0; b < blocks; b++) {
      float near = nearest_code(factors[b] * inverse, low, high), tried[3];
      for (int i = 0; i < 3; i++) tried[i] = error_on(&parts[b], d * (near - 1 + (float)i), codes);
      /* Without branches that nobody could foresee. */
      float least = near - 1 < low ? tried[1] : tried[0];
      scales[b] = near - 1 < low ? near : near - 1;
      for (int i = 1; i < 3; i++) {
        int better = tried[i] < least && near - 1 + (float)i <= high;
        least = better ? tried[i] : least;
        scales[b] = better ? near - 1 + (float)i : scales[b];
      }
      error += least;
    }
    if (best_error >= 0 && !(error < best_error)) break;
    best_error = error;
    best_half = half;
    memcpy(best_scales, scales, sizeof *scales * (size_t)blocks);
    float xa = 0, aa = 0; /* d = sum w x a / sum w a a, a = scale code */
    for (int b = 0; b < blocks; b++)
      for (int i = 0; i < parts[b].vectors; i++) {
        lanes a = nearest_on(codes, parts[b].x[i] * inverse_of(d * scales[b])) * scales[b];
        float of_x, of_a;
        sum_both(parts[b].weight[i] * parts[b].x[i] * a, parts[b].weight[i] * a * a, &of_x, &of_a);
        xa += of_x;
        aa += of_a;
      }
    half = half_of(xa * inverse_of(aa));
  }
  return best_half;
}

MXLK_INLINE void quantize_super16(const mxlk_block_format *format, const float *values, const float *importance,
                                  mxlk_column *column) {
  const grid codes = {(float)-format->zero, (float)(format->zero - 1), 1, NULL, format->code_bits <= 3};
  const float least_scale = format->scale_bits == 6 ? -32 : -128;
  part parts[16];
  float scales[16];
  for (int b = 0; b < 16; b++) parts[b] = part_at(values + 16 * b, importance == NULL ? NULL : importance + 16 * b, 16);
  column->d[0] = signed_scales(parts, 16, &codes, least_scale, -1 - least_scale, scales);
  memset(column->scales, 0, sizeof column->scales);
  for (int b = 0; b < 16; b++) {
    if (format->scale_bits == 6)
      mxlk_narrow_scale_put((int32_t)scales[b], b, column->scales);
    else
      column->scales[b] = (uint8_t)(int8_t)scales[b];
    fit f = {mxlk_float_from_half(column->d[0]) * scales[b], 0};
    put_codes(&parts[b], f, codes.low, codes.high, format->zero, column->codes + 16 * b);
  }
}

MXLK_INLINE void quantize_super32_six(const mxlk_block_format *format, const float *values, const float *importance,
                                      mxlk_column *column) {
  const grid codes = {entry_of(format, 0), entry_of(format, 15), 16, format, 0};
  part parts[8];
  float scales[16];
  for (int b = 0; b < 8; b++) parts[b] = part_at(values + 32 * b, importance == NULL ? NULL : importance + 32 * b, 32);
  column->d[0] = signed_scales(parts, 8, &codes, -32, 31, scales);
  memset(column->scales, 0, 6);
  for (int b = 0; b < 8; b++) {
    mxlk_put_six_bits((int32_t)scales[b], b, column->scales);
    put_entries(&parts[b], mxlk_float_from_half(column->d[0]) * scales[b], format, column->codes + 32 * b);
  }
}

/* The squared error with d = power, a power of two, and the nearest codes: magnitudes in the first half of the table. */
MXLK_INLINE float error_of_power(const part *p, float power, const mxlk_block_format *format) {
  lanes error = all(0);
  for (int i = 0; i < 2; i++) {
    lanes rest = select(p->x[i] < all(0), -p->x[i], p->x[i]), value = rest;
    for (int j = 1; j < 8; j++) {
      float below = entry_of(format, j - 1), entry = entry_of(format, j);
      rest -= select(value > all((below + entry) / 2 * power), all((entry - below) * power), all(0));
    }
    error += p->weight[i] * rest * rest;
  }
  return sum(error);
}

/* Those codes; the second half of the table where a value is below 0 and its code is not. */
MXLK_INLINE void put_powers(const part *p, float power, const mxlk_block_format *format, uint8_t *codes) {
  for (int i = 0; i < 2; i++) {
    integer_lanes negative = p->x[i] < all(0), code = {0};
    lanes value = select(negative, -p->x[i], p->x[i]);
    for (int j = 1; j < 8; j++) code -= value > all((entry_of(format, j - 1) + entry_of(format, j)) / 2 * power);
    code += 8 & negative & (code > 0);
    for (int j = 0; j < 16; j++) codes[16 * i + j] = (uint8_t)code[j];
  }
}

/* The power of two that puts the largest magnitude into [8, 16) of codes up to 12, its double, its half and its quarter. In units of the
 * first, so that no square overflows. From 2^125 on, the largest code would. */
MXLK_INLINE void quantize_block32_power(const mxlk_block_format *format, const float *values, const float *importance,
                                        int64_t k, mxlk_column *column) {
  for (int64_t b = 0; b < k / 32; b++) {
    part p = part_at(values + 32 * b, importance == NULL ? NULL : importance + 32 * b, 32);
    int exponent = (int)(mxlk_bits_from_float(extreme_of(&p)) >> 23 & 255), first = exponent < 2 ? 0 : exponent - 2;
    first = first > 252 ? 252 : first;
    /* 1 / mxlk_power(first) may be beyond the floats; its root and the rest are not. */
    int root = (128 - first) / 2;
    float factors[2] = {mxlk_float_from_bits((uint32_t)(127 + root) << 23),
                        mxlk_float_from_bits((uint32_t)(255 - first - root) << 23)};
    for (int i = 0; i < 2; i++) p.x[i] = p.x[i] * factors[0] * factors[1];
    float least = -1, best = 1;
    for (int stored = first - 2; stored <= first + 1; stored++) {
      if (stored < 0 || stored > 252) continue;
      float power = mxlk_float_from_bits((uint32_t)(127 + stored - first) << 23);
      float error = error_of_power(&p, power, format);
      if (least >= 0 && !(error < least)) continue;
      least = error;
      best = power;
      column->scales[b] = (uint8_t)stored;
    }
    put_powers(&p, best, format, column->codes + 32 * b);
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

/* Keeps the fit to the codes that `tried` gives, if it is better. */
MXLK_INLINE void keep_fit(const part *p, fit tried, float top, const int either_sign, fit *best, float *best_error) {
  float error;
  fit f = fitted(p, tried, top, either_sign, &error);
  if (error < *best_error) {
    *best_error = error;
    *best = f;
  }
}

/* Factor and offset >= 0 for codes in [0, top]: the range of the values over top and a bit more or less, fitted, then codes and fit in
 * turn. */
MXLK_INLINE fit best_fit(const part *p, float top) {
  float least, most;
  range_of(p, &least, &most);
  least = least < 0 ? least : 0;
  if (!(most > least)) return (fit){0, -least};
  fit best = {(most - least) / top, -least};
  float error = error_of(p, best, 0, top);
  for (int i = 0; i < 12; i++)
    keep_fit(p, (fit){(most - least) / (top - 0.5f + 0.25f * (float)i), -least}, top, 0, &best, &error);
  for (int i = 0; i < 2; i++) keep_fit(p, best, top, 0, &best, &error);
  return best;
}

/* Factor and offset of either sign for codes in [0, top]: ranges from the least value, or a bit above it, to the largest, or a bit above or
 * below it, fitted, then codes and fit in turn. Where some values weigh little the best range may leave out more of them. */
MXLK_INLINE fit best_line(const part *p, float top, int ends) {
  float least, most;
  range_of(p, &least, &most);
  if (!(most > least)) return (fit){0, -least};
  fit best = {(most - least) / top, -least};
  float error = error_of(p, best, 0, top);
  const float step = 0.5f * best.factor;
  for (int low = 0; low <= ends; low++)
    for (int high = -1; high <= ends; high++) {
      float begin = least + step * (float)low, end = most - step * (float)high;
      keep_fit(p, (fit){(end - begin) / top, -begin}, top, 1, &best, &error);
    }
  for (int i = 0; i < 3; i++) keep_fit(p, best, top, 1, &best, &error);
  return best;
}

/* Whether some values weigh more than others. */
MXLK_INLINE int is_uneven(const part *p) {
  lanes low = smaller(p->weight[0], p->weight[1]), high = larger(p->weight[0], p->weight[1]);
  return least_of(low) < -least_of(-high);
}

/* The search is for the values above the least of them, so that its sums do not lose what is small beside a minimum far from 0. */
MXLK_INLINE void quantize_block32_min(const mxlk_block_format *format, const float *values, const float *importance,
                                      int64_t k, mxlk_column *column) {
  float top = (float)((1 << format->code_bits) - 1), least, most;
  for (int64_t b = 0; b < k / 32; b++) {
    part p = part_at(values + 32 * b, importance == NULL ? NULL : importance + 32 * b, 32), above = p;
    range_of(&p, &least, &most);
    above.x[0] -= least;
    above.x[1] -= least;
    fit wanted = best_line(&above, top, importance != NULL && is_uneven(&p) ? 10 : 2);
    column->d[b] = half_of(wanted.factor);
    column->m[b] = half_of(least - wanted.offset);
    fit f = {mxlk_float_from_half(column->d[b]), -mxlk_float_from_half(column->m[b])};
    put_codes(&p, f, 0, top, 0, column->codes + 32 * b);
  }
}

/* The scale and minimum of one part, each up to `most`: the nearest, and their neighbours. Returns the squared error. */
MXLK_INLINE float best_scales(const part *p, fit wanted, float d, float dmin, float top, float most, float *scale,
                              float *minimum) {
  float near_scale = nearest_code(wanted.factor * inverse_of(d), 0, most);
  float near_minimum = nearest_code(wanted.offset * inverse_of(dmin), 0, most), least = -1;
  for (float s = near_scale - 1; s <= near_scale + 1; s++)
    for (float m = near_minimum - 1; m <= near_minimum + 1; m++) {
      if (s < 0 || s > most || m < 0 || m > most) continue;
      float tried = error_of(p, (fit){d * s, dmin * m}, 0, top);
      if (least >= 0 && !(tried < least)) continue;
      least = tried;
      *scale = s;
      *minimum = m;
    }
  return least;
}

/* d and dmin that fit the codes best: the normal equations of sum w (x - d a + dmin m)^2, a = scale code. */
MXLK_INLINE fit fitted_superblock(const part *parts, const int blocks, fit d, const float *scales, const float *minima,
                                  float top) {
  double aa = 0, am = 0, mm = 0, xa = 0, xm = 0;
  for (int b = 0; b < blocks; b++) {
    fit f = {d.factor * scales[b], d.offset * minima[b]};
    for (int i = 0; i < parts[b].vectors; i++) {
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

/* SUPER32, of 8 blocks, and SUPER16_MIN, of 16. */
MXLK_INLINE void quantize_super_min(const int blocks, const mxlk_block_format *format, const float *values,
                                    const float *importance, mxlk_column *column) {
  const int each = 256 / blocks;
  const float top = (float)((1 << format->code_bits) - 1), most = blocks == 8 ? 63 : 15;
  part parts[16];
  fit wanted[16];
  float scales[16], minima[16], chosen_scales[16], chosen_minima[16], largest_factor = 0, largest_offset = 0;
  for (int b = 0; b < blocks; b++) {
    parts[b] = part_at(values + each * b, importance == NULL ? NULL : importance + each * b, each);
    wanted[b] = best_fit(&parts[b], top);
    if (wanted[b].factor > largest_factor) largest_factor = wanted[b].factor;
    if (wanted[b].offset > largest_offset) largest_offset = wanted[b].offset;
  }
  uint16_t d = half_reaching(largest_factor, most), dmin = half_reaching(largest_offset, most);
  float best_error = -1;
  for (int round = 0; round < 3; round++) {
    fit halves = {mxlk_float_from_half(d), mxlk_float_from_half(dmin)};
    float error = 0;
    for (int b = 0; b < blocks; b++)
      error += best_scales(&parts[b], wanted[b], halves.factor, halves.offset, top, most, &scales[b], &minima[b]);
    if (best_error >= 0 && !(error < best_error)) break;
    best_error = error;
    column->d[0] = d;
    column->d[1] = dmin;
    memcpy(chosen_scales, scales, sizeof scales);
    memcpy(chosen_minima, minima, sizeof minima);
    halves = fitted_superblock(parts, blocks, halves, scales, minima, top);
    d = half_of(halves.factor > 0 ? halves.factor : 0);
    dmin = half_of(halves.offset > 0 ? halves.offset : 0);
  }
  for (int b = 0; b < blocks; b++) {
    fit f = {mxlk_float_from_half(column->d[0]) * chosen_scales[b],
             mxlk_float_from_half(column->d[1]) * chosen_minima[b]};
    put_codes(&parts[b], f, 0, top, 0, column->codes + each * b);
    column->scales[b] = (uint8_t)chosen_scales[b];
    if (blocks == 8)
      column->minima[b] = (uint8_t)chosen_minima[b];
    else
      column->scales[b] |= (uint8_t)((int)chosen_minima[b] << 4);
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
      else if (format->code_bits == 8)
        quantize_bytes32(format, values, k, column);
      else if (importance == NULL) /* on its own, so that the compiler leaves out the weights */
        quantize_block32(format, values, NULL, k, column);
      else
        quantize_block32(format, values, importance, k, column);
      break;
    case MXLK_SCHEME_BLOCK32_MIN: quantize_block32_min(format, values, importance, k, column); break;
    case MXLK_SCHEME_SUPER32: quantize_super_min(8, format, values, importance, column); break;
    case MXLK_SCHEME_SUPER16_MIN: quantize_super_min(16, format, values, importance, column); break;
    case MXLK_SCHEME_SUPER16: quantize_super16(format, values, importance, column); break;
    case MXLK_SCHEME_BLOCK32_POWER: quantize_block32_power(format, values, importance, k, column); break;
    case MXLK_SCHEME_SUPER32_SIX: quantize_super32_six(format, values, importance, column); break;
    case MXLK_SCHEME_GROUP: quantize_group(format, values, k, column); break;
  }
}

#endif

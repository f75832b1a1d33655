/* int8 tiles on 512 bits for two ports (int8_pairs.h): 8 rows of x, 32 outputs as two vectors of 16.
 *
 * Registers of a full tile: 16 integer accumulators, 2 vectors of codes, 1 broadcast of activations. The 16 sums are in memory, touched once a
 * sub-block: loads and stores have ports of their own. The compiler orders instructions for a CPU of that kind.
 * Operations on the two ports per row and vector of outputs, in a superblock, of expanded weights; beside them, what int8_avx512vnni.c needs there:
 *   BLOCK32      64 dots + 8 conversions + 8 fma = 80                    88
 *   BLOCK32_MIN  64 + 8 + 16 = 88                                        96
 *   SUPER32      64 + 8 pair dots + 4 + 4 + 4 = 84; wide 92              108
 *   SUPER16      64 + 16 + 3 = 83; wide 99                               147
 *   SUPER16_MIN  64 + 16 + 8 + 4 = 92                                    156
 *   GROUP        64 + 8 + 4 a group = 80 for groups of 128, alike 78     90 */
#include "tiles/int8_pairs.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define MXLK_CONVERTS_HALVES
#pragma clang attribute push(                                                                                   \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,tune=sapphirerapids"))), \
    apply_to = function)

enum {
  lanes = 16,
  vectors = 2,
  tile_rows = 8,
  most_panels = 4,
  scale_copies = 4,
  x_lines_apart = 4,
  broadcasts_again = 0
};

typedef mxlk_arranged_pairs x_row;
typedef struct row_words {
  int nothing; /* x has them */
} row_words;

#include "tiles/int8_schemes.h"
#include "tiles/int8_avx512.h"
#include "tiles/settle.h"

/* Whether sums are scaled by pair dots: codes of 8 bits make sums that do not fit. */
MXLK_INLINE int pairs_up(const mxlk_scheme scheme, const int code_bits) {
  return scheme != MXLK_SCHEME_SUPER32_SIX && code_bits != 8;
}

MXLK_INLINE int sub_blocks_at_once(const mxlk_scheme scheme, const int code_bits, const int packed, const int rows) {
  (void)scheme, (void)code_bits, (void)packed, (void)rows;
  return 1;
}

/* Whether sub-blocks of a scheme may be wide. */
MXLK_INLINE int may_be_wide(const mxlk_scheme scheme, const int code_bits) {
  return (scheme == MXLK_SCHEME_SUPER16 && code_bits == 6) || (scheme == MXLK_SCHEME_SUPER32 && code_bits == 5);
}

MXLK_INLINE int is_wide(const mxlk_scheme scheme, const weights *w, const int rows, const x_row *x) {
  uint32_t wide = 0;
  for (int r = 0; r < rows && may_be_wide(scheme, w->code_bits); r++) wide |= x[r].wide;
  return wide != 0;
}

/* What codes are centred at. */
MXLK_INLINE int center_of(const mxlk_block_format *format) {
  if (format->scheme == MXLK_SCHEME_SUPER32) return 1 << (format->code_bits - 1);
  if (format->scheme == MXLK_SCHEME_GROUP) return group_center(format->code_bits);
  return format->scheme == MXLK_SCHEME_SUPER16_MIN || format->scheme == MXLK_SCHEME_BLOCK32_MIN ? 0 : format->zero;
}

/* The sum of 4 bytes of a vector each, which are q or, as magnitudes, |q|. */
MXLK_INLINE ints sums_of_four(const int8_t *q, const int magnitudes) {
  const __m512i all = _mm512_loadu_si512(q), ones = _mm512_set1_epi8(1), none = _mm512_setzero_si512();
  return (ints)(magnitudes ? _mm512_dpbusd_epi32(none, _mm512_abs_epi8(all), ones)
                           : _mm512_dpbusd_epi32(none, ones, all));
}

/* Where the halves of sub-blocks begin, and whether some sub-block is wide. */
MXLK_INLINE void arrange_halves(const int blocks, const int center, mxlk_arranged_pairs *to) {
  const int each = 32 / blocks; /* sums of four of a half */
  int32_t sums[64], magnitudes[64], wide = 0;
#pragma clang loop unroll(full)
  for (int i = 0; i < 64; i += lanes) {
    ints signs = sums_of_four(to->codes + 4 * i, 0), absolute = sums_of_four(to->codes + 4 * i, 1);
    memcpy(sums + i, &signs, sizeof signs);
    memcpy(magnitudes + i, &absolute, sizeof absolute);
  }
  for (int i = 0; i < 2 * blocks; i++) {
    int32_t sum = 0;
    for (int j = 0; j < each; j++) sum += sums[each * i + j];
    to->halves[i] = -center * sum;
  }
  for (int i = 0; i < blocks; i++) {
    int32_t sum = 0;
    for (int j = 0; j < 2 * each; j++) sum += magnitudes[2 * each * i + j];
    wide |= sum * center > INT16_MAX;
  }
  to->wide = (uint32_t)wide;
}

void mxlk_arrange_int8_pairs__avx512vnni(const mxl_kernel_row *row, const void *record, int64_t k, int64_t index,
                                         void *arranged) {
  const mxlk_activation *x = record;
  const mxlk_block_format *format = row->context;
  const int blocks = blocks_of(format->scheme), center = center_of(format);
  mxlk_arranged_pairs *to = (mxlk_arranged_pairs *)arranged + index;
  memset(to, 0, sizeof *to);
  memcpy(to->codes, x->codes, sizeof to->codes);
  to->alpha = x->alpha;
  for (int i = 0; i < blocks; i++)
    to->starts[i] = -center * (blocks == 16 ? x->sums16[i] : x->sums16[2 * i] + x->sums16[2 * i + 1]);
  if (may_be_wide(format->scheme, format->code_bits)) {
    if (blocks == 16)
      arrange_halves(16, 32, to);
    else
      arrange_halves(8, 16, to);
  }
  const int powers = format->scheme == MXLK_SCHEME_GROUP && pairs_up(format->scheme, format->code_bits);
  for (int b = 0; b < 8; b++) to->shifts[b] = powers ? 1 << x->shifts[b] : x->shifts[b];
  if (format->scheme == MXLK_SCHEME_BLOCK32_MIN) {
    for (int b = 0; b < 8; b++) to->sums[b] = x->sums32[b];
  } else if (format->scheme == MXLK_SCHEME_SUPER32) {
    memcpy(to->pairs, x->sums32, sizeof x->sums32);
  } else if (format->scheme == MXLK_SCHEME_SUPER16_MIN) {
    int16_t sums[16];
    for (int i = 0; i < 16; i++) sums[i] = (int16_t)(x->sums16[i] * (1 << x->shifts[i / 2]));
    memcpy(to->pairs, sums, sizeof sums);
  } else if (format->scheme == MXLK_SCHEME_GROUP) {
    const int each = (int)((unsigned)format->group / 32);
    for (int b = 0, g = 0; b < (int)(k / 32); g++)
      for (int end = b + each; b < end; b++) to->groups[g] += x->sums32[b];
    for (int g = 0; g < 8; g++) to->group_pairs[g] = (-to->groups[g] >> 8) * 65536 | (-to->groups[g] & 255);
  }
}

/* value 2^s for the four shifts s. */
MXLK_INLINE void store_float_lines(floats value, void *lines, int64_t line, int v) {
#pragma clang loop unroll(full)
  for (int s = 0; s < 4; s++) {
    floats shifted = value * (float)(1 << s);
    memcpy((float *)lines + (4 * line + s) * columns + lanes * v, &shifted, sizeof shifted);
  }
}
MXLK_INLINE void store_integer_lines(ints value, void *lines, int64_t line, int v) {
#pragma clang loop unroll(full)
  for (int s = 0; s < 4; s++) {
    ints shifted = value << s & 0xffff;
    memcpy((int32_t *)lines + (4 * line + s) * columns + lanes * v, &shifted, sizeof shifted);
  }
}
MXLK_INLINE void store_line(const void *value, void *lines, int64_t line, int v) {
  memcpy((int32_t *)lines + line * columns + lanes * v, value, 4 * lanes);
}

/* z sc of sub-blocks 2 i and 2 i + 1 of SUPER32, from packed weights. */
MXLK_INLINE ints packed_corrections_at(const weights *w, int64_t p, int64_t i, int v) {
  const uint8_t *at = w->scales + p * w->scales_apart + 2 * i * columns + lanes * v;
  return (unsigned_bytes_at(at) | unsigned_bytes_at(at + columns) << 16) << (w->code_bits - 1);
}

/* What stands behind the codes, where scales are copied; w is packed. */
MXLK_INLINE void copy_scales(const mxlk_scheme scheme, const weights *w, int64_t k, uint8_t *expanded) {
  const mxlk_expanded_layout layout = mxlk_expanded_layout_of(scheme, columns, scale_copies);
  const int blocks = blocks_of(scheme), has_min = scheme == MXLK_SCHEME_SUPER32 || scheme == MXLK_SCHEME_SUPER16_MIN;
  for (int v = 0; v < vectors; v++) {
    if (scheme == MXLK_SCHEME_BLOCK32 || scheme == MXLK_SCHEME_BLOCK32_MIN) {
      for (int64_t b = 0; b < k / 32; b++) {
        store_float_lines(d_at(w, 0, b, v), expanded + layout.d, b, v);
        if (scheme == MXLK_SCHEME_BLOCK32) continue;
        floats m = line_at(w, w->minima, 0, b, v);
        store_line(&m, expanded + layout.minima, b, v);
      }
      continue;
    }
    for (int64_t b = 0; b < blocks; b++)
      store_integer_lines(scale_at(scheme, w, 0, b, v), expanded + layout.scales, b, v);
    for (int64_t i = 0; i < blocks / 2 && has_min; i++) {
      ints m = minima_at(blocks, w, 0, i, v), correction = packed_corrections_at(w, 0, i % 4, v);
      store_line(&m, expanded + layout.minima, i, v);
      if (scheme == MXLK_SCHEME_SUPER32) store_line(&correction, expanded + layout.corrections, i, v);
    }
    for (int i = 0; i < 1 + has_min; i++) {
      floats d = d_at(w, 0, i, v);
      store_line(&d, expanded + layout.d, i, v);
    }
  }
}

void mxlk_expand_int8_pairs_32__avx512vnni(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  const mxlk_block_format *format = row->context;
  mxlk_panel_layout layout = mxlk_panel_layout_of(format, columns, k);
  const uint8_t *at = packed;
  uint8_t narrow[16 * columns];
  weights w = {.packed = packed_codes, .code_bits = format->code_bits, .minima = at + layout.minima};
  w.scales = at + layout.scales, w.d = at + layout.d;
  mxlk_expand_all_codes(format, &layout, packed, columns, k, expanded);
  switch (format->scheme) {
    case MXLK_SCHEME_BLOCK32: copy_scales(MXLK_SCHEME_BLOCK32, &w, k, expanded); break;
    case MXLK_SCHEME_BLOCK32_MIN: copy_scales(MXLK_SCHEME_BLOCK32_MIN, &w, k, expanded); break;
    case MXLK_SCHEME_SUPER32: copy_scales(MXLK_SCHEME_SUPER32, &w, k, expanded); break;
    case MXLK_SCHEME_SUPER16_MIN: copy_scales(MXLK_SCHEME_SUPER16_MIN, &w, k, expanded); break;
    case MXLK_SCHEME_SUPER16:
      if (format->scale_bits == 6) {
        mxlk_expand_narrow_scales(w.scales, columns, narrow);
        w.scales = narrow;
      }
      copy_scales(MXLK_SCHEME_SUPER16, &w, k, expanded);
      break;
    case MXLK_SCHEME_BLOCK32_POWER:
    case MXLK_SCHEME_SUPER32_SIX:
    case MXLK_SCHEME_GROUP:
      mxlk_expand_scales(format, &layout, 0, packed, columns, k, (uint8_t *)expanded + MXL_SUPERBLOCK * columns);
      break;
  }
}

MXLK_INLINE ints add_four_products(ints dots, bytes codes, ints q) {
  return (ints)_mm512_dpbusd_epi32((__m512i)dots, (__m512i)codes, (__m512i)q);
}

MXLK_INLINE ints shifted(ints value, int32_t shift) {
  return (ints)_mm512_sllv_epi32((__m512i)value, _mm512_set1_epi32(shift));
}

/* The lower 16 bits << shift, below a 0. */
MXLK_INLINE ints shifted_halves(ints value, int32_t shift) {
  return (ints)((words)(value & 0xffff) << (words)every(shift));
}

MXLK_INLINE void words_of(const mxlk_scheme scheme, const weights *w, const x_row *x, int zero, row_words *words) {
  (void)scheme, (void)w, (void)x, (void)zero, (void)words;
}

#include "tiles/int8_dots.h"

/* Of sub-block b, or of half number b. */
MXLK_INLINE void begin_dots(const int rows, const int centred, const int halves, const x_row *x, int64_t b,
                            ints dots[][vectors]) {
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) dots[r][v] = centred ? every(halves ? x[r].halves[b] : x[r].starts[b]) : (ints){};
}

MXLK_INLINE void block_dots(const int rows, const int centred, const weights *w, int64_t p, const x_row *x,
                            const row_words *words, int64_t b, ints dots[][vectors]) {
  (void)words;
  begin_dots(rows, centred, 0, x, b, dots);
  add_dots(rows, w, p, x, 8 * b, 8, dots);
  if (w->copied) return;
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) dots[r][v] = shifted(dots[r][v], x[r].shifts[b]);
}

/* The line of four for the shift of sub-block b of 32 columns. */
MXLK_INLINE ints shifted_line_at(const uint8_t *lines, int64_t line, int v, const x_row *x, int64_t b) {
  return ints_at(lines + 4 * ((4 * line + x->shifts[b]) * columns + lanes * v));
}

MXLK_INLINE floats d_of_row(const weights *w, int64_t b, int v, const x_row *x, floats d) {
  return w->copied ? (floats)shifted_line_at(w->d, b, v, x, b) : d;
}

/* dots as a pair whose upper half meets a 0, times the scale of sub-block b and 2^s. */
MXLK_INLINE ints add_scaled_pair(const int blocks, const weights *w, const x_row *x, int64_t b, int v, ints scale,
                                 ints dots, ints sum) {
  int64_t of_x = blocks == 16 ? b / 2 : b;
  return add_pair_products(
      sum, dots, w->copied ? shifted_line_at(w->scales, b, v, x, of_x) : shifted_halves(scale, x->shifts[of_x]));
}

/* sums += sums of halves of sub-blocks, which fit into 16 bits, times scales. 16 columns at a time, row by row: their codes are 8 vectors, so that with them
 * the sums stay in registers, where 16 more accumulators would not leave room. */
MXLK_INLINE void add_scaled_halves(const int rows, const mxlk_scheme scheme, const weights *w, int64_t p,
                                   const x_row *x, int64_t b, ints sums[][vectors]) {
  enum { groups = 4 };
  const int blocks = blocks_of(scheme), pieces = 16 / blocks, halves = 2 / pieces; /* halves: of a piece */
  ints scale[vectors];
  for (int v = 0; v < vectors; v++) scale[v] = w->copied ? (ints){} : scale_at(scheme, w, p, b, v);
#pragma clang loop unroll(full)
  for (int64_t piece = pieces * b; piece < pieces * (b + 1); piece++) {
    bytes codes[groups][vectors];
    for (int g = 0; g < groups; g++) {
      for (int v = 0; v < vectors; v++) codes[g][v] = codes_at(w, p, groups * piece + g, v);
      prefetch_at(w, p, groups * piece + g);
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      ints dots[2][vectors];
      for (int half = 0; half < halves; half++) begin_dots(1, 1, 1, x + r, halves * piece + half, dots + half);
#pragma clang loop unroll(full)
      for (int g = 0; g < groups; g++)
        for (int v = 0; v < vectors; v++) {
          int32_t four;
          memcpy(&four, x[r].codes + 4 * (groups * piece + g), 4);
          ints *sum = &dots[g * halves / groups][v];
          *sum = add_four_products(*sum, codes[g][v], every(four));
        }
      for (int half = 0; half < halves; half++)
        for (int v = 0; v < vectors; v++)
          sums[r][v] = add_scaled_pair(blocks, w, x + r, b, v, scale[v], dots[half][v], sums[r][v]);
      MXLK_SETTLE_MEMORY();
    }
  }
}

MXLK_INLINE void add_scaled_dots(const int rows, const mxlk_scheme scheme, const weights *w, int64_t p, const x_row *x,
                                 const row_words *words, int64_t b, ints sums[][vectors]) {
  const int blocks = blocks_of(scheme), groups = 64 / blocks;
  const int center = scheme != MXLK_SCHEME_SUPER16_MIN;
  ints scale[vectors], dots[tile_rows][vectors];
  (void)words;
  if (w->wide) {
    add_scaled_halves(rows, scheme, w, p, x, b, sums);
    return;
  }
  begin_dots(rows, center, 0, x, b, dots);
  add_dots(rows, w, p, x, groups * b, groups, dots);
  for (int v = 0; v < vectors; v++) scale[v] = w->copied ? (ints){} : scale_at(scheme, w, p, b, v);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) {
      if (pairs_up(scheme, w->code_bits))
        sums[r][v] = add_scaled_pair(blocks, w, x + r, b, v, scale[v], dots[r][v], sums[r][v]);
      else
        sums[r][v] += shifted(dots[r][v], x[r].shifts[blocks == 16 ? b / 2 : b]) * scale[v];
    }
}

MXLK_INLINE void add_block_dots(const int rows, const int centred, const weights *w, int64_t p, const x_row *x,
                                const row_words *words, int64_t b, ints sums[][vectors]) {
  ints dots[tile_rows][vectors];
  if (!pairs_up(MXLK_SCHEME_GROUP, w->code_bits)) {
    block_dots(rows, centred, w, p, x, words, b, dots);
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++) sums[r][v] += dots[r][v];
    return;
  }
  begin_dots(rows, centred, 0, x, b, dots);
  add_dots(rows, w, p, x, 8 * b, 8, dots);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) sums[r][v] = add_pair_products(sums[r][v], dots[r][v], every(x[r].shifts[b]));
}

MXLK_INLINE void complete_sums(const int rows, const int blocks, const weights *w, int64_t p, int v, const x_row *x,
                               const row_words *words, ints sums[][vectors]) {
  (void)words;
  if (blocks == 16) return;
#pragma clang loop unroll(full)
  for (int i = 0; i < 4; i++) {
    ints correction =
        w->copied ? ints_at(w->corrections + 4 * (i * columns + lanes * v)) : packed_corrections_at(w, p, i, v);
    for (int r = 0; r < rows; r++) sums[r][v] = add_pair_products(sums[r][v], correction, every(x[r].pairs[i]));
  }
}

MXLK_INLINE float sum_of_row(const x_row *x, int64_t b) { return x->sums[b]; }

MXLK_INLINE int32_t pair_of_row(const int blocks, const x_row *x, const row_words *words, int i) {
  (void)blocks, (void)words;
  return x->pairs[i];
}

MXLK_INLINE int32_t group_sum_of_row(const x_row *x, const row_words *words, int64_t g) {
  (void)words;
  return x->groups[g];
}

/* Of codes of less than 8 bits by a pair dot of (z, 256 z), |z| at most 8, and the sum, less than 2^18, as a rest and 256 parts: vpmulld takes two
 * operations. */
MXLK_INLINE ints zeros_product(const int code_bits, ints zeros, const x_row *x, const row_words *words, int64_t g) {
  (void)words;
  if (code_bits == 8) return zeros * -x->groups[g];
  return add_pair_products((ints){}, zeros << 24 | (zeros & 0xffff), every(x->group_pairs[g]));
}

/* 4 bits: 32 * 8 * 127 = 32512. */
MXLK_INLINE int group_center(const int code_bits) { return code_bits == 8 ? 128 : code_bits == 4 ? 8 : 0; }

void mxlk_linear_expanded_int8_pairs_8x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  run_format(0, row, tile);
}

void mxlk_linear_packed_int8_pairs_8x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  run_packed_panels(row, tile);
}

#pragma clang attribute pop
#endif

/* int8 tiles on 256 bits: 4 rows of x, 16 outputs as two vectors of 8.
 *
 * vpmaddubsw adds two products of an unsigned code and a signed activation in 16 bits. Codes of 4, 5 and 6 bits leave room for 8, 4 and
 * 2 such sums before they must be widened: 15 * 127 * 2 * 8 = 30480, 31 * 127 * 2 * 4 = 31496, 63 * 127 * 2 * 2 = 32004. Codes of 8 bits
 * would saturate: there |w| meets q with the sign of w, at most 128 * 127 * 2 = 32512. */
#include "tiles/int8.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

#include "panel/expand.h"

enum { columns = 16, tile_rows = 4, vectors = 2 };

void mxlk_expand_int8_16__avx2(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  mxlk_expand(row->context, packed, columns, k, expanded);
}

void mxlk_activate_int8__avx2(const float *x, int64_t k, mxlk_activation *out) { mxlk_activation_quantize(x, k, out); }

MXLK_INLINE __m256i activations_at(const mxlk_activation *x, int64_t group) {
  int32_t four;
  memcpy(&four, x->codes + group * 4, 4);
  return _mm256_set1_epi32(four);
}

MXLK_INLINE __m256i widened(__m256i pairs) { return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)); }

/* The dots of `groups` groups of 4 k, from group `first` on, added to the accumulators. */
MXLK_INLINE void dots(const int rows, const int code_bits, const uint8_t *codes, const mxlk_activation *x,
                      int64_t first, int groups, __m256i accumulators[][vectors]) {
  const int together = code_bits == 8 ? 1 : code_bits == 6 ? 2 : code_bits == 5 ? 4 : 8;
  for (int begin = 0; begin < groups; begin += together) {
    __m256i pairs[tile_rows][vectors];
    for (int g = begin; g < begin + together && g < groups; g++)
      for (int v = 0; v < vectors; v++) {
        __m256i w = _mm256_load_si256((const __m256i *)(const void *)(codes + (first + g) * 4 * columns + 32 * v));
        if (code_bits == 8) w = _mm256_xor_si256(w, _mm256_set1_epi8((char)0x80));
        for (int r = 0; r < rows; r++) {
          __m256i q = activations_at(x + r, first + g);
          __m256i products = code_bits == 8 ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(q, w))
                                            : _mm256_maddubs_epi16(w, q);
          pairs[r][v] = g == begin ? products : _mm256_add_epi16(pairs[r][v], products);
        }
      }
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++) accumulators[r][v] = _mm256_add_epi32(accumulators[r][v], widened(pairs[r][v]));
  }
}

/* y = fma(t, alpha, y) */
MXLK_INLINE void finish(const mxlk_activation *x, __m256 t, float *y) {
  _mm256_store_ps(y, _mm256_fmadd_ps(t, _mm256_set1_ps(x->alpha), _mm256_load_ps(y)));
}

MXLK_INLINE void block32(const int rows, const int code_bits, const mxl_tile *tile, int zero) {
  const mxlk_activation *x = tile->x;
  const uint8_t *codes = tile->weights;
  const float *d = (const float *)(const void *)(codes + MXL_SUPERBLOCK * columns);
  __m256 t[tile_rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) t[r][v] = _mm256_setzero_ps();
  for (int64_t b = 0; b < tile->k / 32; b++) {
    __m256i i[tile_rows][vectors];
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++)
        i[r][v] = code_bits == 8 ? _mm256_setzero_si256()
                                 : _mm256_set1_epi32(-zero * (x[r].sums16[2 * b] + x[r].sums16[2 * b + 1]));
    dots(rows, code_bits, codes, x, 8 * b, 8, i);
    for (int r = 0; r < rows; r++) {
      __m128i shift = _mm_cvtsi32_si128(x[r].shifts[b]);
      for (int v = 0; v < vectors; v++)
        t[r][v] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_sll_epi32(i[r][v], shift)),
                                  _mm256_load_ps(d + b * columns + 8 * v), t[r][v]);
    }
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) finish(x + r, t[r][v], tile->y + r * columns + 8 * v);
}

/* I = sum of sc_b (i_b << s_b) over the superblock's `blocks` sub-blocks of 8 (SUPER32) or 4 (SUPER16) groups. */
MXLK_INLINE void super(const int rows, const int code_bits, const int blocks, const uint8_t *codes,
                       const mxlk_activation *x, int zero, const int32_t *scales, __m256i sums[][vectors]) {
  const int groups = 64 / blocks;
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) sums[r][v] = _mm256_setzero_si256();
  for (int64_t b = 0; b < blocks; b++) {
    __m256i i[tile_rows][vectors];
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++)
        i[r][v] = blocks == 16 ? _mm256_set1_epi32(-zero * x[r].sums16[b]) : _mm256_setzero_si256();
    dots(rows, code_bits, codes, x, groups * b, groups, i);
    for (int r = 0; r < rows; r++) {
      __m128i shift = _mm_cvtsi32_si128(x[r].shifts[blocks == 16 ? b / 2 : b]);
      for (int v = 0; v < vectors; v++) {
        __m256i scale = _mm256_load_si256((const __m256i *)(const void *)(scales + b * columns + 8 * v));
        sums[r][v] = _mm256_add_epi32(sums[r][v], _mm256_mullo_epi32(_mm256_sll_epi32(i[r][v], shift), scale));
      }
    }
  }
}

MXLK_INLINE void super32(const int rows, const int code_bits, const mxl_tile *tile, int zero) {
  (void)zero;
  const mxlk_activation *x = tile->x;
  const uint8_t *codes = tile->weights;
  const int32_t *scales = (const int32_t *)(const void *)(codes + MXL_SUPERBLOCK * columns);
  const int32_t *minima = scales + 8 * columns; /* pairs of int16 */
  const float *d = (const float *)(const void *)(scales + 12 * columns), *dmin = d + columns;
  __m256i sums[tile_rows][vectors];
  super(rows, code_bits, 8, codes, x, 0, scales, sums);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) {
      __m256i j = _mm256_setzero_si256();
      for (int p = 0; p < 4; p++) {
        int32_t pair;
        memcpy(&pair, x[r].sums32 + 2 * p, 4);
        __m256i m = _mm256_load_si256((const __m256i *)(const void *)(minima + p * columns + 8 * v));
        j = _mm256_add_epi32(j, _mm256_madd_epi16(m, _mm256_set1_epi32(pair)));
      }
      __m256 t = _mm256_mul_ps(_mm256_cvtepi32_ps(sums[r][v]), _mm256_load_ps(d + 8 * v));
      t = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(j), _mm256_load_ps(dmin + 8 * v), t);
      finish(x + r, t, tile->y + r * columns + 8 * v);
    }
}

MXLK_INLINE void super16(const int rows, const int code_bits, const mxl_tile *tile, int zero) {
  const mxlk_activation *x = tile->x;
  const uint8_t *codes = tile->weights;
  const int32_t *scales = (const int32_t *)(const void *)(codes + MXL_SUPERBLOCK * columns);
  const float *d = (const float *)(const void *)(scales + 16 * columns);
  __m256i sums[tile_rows][vectors];
  super(rows, code_bits, 16, codes, x, zero, scales, sums);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++)
      finish(x + r, _mm256_mul_ps(_mm256_cvtepi32_ps(sums[r][v]), _mm256_load_ps(d + 8 * v)),
             tile->y + r * columns + 8 * v);
}

/* `blocks` are the sub-blocks of a group. */
MXLK_INLINE void group(const int rows, const int blocks, const mxl_tile *tile, int zero) {
  (void)zero;
  const mxlk_activation *x = tile->x;
  const uint8_t *codes = tile->weights;
  const float *scales = (const float *)(const void *)(codes + MXL_SUPERBLOCK * columns);
  const int32_t *zeros = (const int32_t *)(const void *)(scales + 8 * columns);
  __m256 t[tile_rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) t[r][v] = _mm256_setzero_ps();
  for (int64_t g = 0; g < tile->k / 32 / blocks; g++) {
    __m256i sums[tile_rows][vectors];
    for (int r = 0; r < rows; r++) {
      int32_t sum = 0;
      for (int64_t b = g * blocks; b < (g + 1) * blocks; b++) sum += x[r].sums32[b];
      for (int v = 0; v < vectors; v++) {
        __m256i zero_points = _mm256_load_si256((const __m256i *)(const void *)(zeros + g * columns + 8 * v));
        sums[r][v] = _mm256_mullo_epi32(zero_points, _mm256_set1_epi32(-sum));
      }
    }
    for (int64_t b = g * blocks; b < (g + 1) * blocks; b++) {
      __m256i i[tile_rows][vectors];
      for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) i[r][v] = _mm256_setzero_si256();
      dots(rows, 4, codes, x, 8 * b, 8, i);
      for (int r = 0; r < rows; r++) {
        __m128i shift = _mm_cvtsi32_si128(x[r].shifts[b]);
        for (int v = 0; v < vectors; v++) sums[r][v] = _mm256_add_epi32(sums[r][v], _mm256_sll_epi32(i[r][v], shift));
      }
    }
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++)
        t[r][v] =
            _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[r][v]), _mm256_load_ps(scales + g * columns + 8 * v), t[r][v]);
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) finish(x + r, t[r][v], tile->y + r * columns + 8 * v);
}

/* Calls a scheme with the number of rows as a constant. */
#define MXLK_BY_ROWS(scheme, code_bits, zero)         \
  switch (tile->rows) {                               \
    case 1: scheme(1, code_bits, tile, zero); break;  \
    case 2: scheme(2, code_bits, tile, zero); break;  \
    case 3: scheme(3, code_bits, tile, zero); break;  \
    default: scheme(4, code_bits, tile, zero); break; \
  }

void mxlk_linear_block32_int8_4x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile) {
  const mxlk_block_format *format = row->context;
  if (format->code_bits == 4) MXLK_BY_ROWS(block32, 4, format->zero)
  if (format->code_bits == 5) MXLK_BY_ROWS(block32, 5, format->zero)
  if (format->code_bits == 8) MXLK_BY_ROWS(block32, 8, format->zero)
}

void mxlk_linear_super32_int8_4x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile) {
  const mxlk_block_format *format = row->context;
  if (format->code_bits == 4) MXLK_BY_ROWS(super32, 4, 0)
  if (format->code_bits == 5) MXLK_BY_ROWS(super32, 5, 0)
}

void mxlk_linear_super16_int8_4x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile) {
  MXLK_BY_ROWS(super16, 6, ((const mxlk_block_format *)row->context)->zero)
}

void mxlk_linear_group_int8_4x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile) {
  MXLK_BY_ROWS(group, ((const mxlk_block_format *)row->context)->group / 32, 0)
}

#undef MXLK_BY_ROWS
#pragma clang attribute pop
#endif

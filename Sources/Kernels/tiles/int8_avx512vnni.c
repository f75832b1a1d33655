/* int8 tiles on 512 bits: 6 rows of x, 32 outputs as two vectors of 16.
 *
 * Registers of a full tile: 12 integer accumulators, 12 float (or int32) sums, 2 vectors of codes, 1 broadcast of activations.
 * Operations on the two wide multiply ports per row and vector of outputs, of 64 dots in a superblock:
 *   BLOCK32  64 dots + 8 fma + 1 = 73       SUPER32  64 dots + 8 multiplies + 4 pair dots + 3 = 79
 *   SUPER16  64 dots + 16 multiplies + 2 = 82 */
#include "tiles/int8.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
                             apply_to = function)

#include "activation/int8.h"
#include "panel/expand.h"

enum { columns = 32, tile_rows = 6, vectors = 2 };

void mxlk_expand_int8_32__avx512vnni(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  mxlk_expand(row->context, packed, columns, k, expanded);
}

void mxlk_activate_int8__avx512vnni(const float *x, int64_t k, mxlk_activation *out) { mxlk_activation_quantize(x, k, out); }

/* The dots of `groups` groups of 4 k, from group `first` on, added to the accumulators. */
MXLK_INLINE void dots(const int rows, const uint8_t *codes, const mxlk_activation *x, int64_t first, int groups,
                      __m512i accumulators[][vectors]) {
  for (int g = 0; g < groups; g++) {
    const uint8_t *at = codes + (first + g) * 4 * columns;
    __m512i low = _mm512_load_si512(at), high = _mm512_load_si512(at + 64);
    for (int r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, x[r].codes + (first + g) * 4, 4);
      __m512i activations = _mm512_set1_epi32(four);
      accumulators[r][0] = _mm512_dpbusd_epi32(accumulators[r][0], low, activations);
      accumulators[r][1] = _mm512_dpbusd_epi32(accumulators[r][1], high, activations);
    }
  }
}

/* y = fma(t, alpha, y) */
MXLK_INLINE void finish(const mxlk_activation *x, __m512 t, float *y) {
  _mm512_store_ps(y, _mm512_fmadd_ps(t, _mm512_set1_ps(x->alpha), _mm512_load_ps(y)));
}

MXLK_INLINE void block32(const int rows, const mxl_tile *tile, int zero) {
  const mxlk_activation *x = tile->x;
  const uint8_t *codes = tile->weights;
  const float *d = (const float *)(const void *)(codes + MXL_SUPERBLOCK * columns);
  __m512 t[tile_rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) t[r][v] = _mm512_setzero_ps();
  for (int64_t b = 0; b < tile->k / 32; b++) {
    __m512i i[tile_rows][vectors];
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++)
        i[r][v] = _mm512_set1_epi32(-zero * (x[r].sums16[2 * b] + x[r].sums16[2 * b + 1]));
    dots(rows, codes, x, 8 * b, 8, i);
    for (int r = 0; r < rows; r++) {
      __m128i shift = _mm_cvtsi32_si128(x[r].shifts[b]);
      for (int v = 0; v < vectors; v++)
        t[r][v] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_sll_epi32(i[r][v], shift)),
                                  _mm512_load_ps(d + b * columns + 16 * v), t[r][v]);
    }
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) finish(x + r, t[r][v], tile->y + r * columns + 16 * v);
}

/* I = sum of sc_b (i_b << s_b) over the superblock's `blocks` sub-blocks of 8 (SUPER32) or 4 (SUPER16) groups. */
MXLK_INLINE void super(const int rows, const int blocks, const uint8_t *codes, const mxlk_activation *x, int zero,
                       const int32_t *scales, __m512i sums[][vectors]) {
  const int groups = 64 / blocks;
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) sums[r][v] = _mm512_setzero_si512();
  for (int64_t b = 0; b < blocks; b++) {
    __m512i i[tile_rows][vectors];
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++)
        i[r][v] = blocks == 16 ? _mm512_set1_epi32(-zero * x[r].sums16[b]) : _mm512_setzero_si512();
    dots(rows, codes, x, groups * b, groups, i);
    for (int r = 0; r < rows; r++) {
      __m128i shift = _mm_cvtsi32_si128(x[r].shifts[blocks == 16 ? b / 2 : b]);
      for (int v = 0; v < vectors; v++) {
        __m512i scale = _mm512_load_si512(scales + b * columns + 16 * v);
        sums[r][v] = _mm512_add_epi32(sums[r][v], _mm512_mullo_epi32(_mm512_sll_epi32(i[r][v], shift), scale));
      }
    }
  }
}

MXLK_INLINE void super32(const int rows, const mxl_tile *tile, int zero) {
  (void)zero;
  const mxlk_activation *x = tile->x;
  const uint8_t *codes = tile->weights;
  const int32_t *scales = (const int32_t *)(const void *)(codes + MXL_SUPERBLOCK * columns);
  const int32_t *minima = scales + 8 * columns; /* pairs of int16 */
  const float *d = (const float *)(const void *)(scales + 12 * columns), *dmin = d + columns;
  __m512i sums[tile_rows][vectors];
  super(rows, 8, codes, x, 0, scales, sums);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) {
      __m512i j = _mm512_setzero_si512();
      for (int p = 0; p < 4; p++) {
        int32_t pair;
        memcpy(&pair, x[r].sums32 + 2 * p, 4);
        j = _mm512_dpwssd_epi32(j, _mm512_load_si512(minima + p * columns + 16 * v), _mm512_set1_epi32(pair));
      }
      __m512 t = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[r][v]), _mm512_load_ps(d + 16 * v));
      t = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(j), _mm512_load_ps(dmin + 16 * v), t);
      finish(x + r, t, tile->y + r * columns + 16 * v);
    }
}

MXLK_INLINE void super16(const int rows, const mxl_tile *tile, int zero) {
  const mxlk_activation *x = tile->x;
  const uint8_t *codes = tile->weights;
  const int32_t *scales = (const int32_t *)(const void *)(codes + MXL_SUPERBLOCK * columns);
  const float *d = (const float *)(const void *)(scales + 16 * columns);
  __m512i sums[tile_rows][vectors];
  super(rows, 16, codes, x, zero, scales, sums);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++)
      finish(x + r, _mm512_mul_ps(_mm512_cvtepi32_ps(sums[r][v]), _mm512_load_ps(d + 16 * v)),
             tile->y + r * columns + 16 * v);
}

void mxlk_linear_block32_int8_6x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  int zero = ((const mxlk_block_format *)row->context)->zero;
  switch (tile->rows) {
    case 1: block32(1, tile, zero); break;
    case 2: block32(2, tile, zero); break;
    case 3: block32(3, tile, zero); break;
    case 4: block32(4, tile, zero); break;
    case 5: block32(5, tile, zero); break;
    case 6: block32(6, tile, zero); break;
  }
}

void mxlk_linear_super32_int8_6x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  switch (tile->rows) {
    case 1: super32(1, tile, 0); break;
    case 2: super32(2, tile, 0); break;
    case 3: super32(3, tile, 0); break;
    case 4: super32(4, tile, 0); break;
    case 5: super32(5, tile, 0); break;
    case 6: super32(6, tile, 0); break;
  }
}

void mxlk_linear_super16_int8_6x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  int zero = ((const mxlk_block_format *)row->context)->zero;
  switch (tile->rows) {
    case 1: super16(1, tile, zero); break;
    case 2: super16(2, tile, zero); break;
    case 3: super16(3, tile, zero); break;
    case 4: super16(4, tile, zero); break;
    case 5: super16(5, tile, zero); break;
    case 6: super16(6, tile, zero); break;
  }
}

#pragma clang attribute pop
#endif

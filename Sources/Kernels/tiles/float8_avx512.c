/* 8-bit floats on 512 bits: 14 rows of x, 32 outputs as two vectors of 16; a line of words, 4 k, is 128 bytes. */
#include "tiles/float8.h"

#ifdef __x86_64__
#include "contract.h"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)

#include <immintrin.h>

enum { vectors = 2, columns = 16 * vectors, tile_rows = 14, line_bytes = 4 * columns };

/* The kinds of weight; a constant at every call, as is rows. */
enum { e4m3, e5m2 };

/* The k number j of sixteen outputs' words. As a half, whose exponent has a bit more than E4M3's: of that the value times 2^-8. */
MXLK_INLINE __m512 take(const int kind, __m512i words, const int j) {
  __m512i upper = _mm512_slli_epi32(words, 24 - 8 * j);
  if (kind == e5m2) return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_slli_epi32(_mm512_srli_epi32(upper, 24), 8)));
  __m512i half = _mm512_or_si512(_mm512_and_si512(upper, _mm512_set1_epi32((int)0x80000000)),
                                 _mm512_srli_epi32(_mm512_and_si512(upper, _mm512_set1_epi32(0x7f000000)), 1));
  __m512 value = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(half, 16)));
  value = _mm512_mul_ps(value, _mm512_set1_ps(256));
  const __m512i nan = _mm512_set1_epi32(0x7fc00000);
  const __m512i magnitude = _mm512_and_si512(_mm512_castps_si512(value), _mm512_set1_epi32(0x7fffffff));
  const __m512i largest = _mm512_set1_epi32(0x43e00000); /* 448 */
  return _mm512_castsi512_ps(
      _mm512_mask_mov_epi32(_mm512_castps_si512(value), _mm512_cmpgt_epi32_mask(magnitude, largest), nan));
}

MXLK_INLINE void run_superblock(const mxl_tile *tile, const int kind, const int rows, const float *x, const char *w,
                                int64_t k, const char *next, int64_t step) {
  __m512 t[tile_rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) t[r][v] = _mm512_setzero_ps();
  for (int64_t q = 0; q < k; q += 4, w += line_bytes, next += step) {
    __m512i words[vectors];
    for (int v = 0; v < vectors; v++) {
      words[v] = _mm512_load_si512(w + 64 * v);
      _mm_prefetch(next + 64 * v, _MM_HINT_T0);
    }
#pragma clang loop unroll(full)
    for (int j = 0; j < 4; j++) {
      if (q + j >= k) break;
      __m512 line[vectors];
      for (int v = 0; v < vectors; v++) line[v] = take(kind, words[v], j);
      for (int r = 0; r < rows; r++) {
        __m512 one = _mm512_set1_ps(x[(q + j) * rows + r]);
        for (int v = 0; v < vectors; v++) t[r][v] = _mm512_fmadd_ps(one, line[v], t[r][v]);
      }
    }
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) {
      float *y = tile->y + r * columns + 16 * v;
      _mm512_store_ps(y, _mm512_add_ps(_mm512_load_ps(y), t[r][v]));
    }
}

MXLK_INLINE void run_rows(const mxl_tile *tile, const int kind, const int rows) {
  const float *x = tile->x;
  const char *w = tile->weights;
  const char *next = tile->next == NULL ? w : tile->next;
  int64_t step = tile->next == NULL ? 0 : tile->next_bytes / ((tile->k + 3) / 4);
  for (int64_t begin = 0; begin < tile->k; begin += MXL_SUPERBLOCK) {
    int64_t k = tile->k - begin < MXL_SUPERBLOCK ? tile->k - begin : MXL_SUPERBLOCK, lines = (k + 3) / 4;
    run_superblock(tile, kind, rows, x, w, k, next, step);
    x += k * rows;
    w += lines * line_bytes;
    next += lines * step;
  }
}

MXLK_INLINE void run(const mxl_tile *tile, const int kind) {
  switch (tile->rows) {
    case 1: run_rows(tile, kind, 1); break;
    case 2: run_rows(tile, kind, 2); break;
    case 3: run_rows(tile, kind, 3); break;
    case 4: run_rows(tile, kind, 4); break;
    case 5: run_rows(tile, kind, 5); break;
    case 6: run_rows(tile, kind, 6); break;
    case 7: run_rows(tile, kind, 7); break;
    case 8: run_rows(tile, kind, 8); break;
    case 9: run_rows(tile, kind, 9); break;
    case 10: run_rows(tile, kind, 10); break;
    case 11: run_rows(tile, kind, 11); break;
    case 12: run_rows(tile, kind, 12); break;
    case 13: run_rows(tile, kind, 13); break;
    case 14: run_rows(tile, kind, 14); break;
    default: break;
  }
}

void mxlk_linear_f8_e4m3_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  run(tile, e4m3);
}

void mxlk_linear_f8_e5m2_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  run(tile, e5m2);
}

MXLK_INLINE void expand(const int kind, const char *packed, int64_t k, float *lines) {
  for (; k > 0; k -= 4, packed += line_bytes, lines += 4 * columns)
    for (int v = 0; v < vectors; v++) {
      __m512i words = _mm512_load_si512(packed + 64 * v);
#pragma clang loop unroll(full)
      for (int j = 0; j < 4; j++)
        if (j < k) _mm512_store_ps(lines + j * columns + 16 * v, take(kind, words, j));
    }
}

void mxlk_expand_f8_e4m3_32__avx512(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  (void)row;
  expand(e4m3, packed, k, expanded);
}

void mxlk_expand_f8_e5m2_32__avx512(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  (void)row;
  expand(e5m2, packed, k, expanded);
}

#pragma clang attribute pop
#endif

#include "tiles/pairs.h"

#ifdef __x86_64__
#include <immintrin.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)

enum { vectors = 2, columns = 16 * vectors };

#define MXLK_ALWAYS static inline __attribute__((always_inline))

MXLK_ALWAYS __m512 low_half(__m512i pair) { return _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16)); }

MXLK_ALWAYS __m512 high_half(__m512i pair) {
  return _mm512_castsi512_ps(_mm512_and_si512(pair, _mm512_set1_epi32((int)0xffff0000)));
}

/* The kinds of tile; a constant at every call, as is rows. */
enum { f16_f32, bf16_f32 };

MXLK_ALWAYS void pairs_superblock(const mxl_tile *tile, const int kind, const int rows, const char *x, const char *w,
                                  int64_t k, const char *next, int64_t step) {
  __m512 t[14][vectors];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) t[r][v] = _mm512_setzero_ps();
  for (int64_t j = 0; j < k; j += 2) {
    __m512i pair[vectors];
    __m512 even[vectors], odd[vectors];
    for (int v = 0; v < vectors; v++) {
      pair[v] = _mm512_load_si512(w + j * columns * 2 + 64 * v);
      _mm_prefetch(next + j / 2 * step + 64 * v, _MM_HINT_T0);
      if (kind == f16_f32) {
        even[v] = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(pair[v]));
        odd[v] = _mm512_cvtph_ps(_mm512_cvtepi32_epi16(_mm512_srli_epi32(pair[v], 16)));
      } else {
        even[v] = low_half(pair[v]);
        odd[v] = high_half(pair[v]);
      }
    }
    for (int r = 0; r < rows; r++) {
      float first, second = 0;
      memcpy(&first, x + 4 * (j * rows + r), 4);
      if (j + 1 < k) memcpy(&second, x + 4 * ((j + 1) * rows + r), 4);
      for (int v = 0; v < vectors; v++) {
        t[r][v] = _mm512_fmadd_ps(_mm512_set1_ps(first), even[v], t[r][v]);
        if (j + 1 < k) t[r][v] = _mm512_fmadd_ps(_mm512_set1_ps(second), odd[v], t[r][v]);
      }
    }
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) {
      float *y = tile->y + r * columns + 16 * v;
      _mm512_store_ps(y, _mm512_add_ps(_mm512_load_ps(y), t[r][v]));
    }
}

MXLK_ALWAYS void pairs_run(const mxl_tile *tile, const int kind, const int rows) {
  const char *x = tile->x, *w = tile->weights;
  const char *next = tile->next == NULL ? w : tile->next;
  int64_t step = tile->next == NULL ? 0 : tile->next_bytes / ((tile->k + 1) / 2);
  for (int64_t begin = 0; begin < tile->k; begin += MXL_SUPERBLOCK) {
    int64_t k = tile->k - begin < MXL_SUPERBLOCK ? tile->k - begin : MXL_SUPERBLOCK;
    pairs_superblock(tile, kind, rows, x, w, k, next, step);
    x += k * rows * 4;
    w += (k + 1) / 2 * columns * 4;
    next += (k + 1) / 2 * step;
  }
}

#define MXLK_PAIRS_BY_ROWS(kind)               \
  switch (tile->rows) {                        \
    case 1: pairs_run(tile, kind, 1); break;   \
    case 2: pairs_run(tile, kind, 2); break;   \
    case 3: pairs_run(tile, kind, 3); break;   \
    case 4: pairs_run(tile, kind, 4); break;   \
    case 5: pairs_run(tile, kind, 5); break;   \
    case 6: pairs_run(tile, kind, 6); break;   \
    case 7: pairs_run(tile, kind, 7); break;   \
    case 8: pairs_run(tile, kind, 8); break;   \
    case 9: pairs_run(tile, kind, 9); break;   \
    case 10: pairs_run(tile, kind, 10); break; \
    case 11: pairs_run(tile, kind, 11); break; \
    case 12: pairs_run(tile, kind, 12); break; \
    case 13: pairs_run(tile, kind, 13); break; \
    case 14: pairs_run(tile, kind, 14); break; \
    default: break;                            \
  }

void mxlk_linear_f16_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  MXLK_PAIRS_BY_ROWS(f16_f32)
}

void mxlk_linear_bf16_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  MXLK_PAIRS_BY_ROWS(bf16_f32)
}

#pragma clang attribute pop
#endif

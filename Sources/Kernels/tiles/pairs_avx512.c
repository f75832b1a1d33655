#include "tiles/pairs.h"

#ifdef __x86_64__
#include "tiles/prefetch.h"

#include <immintrin.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)

enum { vectors = 2, columns = 16 * vectors, line_bytes = 4 * columns };

#define MXLK_ALWAYS static inline __attribute__((always_inline))

MXLK_ALWAYS __m512 low_half(__m512i pair) { return _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16)); }

MXLK_ALWAYS __m512 high_half(__m512i pair) {
  return _mm512_castsi512_ps(_mm512_and_si512(pair, _mm512_set1_epi32((int)0xffff0000)));
}

/* The kinds of tile; a constant at every call, as is rows. */
enum { f16_f32, bf16_f32, chains_f32 };

/* How many k a kind's lines are taken apart into together. */
MXLK_ALWAYS int together(const int kind) { return kind == chains_f32 ? 4 : 2; }

MXLK_ALWAYS int64_t lines_of(const int kind, int64_t k) {
  return kind == chains_f32 ? mxlk_chains_lines(k) : mxlk_pairs_lines(k);
}

/* The i-th of the k that are taken apart together. */
MXLK_ALWAYS __m512 take(const int kind, const int i, const char *w, int v) {
  const int line = kind == chains_f32 ? i % 2 : 0, high = kind == chains_f32 ? i < 2 : i == 1;
  __m512i words = _mm512_load_si512(w + line * line_bytes + 64 * v);
  if (kind == f16_f32) return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(high ? _mm512_srli_epi32(words, 16) : words));
  return high ? high_half(words) : low_half(words);
}

/* t = fma(x, w, t) for the first k of them, ascending. */
MXLK_ALWAYS void add_lines(const int kind, const int rows, const char *x, const char *w, int64_t k,
                           __m512 t[][vectors]) {
  for (int i = 0; i < together(kind); i++) {
    if (i >= k) break;
    __m512 line[vectors];
    for (int v = 0; v < vectors; v++) line[v] = take(kind, i, w, v);
    for (int r = 0; r < rows; r++) {
      float one;
      memcpy(&one, x + 4 * (i * rows + r), 4);
      for (int v = 0; v < vectors; v++) t[r][v] = _mm512_fmadd_ps(_mm512_set1_ps(one), line[v], t[r][v]);
    }
  }
}

MXLK_ALWAYS void pairs_superblock(const mxl_tile *tile, const int kind, const int rows, const char *x, const char *w,
                                  int64_t k, const char *next, int64_t step) {
  const int64_t some = together(kind);
  __m512 t[14][vectors];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) t[r][v] = _mm512_setzero_ps();
  for (; k >= some; k -= some, x += 4 * some * rows) {
    for (int64_t line = 0; line < some / 2; line++, next += step)
      for (int v = 0; v < vectors; v++) mxlk_prefetch(next + 64 * v, rows <= mxlk_near_rows);
    add_lines(kind, rows, x, w, some, t);
    w += some / 2 * line_bytes;
  }
  add_lines(kind, rows, x, w, k, t);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) {
      float *y = tile->y + r * columns + 16 * v;
      _mm512_store_ps(y, _mm512_add_ps(_mm512_load_ps(y), t[r][v]));
    }
}

MXLK_ALWAYS void pairs_run(const mxl_tile *tile, const int kind, const int rows) {
  const char *x = tile->x, *w = tile->weights;
  const char *next = tile->next == NULL ? w : tile->next;
  int64_t step = tile->next == NULL ? 0 : tile->next_bytes / lines_of(kind, tile->k);
  for (int64_t begin = 0; begin < tile->k; begin += MXL_SUPERBLOCK) {
    int64_t k = tile->k - begin < MXL_SUPERBLOCK ? tile->k - begin : MXL_SUPERBLOCK;
    pairs_superblock(tile, kind, rows, x, w, k, next, step);
    x += k * rows * 4;
    w += lines_of(kind, k) * line_bytes;
    next += lines_of(kind, k) * step;
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

void mxlk_linear_bf16_f32_14x32__avx512bf16(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  MXLK_PAIRS_BY_ROWS(chains_f32)
}

/* The zeros behind the last k too: there is room for a whole superblock. */
void mxlk_chains_expand_bf16__avx512(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  (void)row;
  const char *w = packed;
  float *to = expanded;
  for (int64_t j = 0; j < k; j += 4, w += 2 * line_bytes)
    for (int i = 0; i < 4; i++, to += columns)
      for (int v = 0; v < vectors; v++) _mm512_store_ps(to + 16 * v, take(chains_f32, i, w, v));
}

#pragma clang attribute pop
#endif

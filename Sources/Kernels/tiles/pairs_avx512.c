#include "tiles/pairs.h"

#ifdef __x86_64__
#include "tiles/panels.h"
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

/* What a superblock asks for: of one panel at `next`, a step for each line; of several each behind its own weights. */
typedef struct reading {
  const char *next;
  int64_t step;
} reading;

MXLK_ALWAYS void ask(const int rows, const int panels, const char *w, reading *read) {
  for (int v = 0; v < vectors; v++) {
    if (panels == 1)
      mxlk_prefetch(read->next + 64 * v, rows <= mxlk_near_rows);
    else
      mxlk_prefetch(w + mxlk_side_ahead + 64 * v, 1);
  }
  read->next += read->step;
}

MXLK_ALWAYS void pairs_superblock(const mxl_tile *tile, const int kind, const int rows, const int panels, const char *x,
                                  const char *w, int64_t k, reading read) {
  const int64_t some = together(kind);
  __m512 t[MXL_MOST_SIDE_PANELS][14][vectors];
  for (int p = 0; p < panels; p++)
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++) t[p][r][v] = _mm512_setzero_ps();
  for (; k >= some; k -= some, x += 4 * some * rows, w += some / 2 * line_bytes)
    for (int p = 0; p < panels; p++) {
      const char *lines = w + p * tile->weights_apart;
      for (int64_t line = 0; line < some / 2; line++) ask(rows, panels, lines + line * line_bytes, &read);
      add_lines(kind, rows, x, lines, some, t[p]);
    }
  for (int p = 0; p < panels; p++) {
    add_lines(kind, rows, x, w + p * tile->weights_apart, k, t[p]);
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++) {
        float *y = tile->y + p * tile->y_apart + r * columns + 16 * v;
        _mm512_store_ps(y, _mm512_add_ps(_mm512_load_ps(y), t[p][r][v]));
      }
  }
}

MXLK_ALWAYS void pairs_run(const mxl_tile *tile, const int kind, const int rows, const int panels) {
  const char *x = tile->x, *w = tile->weights;
  reading read = {tile->next == NULL ? w : tile->next, 0};
  if (tile->next != NULL) read.step = tile->next_bytes / lines_of(kind, tile->k);
  for (int64_t begin = 0; begin < tile->k; begin += MXL_SUPERBLOCK) {
    int64_t k = tile->k - begin < MXL_SUPERBLOCK ? tile->k - begin : MXL_SUPERBLOCK;
    pairs_superblock(tile, kind, rows, panels, x, w, k, read);
    x += k * rows * 4;
    w += lines_of(kind, k) * line_bytes;
    read.next += lines_of(kind, k) * read.step;
  }
}

/* As many panels side by side as leave room for their sums. */
#define MXLK_PAIRS_BY_ROWS(kind, run, row)                           \
  switch (tile->rows + 16 * (tile->panels > 1 ? tile->panels : 0)) { \
    case 1: pairs_run(tile, kind, 1, 1); break;                      \
    case 2: pairs_run(tile, kind, 2, 1); break;                      \
    case 3: pairs_run(tile, kind, 3, 1); break;                      \
    case 4: pairs_run(tile, kind, 4, 1); break;                      \
    case 5: pairs_run(tile, kind, 5, 1); break;                      \
    case 6: pairs_run(tile, kind, 6, 1); break;                      \
    case 7: pairs_run(tile, kind, 7, 1); break;                      \
    case 8: pairs_run(tile, kind, 8, 1); break;                      \
    case 9: pairs_run(tile, kind, 9, 1); break;                      \
    case 10: pairs_run(tile, kind, 10, 1); break;                    \
    case 11: pairs_run(tile, kind, 11, 1); break;                    \
    case 12: pairs_run(tile, kind, 12, 1); break;                    \
    case 13: pairs_run(tile, kind, 13, 1); break;                    \
    case 14: pairs_run(tile, kind, 14, 1); break;                    \
    case 4 * 16 + 1: pairs_run(tile, kind, 1, 4); break;             \
    case 4 * 16 + 2: pairs_run(tile, kind, 2, 4); break;             \
    case 3 * 16 + 3: pairs_run(tile, kind, 3, 3); break;             \
    case 2 * 16 + 4: pairs_run(tile, kind, 4, 2); break;             \
    case 2 * 16 + 5: pairs_run(tile, kind, 5, 2); break;             \
    default: mxlk_one_by_one(run, row, tile); break;                 \
  }

void mxlk_linear_f16_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile) {
  MXLK_PAIRS_BY_ROWS(f16_f32, mxlk_linear_f16_f32_14x32__avx512, row)
}

void mxlk_linear_bf16_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile) {
  MXLK_PAIRS_BY_ROWS(bf16_f32, mxlk_linear_bf16_f32_14x32__avx512, row)
}

void mxlk_linear_bf16_f32_14x32__avx512bf16(const mxl_kernel_row *row, const mxl_tile *tile) {
  MXLK_PAIRS_BY_ROWS(chains_f32, mxlk_linear_bf16_f32_14x32__avx512bf16, row)
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

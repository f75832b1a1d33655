/* The loops of bfloat16_avx512.c and bfloat16_avx512bf16.c, included under each one's target attribute: 14 rows of x, 32 outputs as two
 * vectors of 16. With more than few_rows the sums of one chain at a time are in registers: a block's even k first, then its odd ones.
 *
 * A step of a chain is one k, of float32, the weights in pairs, or with MXLK_NATIVE_DOTS two k, both in chains. */
#ifndef MXLK_TILES_BFLOAT16_AVX512_H
#define MXLK_TILES_BFLOAT16_AVX512_H

#include "tiles/bfloat16.h"
#include "tiles/flush.h"
#include "tiles/pairs.h"

#include <immintrin.h>
#include <string.h>

#define MXLK_ALWAYS static inline __attribute__((always_inline))

enum { vectors = 2, columns = 16 * vectors, tile_rows = 14, few_rows = 6, line_bytes = 4 * columns };
enum { even, odd, both };

#ifdef MXLK_NATIVE_DOTS
enum { steps = MXLK_DOT_LINES / 2, row_bytes = MXLK_DOT_CHAINS_BYTES };
typedef __m512i line_vector;
MXLK_ALWAYS int64_t lines_of(int64_t k) { return mxlk_chains_lines(k); }
#else
enum { steps = MXLK_DOT_LINES, row_bytes = MXLK_DOT_FLOATS_BYTES };
typedef __m512 line_vector;
MXLK_ALWAYS int64_t lines_of(int64_t k) { return mxlk_pairs_lines(k); }
#endif
enum { block_bytes = MXLK_DOT_LINES * line_bytes };

/* A step of a chain. */
MXLK_ALWAYS line_vector take(const int chain, const char *w, int64_t i, int v) {
#ifdef MXLK_NATIVE_DOTS
  return _mm512_load_si512(w + (2 * i + chain) * line_bytes + 64 * v);
#else
  __m512i pairs = _mm512_load_si512(w + i * line_bytes + 64 * v);
  if (chain == even) return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
  return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32((int)0xffff0000)));
#endif
}

MXLK_ALWAYS __m512 add_step(__m512 sum, const char *x, line_vector w) {
#ifdef MXLK_NATIVE_DOTS
  int32_t pair;
  memcpy(&pair, x, 4);
  return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_epi32(pair), (__m512bh)w);
#else
  float one;
  memcpy(&one, x, 4);
  return _mm512_fmadd_ps(_mm512_set1_ps(one), w, sum);
#endif
}

MXLK_ALWAYS void add_line(const int rows, const char *x, const line_vector w[vectors], __m512 sums[][vectors]) {
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) sums[r][v] = add_step(sums[r][v], x + r * row_bytes, w[v]);
}

/* The sums of one chain of a block, or of both; x as it is arranged. next: where as many lines will be read. */
MXLK_ALWAYS void add_chains(const int rows, const int chains, const char *x, const char *w, const char *next,
                            __m512 e[][vectors], __m512 o[][vectors]) {
  /* Each chain asks for its half. */
  const int64_t ask = block_bytes / (chains == both ? 1 : 2) / steps;
  if (chains == odd) next += block_bytes / 2;
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      if (chains != odd) e[r][v] = _mm512_setzero_ps();
      if (chains != even) o[r][v] = _mm512_setzero_ps();
    }
  for (int64_t i = 0; i < steps; i++) {
    line_vector line[vectors];
    for (int64_t at = 0; at < ask; at += 64) _mm_prefetch(next + i * ask + at, _MM_HINT_T0);
    if (chains != odd) {
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) line[v] = take(even, w, i, v);
      add_line(rows, x + 4 * i, line, e);
    }
    if (chains != even) {
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) line[v] = take(odd, w, i, v);
      add_line(rows, x + 4 * (steps + i), line, o);
    }
  }
}

MXLK_ALWAYS void superblock(const int rows, const char *x, const char *w, int64_t k, const char *next, float *y) {
  __m512 t[tile_rows][vectors];
  _Alignas(64) char last[block_bytes];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) t[r][v] = _mm512_setzero_ps();
  uint32_t before = mxlk_flush_begin();
  MXLK_SETTLE_MEMORY();
  for (; k > 0; k -= MXLK_DOT_K) {
    __m512 e[tile_rows][vectors], o[tile_rows][vectors];
    const char *at = w;
    if (k < MXLK_DOT_K) {
      memset(last, 0, sizeof last);
      at = memcpy(last, w, (size_t)(lines_of(k) * line_bytes));
    }
    if (rows <= few_rows) {
      add_chains(rows, both, x, at, next, e, o);
    } else {
      add_chains(rows, even, x, at, next, e, o);
      add_chains(rows, odd, x, at, next, e, o);
    }
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) t[r][v] = _mm512_add_ps(t[r][v], _mm512_add_ps(e[r][v], o[r][v]));
    x += 8 * steps;
    w += block_bytes;
    next += block_bytes;
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) MXLK_SETTLE(t[r][v]); /* computed before the change back */
  mxlk_flush_end(before);
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      float *to = y + r * columns + 16 * v;
      MXLK_SETTLE(t[r][v]); /* summed behind it */
      _mm512_store_ps(to, _mm512_add_ps(_mm512_load_ps(to), t[r][v]));
    }
}

MXLK_ALWAYS void run_rows(const mxl_tile *tile, const int rows) {
  const char *x = tile->x, *w = tile->weights, *next = tile->next == NULL ? w : tile->next;
  for (int64_t begin = 0; begin < tile->k; begin += MXL_SUPERBLOCK) {
    int64_t k = tile->k - begin < MXL_SUPERBLOCK ? tile->k - begin : MXL_SUPERBLOCK;
    superblock(rows, x, w, k, next, tile->y);
    x += rows * row_bytes;
    w += MXL_SUPERBLOCK / 2 * line_bytes;
    next += MXL_SUPERBLOCK / 2 * line_bytes;
  }
}

#define MXLK_DOTS_BY_ROWS()             \
  switch (tile->rows) {                 \
    case 1: run_rows(tile, 1); break;   \
    case 2: run_rows(tile, 2); break;   \
    case 3: run_rows(tile, 3); break;   \
    case 4: run_rows(tile, 4); break;   \
    case 5: run_rows(tile, 5); break;   \
    case 6: run_rows(tile, 6); break;   \
    case 7: run_rows(tile, 7); break;   \
    case 8: run_rows(tile, 8); break;   \
    case 9: run_rows(tile, 9); break;   \
    case 10: run_rows(tile, 10); break; \
    case 11: run_rows(tile, 11); break; \
    case 12: run_rows(tile, 12); break; \
    case 13: run_rows(tile, 13); break; \
    case 14: run_rows(tile, 14); break; \
    default: break;                     \
  }

#endif

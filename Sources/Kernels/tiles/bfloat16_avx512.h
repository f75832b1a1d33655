/* The loops of bfloat16_avx512.c and bfloat16_avx512bf16.c, included under each one's target attribute: 14 rows of x, 32 outputs as two
 * vectors of 16.
 *
 * Not all sums of so many rows fit into the registers, and each vector that is stored takes as long as two to four dots. Native dots take up to
 * part_rows rows through a superblock, e, o and t in registers, and then the others, from the first level cache. Floats, whose weights are taken apart
 * anew each time, have one part: with more than few_rows the sums of one chain at a time are in registers, a block's even k first, then its odd ones.
 *
 * A step of a chain is one k, of float32, the weights in pairs, or with MXLK_NATIVE_DOTS two k, both in chains. */
#ifndef MXLK_TILES_BFLOAT16_AVX512_H
#define MXLK_TILES_BFLOAT16_AVX512_H

#include "tiles/bfloat16.h"
#include "tiles/flush.h"
#include "tiles/pairs.h"
#include "tiles/panels.h"
#include "tiles/prefetch.h"

#include <immintrin.h>
#include <string.h>

#define MXLK_ALWAYS static inline __attribute__((always_inline))

enum { vectors = 2, columns = 16 * vectors, tile_rows = 14, few_rows = 6, line_bytes = 4 * columns };
enum { even, odd, both };

#ifdef MXLK_NATIVE_DOTS
enum { steps = MXLK_DOT_LINES / 2, row_bytes = MXLK_DOT_CHAINS_BYTES, part_rows = 4 };
/* Rows whose x is loaded once for both vectors: with more the loads take a port that the additions want, and each dot broadcasts its own. */
enum { most_loaded_rows = 2 };
typedef __m512i line_vector;
MXLK_ALWAYS int64_t lines_of(int64_t k) { return mxlk_chains_lines(k); }
#else
enum { steps = MXLK_DOT_LINES, row_bytes = MXLK_DOT_FLOATS_BYTES, part_rows = tile_rows };
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

MXLK_ALWAYS int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

MXLK_ALWAYS __m512 add_step(__m512 sum, const char *x, line_vector w) {
#ifdef MXLK_NATIVE_DOTS
  int32_t pair;
  memcpy(&pair, x, 4);
  return _mm512_dpbf16_ps(sum, (__m512bh)w, (__m512bh)_mm512_set1_epi32(pair));
#else
  float one;
  memcpy(&one, x, 4);
  return _mm512_fmadd_ps(_mm512_set1_ps(one), w, sum);
#endif
}

/* x: where each vector of outputs reads it. */
MXLK_ALWAYS void add_line(const int rows, const char *const x[vectors], int64_t at, const line_vector w[vectors],
                          __m512 sums[][vectors]) {
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) sums[r][v] = add_step(sums[r][v], x[v] + at + r * row_bytes, w[v]);
}

/* What will be read: each step of a block, of both chains, asks for `step` bytes. */
typedef struct reading {
  const char *next;
  int64_t step;
} reading;

/* The sums of one chain of a block, or of both; x as it is arranged. near: what is asked for is read soon. */
MXLK_ALWAYS void add_chains(const int rows, const int near, const int chains, const char *x, const char *w,
                            reading ahead, __m512 e[][vectors], __m512 o[][vectors]) {
  const char *xs[vectors] = {x, x};
#ifdef MXLK_NATIVE_DOTS
  if (rows > most_loaded_rows) MXLK_FORGET(xs[1]);
#endif
  /* Each chain asks for its half. */
  const int64_t ask = block_bytes / (chains == both ? 1 : 2) / steps;
  if (chains != both) ahead.step /= 2;
  if (chains == odd) ahead.next += steps * ahead.step;
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      if (chains != odd) e[r][v] = _mm512_setzero_ps();
      if (chains != even) o[r][v] = _mm512_setzero_ps();
    }
#ifdef MXLK_NATIVE_DOTS
#pragma clang loop unroll(full)
#endif
  for (int64_t i = 0; i < steps; i++) {
    line_vector line[vectors];
    for (int64_t at = 0; at < ask; at += 64) mxlk_prefetch(ahead.next + i * ahead.step + at, near);
    if (chains != odd) {
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) line[v] = take(even, w, i, v);
      add_line(rows, xs, 4 * i, line, e);
    }
    if (chains != even) {
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) line[v] = take(odd, w, i, v);
      add_line(rows, xs, 4 * (steps + i), line, o);
    }
  }
}

/* y = y + t by the usual rules, where denormals are flushed. That differs only where y or the sum is denormal: t is not. A sum of 2^-100 and more is
 * the same, since beside it a denormal y is less than half a unit in the last place; others are made anew. */
MXLK_ALWAYS void add_to_y(const int rows, uint32_t usual, __m512 t[][vectors], float *y) {
  const __m512 least = _mm512_set1_ps(0x1p-100f);
  __m512 sums[tile_rows][vectors];
  __mmask16 small = 0;
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      sums[r][v] = _mm512_add_ps(_mm512_load_ps(y + r * columns + 16 * v), t[r][v]);
      small |= _mm512_cmp_ps_mask(_mm512_abs_ps(sums[r][v]), least, _CMP_LT_OQ);
      MXLK_SETTLE(sums[r][v]); /* computed before any change */
    }
  if (__builtin_expect(small == 0, 1)) {
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) _mm512_store_ps(y + r * columns + 16 * v, sums[r][v]);
    return;
  }
  mxlk_flush_end(usual);
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      float *to = y + r * columns + 16 * v;
      MXLK_SETTLE(t[r][v]); /* summed behind it */
      _mm512_store_ps(to, _mm512_add_ps(_mm512_load_ps(to), t[r][v]));
    }
  MXLK_SETTLE_MEMORY();
  mxlk_flush_begin();
  MXLK_SETTLE_MEMORY();
}

/* Runs where denormals are flushed. usual: the control word otherwise. Several panels are those of the tile, side by side, and ask each behind its own
 * weights. */
MXLK_ALWAYS void superblock(const int rows, const int near, const int panels, uint32_t usual, const mxl_tile *tile,
                            const char *x, const char *w, int64_t k, reading ahead, float *y) {
  __m512 t[MXL_MOST_SIDE_PANELS][tile_rows][vectors];
  _Alignas(64) char last[block_bytes];
#pragma clang loop unroll(full)
  for (int p = 0; p < panels; p++)
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) t[p][r][v] = _mm512_setzero_ps();
  for (; k > 0; k -= MXLK_DOT_K) {
#pragma clang loop unroll(full)
    for (int p = 0; p < panels; p++) {
      __m512 e[tile_rows][vectors], o[tile_rows][vectors];
      const char *at = panels == 1 ? w : w + p * tile->weights_apart;
      reading asked = ahead;
      if (panels > 1) asked = (reading){at + mxlk_side_ahead, block_bytes / steps};
      if (k < MXLK_DOT_K) {
        memset(last, 0, sizeof last);
        at = memcpy(last, at, (size_t)(lines_of(k) * line_bytes));
      }
      if (rows <= few_rows) {
        add_chains(rows, near, both, x, at, asked, e, o);
      } else {
        add_chains(rows, near, even, x, at, asked, e, o);
        add_chains(rows, near, odd, x, at, asked, e, o);
      }
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++) t[p][r][v] = _mm512_add_ps(t[p][r][v], _mm512_add_ps(e[r][v], o[r][v]));
    }
    x += 8 * steps;
    w += block_bytes;
    ahead.next += steps * ahead.step;
  }
#pragma clang loop unroll(full)
  for (int p = 0; p < panels; p++)
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
      for (int v = 0; v < vectors; v++) MXLK_SETTLE(t[p][r][v]); /* computed before a change back */
#pragma clang loop unroll(full)
  for (int p = 0; p < panels; p++) add_to_y(rows, usual, t[p], panels == 1 ? y : y + p * tile->y_apart);
}

/* `rows` rows of one superblock; near: these are all. */
MXLK_ALWAYS void add_part(int64_t rows, int near, uint32_t usual, const mxl_tile *tile, const char *x, const char *w,
                          int64_t k, reading ahead, float *y) {
  switch (rows) {
    case 1: superblock(1, 1, 1, usual, tile, x, w, k, ahead, y); break;
    case 2:
      if (near)
        superblock(2, 1, 1, usual, tile, x, w, k, ahead, y);
      else
        superblock(2, 0, 1, usual, tile, x, w, k, ahead, y);
      break;
    case 3: superblock(3, 0, 1, usual, tile, x, w, k, ahead, y); break;
    case 4: superblock(4, 0, 1, usual, tile, x, w, k, ahead, y); break;
#ifndef MXLK_NATIVE_DOTS
    case 5: superblock(5, 0, 1, usual, tile, x, w, k, ahead, y); break;
    case 6: superblock(6, 0, 1, usual, tile, x, w, k, ahead, y); break;
    case 7: superblock(7, 0, 1, usual, tile, x, w, k, ahead, y); break;
    case 8: superblock(8, 0, 1, usual, tile, x, w, k, ahead, y); break;
    case 9: superblock(9, 0, 1, usual, tile, x, w, k, ahead, y); break;
    case 10: superblock(10, 0, 1, usual, tile, x, w, k, ahead, y); break;
    case 11: superblock(11, 0, 1, usual, tile, x, w, k, ahead, y); break;
    case 12: superblock(12, 0, 1, usual, tile, x, w, k, ahead, y); break;
    case 13: superblock(13, 0, 1, usual, tile, x, w, k, ahead, y); break;
    case 14: superblock(14, 0, 1, usual, tile, x, w, k, ahead, y); break;
#endif
    default: break;
  }
}

/* The tile's rows in as few and even parts as there may be, one after the other for each superblock. */
MXLK_ALWAYS void run(const mxl_tile *tile) {
  const char *x = tile->x, *w = tile->weights, *next = tile->next == NULL ? w : tile->next;
  const int64_t parts = divide_up(tile->rows, part_rows);
  const int64_t share = tile->next == NULL ? 0 : tile->next_bytes / divide_up(tile->k, MXLK_DOT_K); /* of a block */
  const int64_t superblock_bytes = MXL_SUPERBLOCK / MXLK_DOT_K * block_bytes;
  /* The first part reads a whole superblock before the second begins: what is asked for lies behind that. */
  if (parts > 1 && (uintptr_t)next - (uintptr_t)w < (uintptr_t)superblock_bytes) next = w + superblock_bytes;
  const uint32_t usual = mxlk_flush_begin();
  MXLK_SETTLE_MEMORY();
  for (int64_t begin = 0; begin < tile->k; begin += MXL_SUPERBLOCK, w += superblock_bytes) {
    int64_t k = tile->k - begin < MXL_SUPERBLOCK ? tile->k - begin : MXL_SUPERBLOCK;
    reading ahead = {.next = next, .step = divide_up(share, parts * steps)};
    float *y = tile->y;
    for (int64_t p = parts, left = tile->rows; p > 0; p--) {
      int64_t rows = divide_up(left, p);
      add_part(rows, tile->rows <= mxlk_near_rows, usual, tile, x, w, k, ahead, y);
      x += rows * row_bytes;
      y += rows * columns;
      left -= rows;
      ahead.next += divide_up(k, MXLK_DOT_K) * steps * ahead.step;
    }
    next += divide_up(k, MXLK_DOT_K) * share;
  }
  mxlk_flush_end(usual);
}

/* A constant number of rows on a constant number of panels side by side. */
MXLK_ALWAYS void run_side(const mxl_tile *tile, const int rows, const int panels) {
  const char *x = tile->x, *w = tile->weights;
  const uint32_t usual = mxlk_flush_begin();
  MXLK_SETTLE_MEMORY();
  for (int64_t begin = 0; begin < tile->k; begin += MXL_SUPERBLOCK) {
    int64_t k = tile->k - begin < MXL_SUPERBLOCK ? tile->k - begin : MXL_SUPERBLOCK;
    superblock(rows, 1, panels, usual, tile, x, w, k, (reading){w, 0}, tile->y);
    x += rows * row_bytes;
    w += MXL_SUPERBLOCK / MXLK_DOT_K * block_bytes;
  }
  mxlk_flush_end(usual);
}

/* A tile of one panel, or of as many side by side as the library gives one and two rows. */
MXLK_ALWAYS void run_tile(void (*whole)(const mxl_kernel_row *, const mxl_tile *), const mxl_kernel_row *row,
                          const mxl_tile *tile) {
  if (tile->panels <= 1)
    run(tile);
  else if (tile->rows == 1 && tile->panels == MXLK_PAIRS_SIDE_ROWS)
    run_side(tile, 1, MXLK_PAIRS_SIDE_ROWS);
  else if (tile->rows == 2 && tile->panels == MXLK_PAIRS_SIDE_ROWS / 2)
    run_side(tile, 2, MXLK_PAIRS_SIDE_ROWS / 2);
  else
    mxlk_one_by_one(whole, row, tile);
}

#endif

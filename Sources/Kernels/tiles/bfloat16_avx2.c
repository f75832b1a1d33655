/* bfloat16 dots on 256 bits: 6 rows of x, 16 outputs as two vectors of 8. With more than few_rows the sums of one chain at a time are in registers: a
 * block's even k first, then its odd ones. 24 FMAs a line of pairs, and behind a block's 384 of them 24 additions. */
#include "tiles/bfloat16.h"

#ifdef __x86_64__
#include "tiles/flush.h"
#include "tiles/pairs.h"
#include "tiles/panels.h"

#include <immintrin.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

enum { vectors = 2, columns = 8 * vectors, tile_rows = 6, few_rows = 3, line_bytes = 4 * columns };
enum { block_bytes = MXLK_DOT_LINES * line_bytes, row_floats = MXL_SUPERBLOCK };

#define MXLK_ALWAYS static inline __attribute__((always_inline))

/* The pairs of a block. */
MXLK_ALWAYS void widen(const void *from, float *to) {
  const __m256i upper = _mm256_set1_epi32((int)0xffff0000);
  for (int i = 0; i < 2; i++) {
    __m256i pairs = _mm256_loadu_si256((const __m256i *)from + i);
    _mm256_store_ps(to + 8 * i, _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)));
    _mm256_store_ps(to + 16 + 8 * i, _mm256_castsi256_ps(_mm256_and_si256(pairs, upper)));
  }
}

void mxlk_arrange_dot_floats__avx2(const mxl_kernel_row *row, const void *from, int64_t k, int64_t index,
                                   void *arranged) {
  (void)row;
  float *to = (float *)arranged + index * (MXLK_DOT_FLOATS_BYTES / 4);
  const char *x = from;
  for (; k >= MXLK_DOT_K; k -= MXLK_DOT_K, x += 2 * MXLK_DOT_K, to += MXLK_DOT_K) widen(x, to);
  if (k == 0) return;
  uint16_t last[MXLK_DOT_K] = {0};
  memcpy(last, x, 2 * (size_t)k);
  widen(last, to);
}

/* A compiler that knows the mask blends with zeros instead, which Zen 2 does in the units of the FMAs. */
MXLK_ALWAYS __m256i upper_halves(void) {
  __m256i mask = _mm256_set1_epi32((int)0xffff0000);
  __asm__("" : "+x"(mask));
  return mask;
}

enum { even, odd };

/* Line i of a chain. */
MXLK_ALWAYS void take(const int chain, const char *w, int64_t i, __m256i upper, __m256 line[vectors]) {
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    __m256i pairs = _mm256_load_si256((const __m256i *)(const void *)(w + i * line_bytes) + v);
    line[v] = _mm256_castsi256_ps(chain == even ? _mm256_slli_epi32(pairs, 16) : _mm256_and_si256(pairs, upper));
  }
}

/* A chain begins with the product itself, which is fma(x, w, +0) but for a zero's sign. */
MXLK_ALWAYS void add_line(const int first, const int rows, const float *x, const __m256 w[vectors],
                          __m256 sums[][vectors]) {
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) {
    __m256 one = _mm256_broadcast_ss(x + r * row_floats);
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++)
      sums[r][v] = first ? _mm256_mul_ps(one, w[v]) : _mm256_fmadd_ps(one, w[v], sums[r][v]);
  }
}

/* Line i of both chains, asking for a line. */
MXLK_ALWAYS void add_both(const int rows, const float *x, const char *w, int64_t i, uintptr_t next, __m256i upper,
                          __m256 e[][vectors], __m256 o[][vectors]) {
  __m256 line[vectors];
  _mm_prefetch((const char *)(next + (uintptr_t)(i * line_bytes)), _MM_HINT_T0);
  take(even, w, i, upper, line);
  add_line(i == 0, rows, x + i, line, e);
  __asm__ volatile("" ::: "memory"); /* kept from one half to the other, pairs would take registers */
  take(odd, w, i, upper, line);
  add_line(i == 0, rows, x + MXLK_DOT_LINES + i, line, o);
}

/* Line i of one chain, asking for half a line. */
MXLK_ALWAYS void add_one(const int chain, const int rows, const float *x, const char *w, int64_t i, uintptr_t next,
                         __m256i upper, __m256 sums[][vectors]) {
  __m256 line[vectors];
  _mm_prefetch((const char *)(next + (uintptr_t)(i * line_bytes / 2)), _MM_HINT_T0);
  take(chain, w, i, upper, line);
  add_line(i == 0, rows, x + i, line, sums);
}

/* The sums of a block. next: where as many lines will be read. */
MXLK_ALWAYS void add_block(const int rows, const float *x, const char *w, uintptr_t next, __m256 e[][vectors],
                           __m256 o[][vectors]) {
  const __m256i upper = upper_halves();
  if (rows <= few_rows) {
    add_both(rows, x, w, 0, next, upper, e, o);
    for (int64_t i = 1; i < MXLK_DOT_LINES; i++) add_both(rows, x, w, i, next, upper, e, o);
    return;
  }
  /* Unrolled threefold, a line has 24 operations for 12 FMAs, not 26; wholly unrolled it is slower. */
  add_one(even, rows, x, w, 0, next, upper, e);
#pragma clang loop unroll_count(3)
  for (int64_t i = 1; i < MXLK_DOT_LINES; i++) add_one(even, rows, x, w, i, next, upper, e);
  x += MXLK_DOT_LINES;
  next += block_bytes / 2;
  add_one(odd, rows, x, w, 0, next, upper, o);
#pragma clang loop unroll_count(3)
  for (int64_t i = 1; i < MXLK_DOT_LINES; i++) add_one(odd, rows, x, w, i, next, upper, o);
}

/* A superblock of `panels` panels, block by block in turn: a constant, as rows. */
MXLK_ALWAYS void superblock(const mxl_tile *tile, const int rows, const int panels, const float *x, const char *w,
                            int64_t k, uintptr_t next) {
  const int64_t apart = panels == 1 ? 0 : tile->weights_apart;
  __m256 t[tile_rows][vectors];
  _Alignas(32) char last[block_bytes];
#pragma clang loop unroll(full)
  for (int r = 0; r < panels * rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) t[r][v] = _mm256_setzero_ps();
  uint32_t before = mxlk_flush_begin();
  MXLK_SETTLE_MEMORY();
  for (; k > 0; k -= MXLK_DOT_K, x += MXLK_DOT_K, w += block_bytes, next += block_bytes)
#pragma clang loop unroll(full)
    for (int p = 0; p < panels; p++) {
      __m256 e[tile_rows][vectors], o[tile_rows][vectors];
      const char *at = w + p * apart;
      if (k < MXLK_DOT_K) {
        memset(last, 0, sizeof last);
        at = memcpy(last, at, (size_t)((k + 1) / 2 * line_bytes));
      }
      add_block(rows, x, at, next + (uintptr_t)(p * apart), e, o);
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++)
#pragma clang loop unroll(full)
        for (int v = 0; v < vectors; v++)
          t[p * rows + r][v] = _mm256_add_ps(t[p * rows + r][v], _mm256_add_ps(e[r][v], o[r][v]));
    }
#pragma clang loop unroll(full)
  for (int r = 0; r < panels * rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) MXLK_SETTLE(t[r][v]); /* computed before the change back */
  mxlk_flush_end(before);
#pragma clang loop unroll(full)
  for (int r = 0; r < panels * rows; r++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      float *to = tile->y + (panels == 1 ? 0 : r / rows * tile->y_apart) + r % rows * columns + 8 * v;
      MXLK_SETTLE(t[r][v]); /* summed behind it */
      _mm256_store_ps(to, _mm256_add_ps(_mm256_load_ps(to), t[r][v]));
    }
}

MXLK_ALWAYS void run_rows(const mxl_tile *tile, const int rows, const int panels) {
  const float *x = tile->x;
  const char *w = tile->weights;
  uintptr_t next = (uintptr_t)(tile->next == NULL ? w : tile->next);
  for (int64_t begin = 0; begin < tile->k; begin += MXL_SUPERBLOCK) {
    int64_t k = tile->k - begin < MXL_SUPERBLOCK ? tile->k - begin : MXL_SUPERBLOCK;
    superblock(tile, rows, panels, x, w, k, next);
    x += rows * row_floats;
    w += MXL_SUPERBLOCK / 2 * line_bytes;
    next += MXL_SUPERBLOCK / 2 * line_bytes;
  }
}

static void run(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  switch (tile->rows) {
    case 1:
      if (tile->panels == MXLK_PAIRS_SIDE_ROWS)
        run_rows(tile, 1, MXLK_PAIRS_SIDE_ROWS);
      else
        run_rows(tile, 1, 1);
      break;
    case 2:
      if (tile->panels == MXLK_PAIRS_SIDE_ROWS / 2)
        run_rows(tile, 2, MXLK_PAIRS_SIDE_ROWS / 2);
      else
        run_rows(tile, 2, 1);
      break;
    case 3: run_rows(tile, 3, 1); break;
    case 4: run_rows(tile, 4, 1); break;
    case 5: run_rows(tile, 5, 1); break;
    case 6: run_rows(tile, 6, 1); break;
    default: break;
  }
}

/* Panels side by side where they are as many as the row says, else one after the other. */
void mxlk_linear_bf16_bf16_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile) {
  if (tile->panels <= 1 || tile->panels * tile->rows == MXLK_PAIRS_SIDE_ROWS)
    run(row, tile);
  else
    mxlk_one_by_one(run, row, tile);
}
#pragma clang attribute pop
#endif

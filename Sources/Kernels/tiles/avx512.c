/* The tile kernels for AVX-512 F, BW, DQ, VL. */
#include "tiles.h"

#ifdef __x86_64__
#include "panels.h"
#include "prefetch.h"

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,fma"))), apply_to = function)

enum { vectors = 2, columns = 16 * vectors };

/* Few rows eat the weights as fast as memory brings them: into the first level cache. More leave time, and need
 * that cache for x: into the second. Measured, the bound between them is worth up to 18 %. */
static inline __attribute__((always_inline)) void prefetch(const char *line, const int rows) {
  if (rows <= 4) {
    _mm_prefetch(line, _MM_HINT_T0);
  } else {
    _mm_prefetch(line, _MM_HINT_T1);
  }
}

/* `rows` is a constant at every call, so that t lives in registers: 2 * 14 accumulators, 2 vectors of weights, 1 broadcast of x.
 * Per k: 28 FMAs, 2 loads, 14 broadcasts. Two chains a row hide the FMA's latency from 4 rows on. */
static inline __attribute__((always_inline)) void run_rows(const mxl_tile *tile, const int rows) {
  const float *x = tile->x;
  const float *weights = tile->weights;
  /* Bytes to prefetch per k: two cache lines, one, or none. */
  const char *next = tile->next == NULL ? tile->weights : tile->next;
  int64_t step = tile->next == NULL ? 0 : tile->next_bytes / tile->k;
  for (int64_t begin = 0; begin < tile->k; begin += MXL_SUPERBLOCK) {
    int64_t k = tile->k - begin < MXL_SUPERBLOCK ? tile->k - begin : MXL_SUPERBLOCK;
    __m512 t[14][vectors];
    for (int row = 0; row < rows; row++) {
      for (int v = 0; v < vectors; v++) t[row][v] = _mm512_setzero_ps();
    }
    for (int64_t j = 0; j < k; j++) {
      __m512 w[vectors];
      for (int v = 0; v < vectors; v++) {
        w[v] = _mm512_load_ps(weights + 16 * v);
        if (v == 0 || step > 64) prefetch(next + 64 * v, rows);
      }
      for (int row = 0; row < rows; row++) {
        __m512 one = _mm512_set1_ps(x[row]);
        for (int v = 0; v < vectors; v++) t[row][v] = _mm512_fmadd_ps(one, w[v], t[row][v]);
      }
      weights += columns;
      x += rows;
      next += step;
    }
    for (int row = 0; row < rows; row++) {
      for (int v = 0; v < vectors; v++) {
        float *y = tile->y + row * columns + 16 * v;
        _mm512_store_ps(y, _mm512_add_ps(_mm512_load_ps(y), t[row][v]));
      }
    }
  }
}

/* The same for panels side by side, as many as leave room for their sums: few rows wait for memory, which comes faster in several streams, and a
 * row's sums need not wait for each other. */
static inline __attribute__((always_inline)) void run_side(const mxl_tile *tile, const int rows, const int panels) {
  const float *x = tile->x;
  const char *weights = tile->weights;
  for (int64_t begin = 0; begin < tile->k; begin += MXL_SUPERBLOCK) {
    int64_t k = tile->k - begin < MXL_SUPERBLOCK ? tile->k - begin : MXL_SUPERBLOCK;
    __m512 t[MXL_MOST_SIDE_PANELS][MXLK_FLOAT32_SIDE_ROWS / 2][vectors];
    for (int p = 0; p < panels; p++)
      for (int row = 0; row < rows; row++)
        for (int v = 0; v < vectors; v++) t[p][row][v] = _mm512_setzero_ps();
    for (int64_t j = 0; j < k; j++) {
      for (int p = 0; p < panels; p++)
        for (int v = 0; v < vectors; v++) {
          const char *line = weights + p * tile->weights_apart + 64 * v;
          __m512 w = _mm512_load_ps(line);
          _mm_prefetch(line + mxlk_side_ahead, _MM_HINT_T0);
          for (int row = 0; row < rows; row++) t[p][row][v] = _mm512_fmadd_ps(_mm512_set1_ps(x[row]), w, t[p][row][v]);
        }
      weights += columns * sizeof(float);
      x += rows;
    }
    for (int p = 0; p < panels; p++)
      for (int row = 0; row < rows; row++)
        for (int v = 0; v < vectors; v++) {
          float *y = tile->y + p * tile->y_apart + row * columns + 16 * v;
          _mm512_store_ps(y, _mm512_add_ps(_mm512_load_ps(y), t[p][row][v]));
        }
  }
}

/* Runs as many panels side by side as the library gives so many rows; false for other numbers of them. */
static int run_panels(const mxl_tile *tile) {
  switch (tile->panels * 16 + tile->rows) {
    case 4 * 16 + 1: run_side(tile, 1, 4); return 1;
    case 4 * 16 + 2: run_side(tile, 2, 4); return 1;
    case 4 * 16 + 3: run_side(tile, 3, 4); return 1;
    case 3 * 16 + 4: run_side(tile, 4, 3); return 1;
    case 2 * 16 + 5: run_side(tile, 5, 2); return 1;
    case 2 * 16 + 6: run_side(tile, 6, 2); return 1;
    case 2 * 16 + 7: run_side(tile, 7, 2); return 1;
    default: return 0;
  }
}

void mxlk_linear_f32_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile) {
  if (tile->panels > 1) {
    if (!run_panels(tile)) mxlk_one_by_one(mxlk_linear_f32_f32_14x32__avx512, row, tile);
    return;
  }
  switch (tile->rows) {
    case 1: run_rows(tile, 1); break;
    case 2: run_rows(tile, 2); break;
    case 3: run_rows(tile, 3); break;
    case 4: run_rows(tile, 4); break;
    case 5: run_rows(tile, 5); break;
    case 6: run_rows(tile, 6); break;
    case 7: run_rows(tile, 7); break;
    case 8: run_rows(tile, 8); break;
    case 9: run_rows(tile, 9); break;
    case 10: run_rows(tile, 10); break;
    case 11: run_rows(tile, 11); break;
    case 12: run_rows(tile, 12); break;
    case 13: run_rows(tile, 13); break;
    case 14: run_rows(tile, 14); break;
    default: break;
  }
}

#pragma clang attribute pop
#endif

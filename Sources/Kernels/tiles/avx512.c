/* The tile kernels for AVX-512 F, BW, DQ, VL. */
#include "tiles.h"

#ifdef __x86_64__
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

void mxlk_linear_f32_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
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

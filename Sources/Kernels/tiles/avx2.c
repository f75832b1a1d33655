/* The tile kernels for AVX2 and FMA. */
#include "tiles.h"

#ifdef __x86_64__
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

enum { vectors = 2, columns = 8 * vectors };

/* Few rows eat the weights as fast as memory brings them: into the first level cache. More leave time, and need
 * that cache for x: into the second. */
static inline __attribute__((always_inline)) void prefetch(const char *line, const int rows) {
  if (rows <= 2) {
    _mm_prefetch(line, _MM_HINT_T0);
  } else {
    _mm_prefetch(line, _MM_HINT_T1);
  }
}

/* `side` superblocks of `k` lines side by side, added to y in their order. `rows` and `side` are constants at every call. A whole tile has
 * 2 * 6 accumulators, 2 vectors of weights and one of x in 15 of 16 registers: 12 FMAs and 8 loads a line. With few rows an FMA
 * would wait for the one before it (2 begin a cycle, each takes 5), and memory is read faster in several streams: so several superblocks
 * have their sums in flight. */
static inline __attribute__((always_inline)) void run_superblocks(const int rows, const int side, const float *x,
                                                                  const float *weights, const char *next, int64_t step,
                                                                  int64_t k, float *y) {
  __m256 t[6][vectors];
  for (int i = 0; i < rows * side; i++)
    for (int v = 0; v < vectors; v++) t[i][v] = _mm256_setzero_ps();
  for (int64_t j = 0; j < k; j++) {
    for (int s = 0; s < side; s++) {
      const float *line = weights + s * MXL_SUPERBLOCK * columns;
      __m256 w[vectors];
      for (int v = 0; v < vectors; v++) w[v] = _mm256_load_ps(line + 8 * v);
      prefetch(next + s * MXL_SUPERBLOCK * step, rows);
      for (int row = 0; row < rows; row++) {
        __m256 one = _mm256_broadcast_ss(x + s * MXL_SUPERBLOCK * rows + row);
        for (int v = 0; v < vectors; v++) t[s * rows + row][v] = _mm256_fmadd_ps(one, w[v], t[s * rows + row][v]);
      }
    }
    weights += columns;
    x += rows;
    next += step;
  }
  for (int s = 0; s < side; s++)
    for (int row = 0; row < rows; row++)
      for (int v = 0; v < vectors; v++) {
        float *at = y + row * columns + 8 * v;
        _mm256_store_ps(at, _mm256_add_ps(_mm256_load_ps(at), t[s * rows + row][v]));
      }
}

static inline __attribute__((always_inline)) void run_rows(const mxl_tile *tile, const int rows) {
  const int most_side = rows == 1 ? 4 : rows <= 3 ? 2 : 1;
  const float *x = tile->x, *weights = tile->weights;
  const char *next = tile->next == NULL ? tile->weights : tile->next;
  int64_t step = tile->next == NULL ? 0 : tile->next_bytes / tile->k;
  for (int64_t left = tile->k; left > 0;) {
    int64_t done = left < MXL_SUPERBLOCK ? left : MXL_SUPERBLOCK;
    if (most_side > 1 && left >= most_side * MXL_SUPERBLOCK) {
      done = most_side * MXL_SUPERBLOCK;
      run_superblocks(rows, most_side, x, weights, next, step, MXL_SUPERBLOCK, tile->y);
    } else {
      run_superblocks(rows, 1, x, weights, next, step, done, tile->y);
    }
    x += done * rows;
    weights += done * columns;
    next += done * step;
    left -= done;
  }
}

void mxlk_linear_f32_f32_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  switch (tile->rows) {
    case 1: run_rows(tile, 1); break;
    case 2: run_rows(tile, 2); break;
    case 3: run_rows(tile, 3); break;
    case 4: run_rows(tile, 4); break;
    case 5: run_rows(tile, 5); break;
    case 6: run_rows(tile, 6); break;
    default: break;
  }
}

#pragma clang attribute pop
#endif

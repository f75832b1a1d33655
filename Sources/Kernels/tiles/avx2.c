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

/* `rows` is a constant at every call: 2 * 6 accumulators, 2 vectors of weights and one of x fill 15 of 16
 * registers. Per k: 12 FMAs, 8 loads. */
static inline __attribute__((always_inline)) void run_rows(const mxl_tile *tile, const int rows) {
  const float *x = tile->x;
  const float *weights = tile->weights;
  const char *next = tile->next == NULL ? tile->weights : tile->next;
  int64_t step = tile->next == NULL ? 0 : tile->next_bytes / tile->k;
  for (int64_t begin = 0; begin < tile->k; begin += MXL_SUPERBLOCK) {
    int64_t k = tile->k - begin < MXL_SUPERBLOCK ? tile->k - begin : MXL_SUPERBLOCK;
    __m256 t[6][vectors];
    for (int row = 0; row < rows; row++) {
      for (int v = 0; v < vectors; v++) t[row][v] = _mm256_setzero_ps();
    }
    for (int64_t j = 0; j < k; j++) {
      __m256 w[vectors];
      for (int v = 0; v < vectors; v++) w[v] = _mm256_load_ps(weights + 8 * v);
      prefetch(next, rows);
      for (int row = 0; row < rows; row++) {
        __m256 one = _mm256_broadcast_ss(x + row);
        for (int v = 0; v < vectors; v++) t[row][v] = _mm256_fmadd_ps(one, w[v], t[row][v]);
      }
      weights += columns;
      x += rows;
      next += step;
    }
    for (int row = 0; row < rows; row++) {
      for (int v = 0; v < vectors; v++) {
        float *y = tile->y + row * columns + 8 * v;
        _mm256_store_ps(y, _mm256_add_ps(_mm256_load_ps(y), t[row][v]));
      }
    }
  }
}

/* One or two rows against `panels` panels side by side, both constants: 8 accumulators, since with less an FMA waits for the one before
 * (2 a cycle, each of 5 cycles), and as many streams as the CPU's prefetchers follow at once. */
static inline __attribute__((always_inline)) void run_side_by_side(const mxl_tile *tile, const int rows,
                                                                   const int panels) {
  const float *x = tile->x;
  const char *weights = tile->weights;
  const char *next = tile->next == NULL ? tile->weights : tile->next;
  int64_t step = tile->next == NULL ? 0 : tile->next_bytes / tile->k;
  for (int64_t begin = 0; begin < tile->k; begin += MXL_SUPERBLOCK) {
    int64_t k = tile->k - begin < MXL_SUPERBLOCK ? tile->k - begin : MXL_SUPERBLOCK;
    __m256 t[4][2][vectors];
    for (int p = 0; p < panels; p++)
      for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) t[p][r][v] = _mm256_setzero_ps();
    for (int64_t j = 0; j < k; j++) {
      for (int p = 0; p < panels; p++) {
        const float *w = (const float *)(const void *)(weights + p * tile->panel_bytes);
        _mm_prefetch(next + p * tile->panel_bytes, _MM_HINT_T0);
        for (int r = 0; r < rows; r++)
          for (int v = 0; v < vectors; v++)
            t[p][r][v] = _mm256_fmadd_ps(_mm256_broadcast_ss(x + r), _mm256_load_ps(w + 8 * v), t[p][r][v]);
      }
      weights += columns * 4;
      x += rows;
      next += step;
    }
    for (int p = 0; p < panels; p++)
      for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) {
          float *y = tile->y + (p * rows + r) * columns + 8 * v;
          _mm256_store_ps(y, _mm256_add_ps(_mm256_load_ps(y), t[p][r][v]));
        }
  }
}

void mxlk_linear_f32_f32_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  switch (8 * tile->panels + tile->rows) {
    case 33: run_side_by_side(tile, 1, 4); break;
    case 25: run_side_by_side(tile, 1, 3); break;
    case 17: run_side_by_side(tile, 1, 2); break;
    case 18: run_side_by_side(tile, 2, 2); break;
    case 9: run_rows(tile, 1); break;
    case 10: run_rows(tile, 2); break;
    case 11: run_rows(tile, 3); break;
    case 12: run_rows(tile, 4); break;
    case 13: run_rows(tile, 5); break;
    case 14: run_rows(tile, 6); break;
    default: break;
  }
}

#pragma clang attribute pop
#endif

#include "tiles/pairs.h"

#ifdef __x86_64__
#include "tiles/flush.h"

#include <immintrin.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

enum { vectors = 2, columns = 8 * vectors };

static inline __attribute__((always_inline)) __m256 low_half(__m256i pair) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(pair, 16));
}

static inline __attribute__((always_inline)) __m256 high_half(__m256i pair) {
  return _mm256_castsi256_ps(_mm256_and_si256(pair, _mm256_set1_epi32((int)0xffff0000)));
}

/* `rows` is a constant at every call: 12 accumulators, 2 vectors of weights, 1 broadcast of x. */
static inline __attribute__((always_inline)) void superblock(const mxl_tile *tile, const int rows, const char *x,
                                                             const char *w, int64_t pairs) {
  __m256 t[6][vectors];
  uint32_t before = mxlk_flush_begin();
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) t[r][v] = _mm256_setzero_ps();
  for (int64_t p = 0; p < pairs; p++)
    for (int v = 0; v < vectors; v++) {
      __m256i pair = _mm256_load_si256((const __m256i *)(const void *)(w + p * columns * 4 + 32 * v));
      __m256 even = low_half(pair), odd = high_half(pair);
      for (int r = 0; r < rows; r++) {
        int32_t bits;
        memcpy(&bits, x + 4 * (p * rows + r), 4);
        __m256i xs = _mm256_set1_epi32(bits);
        t[r][v] = _mm256_fmadd_ps(high_half(xs), odd, t[r][v]);
        t[r][v] = _mm256_fmadd_ps(low_half(xs), even, t[r][v]);
      }
    }
  __asm__ volatile("" ::: "memory"); /* the dots stay before the change back, the sums behind it */
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) __asm__ volatile("" : "+x"(t[r][v]));
  mxlk_flush_end(before);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) {
      __asm__ volatile("" : "+x"(t[r][v]));
      float *y = tile->y + r * columns + 8 * v;
      _mm256_store_ps(y, _mm256_add_ps(_mm256_load_ps(y), t[r][v]));
    }
}

static inline __attribute__((always_inline)) void run_rows(const mxl_tile *tile, const int rows) {
  const char *x = tile->x, *w = tile->weights;
  for (int64_t begin = 0; begin < tile->k; begin += MXL_SUPERBLOCK) {
    int64_t k = tile->k - begin < MXL_SUPERBLOCK ? tile->k - begin : MXL_SUPERBLOCK;
    int64_t pairs = (k + 1) / 2;
    superblock(tile, rows, x, w, pairs);
    x += pairs * rows * 4;
    w += pairs * columns * 4;
  }
}

void mxlk_linear_bf16_bf16_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile) {
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

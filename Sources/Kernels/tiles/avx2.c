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

static inline __attribute__((always_inline)) void clear(const int sums, __m256 t[][vectors]) {
  for (int i = 0; i < sums; i++)
    for (int v = 0; v < vectors; v++) t[i][v] = _mm256_setzero_ps();
}

/* Adds to the sums t what `k` lines of `streams` superblocks give: of row r of stream s as number s * rows + r. rows and streams are constants. From one stream
 * to the next it is `apart` lines; `jump` is added to next for the last `ahead` lines.
 *
 * A whole tile has 2 * 6 accumulators, 2 vectors of weights and one of x in 15 of 16 registers: 12 FMAs and 8 loads a line. With few rows an FMA
 * would wait for the one before it (2 begin a cycle, each takes 5), and memory is read faster in several streams: so several superblocks
 * have their sums in flight. */
static inline __attribute__((always_inline)) void superblock_sums(const int rows, const int streams, const float *x,
                                                                  const float *weights, int64_t apart, const char *next,
                                                                  int64_t step, int64_t ahead, int64_t jump, int64_t k,
                                                                  __m256 t[][vectors]) {
  /* A line of a whole tile has 12 FMAs and 14 other operations, unrolled fourfold 10. */
#pragma clang loop unroll_count(4)
  for (int64_t j = 0; j < k; j++) {
    if (streams > 1 && j == k - ahead) next += jump;
    for (int s = 0; s < streams; s++) {
      const float *line = weights + s * apart * columns;
      __m256 w[vectors];
      for (int v = 0; v < vectors; v++) w[v] = _mm256_load_ps(line + 8 * v);
      prefetch(next + s * apart * step, rows);
      for (int row = 0; row < rows; row++) {
        __m256 one = _mm256_broadcast_ss(x + s * apart * rows + row);
        for (int v = 0; v < vectors; v++) t[s * rows + row][v] = _mm256_fmadd_ps(one, w[v], t[s * rows + row][v]);
      }
    }
    weights += columns;
    x += rows;
    next += step;
  }
}

static inline __attribute__((always_inline)) void add(const int rows, const __m256 t[][vectors], float *y) {
  for (int row = 0; row < rows; row++)
    for (int v = 0; v < vectors; v++) {
      float *at = y + row * columns + 8 * v;
      _mm256_store_ps(at, _mm256_add_ps(_mm256_load_ps(at), t[row][v]));
    }
}

enum { most_streams = 4, most_steps = 16, most_sums = most_streams * most_steps * 3 / 2, ahead = 128 };

/* From line `done` on as many whole superblocks as are a multiple of `streams`: those of a step, one of each stream, lie `steps` superblocks apart, and y takes
 * their sums in their order. Prefetches `ahead` lines ahead, at the end where the next panel's streams will begin. Returns the line behind them. */
static inline __attribute__((always_inline)) int64_t run_streams(const mxl_tile *tile, const int rows,
                                                                 const int streams, int64_t done) {
  const int64_t line = columns * (int64_t)sizeof(float);
  for (int64_t steps; (steps = (tile->k - done) / MXL_SUPERBLOCK / streams) > 0;
       done += steps * streams * MXL_SUPERBLOCK) {
    if (steps > most_steps) steps = most_steps;
    __m256 t[most_sums][vectors];
    const int64_t apart = steps * MXL_SUPERBLOCK;
    for (int64_t step = 0; step < steps; step++) {
      __m256 sums[6][vectors];
      const int64_t at = done + step * MXL_SUPERBLOCK;
      const float *weights = (const float *)tile->weights + at * columns;
      clear(rows * streams, sums);
      superblock_sums(rows, streams, (const float *)tile->x + at * rows, weights, apart,
                      (const char *)weights + ahead * line, line, ahead,
                      step + 1 == steps ? tile->next_bytes - apart * line : 0, MXL_SUPERBLOCK, sums);
      for (int i = 0; i < rows * streams; i++)
        for (int v = 0; v < vectors; v++) t[(i / rows * steps + step) * rows + i % rows][v] = sums[i][v];
    }
    for (int64_t i = 0; i < steps * streams; i++) add(rows, t + i * rows, tile->y);
  }
  return done;
}

/* The last whole superblock and the shorter one behind it, as far as that goes side by side. */
static inline __attribute__((always_inline)) void run_last_two(const mxl_tile *tile, const int rows, int64_t done) {
  const int64_t line = columns * (int64_t)sizeof(float), shorter = tile->k - done - MXL_SUPERBLOCK;
  const float *x = (const float *)tile->x + done * rows, *weights = (const float *)tile->weights + done * columns;
  const char *next = (const char *)weights + tile->next_bytes;
  __m256 sums[6][vectors];
  clear(2 * rows, sums);
  superblock_sums(rows, 2, x, weights, MXL_SUPERBLOCK, next, line, 0, 0, shorter, sums);
  superblock_sums(rows, 1, x + shorter * rows, weights + shorter * columns, 0, next + shorter * line, line, 0, 0,
                  MXL_SUPERBLOCK - shorter, sums);
  add(rows, sums, tile->y);
  add(rows, sums + rows, tile->y);
}

static inline __attribute__((always_inline)) void run_rows(const mxl_tile *tile, const int rows) {
  int64_t step = tile->next == NULL ? 0 : tile->next_bytes / tile->k, done = 0;
  if (rows == 1) done = run_streams(tile, rows, most_streams, done);
  if (rows <= 3) done = run_streams(tile, rows, 2, done);
  if (rows <= 3 && tile->k - done > MXL_SUPERBLOCK) {
    run_last_two(tile, rows, done);
    return;
  }
  for (int64_t k; (k = tile->k - done) > 0; done += k) {
    if (k > MXL_SUPERBLOCK) k = MXL_SUPERBLOCK;
    __m256 sums[6][vectors];
    const float *weights = (const float *)tile->weights + done * columns;
    const char *next = tile->next == NULL ? (const char *)weights : (const char *)tile->next + done * step;
    clear(rows, sums);
    superblock_sums(rows, 1, (const float *)tile->x + done * rows, weights, 0, next, step, 0, 0, k, sums);
    add(rows, sums, tile->y);
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

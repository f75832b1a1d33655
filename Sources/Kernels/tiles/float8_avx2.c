/* 8-bit floats on 256 bits: 6 rows of x, 16 outputs as two vectors of 8; a line of words, 4 k, is 64 bytes. */
#include "tiles/float8.h"

#ifdef __x86_64__
#include "contract.h"

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

enum { vectors = 2, columns = 8 * vectors, tile_rows = 6, line_bytes = 4 * columns };
enum { chunk_k = 32 }; /* k that are lines of float32 at a time: 2 KiB */
enum { superblock_bytes = MXL_SUPERBLOCK / 4 * line_bytes };

/* The kinds of weight; a constant at every call, as are rows and side. */
enum { e4m3, e5m2 };

MXLK_INLINE __m256i load_words(const char *from) { return _mm256_load_si256((const __m256i *)(const void *)from); }

/* What taking words apart needs. Opaque to the compiler, which would shift, of which Zen 2 does one a cycle, or blend, which it does in the units
 * of the FMAs. */
typedef struct constants {
  __m256i by_one, by_two; /* bytes moved up within lanes of 16 bits, of 32 bits */
  __m256i kept, upper;
  __m256 size;
} constants;

MXLK_INLINE constants constants_of(const int kind) {
  constants c;
  c.by_one = _mm256_setr_epi8(-1, 0, -1, 2, -1, 4, -1, 6, -1, 8, -1, 10, -1, 12, -1, 14, -1, 0, -1, 2, -1, 4, -1, 6, -1,
                              8, -1, 10, -1, 12, -1, 14);
  c.by_two = _mm256_setr_epi8(-1, -1, 0, 1, -1, -1, 4, 5, -1, -1, 8, 9, -1, -1, 12, 13, -1, -1, 0, 1, -1, -1, 4, 5, -1,
                              -1, 8, 9, -1, -1, 12, 13);
  c.kept = _mm256_set1_epi16((short)(kind == e5m2 ? 0xff00 : 0x87f0));
  c.upper = _mm256_set1_epi32((int)0xffff0000);
  c.size = _mm256_set1_ps(0x1p120f);
  __asm__ volatile("" : "+x"(c.by_one), "+x"(c.by_two), "+x"(c.kept), "+x"(c.upper), "+x"(c.size));
  return c;
}

/* Four pairs of halves each. The outputs come in the order 0 1 4 5 2 3 6 7 of their pairs. */
MXLK_INLINE void take_halves(__m256i pairs, __m256 *low, __m256 *high) {
  __m256 a = _mm256_cvtph_ps(_mm256_castsi256_si128(pairs)), b = _mm256_cvtph_ps(_mm256_extracti128_si256(pairs, 1));
  *low = _mm256_shuffle_ps(a, b, 0x88);
  *high = _mm256_shuffle_ps(a, b, 0xdd);
}

/* The four k of eight outputs' words. E4M3: exponent and fraction where a float has them are the value times 2^-120; NaN comes as +-480. */
MXLK_INLINE void take(const int kind, __m256i words, const constants *c, __m256 w[4]) {
  if (kind == e5m2) {
    take_halves(_mm256_shuffle_epi8(words, c->by_one), &w[0], &w[2]);
    take_halves(_mm256_and_si256(words, c->kept), &w[1], &w[3]);
    return;
  }
  __m256i even = _mm256_and_si256(_mm256_srai_epi16(_mm256_shuffle_epi8(words, c->by_one), 4), c->kept);
  __m256i odd = _mm256_and_si256(_mm256_srai_epi16(words, 4), c->kept);
  w[0] = _mm256_mul_ps(_mm256_castsi256_ps(_mm256_shuffle_epi8(even, c->by_two)), c->size);
  w[1] = _mm256_mul_ps(_mm256_castsi256_ps(_mm256_shuffle_epi8(odd, c->by_two)), c->size);
  w[2] = _mm256_mul_ps(_mm256_castsi256_ps(_mm256_and_si256(even, c->upper)), c->size);
  w[3] = _mm256_mul_ps(_mm256_castsi256_ps(_mm256_and_si256(odd, c->upper)), c->size);
}

/* Outputs in their order. */
MXLK_INLINE __m256 in_order(const int kind, __m256 value) {
  if (kind == e4m3) return value;
  return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(value), 0xd8));
}

/* As in avx2.c: into the first level cache for few rows, else into the second. */
MXLK_INLINE void prefetch(const char *line, const int rows) {
  if (rows <= 2) {
    _mm_prefetch(line, _MM_HINT_T0);
  } else {
    _mm_prefetch(line, _MM_HINT_T1);
  }
}

MXLK_INLINE void add(const int rows, const int v, const float *x, __m256 w, __m256 t[][vectors]) {
  for (int r = 0; r < rows; r++) t[r][v] = _mm256_fmadd_ps(_mm256_broadcast_ss(x + r), w, t[r][v]);
}

/* t = fma(x, w, t) over a line, in registers. One vector after the other, whatever the compiler would prefer. */
MXLK_INLINE void add_line(const int kind, const int rows, const float *x, const char *at, const constants *c,
                          __m256 t[][vectors]) {
  for (int v = 0; v < vectors; v++) {
    __m256 w[4];
    take(kind, load_words(at + 32 * v), c, w);
    for (int j = 0; j < 4; j++) add(rows, v, x + j * rows, w[j], t);
    __asm__ volatile("" ::: "memory");
  }
}

/* The same over up to chunk_k k, as lines of float32 in the first level cache: with more rows no registers are left. */
MXLK_INLINE void add_chunk(const int kind, const int rows, int64_t k, const float *x, const char *at, uintptr_t ahead,
                           float *lines, __m256 t[][vectors]) {
  const constants c = constants_of(kind); /* here, so that they leave the registers to the sums */
  for (int64_t j = 0; j < k; j += 4, at += line_bytes) {
    prefetch((const char *)((uintptr_t)at + ahead), rows);
    for (int v = 0; v < vectors; v++) {
      __m256 w[4];
      take(kind, load_words(at + 32 * v), &c, w);
      for (int i = 0; i < 4; i++) _mm256_store_ps(lines + (j + i) * columns + 8 * v, w[i]);
    }
  }
  __asm__ volatile("" ::"r"(lines) : "memory");
  for (int64_t j = 0; j < k; j++, x += rows, lines += columns) {
    __m256 w[vectors];
    for (int v = 0; v < vectors; v++) w[v] = _mm256_load_ps(lines + 8 * v);
    for (int r = 0; r < rows; r++) {
      __m256 one = _mm256_broadcast_ss(x + r);
      for (int v = 0; v < vectors; v++) t[r][v] = _mm256_fmadd_ps(one, w[v], t[r][v]);
    }
  }
}

/* Outputs with a NaN among these lines' weights of E4M3: all ones. */
MXLK_INLINE void find_nans(const char *w, int64_t lines, __m256 nans[vectors]) {
  const __m256i nan = _mm256_set1_epi8(0x7f);
  __m256i most[vectors] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
  for (; lines > 0; lines--, w += line_bytes)
    for (int v = 0; v < vectors; v++) most[v] = _mm256_max_epu8(most[v], _mm256_and_si256(load_words(w + 32 * v), nan));
  for (int v = 0; v < vectors; v++) {
    __m256i none = _mm256_cmpeq_epi32(_mm256_cmpeq_epi8(most[v], nan), _mm256_setzero_si256());
    nans[v] = _mm256_castsi256_ps(_mm256_xor_si256(none, _mm256_set1_epi32(-1)));
  }
}

/* One superblock, or `side` whole ones. */
MXLK_INLINE void superblocks(const mxl_tile *tile, const int kind, const int rows, const int side, const float *x,
                             const char *w, int64_t k, uintptr_t ahead) {
  _Alignas(32) float lines[chunk_k * columns];
  const int in_registers = rows * side <= 4;
  __m256 t[tile_rows][vectors], nans[vectors];
  if (kind != e5m2) find_nans(w, side * ((k + 3) / 4), nans);
  for (int r = 0; r < side * rows; r++)
    for (int v = 0; v < vectors; v++) t[r][v] = _mm256_setzero_ps();
  int64_t done = in_registers ? k / 4 * 4 : 0;
  const constants c = constants_of(kind);
  for (int64_t j = 0; j < done; j += 4)
    for (int s = 0; s < side; s++) {
      const char *at = w + j / 4 * line_bytes + s * superblock_bytes;
      prefetch((const char *)((uintptr_t)at + ahead), rows);
      add_line(kind, rows, x + (j + s * MXL_SUPERBLOCK) * rows, at, &c, t + s * rows);
    }
  for (; done < k; done += chunk_k)
    for (int s = 0; s < side; s++)
      add_chunk(kind, rows, k - done < chunk_k ? k - done : chunk_k, x + (done + s * MXL_SUPERBLOCK) * rows,
                w + done / 4 * line_bytes + s * superblock_bytes, ahead, lines, t + s * rows);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) {
      float *y = tile->y + r * columns + 8 * v;
      __m256 sum = _mm256_load_ps(y);
      for (int s = 0; s < side; s++) sum = _mm256_add_ps(sum, in_order(kind, t[s * rows + r][v]));
      /* With a NaN among the weights the sum is one, whatever x, and its other bits are free. */
      _mm256_store_ps(y, kind == e5m2 ? sum : _mm256_or_ps(sum, nans[v]));
    }
}

/* side: superblocks of the panel that run side by side. Few rows have few sums, and each FMA waits for the one before it. */
MXLK_INLINE void run_rows(const mxl_tile *tile, const int kind, const int rows, const int side) {
  const float *x = tile->x;
  const char *w = tile->weights;
  /* A line for each line of words: what follows the first of them has as many lines, or is another's. */
  uintptr_t ahead = tile->next == NULL ? 0 : (uintptr_t)tile->next - (uintptr_t)w;
  for (int64_t left = tile->k; left > 0;) {
    int64_t taken = left < MXL_SUPERBLOCK ? left : MXL_SUPERBLOCK;
    if (side > 1 && left >= side * MXL_SUPERBLOCK) {
      superblocks(tile, kind, rows, side, x, w, MXL_SUPERBLOCK, ahead + (uintptr_t)(side - 1) * superblock_bytes);
      taken = side * MXL_SUPERBLOCK;
    } else {
      superblocks(tile, kind, rows, 1, x, w, taken, ahead);
    }
    x += taken * rows;
    w += (taken + 3) / 4 * line_bytes;
    left -= taken;
  }
}

MXLK_INLINE void run(const mxl_tile *tile, const int kind) {
  switch (tile->rows) {
    case 1: run_rows(tile, kind, 1, 2); break;
    case 2: run_rows(tile, kind, 2, 2); break;
    case 3: run_rows(tile, kind, 3, 2); break;
    case 4: run_rows(tile, kind, 4, 1); break;
    case 5: run_rows(tile, kind, 5, 1); break;
    case 6: run_rows(tile, kind, 6, 1); break;
    default: break;
  }
}

void mxlk_linear_f8_e4m3_f32_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  run(tile, e4m3);
}

void mxlk_linear_f8_e5m2_f32_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  run(tile, e5m2);
}

/* Every line of the last words is written but those behind k. */
MXLK_INLINE void expand(const int kind, const char *packed, int64_t k, float *lines) {
  const constants c = constants_of(kind);
  const __m256 largest = _mm256_set1_ps(448), absolute = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  for (; k > 0; k -= 4, packed += line_bytes, lines += 4 * columns)
    for (int v = 0; v < vectors; v++) {
      __m256 w[4];
      take(kind, load_words(packed + 32 * v), &c, w);
      for (int j = 0; j < 4 && j < k; j++) {
        __m256 value = in_order(kind, w[j]);
        if (kind != e5m2)
          value = _mm256_or_ps(value, _mm256_cmp_ps(_mm256_and_ps(value, absolute), largest, _CMP_GT_OQ));
        _mm256_store_ps(lines + j * columns + 8 * v, value);
      }
    }
}

void mxlk_expand_f8_e4m3_16__avx2(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  (void)row;
  expand(e4m3, packed, k, expanded);
}

void mxlk_expand_f8_e5m2_16__avx2(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  (void)row;
  expand(e5m2, packed, k, expanded);
}

#pragma clang attribute pop
#endif

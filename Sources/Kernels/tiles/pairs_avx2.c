/* Pairs of 16-bit weights on 256 bits: 6 rows of x, 16 outputs as two vectors of 8; a line of pairs is 64 bytes. */
#include "tiles/pairs.h"

#ifdef __x86_64__
#include "tiles/panels.h"

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

enum { vectors = 2, columns = 8 * vectors, tile_rows = 6, line_bytes = 4 * columns };
enum { superblock_bytes = MXL_SUPERBLOCK / 2 * line_bytes };

/* The kinds of tile; a constant at every call, as is rows. */
enum { f16_f32, bf16_f32 };

#define MXLK_ALWAYS static inline __attribute__((always_inline))

MXLK_ALWAYS __m256i load_pairs(const void *from) { return _mm256_load_si256((const __m256i *)from); }

MXLK_ALWAYS __m256 low_half(__m256i pair) { return _mm256_castsi256_ps(_mm256_slli_epi32(pair, 16)); }

/* A compiler that knows the mask blends with zeros instead, which Zen 2 does in the units of the FMAs. */
MXLK_ALWAYS __m256i upper_halves(void) {
  __m256i mask = _mm256_set1_epi32((int)0xffff0000);
  __asm__("" : "+x"(mask));
  return mask;
}

MXLK_ALWAYS __m256 high_half(__m256i pair, __m256i upper) { return _mm256_castsi256_ps(_mm256_and_si256(pair, upper)); }

/* Four pairs each, converted where they lie and then taken apart. The outputs come in the order 0 1 4 5 2 3 6 7 of their pairs. */
MXLK_ALWAYS void take_halves(__m128i first, __m128i second, __m256 *even, __m256 *odd) {
  __m256 a = _mm256_cvtph_ps(first), b = _mm256_cvtph_ps(second);
  *even = _mm256_shuffle_ps(a, b, 0x88);
  *odd = _mm256_shuffle_ps(a, b, 0xdd);
}

MXLK_ALWAYS __m128i load_four(const char *from) { return _mm_load_si128((const __m128i *)(const void *)from); }

/* Eight pairs as two vectors, outputs in their order. */
MXLK_ALWAYS void expand_pairs(const int half, const char *packed, __m256i upper, float *even, float *odd) {
  __m256 first, second;
  if (half) {
    __m128i a = load_four(packed), b = load_four(packed + 16);
    take_halves(_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b), &first, &second);
  } else {
    /* Not a shift, of which Zen 2 does one a cycle, on the port of the stores. */
    const __m256i up = _mm256_setr_epi8(-1, -1, 0, 1, -1, -1, 4, 5, -1, -1, 8, 9, -1, -1, 12, 13, -1, -1, 0, 1, -1, -1,
                                        4, 5, -1, -1, 8, 9, -1, -1, 12, 13);
    __m256i pairs = load_pairs(packed), order = up;
    __asm__("" : "+x"(order)); /* the compiler would shift */
    first = _mm256_castsi256_ps(_mm256_shuffle_epi8(pairs, order));
    second = high_half(pairs, upper);
  }
  _mm256_store_ps(even, first);
  if (odd != NULL) _mm256_store_ps(odd, second);
}

MXLK_ALWAYS void expand(const int half, const int64_t panel_columns, const char *packed, int64_t k, float *lines) {
  __m256i upper = upper_halves();
  for (; k > 1; k -= 2, packed += 4 * panel_columns, lines += 2 * panel_columns)
    for (int64_t c = 0; c < panel_columns; c += 8)
      expand_pairs(half, packed + 4 * c, upper, lines + c, lines + panel_columns + c);
  if (k == 1)
    for (int64_t c = 0; c < panel_columns; c += 8) expand_pairs(half, packed + 4 * c, upper, lines + c, NULL);
}

void mxlk_pairs_expand_f16__avx2(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  if (row->panel_columns == columns)
    expand(1, columns, packed, k, expanded);
  else
    expand(1, row->panel_columns, packed, k, expanded);
}

void mxlk_pairs_expand_bf16__avx2(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  if (row->panel_columns == columns)
    expand(0, columns, packed, k, expanded);
  else
    expand(0, row->panel_columns, packed, k, expanded);
}

/* As in avx2.c: into the first level cache for few rows, else into the second. */
MXLK_ALWAYS void prefetch(const char *line, const int rows) {
  if (rows <= 2) {
    _mm_prefetch(line, _MM_HINT_T0);
  } else {
    _mm_prefetch(line, _MM_HINT_T1);
  }
}

/* One k of all rows. */
MXLK_ALWAYS void add_line(const int rows, const float *x, const __m256 w[vectors], __m256 t[][vectors]) {
  for (int r = 0; r < rows; r++) {
    __m256 one = _mm256_broadcast_ss(x + r);
    for (int v = 0; v < vectors; v++) t[r][v] = _mm256_fmadd_ps(one, w[v], t[r][v]);
  }
}

/* Loaded anew for each half: pairs kept from one to the other would take registers from the accumulators. */
MXLK_ALWAYS void take_low(const char *w, __m256 line[vectors]) {
  __asm__ volatile("" ::: "memory");
  for (int v = 0; v < vectors; v++) line[v] = low_half(load_pairs(w + 32 * v));
}

MXLK_ALWAYS void take_high(const char *w, __m256i upper, __m256 line[vectors]) {
  __asm__ volatile("" ::: "memory");
  for (int v = 0; v < vectors; v++) line[v] = high_half(load_pairs(w + 32 * v), upper);
}

MXLK_ALWAYS void load_line(const float *from, __m256 line[vectors]) {
  for (int v = 0; v < vectors; v++) line[v] = _mm256_load_ps(from + 8 * v);
}

/* Two lines of float32. In memory, one vector after the other, whatever the compiler would prefer. */
MXLK_ALWAYS void convert_line(const char *w, float *lines) {
  for (int v = 0; v < vectors; v++) {
    __m256 even, odd;
    take_halves(load_four(w + 32 * v), load_four(w + 32 * v + 16), &even, &odd);
    _mm256_store_ps(lines + 8 * v, even);
    _mm256_store_ps(lines + columns + 8 * v, odd);
    __asm__ volatile("" ::"r"(lines) : "memory");
  }
}

/* t = fma(x, w, t) for the k of a line of pairs, two or one. */
MXLK_ALWAYS void add_values(const int kind, const int rows, const int in_registers, const int both, const float *x,
                            const char *w, __m256i upper, float *lines, __m256 t[][vectors]) {
  __m256 line[vectors], odd[vectors];
  if (kind == f16_f32 && in_registers) {
    for (int v = 0; v < vectors; v++) take_halves(load_four(w + 32 * v), load_four(w + 32 * v + 16), &line[v], &odd[v]);
  } else if (kind == f16_f32) {
    convert_line(w, lines);
    load_line(lines, line);
  } else {
    take_low(w, line);
  }
  add_line(rows, x, line, t);
  if (!both) return;
  if (kind == f16_f32 && in_registers) {
    for (int v = 0; v < vectors; v++) line[v] = odd[v];
  } else if (kind == f16_f32) {
    __asm__ volatile("" ::"r"(lines) : "memory");
    load_line(lines + columns, line);
  } else {
    take_high(w, upper, line);
  }
  add_line(rows, x + rows, line, t);
}

/* What a tile of few rows takes side by side, as few sums would wait for each other and memory is read faster in several places: `count`
 * superblocks of one panel or, across, one of so many panels; constants. Bytes and floats from one to the next. */
typedef struct side {
  int count, across;
  int64_t weights_apart, x_apart;
} side;

/* One line of pairs of each, two k or one. */
MXLK_ALWAYS void add_sides(const int kind, const int rows, const int in_registers, const int both, const side of,
                           const float *x, const char *w, uintptr_t ahead, __m256i upper, float *lines,
                           __m256 t[][vectors]) {
  for (int s = 0; s < of.count; s++) {
    const char *at = w + s * of.weights_apart;
    prefetch((const char *)((uintptr_t)at + ahead), rows);
    add_values(kind, rows, in_registers, both, x + s * of.x_apart, at, upper, lines, t + s * rows);
  }
}

MXLK_ALWAYS void run_values(const int kind, const int rows, const side of, const float *x, const char *w, int64_t k,
                            uintptr_t ahead, __m256 t[][vectors]) {
  _Alignas(32) float lines[2 * columns];
  __m256i upper = upper_halves();
  const int in_registers = rows * of.count <= 4; /* with more there are none for what comes of two halves at once */
  int64_t p = 0;
  /* A whole tile waits for registers when it is unrolled, lines through memory for what was just written. */
  if (kind == bf16_f32 ? rows < tile_rows : in_registers) {
#pragma clang loop unroll_count(2)
    for (; p < k / 2; p++, x += 2 * rows, w += line_bytes)
      add_sides(kind, rows, in_registers, 1, of, x, w, ahead, upper, lines, t);
  } else {
    for (; p < k / 2; p++, x += 2 * rows, w += line_bytes)
      add_sides(kind, rows, in_registers, 1, of, x, w, ahead, upper, lines, t);
  }
  if ((of.count == 1 || of.across) && k % 2 != 0)
    add_sides(kind, rows, in_registers, 0, of, x, w, ahead, upper, lines, t);
}

/* 12 accumulators, 2 vectors of weights, 1 of x and the mask fill the registers. */
MXLK_ALWAYS void superblocks(const mxl_tile *tile, const int kind, const int rows, const side of, const char *x,
                             const char *w, int64_t k, uintptr_t ahead) {
  __m256 t[tile_rows][vectors];
  for (int r = 0; r < of.count * rows; r++)
    for (int v = 0; v < vectors; v++) t[r][v] = _mm256_setzero_ps();
  run_values(kind, rows, of, (const float *)(const void *)x, w, k, ahead, t);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) {
      float *y = tile->y + r * columns + 8 * v;
      __m256 sum = _mm256_load_ps(y);
      for (int s = 0; s < of.count; s++) {
        __m256 one = t[s * rows + r][v];
        if (kind == f16_f32) one = _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(one), 0xd8));
        if (of.across && s > 0) {
          _mm256_store_ps(y, sum);
          y += tile->y_apart;
          sum = _mm256_load_ps(y);
        }
        sum = _mm256_add_ps(sum, one);
      }
      _mm256_store_ps(y, sum);
    }
}

/* count: superblocks side by side, or panels across. */
MXLK_ALWAYS void run_rows(const mxl_tile *tile, const int kind, const int rows, const int count, const int across) {
  const char *x = tile->x, *w = tile->weights;
  /* A line for each line of pairs: what follows the first of them has as many lines, or is another's. */
  uintptr_t ahead = tile->next == NULL ? 0 : (uintptr_t)tile->next - (uintptr_t)w;
  for (int64_t left = tile->k; left > 0;) {
    int64_t k = left < MXL_SUPERBLOCK ? left : MXL_SUPERBLOCK, taken = k;
    if (across) {
      superblocks(tile, kind, rows, (side){count, 1, tile->weights_apart, 0}, x, w, k, ahead);
    } else if (count > 1 && left >= count * MXL_SUPERBLOCK) {
      superblocks(tile, kind, rows, (side){count, 0, superblock_bytes, MXL_SUPERBLOCK * rows}, x, w, k,
                  ahead + (uintptr_t)(count - 1) * superblock_bytes);
      taken = count * k;
    } else {
      superblocks(tile, kind, rows, (side){1, 0, 0, 0}, x, w, k, ahead);
    }
    x += taken * rows * 4;
    w += (taken + 1) / 2 * line_bytes;
    left -= taken;
  }
}

MXLK_ALWAYS void run_one(const mxl_tile *tile, const int kind) {
  switch (tile->rows) {
    case 1: run_rows(tile, kind, 1, 4, 0); break;
    case 2: run_rows(tile, kind, 2, 3, 0); break;
    case 3: run_rows(tile, kind, 3, 2, 0); break;
    case 4: run_rows(tile, kind, 4, 1, 0); break;
    case 5: run_rows(tile, kind, 5, 1, 0); break;
    case 6: run_rows(tile, kind, 6, 1, 0); break;
    default: break;
  }
}

static void run_f16(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  run_one(tile, f16_f32);
}

static void run_bf16(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  run_one(tile, bf16_f32);
}

/* Panels side by side where they are as many as the row says, else one after the other. */
MXLK_ALWAYS void run(void (*one)(const mxl_kernel_row *, const mxl_tile *), const mxl_kernel_row *row,
                     const mxl_tile *tile, const int kind) {
  if (tile->panels <= 1)
    one(row, tile);
  else if (tile->rows == 1 && tile->panels == MXLK_PAIRS_SIDE_ROWS)
    run_rows(tile, kind, 1, MXLK_PAIRS_SIDE_ROWS, 1);
  else if (tile->rows == 2 && tile->panels == MXLK_PAIRS_SIDE_ROWS / 2)
    run_rows(tile, kind, 2, MXLK_PAIRS_SIDE_ROWS / 2, 1);
  else
    mxlk_one_by_one(one, row, tile);
}

void mxlk_linear_f16_f32_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile) {
  run(run_f16, row, tile, f16_f32);
}

void mxlk_linear_bf16_f32_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile) {
  run(run_bf16, row, tile, bf16_f32);
}

#pragma clang attribute pop
#endif

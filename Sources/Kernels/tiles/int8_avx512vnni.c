/* int8 tiles on 512 bits: 6 rows of x, 32 outputs as two vectors of 16.
 *
 * Registers of a full tile: 12 integer accumulators, 12 float (or int32) sums, 2 vectors of codes, 1 broadcast of activations.
 * Operations on the two wide multiply ports per row and vector of outputs, of 64 dots in a superblock:
 *   BLOCK32  64 dots + 8 fma + 1 = 73       SUPER32  64 dots + 8 multiplies + 4 pair dots + 3 = 79
 *   SUPER16  64 dots + 16 multiplies + 2 = 82       GROUP    64 dots + 2 a group + 1 = 69 for groups of 128 */
#include "tiles/int8.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
                             apply_to = function)

#include "activation/int8.h"
#include "panel/expand.h"

enum { columns = 32, tile_rows = 6, vectors = 2 };

void mxlk_expand_int8_32__avx512vnni(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  mxlk_expand(row->context, packed, columns, k, expanded);
}

void mxlk_activate_int8__avx512vnni(const float *x, int64_t k, mxlk_activation *out) {
  mxlk_activation_quantize(x, k, out);
}

/* Where a kernel's codes and scales come from. `bits` is a constant at every call: 0 for an expanded superblock, else the code bits of
 * a packed one, which is then taken apart in registers. Prefetches of what comes next are spread over the dots. */
typedef struct weights {
  int bits;
  const uint8_t *codes, *high;        /* codes; packed: low nibbles (or bytes) and high bits */
  const uint8_t *scales, *minima, *d; /* expanded: int32, pairs of int16, float; packed: bytes, bytes, halves */
  const char *next;
  int64_t step; /* bytes to prefetch a group of 4 k */
  int scale_bytes, group;
} weights;

MXLK_INLINE weights weights_of(const mxl_kernel_row *row, const int bits, const mxl_tile *tile, const uint8_t *at,
                               int64_t k) {
  weights w = {.bits = bits, .codes = at, .high = at, .next = tile->next == NULL ? (const char *)at : tile->next};
  w.step = tile->next == NULL ? 0 : tile->next_bytes / (tile->k / 4);
  const mxlk_block_format *format = row->context;
  w.scale_bytes = format->scale_bytes;
  w.group = format->group;
  if (bits != 0) {
    mxlk_panel_layout layout = mxlk_panel_layout_of(format, columns, k);
    w.high = at + layout.high;
    w.scales = at + layout.scales;
    w.minima = at + layout.minima;
    w.d = at + layout.d;
  } else {
    w.scales = at + MXL_SUPERBLOCK * columns;
    w.minima = w.scales + 32 * columns;
    w.d = w.scales + (format->scheme == MXLK_SCHEME_BLOCK32 || format->scheme == MXLK_SCHEME_GROUP ? 0
                      : format->scheme == MXLK_SCHEME_SUPER32                                      ? 48
                                                                                                   : 64) *
                         columns;
  }
  return w;
}

/* The codes of 16 outputs in group g of 4 k. */
MXLK_INLINE __m512i codes_at(const weights *w, int64_t g, int v) {
  const int width = 4 * columns;
  if (w->bits == 0 || w->bits == 8) return _mm512_load_si512(w->codes + g * width + 64 * v);
  __m512i pair = _mm512_loadu_si512(w->codes + g / 2 * width + 64 * v);
  __m512i nibbles = _mm512_and_si512(g % 2 ? _mm512_srli_epi16(pair, 4) : pair, _mm512_set1_epi8(15));
  if (w->bits == 4) return nibbles;
  /* The high bits of this group, moved to bit 4 (and 5): left by 4 - position, or right. */
  int position = (int)(w->bits == 5 ? g % 8 : 2 * (g % 4));
  __m512i bits = _mm512_loadu_si512(w->high + g / (w->bits == 5 ? 8 : 4) * width + 64 * v);
  bits = position <= 4 ? _mm512_slli_epi16(bits, (unsigned)(4 - position))
                       : _mm512_srli_epi16(bits, (unsigned)(position - 4));
  return _mm512_or_si512(nibbles, _mm512_and_si512(bits, _mm512_set1_epi8(w->bits == 5 ? 16 : 48)));
}

/* Sixteen scales or d of sub-block b. */
MXLK_INLINE __m512i unsigned_scales_at(const weights *w, int64_t b, int v) {
  if (w->bits == 0) return _mm512_load_si512(w->scales + 4 * (b * columns + 16 * v));
  return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(w->scales + b * columns + 16 * v)));
}

MXLK_INLINE __m512i signed_scales_at(const weights *w, int64_t b, int v) {
  if (w->bits == 0) return _mm512_load_si512(w->scales + 4 * (b * columns + 16 * v));
  return _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(w->scales + b * columns + 16 * v)));
}

/* m of sub-blocks 2 p and 2 p + 1 as pairs of int16. */
MXLK_INLINE __m512i minima_at(const weights *w, int64_t p, int v) {
  if (w->bits == 0) return _mm512_load_si512(w->minima + 4 * (p * columns + 16 * v));
  const uint8_t *at = w->minima + 2 * p * columns + 16 * v;
  __m512i even = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)at));
  __m512i odd = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(at + columns)));
  return _mm512_or_si512(even, _mm512_slli_epi32(odd, 16));
}

MXLK_INLINE __m512 d_at(const weights *w, int64_t b, int v) {
  if (w->bits == 0) return _mm512_load_ps(w->d + 4 * (b * columns + 16 * v));
  return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(w->d + 2 * (b * columns + 16 * v))));
}

/* The dots of `groups` groups of 4 k, from group `first` on, added to the accumulators. */
MXLK_INLINE void dots(const int rows, const weights *w, const mxlk_activation *x, int64_t first, const int groups,
                      __m512i accumulators[][vectors]) {
#pragma clang loop unroll(full)
  for (int g = 0; g < groups; g++) {
    __m512i low = codes_at(w, first + g, 0), high = codes_at(w, first + g, 1);
    for (int line = 0; line < (w->bits == 0 ? 1 : w->bits == 8 ? 3 : 2); line++)
      _mm_prefetch(w->next + (first + g) * w->step + 64 * line, _MM_HINT_T0);
    for (int r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, x[r].codes + (first + g) * 4, 4);
      __m512i activations = _mm512_set1_epi32(four);
      accumulators[r][0] = _mm512_dpbusd_epi32(accumulators[r][0], low, activations);
      accumulators[r][1] = _mm512_dpbusd_epi32(accumulators[r][1], high, activations);
    }
  }
}

/* y = fma(t, alpha, y) */
MXLK_INLINE void finish(const mxlk_activation *x, __m512 t, float *y) {
  _mm512_store_ps(y, _mm512_fmadd_ps(t, _mm512_set1_ps(x->alpha), _mm512_load_ps(y)));
}

MXLK_INLINE void block32(const int rows, const weights *w, const mxlk_activation *x, int64_t k, int zero, float *y) {
  __m512 t[tile_rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) t[r][v] = _mm512_setzero_ps();
  for (int64_t b = 0; b < k / 32; b++) {
    __m512i i[tile_rows][vectors];
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++)
        i[r][v] = _mm512_set1_epi32(-zero * (x[r].sums16[2 * b] + x[r].sums16[2 * b + 1]));
    dots(rows, w, x, 8 * b, 8, i);
    for (int r = 0; r < rows; r++) {
      __m128i shift = _mm_cvtsi32_si128(x[r].shifts[b]);
      for (int v = 0; v < vectors; v++)
        t[r][v] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_sll_epi32(i[r][v], shift)), d_at(w, b, v), t[r][v]);
    }
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) finish(x + r, t[r][v], y + r * columns + 16 * v);
}

/* I = sum of sc_b (i_b << s_b) over the superblock's `blocks` sub-blocks of 8 (SUPER32) or 4 (SUPER16) groups. */
MXLK_INLINE void super(const int rows, const int blocks, const weights *w, const mxlk_activation *x, int zero,
                       __m512i sums[][vectors]) {
  const int groups = 64 / blocks;
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) sums[r][v] = _mm512_setzero_si512();
  for (int64_t b = 0; b < blocks; b++) {
    __m512i i[tile_rows][vectors];
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++)
        i[r][v] = blocks == 16 ? _mm512_set1_epi32(-zero * x[r].sums16[b]) : _mm512_setzero_si512();
    dots(rows, w, x, groups * b, groups, i);
    for (int v = 0; v < vectors; v++) {
      __m512i scale = blocks == 16 ? signed_scales_at(w, b, v) : unsigned_scales_at(w, b, v);
      for (int r = 0; r < rows; r++) {
        __m128i shift = _mm_cvtsi32_si128(x[r].shifts[blocks == 16 ? b / 2 : b]);
        sums[r][v] = _mm512_add_epi32(sums[r][v], _mm512_mullo_epi32(_mm512_sll_epi32(i[r][v], shift), scale));
      }
    }
  }
}

MXLK_INLINE void super32(const int rows, const weights *w, const mxlk_activation *x, int64_t k, int zero, float *y) {
  (void)k;
  (void)zero;
  __m512i sums[tile_rows][vectors];
  super(rows, 8, w, x, 0, sums);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) {
      __m512i j = _mm512_setzero_si512();
      for (int p = 0; p < 4; p++) {
        int32_t pair;
        memcpy(&pair, x[r].sums32 + 2 * p, 4);
        j = _mm512_dpwssd_epi32(j, minima_at(w, p, v), _mm512_set1_epi32(pair));
      }
      __m512 t = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[r][v]), d_at(w, 0, v));
      finish(x + r, _mm512_fnmadd_ps(_mm512_cvtepi32_ps(j), d_at(w, 1, v), t), y + r * columns + 16 * v);
    }
}

MXLK_INLINE void super16(const int rows, const weights *w, const mxlk_activation *x, int64_t k, int zero, float *y) {
  (void)k;
  __m512i sums[tile_rows][vectors];
  super(rows, 16, w, x, zero, sums);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++)
      finish(x + r, _mm512_mul_ps(_mm512_cvtepi32_ps(sums[r][v]), d_at(w, 0, v)), y + r * columns + 16 * v);
}

/* Scales and zeros of group g. */
MXLK_INLINE __m512 group_scales_at(const weights *w, int64_t g, int v) {
  if (w->bits == 0) return _mm512_load_ps(w->d + 4 * (g * columns + 16 * v));
  if (w->scale_bytes == 2) return d_at(w, g, v);
  return _mm512_loadu_ps(w->d + 4 * (g * columns + 16 * v));
}

MXLK_INLINE __m512i zeros_at(const weights *w, int64_t g, int v) {
  if (w->bits == 0) return _mm512_load_si512(w->minima + 4 * (g * columns + 16 * v));
  return _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(w->minima + g * columns + 16 * v)));
}

/* I begins at -zero S, S = sum of S_b << s_b over the group. */
MXLK_INLINE void group(const int rows, const weights *w, const mxlk_activation *x, int64_t k, int zero, float *y) {
  (void)zero;
  __m512 t[tile_rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) t[r][v] = _mm512_setzero_ps();
  const int64_t blocks = w->group / 32;
  for (int64_t g = 0; g < k / w->group; g++) {
    __m512i sums[tile_rows][vectors];
    for (int r = 0; r < rows; r++) {
      int32_t sum = 0;
      for (int64_t b = g * blocks; b < (g + 1) * blocks; b++) sum += x[r].sums32[b];
      for (int v = 0; v < vectors; v++) sums[r][v] = _mm512_mullo_epi32(zeros_at(w, g, v), _mm512_set1_epi32(-sum));
    }
    for (int64_t b = g * blocks; b < (g + 1) * blocks; b++) {
      __m512i i[tile_rows][vectors];
      for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) i[r][v] = _mm512_setzero_si512();
      dots(rows, w, x, 8 * b, 8, i);
      for (int r = 0; r < rows; r++) {
        __m128i shift = _mm_cvtsi32_si128(x[r].shifts[b]);
        for (int v = 0; v < vectors; v++) sums[r][v] = _mm512_add_epi32(sums[r][v], _mm512_sll_epi32(i[r][v], shift));
      }
    }
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++)
        t[r][v] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[r][v]), group_scales_at(w, g, v), t[r][v]);
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) finish(x + r, t[r][v], y + r * columns + 16 * v);
}

/* All superblocks of a tile. Expanded weights hold one. */
#define MXLK_SUPERBLOCKS(scheme, rows, bits)                                         \
  {                                                                                  \
    const mxlk_activation *x = tile->x;                                              \
    const uint8_t *at = tile->weights;                                               \
    int zero = ((const mxlk_block_format *)row->context)->zero;                      \
    size_t bytes = bits == 0 ? 0 : row->packed_size(row, MXL_SUPERBLOCK);            \
    mxl_tile moving = *tile;                                                         \
    for (int64_t done = 0; done < tile->k; done += MXL_SUPERBLOCK) {                 \
      int64_t k = tile->k - done < MXL_SUPERBLOCK ? tile->k - done : MXL_SUPERBLOCK; \
      weights w = weights_of(row, bits, &moving, at, k);                             \
      scheme(rows, &w, x, k, zero, tile->y);                                         \
      x += rows;                                                                     \
      at += bytes;                                                                   \
      if (moving.next != NULL) moving.next = (const char *)moving.next + bytes;      \
    }                                                                                \
  }

/* The number of rows as a constant. */
#define MXLK_BY_ROWS(scheme, bits)                    \
  switch (tile->rows) {                               \
    case 1: MXLK_SUPERBLOCKS(scheme, 1, bits) break;  \
    case 2: MXLK_SUPERBLOCKS(scheme, 2, bits) break;  \
    case 3: MXLK_SUPERBLOCKS(scheme, 3, bits) break;  \
    case 4: MXLK_SUPERBLOCKS(scheme, 4, bits) break;  \
    case 5: MXLK_SUPERBLOCKS(scheme, 5, bits) break;  \
    default: MXLK_SUPERBLOCKS(scheme, 6, bits) break; \
  }

void mxlk_linear_block32_int8_6x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  MXLK_BY_ROWS(block32, 0)
}

void mxlk_linear_super32_int8_6x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  MXLK_BY_ROWS(super32, 0)
}

void mxlk_linear_super16_int8_6x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  MXLK_BY_ROWS(super16, 0)
}

void mxlk_linear_group_int8_6x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile) { MXLK_BY_ROWS(group, 0) }

void mxlk_linear_packed_int8_6x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  const mxlk_block_format *format = row->context;
  switch (format->scheme) {
    case MXLK_SCHEME_BLOCK32:
      if (format->code_bits == 4) MXLK_BY_ROWS(block32, 4)
      if (format->code_bits == 5) MXLK_BY_ROWS(block32, 5)
      if (format->code_bits == 8) MXLK_BY_ROWS(block32, 8)
      break;
    case MXLK_SCHEME_SUPER32:
      if (format->code_bits == 4) MXLK_BY_ROWS(super32, 4)
      if (format->code_bits == 5) MXLK_BY_ROWS(super32, 5)
      break;
    case MXLK_SCHEME_SUPER16: MXLK_BY_ROWS(super16, 6) break;
    case MXLK_SCHEME_GROUP: MXLK_BY_ROWS(group, 4) break;
  }
}

#undef MXLK_BY_ROWS
#undef MXLK_SUPERBLOCKS
#pragma clang attribute pop
#endif

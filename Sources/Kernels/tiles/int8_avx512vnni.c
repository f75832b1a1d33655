/* int8 tiles on 512 bits: 6 rows of x, 32 outputs as two vectors of 16.
 *
 * Registers of a full tile: 12 integer accumulators, 12 float (or int32) sums, 2 vectors of codes, 1 broadcast of activations.
 * Operations on the two wide multiply ports per row and vector of outputs, of 64 dots in a superblock:
 *   BLOCK32  64 dots + 8 fma + 1 = 73       SUPER32  64 dots + 8 multiplies + 4 pair dots + 3 = 79
 *   SUPER16  64 dots + 16 multiplies + 2 = 82       GROUP    64 dots + 2 a group + 1 = 69 for groups of 128 */
#include "tiles/int8.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define MXLK_CONVERTS_HALVES
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
                             apply_to = function)

enum { lanes = 16, vectors = 2, tile_rows = 6 };

#include "tiles/int8_schemes.h"

void mxlk_expand_int8_32__avx512vnni(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  mxlk_expand(row->context, packed, columns, k, expanded);
}

void mxlk_activate_int8__avx512vnni(const float *x, int64_t k, mxlk_activation *out) {
  mxlk_activation_quantize(x, k, out);
}

/* starts: -zero S, where the accumulators begin. */
MXLK_INLINE void words_of(const int scaled, const int blocks, const mxlk_activation *x, int zero, row_words *words) {
  (void)scaled;
  for (int b = 0; b < blocks; b++)
    words->starts[b] = -zero * (blocks == 16 ? x->sums16[b] : x->sums16[2 * b] + x->sums16[2 * b + 1]);
}

MXLK_INLINE ints add_pair_products(ints j, ints a, ints b) {
  return (ints)_mm512_dpwssd_epi32((__m512i)j, (__m512i)a, (__m512i)b);
}

/* dots[r][v] += sum of code q over `groups` groups of 4 k from `first` on. */
MXLK_INLINE void add_dots(const int rows, const weights *w, const mxlk_activation *x, int64_t first, const int groups,
                          ints dots[][vectors]) {
#pragma clang loop unroll(full)
  for (int g = 0; g < groups; g++) {
    __m512i codes[vectors];
    for (int v = 0; v < vectors; v++) codes[v] = (__m512i)codes_at(w, first + g, v);
    prefetch_at(w, first + g);
    for (int r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, x[r].codes + (first + g) * 4, 4);
      for (int v = 0; v < vectors; v++)
        dots[r][v] = (ints)_mm512_dpbusd_epi32((__m512i)dots[r][v], codes[v], _mm512_set1_epi32(four));
    }
  }
}

MXLK_INLINE ints shifted(ints value, uint8_t shift) {
  return (ints)_mm512_sll_epi32((__m512i)value, _mm_cvtsi32_si128(shift));
}

MXLK_INLINE void block_dots(const int rows, const int centred, const weights *w, const mxlk_activation *x,
                            const row_words *words, int64_t b, ints dots[][vectors]) {
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) dots[r][v] = centred ? every(words[r].starts[b]) : (ints){};
  add_dots(rows, w, x, 8 * b, 8, dots);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) dots[r][v] = shifted(dots[r][v], x[r].shifts[b]);
}

MXLK_INLINE void add_scaled_dots(const int rows, const int blocks, const weights *w, const mxlk_activation *x,
                                 const row_words *words, int64_t b, const ints scale[], ints sums[][vectors]) {
  ints dots[tile_rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) dots[r][v] = blocks == 16 ? every(words[r].starts[b]) : (ints){};
  add_dots(rows, w, x, 64 / blocks * b, 64 / blocks, dots);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++)
      sums[r][v] += shifted(dots[r][v], x[r].shifts[blocks == 16 ? b / 2 : b]) * scale[v];
}

void mxlk_linear_expanded_int8_6x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  run_format(0, row, tile);
}

void mxlk_linear_packed_int8_6x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  run_format(1, row, tile);
}

#pragma clang attribute pop
#endif

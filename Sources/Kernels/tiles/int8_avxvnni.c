/* int8 tiles on 256 bits with vpdpbusd: 6 rows of x, 16 outputs as two vectors of 8. Panels are packed and expanded as for AVX2.
 *
 * Registers of a full tile: 12 integer accumulators, 2 vectors of codes, 1 broadcast of activations. The 12 sums are in memory, touched once a
 * sub-block. */
#include "tiles/int8.h"

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)

enum {
  lanes = 8,
  vectors = 2,
  tile_rows = 6,
  most_panels = 4,
  scale_copies = 1,
  x_lines_apart = 1,
  broadcasts_again = 0
};

#include "tiles/int8_vnni.h"

MXLK_INLINE ints add_four_products(ints dots, bytes codes, ints q) {
  return (ints)_mm256_dpbusd_avx_epi32((__m256i)dots, (__m256i)codes, (__m256i)q);
}

MXLK_INLINE bytes looked_up(const uint8_t *table, bytes codes) {
  __m128i entries;
  memcpy(&entries, table, sizeof entries);
  return (bytes)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(entries), (__m256i)codes);
}

MXLK_INLINE ints add_pair_products(ints j, ints a, ints b) {
  return (ints)_mm256_dpwssd_avx_epi32((__m256i)j, (__m256i)a, (__m256i)b);
}

MXLK_INLINE ints shifted(ints value, int32_t shift) {
  return (ints)_mm256_sllv_epi32((__m256i)value, _mm256_set1_epi32(shift));
}

MXLK_INLINE void fill_words(const int scaled, const int joined, const int blocks, const int code_bits, const x_row *x,
                            int zero, row_words *words) {
  (void)scaled, (void)joined, (void)code_bits;
  fill_starts_and_shifts(blocks, x, zero, words);
}

MXLK_INLINE void add_scaled_dots(const int rows, const mxlk_scheme scheme, const weights *w, int64_t p, const x_row *x,
                                 const row_words *words, int64_t b, ints sums[][vectors]) {
  add_shifted_dots(rows, scheme, w, p, x, words, b, sums);
}

void mxlk_linear_expanded_int8_6x16__avxvnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  run_format(0, row, tile);
}

void mxlk_linear_packed_int8_6x16__avxvnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  run_packed_panels(row, tile);
}

#pragma clang attribute pop
#endif

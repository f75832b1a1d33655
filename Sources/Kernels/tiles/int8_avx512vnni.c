/* int8 tiles on 512 bits: 6 rows of x, 32 outputs as two vectors of 16.
 *
 * Registers of a full tile: 12 integer accumulators, 12 float (or int32) sums, 2 vectors of codes, 1 broadcast of activations.
 * Operations on the two wide multiply ports per row and vector of outputs, of 64 dots in a superblock:
 *   BLOCK32  64 dots + 8 fma + 1 = 73       SUPER32  64 dots + 8 multiplies + 4 pair dots + 3 = 79
 *   BLOCK32_MIN  64 dots + 16 fma + 1 = 81
 *   SUPER16_MIN  64 dots + 16 multiplies + 8 pair dots + 3 = 91
 *   SUPER16  64 dots + 16 multiplies + 2 = 82       GROUP    64 dots + 2 a group + 1 = 69 for groups of 128 */
#include "tiles/int8.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define MXLK_CONVERTS_HALVES
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
                             apply_to = function)

enum { lanes = 16, vectors = 2, tile_rows = 6, most_panels = 4, scale_copies = 1, broadcasts_again = 1 };

#include "tiles/int8_vnni.h"
#include "tiles/int8_avx512.h"

void mxlk_expand_int8_32__avx512vnni(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  mxlk_expand(row->context, packed, columns, k, expanded);
}

void mxlk_activate_int8__avx512vnni(const float *x, int64_t k, mxlk_activation *out) {
  mxlk_activation_quantize(x, k, out);
}

MXLK_INLINE ints add_four_products(ints dots, bytes codes, ints q) {
  return (ints)_mm512_dpbusd_epi32((__m512i)dots, (__m512i)codes, (__m512i)q);
}

MXLK_INLINE ints add_pair_products(ints j, ints a, ints b) {
  return (ints)_mm512_dpwssd_epi32((__m512i)j, (__m512i)a, (__m512i)b);
}

MXLK_INLINE ints shifted(ints value, int32_t shift) {
  return (ints)_mm512_sllv_epi32((__m512i)value, _mm512_set1_epi32(shift));
}

void mxlk_linear_expanded_int8_6x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  run_format(0, row, tile);
}

void mxlk_linear_packed_int8_6x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  run_packed_panels(row, tile);
}

#pragma clang attribute pop
#endif

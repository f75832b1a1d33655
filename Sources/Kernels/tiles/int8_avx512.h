/* What the int8 tiles and weights on 512 bits share. Included behind int8_schemes.h, under a target attribute with AVX-512 F, BW and
 * VNNI. */
#ifndef MXLK_TILES_INT8_AVX512_H
#define MXLK_TILES_INT8_AVX512_H

#include <immintrin.h>

MXLK_INLINE bytes looked_up(const uint8_t *table, bytes codes) {
  __m128i entries;
  memcpy(&entries, table, sizeof entries);
  return (bytes)_mm512_shuffle_epi8(_mm512_broadcast_i32x4(entries), (__m512i)codes);
}

/* sums += the two products of each pair of int16. Not the intrinsic, which the compiler makes vpmaddwd and vpaddd of where it expects to wait for the sums,
 * two operations for one. Tests that emulate AVX-512 have their own. */
#ifndef MXLK_PAIR_DOTS
#define MXLK_PAIR_DOTS(sums, a, b) __asm__("vpdpwssd %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b))
#endif

MXLK_INLINE ints add_pair_products(ints j, ints a, ints b) {
  MXLK_PAIR_DOTS(j, a, b);
  return j;
}

#endif

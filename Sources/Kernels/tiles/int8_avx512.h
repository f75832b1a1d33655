/* What the int8 tiles and weights on 512 bits share. Included behind int8_weights.h, under a target attribute with AVX-512 F and BW. */
#ifndef MXLK_TILES_INT8_AVX512_H
#define MXLK_TILES_INT8_AVX512_H

#include <immintrin.h>

MXLK_INLINE bytes looked_up(const uint8_t *table, bytes codes) {
  __m128i entries;
  memcpy(&entries, table, sizeof entries);
  return (bytes)_mm512_shuffle_epi8(_mm512_broadcast_i32x4(entries), (__m512i)codes);
}

#endif

/* Packed panels as the planes of bytes that AMX tiles multiply (int8_amx.h). For each vector of 16 outputs by 4 k of two planes: what takes the
 * codes apart, then two vpmaddubsw, two shifts and two blends. */
#include "tiles/int8_amx.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define MXLK_CONVERTS_HALVES
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)

enum { lanes = 16, vectors = 2, scale_copies = 1, x_lines_apart = 1 };

#include "tiles/int8_weights.h"
#include "tiles/int8_avx512.h"

enum { plane_bytes = MXL_SUPERBLOCK * columns };

/* The lower bytes of the int16 of even and of odd bytes, and the upper ones. */
MXLK_INLINE __m512i lower_bytes(__m512i even, __m512i odd) {
  return _mm512_mask_blend_epi8(0xaaaaaaaaaaaaaaaaull, even, _mm512_slli_epi16(odd, 8));
}
MXLK_INLINE __m512i upper_bytes(__m512i even, __m512i odd) {
  return _mm512_mask_blend_epi8(0xaaaaaaaaaaaaaaaaull, _mm512_srli_epi16(even, 8), odd);
}

/* What a sub-block's codes of one vector are multiplied with: the scale as a byte, ahead of a 0 and behind one; and the zero's product. */
typedef struct factors {
  __m512i even, odd, offset;
} factors;

MXLK_INLINE factors factors_of(__m512i scales, int zero) {
  factors f;
  scales = _mm512_and_si512(scales, _mm512_set1_epi32(0xff));
  f.even = _mm512_or_si512(scales, _mm512_slli_epi32(scales, 16));
  f.odd = _mm512_slli_epi16(f.even, 8);
  f.offset = _mm512_mullo_epi16(_mm512_srai_epi16(f.odd, 8), _mm512_set1_epi16((int16_t)zero));
  return f;
}

/* Planes of sc (code - zero), the scales of sub-blocks of `each` k, negated where sign is -1. Of two planes the lower is unsigned. */
MXLK_INLINE void scale_codes(const int planes, const int each, const weights *w, const int32_t *scales, const int zero,
                             const int sign, uint8_t *to) {
  for (int64_t block = 0; block < MXL_SUPERBLOCK / 32; block++)
    for (int v = 0; v < vectors; v++) {
      factors f;
#pragma clang loop unroll(full)
      for (int g = 0; g < 8; g++) {
        if (g % (each / 4) == 0) {
          __m512i scale = _mm512_loadu_si512(scales + (block * 32 / each + g / (each / 4)) * columns + lanes * v);
          f = factors_of(sign < 0 ? _mm512_sub_epi32(_mm512_setzero_si512(), scale) : scale, zero);
        }
        __m512i codes = (__m512i)codes_at(w, 0, 8 * block + g, v);
        __m512i even = _mm512_maddubs_epi16(codes, f.even), odd = _mm512_maddubs_epi16(codes, f.odd);
        if (zero != 0) even = _mm512_sub_epi16(even, f.offset), odd = _mm512_sub_epi16(odd, f.offset);
        uint8_t *at = to + ((8 * block + g) * vectors + v) * 64;
        _mm512_store_si512(at, lower_bytes(even, odd));
        if (planes == 2) _mm512_store_si512(at + plane_bytes, upper_bytes(even, odd));
      }
    }
}

/* A plane of code - zero. */
MXLK_INLINE void center_codes(const weights *w, const int zero, int64_t k, uint8_t *to) {
  for (int64_t block = 0; block < k / 32; block++)
#pragma clang loop unroll(full)
    for (int g = 0; g < 8; g++)
      for (int v = 0; v < vectors; v++) {
        bytes codes = codes_at(w, 0, 8 * block + g, v) - (uint8_t)zero;
        memcpy(to + ((8 * block + g) * vectors + v) * 64, &codes, 64);
      }
}

/* Planes of code - zero of the block's group, 8 bits in two. */
MXLK_INLINE void center_groups(const weights *w, const int32_t *zeros, int64_t k, uint8_t *to) {
  for (int64_t block = 0; block < k / 32; block++)
    for (int v = 0; v < vectors; v++) {
      __m512i zero = _mm512_loadu_si512(zeros + block * 32 / w->group * columns + lanes * v);
      zero = _mm512_or_si512(_mm512_slli_epi32(zero, 16), zero);
      __m512i byte = lower_bytes(zero, zero);
#pragma clang loop unroll(full)
      for (int g = 0; g < 8; g++) {
        __m512i codes = (__m512i)codes_at(w, 0, 8 * block + g, v);
        uint8_t *at = to + ((8 * block + g) * vectors + v) * 64;
        if (w->code_bits < 8) {
          _mm512_store_si512(at, _mm512_sub_epi8(codes, byte));
          continue;
        }
        __m512i even = _mm512_sub_epi16(_mm512_and_si512(codes, _mm512_set1_epi16(255)), zero);
        __m512i odd = _mm512_sub_epi16(_mm512_srli_epi16(codes, 8), zero);
        _mm512_store_si512(at, lower_bytes(even, odd));
        _mm512_store_si512(at + plane_bytes, upper_bytes(even, odd));
      }
    }
}

/* d 2^s for the shifts s = 0 to 3, which takes the place of a shift of each sum: f(i << s) d is f(i) (d 2^s) to the bit, as d was a half. */
MXLK_INLINE void shift_scales(const float *d, int64_t k, float *shifted) {
  for (int s = 0; s < 4; s++)
    for (int64_t i = 0; i < k / 32 * columns; i++) shifted[s * 8 * columns + i] = d[i] * (float)(1 << s);
}

MXLK_INLINE void expand(const mxl_kernel_row *row, const int bits, const int packed_as, const void *packed, int64_t k,
                        uint8_t *to) {
  const mxlk_block_format *format = row->context;
  mxlk_panel_layout layout = mxlk_panel_layout_of(format, columns, k);
  int32_t *scales = (int32_t *)(void *)(to + 2 * plane_bytes);
  mxlk_expand_scales(format, &layout, 0, packed, columns, k, scales);
  const uint8_t *at = packed;
  weights w = {.packed = packed_as, .code_bits = bits, .table = format->table, .codes = at, .high = at + layout.high};
  w.group = format->group;
  switch (format->scheme) {
    case MXLK_SCHEME_BLOCK32:
    case MXLK_SCHEME_BLOCK32_POWER: center_codes(&w, format->zero, k, to); break;
    case MXLK_SCHEME_BLOCK32_MIN: center_codes(&w, 0, k, to); break;
    case MXLK_SCHEME_SUPER32: scale_codes(2, 32, &w, scales, 0, 1, to); break;
    case MXLK_SCHEME_SUPER32_SIX: scale_codes(2, 32, &w, scales, 128, 1, to); break;
    case MXLK_SCHEME_SUPER16_MIN: scale_codes(1, 16, &w, scales, 0, 1, to); break;
    case MXLK_SCHEME_SUPER16:
      if (bits == 3) {
        /* Negated, so that -4 to 3 times -32 to 31 fits into 8 bits, and so is d. A product of t and alpha cannot underflow to a zero, whose sign would
         * then be another, since d is a half. */
        float *d = (float *)(void *)(scales + 16 * columns);
        scale_codes(1, 16, &w, scales, 4, -1, to);
        for (int i = 0; i < columns; i++) d[i] = -d[i];
      } else {
        scale_codes(2, 16, &w, scales, 32, 1, to);
      }
      break;
    case MXLK_SCHEME_GROUP: center_groups(&w, scales + 8 * columns, k, to); break;
  }
  if (format->scheme == MXLK_SCHEME_BLOCK32 || format->scheme == MXLK_SCHEME_BLOCK32_MIN)
    shift_scales((const float *)(const void *)scales, k, (float *)(void *)(to + plane_bytes));
}

void mxlk_expand_int8_32__amx(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  const mxlk_block_format *format = row->context;
  if (format->table != NULL) {
    expand(row, 8, packed_table, packed, k, expanded);
    return;
  }
  switch (format->code_bits) {
    case 2: expand(row, 2, packed_codes, packed, k, expanded); break;
    case 3: expand(row, 3, packed_codes, packed, k, expanded); break;
    case 4: expand(row, 4, packed_codes, packed, k, expanded); break;
    case 5: expand(row, 5, packed_codes, packed, k, expanded); break;
    case 6: expand(row, 6, packed_codes, packed, k, expanded); break;
    default: expand(row, 8, packed_codes, packed, k, expanded); break;
  }
}

#pragma clang attribute pop
#endif

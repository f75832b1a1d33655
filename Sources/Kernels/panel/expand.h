/* From a packed superblock to an expanded one (panel.h). Written as plain loops over whole vectors: each file of tiles/ includes this
 * under its own target attribute, and the compiler vectorizes it for that CPU variant. `columns` is a constant there. A file whose target
 * converts halves to floats in hardware (F16C), and has AVX2, defines MXLK_CONVERTS_HALVES. */
#ifndef MXLK_PANEL_EXPAND_H
#define MXLK_PANEL_EXPAND_H

#include "contract.h"
#include "float16.h"
#include "panel/panel.h"

#ifdef MXLK_CONVERTS_HALVES
#include <immintrin.h>
#endif

/* The bits of `mask`, 16 or 48, from `position` on: moved left by 4 - position, or right. */
MXLK_INLINE uint8_t mxlk_moved_bits(uint8_t bits, const int position, const int mask) {
  return (uint8_t)((position <= 4 ? bits << (4 - position) : bits >> (position - 4)) & mask);
}

MXLK_INLINE void mxlk_expand_codes(const uint8_t *restrict packed, const uint8_t *restrict high, const int code_bits,
                                   const int columns, int64_t k, uint8_t *restrict codes) {
  const int width = 4 * columns, each = code_bits - 4; /* high bits of a code */
  /* Sub-blocks of 32 k are four pairs of groups, so that the positions of the high bits are constants. */
  for (int64_t block = 0; block < k / 32; block++)
#pragma clang loop unroll(full)
    for (int pair = 0; pair < 4; pair++) {
      const uint8_t *low = packed + (4 * block + pair) * width;
      uint8_t *first = codes + 2 * (4 * block + pair) * width, *second = first + width;
      const uint8_t *bits = high + (each == 2 ? 2 * block + pair / 2 : block) * width;
      const int position = each == 2 ? 4 * (pair % 2) : 2 * pair, mask = each == 2 ? 48 : 16;
      for (int i = 0; i < width; i++) {
        first[i] = low[i] & 15;
        second[i] = low[i] >> 4;
        if (each == 0) continue;
        first[i] |= mxlk_moved_bits(bits[i], position, mask);
        second[i] |= mxlk_moved_bits(bits[i], position + each, mask);
      }
    }
}

/* Codes of 2 and 3 bits: eight groups of a sub-block of 32 k, so that all positions are constants. */
MXLK_INLINE void mxlk_expand_narrow_codes(const uint8_t *restrict packed, const uint8_t *restrict high,
                                          const int code_bits, const int columns, int64_t k, uint8_t *restrict codes) {
  const int width = 4 * columns;
  for (int64_t block = 0; block < k / 32; block++)
#pragma clang loop unroll(full)
    for (int g = 0; g < 8; g++) {
      const uint8_t *low = packed + (2 * block + g / 4) * width, *bits = high + block * width;
      uint8_t *to = codes + (8 * block + g) * width;
      for (int i = 0; i < width; i++) {
        to[i] = low[i] >> (2 * (g % 4)) & 3;
        if (code_bits == 3) to[i] |= (uint8_t)((g <= 2 ? bits[i] << (2 - g) : bits[i] >> (g - 2)) & 4);
      }
    }
}

/* The scales of mxlk_narrow_scale as signed bytes [b][output]; `bytes` are [12][output]. */
MXLK_INLINE void mxlk_expand_narrow_scales(const uint8_t *restrict bytes, const int columns, uint8_t *restrict scales) {
  const int width = 4 * columns; /* of four scales, whose positions are the same */
#pragma clang loop unroll(full)
  for (int four = 0; four < 4; four++)
    for (int i = 0; i < width; i++) {
      int low = bytes[four % 2 * width + i] >> (four / 2 * 4) & 15, upper = bytes[2 * width + i] >> (2 * four) & 3;
      scales[four * width + i] = (uint8_t)((low | upper << 4) - 32);
    }
}

/* Puts what the table says in the place of codes; count is a multiple of 32. */
MXLK_INLINE void mxlk_look_up(const uint8_t table[16], int64_t count, uint8_t *codes) {
#ifdef MXLK_CONVERTS_HALVES
  __m128i entries;
  memcpy(&entries, table, sizeof entries);
  for (int64_t i = 0; i < count; i += 32) {
    __m256i some;
    memcpy(&some, codes + i, sizeof some);
    some = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(entries), some);
    memcpy(codes + i, &some, sizeof some);
  }
#else
  for (int64_t i = 0; i < count; i++) codes[i] = table[codes[i]];
#endif
}

/* count is a multiple of 16. */
MXLK_INLINE void mxlk_expand_halves(const uint8_t *restrict halves, int64_t count, float *restrict values) {
#ifdef MXLK_CONVERTS_HALVES
  typedef _Float16 halves16 __attribute__((vector_size(32)));
  typedef float floats16 __attribute__((vector_size(64)));
  for (int64_t i = 0; i < count; i += 16) {
    halves16 from;
    memcpy(&from, halves + 2 * i, sizeof from);
    floats16 to = __builtin_convertvector(from, floats16);
    memcpy(values + i, &to, sizeof to);
  }
#else
  for (int64_t i = 0; i < count; i++)
    values[i] = mxlk_float_from_half((uint16_t)(halves[2 * i] | halves[2 * i + 1] << 8));
#endif
}

/* sc[8][output] of SUPER32_SIX. Sub-blocks are taken two at a time, so that the positions of their bits are constants. */
MXLK_INLINE void mxlk_expand_six_bits(const uint8_t *restrict six, const int columns, int8_t *restrict scales) {
#pragma clang loop unroll(full)
  for (int pair = 0; pair < 4; pair++) {
    const uint8_t *low = six + pair * columns, *bits = six + (4 + pair / 2) * columns;
    const int position = 4 * (pair % 2);
    int8_t *first = scales + 2 * pair * columns, *second = first + columns;
    for (int c = 0; c < columns; c++) {
      first[c] = (int8_t)(((low[c] & 15) | mxlk_moved_bits(bits[c], position, 48)) - 32);
      second[c] = (int8_t)((low[c] >> 4 | mxlk_moved_bits(bits[c], position + 2, 48)) - 32);
    }
  }
}

/* sc of a scheme's byte. */
MXLK_INLINE int32_t mxlk_scale_of(const mxlk_scheme scheme, uint8_t byte) {
  if (scheme == MXLK_SCHEME_SUPER32) return byte;
  return scheme == MXLK_SCHEME_SUPER16_MIN ? byte & 15 : (int8_t)byte;
}

/* sc[blocks][output], or in pairs [blocks / 2][output]. */
MXLK_INLINE void mxlk_expand_integers(const mxlk_scheme scheme, const int paired, const uint8_t *restrict bytes,
                                      const int blocks, int columns, int32_t *restrict integers) {
  for (int i = 0; i < blocks * columns && !paired; i++) integers[i] = mxlk_scale_of(scheme, bytes[i]);
  for (int b = 0; b < blocks && paired; b += 2)
    for (int c = 0; c < columns; c++) {
      const uint8_t *at = bytes + b * columns + c;
      uint32_t first = (uint32_t)mxlk_scale_of(scheme, at[0]), second = (uint32_t)mxlk_scale_of(scheme, at[columns]);
      integers[b / 2 * columns + c] = (int32_t)(first << 16 | (second & 0xffff));
    }
}

/* Scales of one superblock into `scales`, the area behind the codes; those of SUPER32, SUPER16 and SUPER16_MIN in pairs where that is said. */
MXLK_INLINE void mxlk_expand_scales(const mxlk_block_format *format, const mxlk_panel_layout *layout, const int paired,
                                    const uint8_t *restrict packed, int columns, int64_t k, void *restrict scales) {
  int32_t *integers = scales;
  if (format->scheme == MXLK_SCHEME_BLOCK32) {
    mxlk_expand_halves(packed + layout->d, k / 32 * columns, scales);
  } else if (format->scheme == MXLK_SCHEME_BLOCK32_MIN) {
    mxlk_expand_halves(packed + layout->d, k / 32 * columns, scales);
    mxlk_expand_halves(packed + layout->minima, k / 32 * columns, (float *)(integers + 8 * columns));
  } else if (format->scheme == MXLK_SCHEME_SUPER32) {
    mxlk_expand_integers(MXLK_SCHEME_SUPER32, paired, packed + layout->scales, 8, columns, integers);
    int16_t *pairs = (int16_t *)(integers + 8 * columns);
    const uint8_t *minima = packed + layout->minima;
    for (int p = 0; p < 4; p++)
      for (int i = 0; i < columns; i++) {
        pairs[2 * (p * columns + i)] = minima[2 * p * columns + i];
        pairs[2 * (p * columns + i) + 1] = minima[(2 * p + 1) * columns + i];
      }
    mxlk_expand_halves(packed + layout->d, 2 * columns, (float *)(integers + 12 * columns));
  } else if (format->scheme == MXLK_SCHEME_BLOCK32_POWER) {
    float *d = scales;
    for (int i = 0; i < k / 32 * columns; i++) d[i] = mxlk_power(packed[layout->d + i]);
  } else if (format->scheme == MXLK_SCHEME_SUPER32_SIX) {
    int8_t whole[8 * 32];
    mxlk_expand_six_bits(packed + layout->scales, columns, whole);
    for (int i = 0; i < 8 * columns; i++) integers[i] = whole[i];
    mxlk_expand_halves(packed + layout->d, columns, (float *)(integers + 8 * columns));
  } else if (format->scheme == MXLK_SCHEME_GROUP) {
    int count = (int)mxlk_group_count(format, k) * columns;
    if (format->scale_bytes == 2)
      mxlk_expand_halves(packed + layout->d, count, scales);
    else
      memcpy(scales, packed + layout->d, (size_t)count * 4);
    const uint8_t *zeros = packed + layout->minima;
    if (format->code_bits == 8)
      for (int i = 0; i < count; i++) integers[8 * columns + i] = zeros[2 * i] + zeros[2 * i + 1];
    else
      for (int i = 0; i < count; i++) integers[8 * columns + i] = zeros[i];
  } else if (format->scheme == MXLK_SCHEME_SUPER16_MIN) {
    const uint8_t *bytes = packed + layout->scales;
    mxlk_expand_integers(MXLK_SCHEME_SUPER16_MIN, paired, bytes, 16, columns, integers);
    int16_t *pairs = (int16_t *)(integers + 16 * columns);
    for (int p = 0; p < 8; p++)
      for (int i = 0; i < columns; i++) {
        pairs[2 * (p * columns + i)] = bytes[2 * p * columns + i] >> 4;
        pairs[2 * (p * columns + i) + 1] = bytes[(2 * p + 1) * columns + i] >> 4;
      }
    mxlk_expand_halves(packed + layout->d, 2 * columns, (float *)(integers + 24 * columns));
  } else {
    uint8_t narrow[16 * 32];
    const uint8_t *bytes = packed + layout->scales;
    if (format->scale_bits == 6) {
      mxlk_expand_narrow_scales(bytes, columns, narrow);
      bytes = narrow;
    }
    mxlk_expand_integers(MXLK_SCHEME_SUPER16, paired, bytes, 16, columns, integers);
    mxlk_expand_halves(packed + layout->d, columns, (float *)(integers + 16 * columns));
  }
}

/* The codes of k columns; the table's where there is one. */
MXLK_INLINE void mxlk_expand_all_codes(const mxlk_block_format *format, const mxlk_panel_layout *layout,
                                       const uint8_t *restrict packed, int columns, int64_t k,
                                       uint8_t *restrict expanded) {
  switch (format->code_bits) {
    case 2: mxlk_expand_narrow_codes(packed, packed + layout->high, 2, columns, k, expanded); break;
    case 3: mxlk_expand_narrow_codes(packed, packed + layout->high, 3, columns, k, expanded); break;
    case 4: mxlk_expand_codes(packed, packed + layout->high, 4, columns, k, expanded); break;
    case 5: mxlk_expand_codes(packed, packed + layout->high, 5, columns, k, expanded); break;
    case 6: mxlk_expand_codes(packed, packed + layout->high, 6, columns, k, expanded); break;
    default: memcpy(expanded, packed, (size_t)(k * columns)); break;
  }
  if (format->table != NULL) mxlk_look_up(format->table, k * columns, expanded);
}

/* The whole of it: codes, then scales. */
MXLK_INLINE void mxlk_expand(const mxlk_block_format *format, const int paired, const uint8_t *restrict packed,
                             int columns, int64_t k, uint8_t *restrict expanded) {
  mxlk_panel_layout layout = mxlk_panel_layout_of(format, columns, k);
  mxlk_expand_all_codes(format, &layout, packed, columns, k, expanded);
  mxlk_expand_scales(format, &layout, paired, packed, columns, k, expanded + MXL_SUPERBLOCK * columns);
}

#endif

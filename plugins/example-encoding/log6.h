/* LOG6: blocks of 32 weights, codes of 6 bits whose magnitudes are spaced evenly on a logarithmic scale, four to a doubling.
 *
 *   scale     the upper 16 bits of a float32, little-endian
 *   codes     four in three bytes, the first in the lowest bits:
 *
 *       byte 0     byte 1     byte 2
 *       11000000   22221111   33333322
 *
 *   code      bit 5 is the sign, e = bits 0 to 4 the magnitude: 0 for e = 0, else 2^(e / 4 - 7)
 *   weight    scale * +-magnitude, one product, rounded to float32 */
#ifndef LOG6_H
#define LOG6_H

#include <maxlinear/plugin.h>
#include <string.h>

#define LOG6_ELEMENTS 32

typedef struct log6_block {
  uint8_t scale[2];
  uint8_t codes[24];
} log6_block;

/* The bits of 2^(0/4), 2^(1/4), 2^(2/4), 2^(3/4). */
#define LOG6_POWERS 0x3f800000, 0x3f9837f0, 0x3fb504f3, 0x3fd744fd

static inline float log6_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static inline float log6_scale(const log6_block *block) {
  return log6_float((uint32_t)block->scale[0] << 16 | (uint32_t)block->scale[1] << 24);
}

static inline uint32_t log6_code(const log6_block *block, int i) {
  const uint8_t *four = block->codes + i / 4 * 3;
  uint32_t bits = four[0] | (uint32_t)four[1] << 8 | (uint32_t)four[2] << 16;
  return bits >> (6 * (i % 4)) & 63;
}

static inline float log6_value(uint32_t code) {
  static const uint32_t powers[4] = {LOG6_POWERS};
  uint32_t e = code & 31, sign = code >> 5 << 31;
  return log6_float(e == 0 ? sign : (powers[e % 4] + (e / 4 << 23) - (7u << 23)) | sign);
}

extern const mxl_encoding log6_encoding;
extern const mxl_kernel_row log6_row_avx2;

#endif

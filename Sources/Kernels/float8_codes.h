/* The 8-bit floats of weights and float32.
 *
 *     E4M3    s eeee mmm    bias 7, no infinities: 0x7f and 0xff are NaN, the largest is 448 (0x7e)
 *     E5M2    s eeeee mm    the upper byte of a half: bias 15, infinities, the largest is 57344 (0x7b)
 *
 * Branch-free, so that loops over them vectorize. Under the contract's environment: round to nearest, denormals kept. */
#ifndef MXLK_FLOAT8_CODES_H
#define MXLK_FLOAT8_CODES_H

#include "float16.h"

/* Exact. Exponent and fraction, moved to where a float has them, are the value times 2^-120, denormals too; the product is exact. */
static inline float mxlk_float_from_e4m3(uint8_t code) {
  uint32_t magnitude = code & 0x7f;
  uint32_t scaled = mxlk_bits_from_float(mxlk_float_from_bits(magnitude << 20) * 0x1p120f);
  return mxlk_float_from_bits((uint32_t)(code & 0x80) << 24 | (magnitude == 0x7f ? 0x7fc00000u : scaled));
}

static inline float mxlk_float_from_e5m2(uint8_t code) { return mxlk_float_from_half((uint16_t)(code << 8)); }

/* To nearest even. `bits` of exponent and fraction of which `fraction` are the fraction's, the exponent's bias, the code of the first value
 * that is none (a tie goes there when it is even), and the code of NaN. Below the normal values a float whose last place is the smallest
 * denormal does the rounding. All constants at every call. */
static inline __attribute__((always_inline)) uint8_t mxlk_float8_rounded(float value, const int fraction,
                                                                         const int bias, const uint32_t beyond,
                                                                         const uint32_t nan) {
  uint32_t bits = mxlk_bits_from_float(value), magnitude = bits & 0x7fffffffu;
  const int dropped = 23 - fraction;
  const uint32_t least_normal = (uint32_t)(128 - bias) << 23;
  const float unit = mxlk_float_from_bits((uint32_t)(127 + 1 - bias - fraction + 23) << 23);
  uint32_t odd = magnitude >> dropped & 1;
  uint32_t normal = (magnitude - (uint32_t)((127 - bias) << 23) + (1u << (dropped - 1)) - 1 + odd) >> dropped;
  uint32_t denormal = mxlk_bits_from_float(mxlk_float_from_bits(magnitude) + unit) - mxlk_bits_from_float(unit);
  uint32_t code = magnitude < least_normal ? denormal : normal;
  code = magnitude >= 0x7f800000u || code > beyond ? beyond : code;
  code = magnitude > 0x7f800000u ? nan : code;
  return (uint8_t)(bits >> 24 & 0x80) | (uint8_t)code;
}

/* Beyond 464 NaN, as there is no infinity. */
static inline uint8_t mxlk_e4m3_from_float(float value) { return mxlk_float8_rounded(value, 3, 7, 0x7f, 0x7f); }

/* From 61440 on infinity. */
static inline uint8_t mxlk_e5m2_from_float(float value) { return mxlk_float8_rounded(value, 2, 15, 0x7c, 0x7e); }

#endif

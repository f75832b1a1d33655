/* IEEE 754 binary16 and float32. Branch-free, so that loops over them vectorize for any CPU variant. */
#ifndef MXLK_FLOAT16_H
#define MXLK_FLOAT16_H

#include <stdint.h>
#include <string.h>

static inline float mxlk_float_from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

static inline uint32_t mxlk_bits_from_float(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}

/* Exact, in whatever environment: no denormal float is made on the way. A normal half's exponent and fraction move to where a float has
 * them, and the exponent's bias grows by 112; a denormal half is its fraction times 2^-24; infinity and NaN get a float's exponent. */
static inline float mxlk_float_from_half(uint16_t half) {
  int32_t unsigned_half = half & 0x7fff;
  uint32_t moved = (uint32_t)unsigned_half << 13;
  uint32_t denormal = mxlk_bits_from_float((float)unsigned_half * 0x1p-24f);
  uint32_t finite = unsigned_half < 0x400 ? denormal : moved + 0x38000000u;
  return mxlk_float_from_bits((uint32_t)(half & 0x8000) << 16 |
                              (unsigned_half >= 0x7c00 ? moved | 0x7f800000u : finite));
}

/* Rounds to nearest even, in integers: 65520 and more become infinity, a NaN stays one. */
static inline uint16_t mxlk_half_from_float(float value) {
  uint32_t bits = mxlk_bits_from_float(value);
  uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00 | (uint16_t)(magnitude >> 13 & 0x3ff);
  if (magnitude >= 0x47800000u) return sign | 0x7c00;
  if (magnitude >= 0x38800000u) { /* a normal half: a carry out of the fraction moves the exponent, up to infinity */
    uint32_t odd = magnitude >> 13 & 1;
    return sign | (uint16_t)((magnitude - 0x38000000u + 0xfff + odd) >> 13);
  }
  if (magnitude < 0x33000000u) return sign; /* below 2^-25: zero; 2^-25 itself is a tie, to even */
  uint32_t exponent = magnitude >> 23, fraction = (magnitude & 0x7fffffu) | 0x800000u;
  uint32_t shift = 126 - exponent; /* 14 to 24 */
  uint32_t quotient = fraction >> shift, rest = fraction & ((1u << shift) - 1), half = 1u << (shift - 1);
  return sign | (uint16_t)(quotient + (rest > half || (rest == half && (quotient & 1))));
}

#endif

/* Activations quantized to 8 bits, one format for all encodings.
 *
 * A superblock is 256 consecutive k of one row (the last may be shorter), a sub-block b is 32 of them.
 *
 *   A     = max |x| of the superblock, a_b of the sub-block
 *   e_b   = how many of j = 1, 2, 3 have a_b 2^j <= A;  s_b = 3 - e_b
 *   q     = x ((127 / A) 2^e_b), rounded to nearest even, within +-127
 *   alpha = (A / 127) / 8, so that x is about q 2^s_b alpha
 *
 * A not finite: alpha = NaN, q = 0. A < 2^-100: alpha = 0, q = 0. Plain loops, included under each variant's target attribute. */
#ifndef MXLK_ACTIVATION_INT8_H
#define MXLK_ACTIVATION_INT8_H

#include "float16.h"
#include "kernels.h"

typedef struct mxlk_activation {
  int8_t codes[MXL_SUPERBLOCK];
  int16_t lanes16[32]; /* sum of q over the 8 of 16 k that are 0 or 1 (2 or 3) modulo 4 */
  int16_t sums16[16];  /* sum of q over 16 k */
  int16_t sums32[8];   /* (sum of q over 32 k) << s_b: at most 127 * 32 * 8 = 32512 */
  uint8_t shifts[8];   /* s_b */
  float alpha;
  uint32_t reserved;
} mxlk_activation;

_Static_assert(sizeof(mxlk_activation) == 384, "an activation record has six cache lines");

/* Quantizes k <= 256 values, a multiple of 32. */
static inline __attribute__((always_inline)) void mxlk_activation_quantize(const float *restrict x, int64_t k,
                                                                           mxlk_activation *restrict out) {
  int32_t maxima[8], maximum = 0;
  for (int64_t b = 0; b < k / 32; b++) {
    int32_t a = 0;
    for (int i = 0; i < 32; i++) {
      int32_t bits = (int32_t)(mxlk_bits_from_float(x[32 * b + i]) & 0x7fffffff);
      a = bits > a ? bits : a;
    }
    maxima[b] = a;
    maximum = a > maximum ? a : maximum;
  }
  memset(out, 0, sizeof *out);
  float A = mxlk_float_from_bits((uint32_t)maximum);
  if (maximum >= 0x7f800000) {
    out->alpha = mxlk_float_from_bits(0x7fc00000u);
    return;
  }
  if (A < 0x1p-100f) return;
  out->alpha = A / 127.0f / 8.0f;
  float scale = 127.0f / A;
  for (int64_t b = 0; b < k / 32; b++) {
    float a = mxlk_float_from_bits((uint32_t)maxima[b]);
    int e = (a * 2.0f <= A) + (a * 4.0f <= A) + (a * 8.0f <= A);
    float factor = scale * (float)(1 << e);
    for (int64_t i = 32 * b; i < 32 * b + 32; i++) {
      float rounded = (x[i] * factor + 0x1.8p23f) - 0x1.8p23f; /* to nearest even, as |x factor| < 2^22 */
      int32_t q = (int32_t)rounded;
      out->codes[i] = (int8_t)(q > 127 ? 127 : q < -127 ? -127 : q);
    }
    out->shifts[b] = (uint8_t)(3 - e);
  }
  int16_t pairs[MXL_SUPERBLOCK / 2];
  for (int i = 0; i < MXL_SUPERBLOCK / 2; i++) pairs[i] = (int16_t)(out->codes[2 * i] + out->codes[2 * i + 1]);
  for (int i = 0; i < 16; i++)
    for (int half = 0; half < 2; half++) {
      const int16_t *from = pairs + 8 * i + half;
      out->lanes16[2 * i + half] = (int16_t)(from[0] + from[2] + from[4] + from[6]);
    }
  for (int i = 0; i < 16; i++) out->sums16[i] = (int16_t)(out->lanes16[2 * i] + out->lanes16[2 * i + 1]);
  for (int b = 0; b < 8; b++) out->sums32[b] = (int16_t)((out->sums16[2 * b] + out->sums16[2 * b + 1]) * (1 << out->shifts[b]));
}

#endif

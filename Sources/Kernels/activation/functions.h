/* The activation functions, the library's own, so that their bits are the same on every CPU variant. Branch-free float32 with fused
 * multiply-adds, vectorized under the including file's target attribute. The polynomials are minimax fits made for these intervals.
 *
 * Errors against float64 over all floats, in units of the last place: exp 1.1, tanh 1.4, erf 1.1 (docs/NUMERICS.md). */
#ifndef MXLK_ACTIVATION_FUNCTIONS_H
#define MXLK_ACTIVATION_FUNCTIONS_H

#include "float16.h"
#include "kernels.h"

#include <math.h>

#define MXLK_FUNCTION static inline __attribute__((always_inline))

MXLK_FUNCTION float mxlk_absolute(float x) { return mxlk_float_from_bits(mxlk_bits_from_float(x) & 0x7fffffffu); }

/* |magnitude| with the sign of `sign`. */
MXLK_FUNCTION float mxlk_with_sign(float magnitude, float sign) {
  return mxlk_float_from_bits((mxlk_bits_from_float(magnitude) & 0x7fffffffu) |
                              (mxlk_bits_from_float(sign) & 0x80000000u));
}

/* e^x = 2^n e^r, n = round(x / ln 2), |r| <= ln 2 / 2, e^r = 1 + r + r^2 q(r). 2^n in two factors, so that denormal results are rounded
 * once and nothing overflows early. */
MXLK_FUNCTION float mxlk_exp(float x) {
  float bounded = x < -110.0f ? -110.0f : x;
  bounded = bounded > 100.0f ? 100.0f : bounded;
  float shifted = fmaf(bounded, 0x1.715476p0f, 0x1.8p23f); /* round(x / ln 2) in the low bits */
  float n = shifted - 0x1.8p23f;
  int32_t exponent = (int32_t)(mxlk_bits_from_float(shifted) - 0x4b400000u);
  float r = fmaf(n, -0x1.62e4p-1f, bounded); /* ln 2 = 0x1.62e4p-1 + 0x1.7f7d1cp-20 */
  r = fmaf(n, -0x1.7f7d1cp-20f, r);
  float q = 0x1.6d74dcp-10f;
  q = fmaf(q, r, 0x1.120be6p-7f);
  q = fmaf(q, r, 0x1.5554bap-5f);
  q = fmaf(q, r, 0x1.5554dcp-3f);
  q = fmaf(q, r, 0.5f);
  float e = fmaf(r * r, q, r) + 1.0f;
  int32_t half = exponent >> 1;
  float first = mxlk_float_from_bits((uint32_t)(half + 127) << 23);
  float second = mxlk_float_from_bits((uint32_t)(exponent - half + 127) << 23);
  float result = e * first * second;
  return x != x ? x : result;
}

/* |x| < 0.625: x + x^3 p(x^2). Else 1 - 2 / (e^(2|x|) + 1), with x's sign. */
MXLK_FUNCTION float mxlk_tanh(float x) {
  float a = mxlk_absolute(x), s = x * x;
  float p = 0x1.2d3106p-9f;
  p = fmaf(p, s, -0x1.11954ep-7f);
  p = fmaf(p, s, 0x1.64b102p-6f);
  p = fmaf(p, s, -0x1.ba094ep-5f);
  p = fmaf(p, s, 0x1.1110eap-3f);
  p = fmaf(p, s, -0x1.555556p-2f);
  float small = fmaf(x * s, p, x);
  float large = mxlk_with_sign(1.0f - 2.0f / (mxlk_exp(a + a) + 1.0f), x);
  return x != x ? x : a < 0.625f ? small : large;
}

/* |x| < 1: x + x p(x^2). Else a polynomial in z = (|x| - 2.5) / 1.5; from where 1 is nearest on, 3.9192, exactly 1: gelu multiplies what is missing
 * with x. */
MXLK_FUNCTION float mxlk_erf(float x) {
  float a = mxlk_absolute(x), s = x * x;
  float p = -0x1.4487fp-17f;
  p = fmaf(p, s, 0x1.d89b5ep-14f);
  p = fmaf(p, s, -0x1.bcd33ep-11f);
  p = fmaf(p, s, 0x1.562abep-8f);
  p = fmaf(p, s, -0x1.b829d2p-6f);
  p = fmaf(p, s, 0x1.ce2f0ap-4f);
  p = fmaf(p, s, -0x1.812746p-2f);
  p = fmaf(p, s, 0x1.06eba8p-3f); /* 2 / sqrt(pi) - 1: the rounding of a smaller number is smaller */
  float small = fmaf(x, p, x);
  float z = (a > 4.0f ? 4.0f : a) * 0x1.555556p-1f - 0x1.aaaaaap0f;
  float l = -0x1.40b8eep-13f;
  l = fmaf(l, z, 0x1.0fc204p-12f);
  l = fmaf(l, z, 0x1.5fb73ep-11f);
  l = fmaf(l, z, -0x1.0b0704p-9f);
  l = fmaf(l, z, 0x1.61e69ep-11f);
  l = fmaf(l, z, 0x1.324cbap-8f);
  l = fmaf(l, z, -0x1.3f54ecp-7f);
  l = fmaf(l, z, 0x1.b2aff4p-8f);
  l = fmaf(l, z, 0x1.30e6aap-7f);
  l = fmaf(l, z, -0x1.050cdep-5f);
  l = fmaf(l, z, 0x1.7c7fd2p-5f);
  l = fmaf(l, z, -0x1.65988ep-5f);
  l = fmaf(l, z, 0x1.cdbbc8p-6f);
  l = fmaf(l, z, -0x1.917ffap-7f);
  l = fmaf(l, z, 0x1.ac4456p-9f);
  l = fmaf(l, z, 0x1.ffcaa8p-1f);
  float large = mxlk_with_sign(a >= 0x1.f5a88ap+1f || l > 1.0f ? 1.0f : l, x);
  return x != x ? x : a < 1.0f ? small : large;
}

/* mxl_activation, a constant at every call. */
MXLK_FUNCTION float mxlk_activated(int activation, float x) {
  switch (activation) {
    case MXL_ACTIVATION_SILU: return x / (1.0f + mxlk_exp(-x));
    case MXL_ACTIVATION_GELU: return 0.5f * x * (1.0f + mxlk_erf(x * 0x1.6a09e6p-1f));
    case MXL_ACTIVATION_GELU_TANH:
      return 0.5f * x * (1.0f + mxlk_tanh(0x1.988454p-1f * fmaf(x * x * x, 0x1.6e4e26p-5f, x)));
    case MXL_ACTIVATION_RELU: return x < 0.0f ? 0.0f : x;
    case MXL_ACTIVATION_TANH: return mxlk_tanh(x);
    default: return 1.0f / (1.0f + mxlk_exp(-x));
  }
}

#endif

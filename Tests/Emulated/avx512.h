/* AVX-512 intrinsics as AVX2 code: SIMDe's, under their native names, and here those that it lacks or computes with other
 * bits; AVX-VNNI's and AMX's. Included ahead of every source that has such a target. An intrinsic that neither has does not compile. */
#ifndef EMULATED_AVX512_H
#define EMULATED_AVX512_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#pragma clang diagnostic ignored "-Wpsabi" /* 512 bits are passed in memory; everything here is inlined */

/* The kernels shift by variables that are constants once inlined. */
#define SIMDE_NO_CHECK_IMMEDIATE_CONSTANT
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#include "amx.h"
#include "avxvnni.h"

typedef union emulated_lanes {
  __m512i integers;
  __m512 floats;
  __m256i integer_halves[2];
  __m256 float_halves[2];
  __m128 quarters[4];
  uint32_t words[16];
} emulated_lanes;

EMULATED __m512i emulated_dpbusd(__m512i sum, __m512i unsigned_bytes, __m512i signed_bytes) {
  emulated_lanes s = {sum}, u = {unsigned_bytes}, b = {signed_bytes};
  for (int half = 0; half < 2; half++)
    s.integer_halves[half] =
        _mm256_dpbusd_avx_epi32(s.integer_halves[half], u.integer_halves[half], b.integer_halves[half]);
  return s.integers;
}
#undef _mm512_dpbusd_epi32
#define _mm512_dpbusd_epi32(sum, unsigned_bytes, signed_bytes) emulated_dpbusd(sum, unsigned_bytes, signed_bytes)

EMULATED __m512i emulated_dpwssd(__m512i sum, __m512i a, __m512i b) {
  emulated_lanes s = {sum}, left = {a}, right = {b};
  for (int half = 0; half < 2; half++)
    s.integer_halves[half] =
        _mm256_dpwssd_avx_epi32(s.integer_halves[half], left.integer_halves[half], right.integer_halves[half]);
  return s.integers;
}
#undef _mm512_dpwssd_epi32
#define _mm512_dpwssd_epi32(sum, a, b) emulated_dpwssd(sum, a, b)

/* Two fused operations, the odd element's first, with denormals as zero whatever MXCSR says; it raises no flags. */
EMULATED __m512 emulated_dpbf16(__m512 sum, __m512i a, __m512i b) {
  const uint32_t flushing = 0x9fc0, before = _mm_getcsr();
  const __m256i upper = _mm256_set1_epi32((int)0xffff0000);
  emulated_lanes s = {.floats = sum}, left = {a}, right = {b};
  for (int half = 0; half < 2; half++) {
    __m256i x = left.integer_halves[half], w = right.integer_halves[half];
    __asm__ volatile("vldmxcsr %5\n\tvfmadd231ps %1, %2, %0\n\tvfmadd231ps %3, %4, %0\n\tvldmxcsr %6"
                     : "+x"(s.float_halves[half])
                     : "x"(_mm256_and_si256(x, upper)), "x"(_mm256_and_si256(w, upper)), "x"(_mm256_slli_epi32(x, 16)),
                       "x"(_mm256_slli_epi32(w, 16)), "m"(flushing), "m"(before));
  }
  return s.floats;
}
#undef _mm512_dpbf16_ps
#define _mm512_dpbf16_ps(sum, a, b) emulated_dpbf16(sum, (__m512i)(a), (__m512i)(b))

EMULATED __m512 emulated_cvtph_ps(__m256i halves) {
  emulated_lanes r;
  r.float_halves[0] = _mm256_cvtph_ps(_mm256_castsi256_si128(halves));
  r.float_halves[1] = _mm256_cvtph_ps(_mm256_extracti128_si256(halves, 1));
  return r.floats;
}
#undef _mm512_cvtph_ps
#define _mm512_cvtph_ps(halves) emulated_cvtph_ps(halves)

EMULATED __m512i emulated_cvtepu8_epi32(__m128i bytes) {
  emulated_lanes r;
  r.integer_halves[0] = _mm256_cvtepu8_epi32(bytes);
  r.integer_halves[1] = _mm256_cvtepu8_epi32(_mm_srli_si128(bytes, 8));
  return r.integers;
}
#undef _mm512_cvtepu8_epi32
#define _mm512_cvtepu8_epi32(bytes) emulated_cvtepu8_epi32(bytes)

EMULATED __m512i emulated_cvtepi8_epi32(__m128i bytes) {
  emulated_lanes r;
  r.integer_halves[0] = _mm256_cvtepi8_epi32(bytes);
  r.integer_halves[1] = _mm256_cvtepi8_epi32(_mm_srli_si128(bytes, 8));
  return r.integers;
}
#undef _mm512_cvtepi8_epi32
#define _mm512_cvtepi8_epi32(bytes) emulated_cvtepi8_epi32(bytes)

EMULATED __m512i emulated_cvtepu16_epi32(__m256i words) {
  emulated_lanes r;
  r.integer_halves[0] = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(words));
  r.integer_halves[1] = _mm256_cvtepu16_epi32(_mm256_extracti128_si256(words, 1));
  return r.integers;
}
#undef _mm512_cvtepu16_epi32
#define _mm512_cvtepu16_epi32(words) emulated_cvtepu16_epi32(words)

EMULATED __m512i emulated_cvtepi16_epi32(__m256i words) {
  emulated_lanes r;
  r.integer_halves[0] = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(words));
  r.integer_halves[1] = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(words, 1));
  return r.integers;
}
#undef _mm512_cvtepi16_epi32
#define _mm512_cvtepi16_epi32(words) emulated_cvtepi16_epi32(words)

EMULATED __m512 emulated_cvtepi32_ps(__m512i integers) {
  emulated_lanes v = {integers}, r;
  for (int half = 0; half < 2; half++) r.float_halves[half] = _mm256_cvtepi32_ps(v.integer_halves[half]);
  return r.floats;
}
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps(integers) emulated_cvtepi32_ps(integers)

EMULATED __m256i emulated_cvtepi32_epi16(__m512i integers) {
  const __m256i lower = _mm256_set1_epi32(0xffff);
  emulated_lanes v = {integers};
  __m256i packed =
      _mm256_packus_epi32(_mm256_and_si256(v.integer_halves[0], lower), _mm256_and_si256(v.integer_halves[1], lower));
  return _mm256_permute4x64_epi64(packed, 0xd8);
}
#undef _mm512_cvtepi32_epi16
#define _mm512_cvtepi32_epi16(integers) emulated_cvtepi32_epi16(integers)

EMULATED __m512 emulated_shuffle_f32x4(__m512 a, __m512 b, int order) {
  emulated_lanes left = {.floats = a}, right = {.floats = b}, r;
  for (int i = 0; i < 4; i++) r.quarters[i] = (i < 2 ? &left : &right)->quarters[order >> 2 * i & 3];
  return r.floats;
}
#undef _mm512_shuffle_f32x4
#define _mm512_shuffle_f32x4(a, b, order) emulated_shuffle_f32x4(a, b, order)

EMULATED __m512 emulated_shuffle_ps(__m512 a, __m512 b, int order) {
  emulated_lanes left = {.floats = a}, right = {.floats = b}, r;
  for (int lane = 0; lane < 16; lane++)
    r.words[lane] = (lane % 4 < 2 ? &left : &right)->words[lane / 4 * 4 + (order >> 2 * (lane % 4) & 3)];
  return r.floats;
}
#undef _mm512_shuffle_ps
#define _mm512_shuffle_ps(a, b, order) emulated_shuffle_ps(a, b, order)

/* Lanes without a bit are neither read nor written: what lies there may be no memory. */
EMULATED __m512 emulated_maskz_loadu_ps(__mmask16 mask, const void *from) {
  emulated_lanes r = {_mm512_setzero_si512()};
  for (int lane = 0; lane < 16; lane++)
    if (mask >> lane & 1) memcpy(&r.words[lane], (const char *)from + 4 * lane, 4);
  return r.floats;
}
#undef _mm512_maskz_loadu_ps
#define _mm512_maskz_loadu_ps(mask, from) emulated_maskz_loadu_ps(mask, from)

EMULATED void emulated_mask_storeu_ps(void *to, __mmask16 mask, __m512 values) {
  emulated_lanes v = {.floats = values};
  for (int lane = 0; lane < 16; lane++)
    if (mask >> lane & 1) memcpy((char *)to + 4 * lane, &v.words[lane], 4);
}
#undef _mm512_mask_storeu_ps
#define _mm512_mask_storeu_ps(to, mask, values) emulated_mask_storeu_ps(to, mask, values)

/* A vector of 512 bits fits no register here. */
#define MXLK_SETTLE(vector) __asm__ volatile("" : "+m"(vector))
#define MXLK_PAIR_DOTS(j, a, b) ((j) = (ints)emulated_dpwssd((__m512i)(j), (__m512i)(a), (__m512i)(b)))

/* The kernels' target attributes, lowered to what is there. Behind all headers, which have attributes of their own. */
#define target(features) __target__("avx2,fma,f16c")

#endif

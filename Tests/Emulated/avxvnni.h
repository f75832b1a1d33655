/* AVX-VNNI intrinsics as AVX2 code. */
#ifndef EMULATED_AVXVNNI_H
#define EMULATED_AVXVNNI_H

#include <immintrin.h>

#define EMULATED static inline __attribute__((always_inline))

/* The bits of a + x0 w0 + x1 w1 + x2 w2 + x3 w3 without saturation, which maddubs would have. */
EMULATED __m256i emulated_dpbusd_avx(__m256i sum, __m256i unsigned_bytes, __m256i signed_bytes) {
  __m256i even = _mm256_madd_epi16(_mm256_and_si256(unsigned_bytes, _mm256_set1_epi16(255)),
                                   _mm256_srai_epi16(_mm256_slli_epi16(signed_bytes, 8), 8));
  __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(unsigned_bytes, 8), _mm256_srai_epi16(signed_bytes, 8));
  return _mm256_add_epi32(sum, _mm256_add_epi32(even, odd));
}
#undef _mm256_dpbusd_avx_epi32
#define _mm256_dpbusd_avx_epi32(sum, unsigned_bytes, signed_bytes) \
  emulated_dpbusd_avx(sum, unsigned_bytes, signed_bytes)

EMULATED __m256i emulated_dpwssd_avx(__m256i sum, __m256i a, __m256i b) {
  return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}
#undef _mm256_dpwssd_avx_epi32
#define _mm256_dpwssd_avx_epi32(sum, a, b) emulated_dpwssd_avx(sum, a, b)

#endif

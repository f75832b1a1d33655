#include "activation/convert.h"

#include "float16.h"
#include "parallel.h"

static uint16_t bfloat16_from_float(float value) {
  uint32_t bits = mxlk_bits_from_float(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40);
  return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static uint16_t half_at(const void *from, int64_t index) {
  uint16_t half;
  memcpy(&half, (const char *)from + 2 * index, 2);
  return half;
}

#ifdef __x86_64__
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,f16c"))), apply_to = function)

/* Whole vectors of 8 halves; returns how many values those were. */
static int64_t halves_load__avx2(const void *from, int64_t count, float *to) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm256_storeu_ps(to + i,
                     _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)((const char *)from + 2 * i))));
  return i;
}

static int64_t halves_store__avx2(const float *from, int64_t count, void *to) {
  int64_t i = 0;
  for (; i + 8 <= count; i += 8)
    _mm_storeu_si128((__m128i *)(void *)((char *)to + 2 * i),
                     _mm256_cvtps_ph(_mm256_loadu_ps(from + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
  return i;
}

/* Eight values as bfloat16 in the low halves, rounded as bfloat16_from_float does. */
static inline __m256i bfloat16s_from_floats(__m256i bits) {
  const __m256i magnitude = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff));
  const __m256i is_nan = _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(0x7f800000));
  const __m256i upper = _mm256_srli_epi32(bits, 16), odd = _mm256_and_si256(upper, _mm256_set1_epi32(1));
  const __m256i rounded =
      _mm256_srli_epi32(_mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd), 16);
  return _mm256_blendv_epi8(rounded, _mm256_or_si256(upper, _mm256_set1_epi32(0x40)), is_nan);
}

/* Whole vectors of 16 bfloat16; returns how many values those were. */
static int64_t bfloat16s_store__avx2(const float *from, int64_t count, void *to) {
  int64_t i = 0;
  for (; i + 16 <= count; i += 16) {
    __m256i low = bfloat16s_from_floats(_mm256_castps_si256(_mm256_loadu_ps(from + i)));
    __m256i high = bfloat16s_from_floats(_mm256_castps_si256(_mm256_loadu_ps(from + i + 8)));
    /* Packing leaves 64 bits of each in turn. */
    __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), _MM_SHUFFLE(3, 1, 2, 0));
    _mm256_storeu_si256((__m256i *)(void *)((char *)to + 2 * i), packed);
  }
  return i;
}

#pragma clang attribute pop
#endif

void mxlk_floats_load(uint64_t features, int32_t dtype, const void *from, int64_t count, float *to) {
  int64_t i = 0;
  if (dtype == MXL_FLOAT32) {
    memcpy(to, from, (size_t)count * 4);
    return;
  }
  if (dtype == MXL_BFLOAT16) {
    for (; i < count; i++) to[i] = mxlk_float_from_bits((uint32_t)half_at(from, i) << 16);
    return;
  }
#ifdef __x86_64__
  if (features & MXL_CPU_AVX2) i = halves_load__avx2(from, count, to);
#endif
  (void)features;
  for (; i < count; i++) to[i] = mxlk_float_from_half(half_at(from, i));
}

void mxlk_floats_store(uint64_t features, int32_t dtype, const float *from, int64_t count, void *to) {
  int64_t i = 0;
  if (dtype == MXL_FLOAT32) {
    memcpy(to, from, (size_t)count * 4);
    return;
  }
#ifdef __x86_64__
  if (features & MXL_CPU_AVX2)
    i = dtype == MXL_FLOAT16 ? halves_store__avx2(from, count, to) : bfloat16s_store__avx2(from, count, to);
#endif
  (void)features;
  for (; i < count; i++) {
    uint16_t bits = dtype == MXL_FLOAT16 ? mxlk_half_from_float(from[i]) : bfloat16_from_float(from[i]);
    memcpy((char *)to + 2 * i, &bits, 2);
  }
}

typedef struct conversion {
  const char *from;
  char *to;
  int64_t count;
  int32_t from_dtype, to_dtype;
} conversion;

static void convert(void *context, const mxlk_team *team) {
  (void)team;
  const conversion *c = context;
  uint64_t features = mxlk_cpu_features();
  float values[256];
  for (int64_t i = 0; i < c->count; i += 256) {
    int64_t piece = c->count - i < 256 ? c->count - i : 256;
    mxlk_floats_load(features, c->from_dtype, c->from + i * mxlk_element_bytes(c->from_dtype), piece, values);
    mxlk_floats_store(features, c->to_dtype, values, piece, c->to + i * mxlk_element_bytes(c->to_dtype));
  }
}

/* On this thread, but as a region: the host may have unmasked exceptions, which vcvtps2ph raises. */
void mxlk_convert(int32_t from_dtype, const void *from, int32_t to_dtype, void *to, int64_t count) {
  conversion c = {from, to, count, from_dtype, to_dtype};
  mxlk_parallel(1, convert, &c);
}

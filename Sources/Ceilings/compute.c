/* Loops that keep the multipliers busy and touch no memory. Each accumulator waits for itself only, and there are more of them than an
 * instruction's latency times the units that run it. */
#include "ceilings.h"

#if defined(__x86_64__)
#include <immintrin.h>

/* The compiler must take the value for changed: without it, equal operations would be done once. It costs no instruction. */
#define OPAQUE(value) __asm__ volatile("" : "+v"(value))

enum { accumulators = 12, wide_accumulators = 24 };

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)

static void fma_avx2(int64_t iterations) {
  __m256 sums[accumulators], a = _mm256_set1_ps(1e-3f), b = _mm256_set1_ps(3e-3f);
  for (int i = 0; i < accumulators; i++) sums[i] = _mm256_setzero_ps();
  for (int64_t n = 0; n < iterations; n++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < accumulators; i++) {
      sums[i] = _mm256_fmadd_ps(a, b, sums[i]);
      OPAQUE(sums[i]);
    }
  }
}

/* Products of bytes to int16 and int32: what codes of more than 4 bits need for each vector of products. */
static void dots_avx2(int64_t iterations) {
  __m256i sums[accumulators], a = _mm256_set1_epi8(5), b = _mm256_set1_epi8(-7), ones = _mm256_set1_epi16(1);
  for (int i = 0; i < accumulators; i++) sums[i] = _mm256_setzero_si256();
  for (int64_t n = 0; n < iterations; n++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < accumulators; i++) {
      OPAQUE(a);
      sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
      OPAQUE(sums[i]);
    }
  }
}

/* Products of 4-bit codes are small enough to be summed as int16. */
static void small_dots_avx2(int64_t iterations) {
  __m256i sums[accumulators], a = _mm256_set1_epi8(5), b = _mm256_set1_epi8(-7);
  for (int i = 0; i < accumulators; i++) sums[i] = _mm256_setzero_si256();
  for (int64_t n = 0; n < iterations; n++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < accumulators; i++) {
      OPAQUE(a);
      sums[i] = _mm256_add_epi16(sums[i], _mm256_maddubs_epi16(a, b));
      OPAQUE(sums[i]);
    }
  }
}

#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx2,avxvnni"))), apply_to = function)

static void dots_avxvnni(int64_t iterations) {
  __m256i sums[accumulators], a = _mm256_set1_epi8(5), b = _mm256_set1_epi8(-7);
  for (int i = 0; i < accumulators; i++) sums[i] = _mm256_setzero_si256();
  for (int64_t n = 0; n < iterations; n++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < accumulators; i++) {
      sums[i] = _mm256_dpbusd_avx_epi32(sums[i], a, b);
      OPAQUE(sums[i]);
    }
  }
}

#pragma clang attribute pop
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vnni,avx512bf16"))), apply_to = function)

static void fma_avx512(int64_t iterations) {
  __m512 sums[wide_accumulators], a = _mm512_set1_ps(1e-3f), b = _mm512_set1_ps(3e-3f);
  for (int i = 0; i < wide_accumulators; i++) sums[i] = _mm512_setzero_ps();
  for (int64_t n = 0; n < iterations; n++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < wide_accumulators; i++) {
      sums[i] = _mm512_fmadd_ps(a, b, sums[i]);
      OPAQUE(sums[i]);
    }
  }
}

static void dots_avx512vnni(int64_t iterations) {
  __m512i sums[wide_accumulators], a = _mm512_set1_epi8(5), b = _mm512_set1_epi8(-7);
  for (int i = 0; i < wide_accumulators; i++) sums[i] = _mm512_setzero_si512();
  for (int64_t n = 0; n < iterations; n++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < wide_accumulators; i++) {
      sums[i] = _mm512_dpbusd_epi32(sums[i], a, b);
      OPAQUE(sums[i]);
    }
  }
}

static void pairs_avx512bf16(int64_t iterations) {
  __m512 sums[wide_accumulators];
  __m512bh a = (__m512bh)_mm512_set1_epi16(0x3a83), b = (__m512bh)_mm512_set1_epi16(0x3b45);
  for (int i = 0; i < wide_accumulators; i++) sums[i] = _mm512_setzero_ps();
  for (int64_t n = 0; n < iterations; n++) {
#pragma clang loop unroll(full)
    for (int i = 0; i < wide_accumulators; i++) {
      sums[i] = _mm512_dpbf16_ps(sums[i], a, b);
      OPAQUE(sums[i]);
    }
  }
}

#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("amx-tile,amx-int8,amx-bf16"))), apply_to = function)

/* The operand of ldtilecfg: palette 1, eight whole tiles. */
static const struct {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} whole_tiles = {1, 0, {0}, {64, 64, 64, 64, 64, 64, 64, 64}, {16, 16, 16, 16, 16, 16, 16, 16}};

static void tiles_begin(void) {
  static const char zeros[1024];
  _tile_loadconfig(&whole_tiles);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_loadd(4, zeros, 64);
  _tile_loadd(5, zeros, 64);
}

static void dots_amx(int64_t iterations) {
  tiles_begin();
  for (int64_t n = 0; n < iterations; n++) {
    _tile_dpbssd(0, 4, 5);
    _tile_dpbssd(1, 4, 5);
    _tile_dpbssd(2, 4, 5);
    _tile_dpbssd(3, 4, 5);
  }
  _tile_release();
}

static void pairs_amx(int64_t iterations) {
  tiles_begin();
  for (int64_t n = 0; n < iterations; n++) {
    _tile_dpbf16ps(0, 4, 5);
    _tile_dpbf16ps(1, 4, 5);
    _tile_dpbf16ps(2, 4, 5);
    _tile_dpbf16ps(3, 4, 5);
  }
  _tile_release();
}

#pragma clang attribute pop

static const ceilings_loop loops[] = {
    {"f32", "vfmadd231ps ymm", "avx2", accumulators * 8 * 2.0, fma_avx2},
    {"f32", "vfmadd231ps zmm", "avx512", wide_accumulators * 16 * 2.0, fma_avx512},
    {"bf16", "vdpbf16ps zmm", "avx512bf16", wide_accumulators * 32 * 2.0, pairs_avx512bf16},
    {"int8", "vpmaddubsw, vpmaddwd, vpaddd ymm", "avx2", accumulators * 32 * 2.0, dots_avx2},
    {"int8 of 4-bit codes", "vpmaddubsw, vpaddw ymm", "avx2", accumulators * 32 * 2.0, small_dots_avx2},
    {"int8", "vpdpbusd ymm", "avxvnni", accumulators * 32 * 2.0, dots_avxvnni},
    {"int8", "vpdpbusd zmm", "avx512vnni", wide_accumulators * 64 * 2.0, dots_avx512vnni},
    {"int8", "tdpbssd tmm", "amx-int8", 4 * 16 * 16 * 64 * 2.0, dots_amx},
    {"bf16", "tdpbf16ps tmm", "amx-bf16", 4 * 16 * 16 * 32 * 2.0, pairs_amx},
};

size_t ceilings_loop_count(void) { return sizeof loops / sizeof *loops; }
const ceilings_loop *ceilings_loop_at(size_t index) { return index < ceilings_loop_count() ? &loops[index] : NULL; }
#else
size_t ceilings_loop_count(void) { return 0; }
const ceilings_loop *ceilings_loop_at(size_t index) {
  (void)index;
  return NULL;
}
#endif

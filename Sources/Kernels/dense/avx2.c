/* F32 for AVX2: packing by transposing 8x8 floats in registers. */
#include "dense.h"

#ifdef __x86_64__
#include "layout.h"
#include "../tiles/tiles.h"

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

enum { columns = 16 };

static size_t packed_size(const mxl_kernel_row *row, int64_t k) {
  return mxlk_dense_packed_size(k, row->panel_columns);
}

/* v[i][j] becomes v[j][i]: 4x4 blocks within 128-bit lanes, then the lanes. */
static inline __attribute__((always_inline)) void transpose(__m256 v[8]) {
  __m256 a[8], b[8];
  for (int i = 0; i < 8; i += 2) {
    a[i] = _mm256_unpacklo_ps(v[i], v[i + 1]);
    a[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]);
  }
  for (int i = 0; i < 8; i += 4) {
    b[i] = _mm256_shuffle_ps(a[i], a[i + 2], 0x44);
    b[i + 1] = _mm256_shuffle_ps(a[i], a[i + 2], 0xee);
    b[i + 2] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0x44);
    b[i + 3] = _mm256_shuffle_ps(a[i + 1], a[i + 3], 0xee);
  }
  for (int i = 0; i < 4; i++) {
    v[i] = _mm256_permute2f128_ps(b[i], b[4 + i], 0x20);
    v[4 + i] = _mm256_permute2f128_ps(b[i], b[4 + i], 0x31);
  }
}

/* Lanes 0 .. count - 1 are all ones. */
static inline __m256i first_lanes(int64_t count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count < 8 ? (int)count : 8), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static void pack(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
                 void *packed) {
  (void)row;
  float *lines = packed;
  int64_t valid = mxlk_dense_valid_columns(source, panel, columns);
  __m256 high = _mm256_set1_ps(source->clip), low = _mm256_set1_ps(-source->clip);
  for (int64_t half = 0; half < columns; half += 8) {
    const char *from = mxlk_dense_at(source, panel * columns + half, k_begin);
    for (int64_t j = 0; j < k; j += 8) {
      __m256i mask = first_lanes(k - j);
      __m256 v[8];
      for (int i = 0; i < 8; i++) {
        v[i] = _mm256_setzero_ps();
        if (half + i < valid)
          v[i] = _mm256_maskload_ps((const float *)(const void *)(from + i * source->row_stride + 4 * j), mask);
        v[i] = _mm256_blendv_ps(v[i], high, _mm256_cmp_ps(v[i], high, _CMP_GT_OQ));
        v[i] = _mm256_blendv_ps(v[i], low, _mm256_cmp_ps(v[i], low, _CMP_LT_OQ));
      }
      transpose(v);
      for (int i = 0; i < 8 && j + i < k; i++) _mm256_store_ps(lines + (j + i) * columns + half, v[i]);
    }
  }
}

static void unpack(const mxl_kernel_row *row, const void *packed, int64_t panel, int64_t k_begin, int64_t k,
                   const mxl_source *destination) {
  (void)row;
  const float *lines = packed;
  int64_t valid = mxlk_dense_valid_columns(destination, panel, columns);
  for (int64_t half = 0; half < valid; half += 8) {
    char *to = (char *)mxlk_dense_at(destination, panel * columns + half, k_begin);
    for (int64_t j = 0; j < k; j += 8) {
      __m256i mask = first_lanes(k - j);
      __m256 v[8];
      for (int i = 0; i < 8; i++)
        v[i] = j + i < k ? _mm256_load_ps(lines + (j + i) * columns + half) : _mm256_setzero_ps();
      transpose(v);
      for (int i = 0; i < 8 && half + i < valid; i++)
        _mm256_maskstore_ps((float *)(void *)(to + i * destination->row_stride + 4 * j), mask, v[i]);
    }
  }
}

#pragma clang attribute pop

const mxl_kernel_row mxlk_row_dense_f32__avx2 = {
    .struct_size = sizeof(mxl_kernel_row),
    .op = MXL_OP_LINEAR,
    .compute = MXL_COMPUTE_FLOAT32,
    .rank = 10,
    .cpu_features = MXL_CPU_AVX2,
    .name = "mxlk_linear_f32_f32_6x16__avx2",
    .encoding = "F32",
    .tile_rows = 6,
    .panel_columns = columns,
    .packed_size = packed_size,
    .pack = pack,
    .unpack = unpack,
    .run = mxlk_linear_f32_f32_6x16__avx2,
};
#endif

/* F32 for AVX-512: packing by transposing 16x16 floats in registers. */
#include "dense.h"

#ifdef __x86_64__
#include "layout.h"
#include "../tiles/tiles.h"

#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)

enum { columns = 32 };

static size_t packed_size(const mxl_kernel_row *row, int64_t k) {
  return mxlk_dense_packed_size(k, row->panel_columns);
}

/* v[i][j] becomes v[j][i]: 4x4 blocks within 128-bit lanes, then the lanes. */
static inline __attribute__((always_inline)) void transpose(__m512 v[16]) {
  __m512 a[16], b[16];
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_ps(v[i], v[i + 1]);
    a[i + 1] = _mm512_unpackhi_ps(v[i], v[i + 1]);
  }
  for (int i = 0; i < 16; i += 4) {
    b[i] = _mm512_shuffle_ps(a[i], a[i + 2], 0x44);
    b[i + 1] = _mm512_shuffle_ps(a[i], a[i + 2], 0xee);
    b[i + 2] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0x44);
    b[i + 3] = _mm512_shuffle_ps(a[i + 1], a[i + 3], 0xee);
  }
  /* Now lane l of b[4 g + c] holds column 4 l + c of rows 4 g .. 4 g + 3. */
  for (int c = 0; c < 4; c++) {
    __m512 low02 = _mm512_shuffle_f32x4(b[c], b[4 + c], 0x88), low13 = _mm512_shuffle_f32x4(b[c], b[4 + c], 0xdd);
    __m512 high02 = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0x88);
    __m512 high13 = _mm512_shuffle_f32x4(b[8 + c], b[12 + c], 0xdd);
    v[c] = _mm512_shuffle_f32x4(low02, high02, 0x88);
    v[4 + c] = _mm512_shuffle_f32x4(low13, high13, 0x88);
    v[8 + c] = _mm512_shuffle_f32x4(low02, high02, 0xdd);
    v[12 + c] = _mm512_shuffle_f32x4(low13, high13, 0xdd);
  }
}

static inline __mmask16 first_lanes(int64_t count) { return (__mmask16)(count >= 16 ? 0xffff : (1 << count) - 1); }

static void pack(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
                 void *packed) {
  (void)row;
  float *lines = packed;
  int64_t valid = mxlk_dense_valid_columns(source, panel, columns);
  __m512 high = _mm512_set1_ps(source->clip), low = _mm512_set1_ps(-source->clip);
  for (int64_t half = 0; half < columns; half += 16) {
    const char *from = mxlk_dense_at(source, panel * columns + half, k_begin);
    for (int64_t j = 0; j < k; j += 16) {
      __mmask16 mask = first_lanes(k - j);
      __m512 v[16];
      for (int i = 0; i < 16; i++) {
        v[i] = _mm512_setzero_ps();
        if (half + i < valid) v[i] = _mm512_maskz_loadu_ps(mask, from + i * source->row_stride + 4 * j);
        v[i] = _mm512_mask_mov_ps(v[i], _mm512_cmp_ps_mask(v[i], high, _CMP_GT_OQ), high);
        v[i] = _mm512_mask_mov_ps(v[i], _mm512_cmp_ps_mask(v[i], low, _CMP_LT_OQ), low);
      }
      transpose(v);
      for (int i = 0; i < 16 && j + i < k; i++) _mm512_store_ps(lines + (j + i) * columns + half, v[i]);
    }
  }
}

static void unpack(const mxl_kernel_row *row, const void *packed, int64_t panel, int64_t k_begin, int64_t k,
                   const mxl_source *destination) {
  (void)row;
  const float *lines = packed;
  int64_t valid = mxlk_dense_valid_columns(destination, panel, columns);
  for (int64_t half = 0; half < valid; half += 16) {
    char *to = (char *)mxlk_dense_at(destination, panel * columns + half, k_begin);
    for (int64_t j = 0; j < k; j += 16) {
      __mmask16 mask = first_lanes(k - j);
      __m512 v[16];
      for (int i = 0; i < 16; i++)
        v[i] = j + i < k ? _mm512_load_ps(lines + (j + i) * columns + half) : _mm512_setzero_ps();
      transpose(v);
      for (int i = 0; i < 16 && half + i < valid; i++)
        _mm512_mask_storeu_ps(to + i * destination->row_stride + 4 * j, mask, v[i]);
    }
  }
}

#pragma clang attribute pop

const mxl_kernel_row mxlk_row_dense_f32__avx512 = {
    .struct_size = sizeof(mxl_kernel_row),
    .op = MXL_OP_LINEAR,
    .compute = MXL_COMPUTE_FLOAT32,
    .rank = 20,
    .cpu_features = MXL_CPU_AVX512,
    .name = "mxlk_linear_f32_f32_14x32__avx512",
    .encoding = "F32",
    .tile_rows = 14,
    .panel_columns = columns,
    .packed_size = packed_size,
    .pack = pack,
    .unpack = unpack,
    .run = mxlk_linear_f32_f32_14x32__avx512,
    .side_rows = MXLK_FLOAT32_SIDE_ROWS,
};
#endif

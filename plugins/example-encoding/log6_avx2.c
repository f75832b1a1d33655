/* LOG6 for AVX2: the same bits as the library's rows on dequantize, faster.
 *
 * Packed: for each 32 k of a panel of 16 outputs their scales, 16 bits each, then 32 lines of 16 codes, a byte each:
 *
 *   scale[0] .. scale[15]                     32 bytes
 *   code[k 0][output 0] .. code[k 0][15]      16 bytes
 *   ...
 *   code[k 31][output 0] .. code[k 31][15]    16 bytes */
#include "log6.h"

#include <immintrin.h>

enum { COLUMNS = 16, ROWS = 4, SCALE_BYTES = 2 * COLUMNS, BLOCK_BYTES = SCALE_BYTES + LOG6_ELEMENTS * COLUMNS };

static size_t packed_size(const mxl_kernel_row *row, int64_t k) {
  (void)row;
  return (size_t)(k / LOG6_ELEMENTS * BLOCK_BYTES);
}

/* The stored blocks of an output from k_begin on. */
static log6_block *blocks_at(const mxl_source *source, int64_t output, int64_t k_begin) {
  char *row = (char *)(uintptr_t)source->data + output * source->row_stride;
  return (log6_block *)(void *)row + k_begin / LOG6_ELEMENTS;
}

static int64_t outputs_of(const mxl_source *source, int64_t panel) {
  int64_t left = source->out_dim - panel * COLUMNS;
  return left < COLUMNS ? left : COLUMNS;
}

static void pack(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
                 void *packed) {
  memset(packed, 0, packed_size(row, k));
  for (int64_t output = 0; output < outputs_of(source, panel); output++) {
    const log6_block *block = blocks_at(source, panel * COLUMNS + output, k_begin);
    uint8_t *to = packed;
    for (int64_t b = 0; b < k / LOG6_ELEMENTS; b++, block++, to += BLOCK_BYTES) {
      memcpy(to + 2 * output, block->scale, 2);
      for (int i = 0; i < LOG6_ELEMENTS; i++) to[SCALE_BYTES + i * COLUMNS + output] = (uint8_t)log6_code(block, i);
    }
  }
}

static void unpack(const mxl_kernel_row *row, const void *packed, int64_t panel, int64_t k_begin, int64_t k,
                   const mxl_source *destination) {
  (void)row;
  for (int64_t output = 0; output < outputs_of(destination, panel); output++) {
    log6_block *block = blocks_at(destination, panel * COLUMNS + output, k_begin);
    const uint8_t *from = packed;
    for (int64_t b = 0; b < k / LOG6_ELEMENTS; b++, block++, from += BLOCK_BYTES) {
      memset(block, 0, sizeof *block);
      memcpy(block->scale, from + 2 * output, 2);
      for (int i = 0; i < LOG6_ELEMENTS; i++) {
        uint32_t four = (uint32_t)from[SCALE_BYTES + i * COLUMNS + output] << (6 * (i % 4));
        for (int byte = 0; byte < 3; byte++) block->codes[i / 4 * 3 + byte] |= (uint8_t)(four >> (8 * byte));
      }
    }
  }
}

#define AVX2 __attribute__((target("avx2,fma")))
#define INLINE static inline __attribute__((always_inline)) AVX2

/* log6_value of eight codes: bits out of registers, no table in memory. */
INLINE __m256 values_of(const uint8_t *codes) {
  const __m256i powers = _mm256_broadcastsi128_si256(_mm_setr_epi32(LOG6_POWERS));
  __m256i code = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)codes));
  __m256i e = _mm256_and_si256(code, _mm256_set1_epi32(31));
  __m256i power = _mm256_castps_si256(_mm256_permutevar_ps(_mm256_castsi256_ps(powers), e)); /* looks at e % 4 */
  __m256i exponent = _mm256_slli_epi32(_mm256_srli_epi32(e, 2), 23);
  __m256i bits = _mm256_add_epi32(power, _mm256_sub_epi32(exponent, _mm256_set1_epi32(7 << 23)));
  __m256i zero = _mm256_cmpeq_epi32(e, _mm256_setzero_si256());
  __m256i sign = _mm256_slli_epi32(_mm256_srli_epi32(code, 5), 31);
  return _mm256_castsi256_ps(_mm256_or_si256(_mm256_andnot_si256(zero, bits), sign));
}

INLINE __m256 scales_of(const uint8_t *scales) {
  __m128i eight = _mm_loadu_si128((const __m128i *)(const void *)scales);
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(eight), 16));
}

/* t = fma(x, w, t) over a superblock, then y = y + t. rows is a constant at every call. */
INLINE void run_superblock(const int rows, const float *x, const uint8_t *weights, int64_t k, float *y) {
  __m256 t[ROWS][2];
  for (int r = 0; r < rows; r++) t[r][0] = t[r][1] = _mm256_setzero_ps();
  for (int64_t b = 0; b < k / LOG6_ELEMENTS; b++) {
    __m256 low_scales = scales_of(weights), high_scales = scales_of(weights + COLUMNS);
    weights += SCALE_BYTES;
    for (int i = 0; i < LOG6_ELEMENTS; i++, weights += COLUMNS, x += rows) {
      __m256 low = _mm256_mul_ps(low_scales, values_of(weights));
      __m256 high = _mm256_mul_ps(high_scales, values_of(weights + 8));
      for (int r = 0; r < rows; r++) {
        __m256 one = _mm256_broadcast_ss(x + r);
        t[r][0] = _mm256_fmadd_ps(one, low, t[r][0]);
        t[r][1] = _mm256_fmadd_ps(one, high, t[r][1]);
      }
    }
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < 2; v++) {
      float *at = y + r * COLUMNS + 8 * v;
      _mm256_store_ps(at, _mm256_add_ps(_mm256_load_ps(at), t[r][v]));
    }
}

INLINE void run_rows(const int rows, const mxl_tile *tile) {
  const float *x = tile->x;
  const uint8_t *weights = tile->weights;
  for (int64_t left = tile->k; left > 0; left -= MXL_SUPERBLOCK) {
    int64_t k = left < MXL_SUPERBLOCK ? left : MXL_SUPERBLOCK;
    run_superblock(rows, x, weights, k, tile->y);
    x += k * rows;
    weights += k / LOG6_ELEMENTS * BLOCK_BYTES;
  }
}

AVX2 static void run(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  switch (tile->rows) {
    case 1: run_rows(1, tile); break;
    case 2: run_rows(2, tile); break;
    case 3: run_rows(3, tile); break;
    default: run_rows(4, tile); break;
  }
}

const mxl_kernel_row log6_row_avx2 = {
    .struct_size = sizeof(mxl_kernel_row),
    .op = MXL_OP_LINEAR,
    .compute = MXL_COMPUTE_FLOAT32,
    .rank = 10,
    .cpu_features = MXL_CPU_AVX2,
    .name = "log6_linear_LOG6_f32_4x16__avx2",
    .encoding = "LOG6",
    .tile_rows = ROWS,
    .panel_columns = COLUMNS,
    .packed_size = packed_size,
    .pack = pack,
    .unpack = unpack,
    .run = run,
};

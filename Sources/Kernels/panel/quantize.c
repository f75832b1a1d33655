#include "float16.h"
#include "panel/quantize_search.h"

void mxlk_column_quantize__baseline(const mxlk_block_format *format, const float *values, const float *importance,
                                    int64_t k, mxlk_column *column) {
  column_quantize(format, values, importance, k, column);
}

static mxlk_column_quantize chosen(uint64_t features) {
#ifdef __x86_64__
  if (features & MXL_CPU_AVX512) return mxlk_column_quantize__avx512;
  if (features & MXL_CPU_AVX2) return mxlk_column_quantize__avx2;
#endif
  (void)features;
  return mxlk_column_quantize__baseline;
}

/* Weights of a block, which only say how they compare: times the power of two that brings the largest near 1, so that no sum overflows or
 * vanishes. */
static void make_comparable(const float *importance, int64_t count, float *scaled) {
  float largest = 0;
  for (int64_t i = 0; i < count; i++) largest = importance[i] > largest ? importance[i] : largest;
  uint32_t power = 0x7f000000u - (mxlk_bits_from_float(largest) & 0x7f800000u);
  float factor = mxlk_float_from_bits(power < 0x00800000u ? 0x00800000u : power);
  for (int64_t i = 0; i < count; i++) scaled[i] = importance[i] * factor;
}

void mxlk_block_quantize(const mxlk_block_format *format, const float *values, const float *importance,
                         int64_t elements, uint8_t *blocks) {
  mxlk_column_quantize quantize = chosen(mxlk_cpu_features());
  const mxl_encoding *encoding = format->encoding;
  for (int64_t done = 0, step; done < elements; done += step) {
    step = elements - done < MXL_SUPERBLOCK ? elements - done : MXL_SUPERBLOCK;
    float scaled[MXL_SUPERBLOCK];
    for (int64_t i = 0; importance != NULL && i < step; i += encoding->elements_per_block)
      make_comparable(importance + done + i, encoding->elements_per_block, scaled + i);
    mxlk_column column;
    quantize(format, values + done, importance == NULL ? NULL : scaled, step, &column);
    format->blocks_from_column(format, &column, step,
                               blocks + done / encoding->elements_per_block * encoding->block_size);
  }
}

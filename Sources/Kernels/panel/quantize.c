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

void mxlk_block_quantize(const mxlk_block_format *format, const float *values, const float *importance,
                         int64_t elements, uint8_t *blocks) {
  mxlk_column_quantize quantize = chosen(mxlk_cpu_features());
  int64_t step = format->encoding->elements_per_block;
  for (int64_t done = 0; done < elements; done += step) {
    mxlk_column column;
    quantize(format, values + done, importance == NULL ? NULL : importance + done, step, &column);
    format->blocks_from_column(format, &column, step, blocks + done / step * format->encoding->block_size);
  }
}

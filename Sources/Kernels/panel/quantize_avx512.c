#include "panel/quantize.h"

#ifdef __x86_64__
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)

#include "panel/quantize_search.h"

void mxlk_column_quantize__avx512(const mxlk_block_format *format, const float *values, const float *importance,
                                  int64_t k, mxlk_column *column) {
  column_quantize(format, values, importance, k, column);
}

#pragma clang attribute pop
#endif

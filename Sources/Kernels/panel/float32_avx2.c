#include "panel/float32.h"

#ifdef __x86_64__
#define MXLK_CONVERTS_HALVES
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#include "panel/lines.h"

void mxlk_expand_float32_16__avx2(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  mxlk_expand_lines(row->context, packed, 16, k, expanded);
}

#pragma clang attribute pop
#endif

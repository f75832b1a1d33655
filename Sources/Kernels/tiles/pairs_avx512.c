#include "tiles/pairs.h"

#ifdef __x86_64__
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)

#include "tiles/pairs_avx512.h"

void mxlk_linear_f16_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  MXLK_PAIRS_BY_ROWS(f16_f32)
}

void mxlk_linear_bf16_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  MXLK_PAIRS_BY_ROWS(bf16_f32)
}

void mxlk_linear_bf16_bf16_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  MXLK_PAIRS_BY_ROWS(bf16_bf16)
}

#pragma clang attribute pop
#endif

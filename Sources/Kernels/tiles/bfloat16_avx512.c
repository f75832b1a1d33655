#include "tiles/bfloat16.h"

#ifdef __x86_64__
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)

#include "tiles/bfloat16_avx512.h"

void mxlk_linear_bf16_bf16_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile) {
  run_tile(mxlk_linear_bf16_bf16_14x32__avx512, row, tile);
}

#pragma clang attribute pop
#endif

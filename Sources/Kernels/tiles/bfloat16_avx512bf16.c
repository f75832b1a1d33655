#include "tiles/bfloat16.h"

#ifdef __x86_64__
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"))), \
                             apply_to = function)

#define MXLK_NATIVE_DOTS
#include "tiles/bfloat16_avx512.h"

/* The pairs of a block of x. */
MXLK_ALWAYS void chain_block(const void *from, char *to) {
  uint32_t pairs[MXLK_DOT_LINES], chains[2][steps];
  memcpy(pairs, from, sizeof pairs);
  for (int i = 0; i < steps; i++) {
    chains[even][i] = pairs[2 * i] << 16 | (pairs[2 * i + 1] & 0xffffu);
    chains[odd][i] = (pairs[2 * i] & 0xffff0000u) | pairs[2 * i + 1] >> 16;
  }
  memcpy(to, chains, sizeof chains);
}

void mxlk_arrange_dot_chains__avx512bf16(const mxl_kernel_row *row, const void *from, int64_t k, int64_t index,
                                         void *arranged) {
  (void)row;
  const char *x = from;
  char *to = (char *)arranged + index * MXLK_DOT_CHAINS_BYTES;
  for (; k >= MXLK_DOT_K; k -= MXLK_DOT_K, x += 2 * MXLK_DOT_K, to += 2 * MXLK_DOT_K) chain_block(x, to);
  if (k == 0) return;
  uint16_t last[MXLK_DOT_K] = {0};
  memcpy(last, x, 2 * (size_t)k);
  chain_block(last, to);
}

void mxlk_linear_bf16_bf16_14x32__avx512bf16(const mxl_kernel_row *row, const mxl_tile *tile) {
  run_tile(mxlk_linear_bf16_bf16_14x32__avx512bf16, row, tile);
}

#pragma clang attribute pop
#endif

/* Q6_K: 256 weights in 210 bytes, sixteen sub-blocks b of 16: w = d sc_b (code - 32), codes of 6 bits, sc_b in two's complement.
 *
 * Each half h of 128 weights has 64 bytes of low nibbles and 32 bytes of high bit pairs; i in 0..31:
 *
 *   low[64 h + i]       = low nibble of weight 128 h + 64 + i | of weight 128 h + i
 *   low[64 h + 32 + i]  = low nibble of weight 128 h + 96 + i | of weight 128 h + 32 + i
 *   high[32 h + i]      = bits 4..5 of the weights 128 h + {96, 64, 32, 0} + i, from the top
 */
#ifndef MXLK_Q6_K_LAYOUT_H
#define MXLK_Q6_K_LAYOUT_H

#include <assert.h>
#include <stdint.h>

typedef struct mxlk_q6_k_block {
  uint8_t low[128];
  uint8_t high[64];
  int8_t scales[16];
  uint16_t d;
} mxlk_q6_k_block;

static_assert(sizeof(mxlk_q6_k_block) == 210, "a Q6_K block has 210 bytes");

#endif

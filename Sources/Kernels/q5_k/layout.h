/* Q5_K: 256 weights in 176 bytes, eight sub-blocks b of 32: w = d sc_b code - dmin m_b, codes of 5 bits.
 *
 *   byte   0 1        2 3           4..15           16 + i, i in 0..31               48 + 32 c + i, c in 0..3
 *        [ d: half ][ dmin: half ][ as in Q4_K ][ bit b: bit 4 of weight 32 b + i ][ low nibbles as in Q4_K ]
 */
#ifndef MXLK_Q5_K_LAYOUT_H
#define MXLK_Q5_K_LAYOUT_H

#include <assert.h>
#include <stdint.h>

typedef struct mxlk_q5_k_block {
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t high[32];
  uint8_t codes[128];
} mxlk_q5_k_block;

static_assert(sizeof(mxlk_q5_k_block) == 176, "a Q5_K block has 176 bytes");

#endif

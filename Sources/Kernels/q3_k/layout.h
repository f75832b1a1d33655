/* Q3_K: 256 weights in 110 bytes, sixteen sub-blocks b of 16: w = d sc_b (code - 4), codes of 3 bits, sc_b of 6, -32 to 31.
 *
 *   byte   i, i in 0..31                    32 + 32 h + i           96..107                   108 109
 *        [ bit j: bit 2 of weight 32 j + i ][ low bits as in Q2_K ][ mxlk_narrow_scale's s ][ d: half ]
 *
 * The 12 bytes s of sc + 32:
 *
 *   s[b % 8]      = sc_{b+8} bits 0..3 | sc_b bits 0..3, b in 0..7
 *   s[8 + b % 4]  = bits 4..5 of the scales b + {12, 8, 4, 0}, b in 0..3, from the top
 */
#ifndef MXLK_Q3_K_LAYOUT_H
#define MXLK_Q3_K_LAYOUT_H

#include <assert.h>
#include <stdint.h>

typedef struct mxlk_q3_k_block {
  uint8_t high[32];
  uint8_t codes[64];
  uint8_t scales[12];
  uint16_t d;
} mxlk_q3_k_block;

static_assert(sizeof(mxlk_q3_k_block) == 110, "a Q3_K block has 110 bytes");

#endif

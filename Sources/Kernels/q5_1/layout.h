/* Q5_1: 32 weights in 24 bytes, w = d code + m, codes of 5 bits.
 *
 *   byte   0 1        2 3        4..7       8 + i, i in 0..15
 *        [ d: half ][ m: half ][ bits and nibbles as in Q5_0 ]
 */
#ifndef MXLK_Q5_1_LAYOUT_H
#define MXLK_Q5_1_LAYOUT_H

#include <assert.h>
#include <stdint.h>

typedef struct mxlk_q5_1_block {
  uint16_t d, m;
  uint8_t high[4];
  uint8_t codes[16];
} mxlk_q5_1_block;

static_assert(sizeof(mxlk_q5_1_block) == 24, "a Q5_1 block has 24 bytes");

#endif

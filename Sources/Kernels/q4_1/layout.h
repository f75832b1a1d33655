/* Q4_1: 32 weights in 20 bytes, w = d code + m.
 *
 *   byte   0 1        2 3        4 + i, i in 0..15
 *        [ d: half ][ m: half ][ high nibble: code of weight 16 + i | low nibble: code of weight i ]
 */
#ifndef MXLK_Q4_1_LAYOUT_H
#define MXLK_Q4_1_LAYOUT_H

#include <assert.h>
#include <stdint.h>

typedef struct mxlk_q4_1_block {
  uint16_t d, m;
  uint8_t codes[16];
} mxlk_q4_1_block;

static_assert(sizeof(mxlk_q4_1_block) == 20, "a Q4_1 block has 20 bytes");

#endif

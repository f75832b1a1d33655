/* Q4_0: 32 weights in 18 bytes, w = d (code - 8).
 *
 *   byte   0 1        2 + i, i in 0..15
 *        [ d: half ][ high nibble: code of weight 16 + i | low nibble: code of weight i ]
 */
#ifndef MXLK_Q4_0_LAYOUT_H
#define MXLK_Q4_0_LAYOUT_H

#include <assert.h>
#include <stdint.h>

typedef struct mxlk_q4_0_block {
  uint16_t d;
  uint8_t codes[16];
} mxlk_q4_0_block;

static_assert(sizeof(mxlk_q4_0_block) == 18, "a Q4_0 block has 18 bytes");

#endif

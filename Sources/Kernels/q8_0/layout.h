/* Q8_0: 32 weights in 34 bytes, w = d code, codes in two's complement.
 *
 *   byte   0 1        2 + i, i in 0..31
 *        [ d: half ][ code of weight i ]
 */
#ifndef MXLK_Q8_0_LAYOUT_H
#define MXLK_Q8_0_LAYOUT_H

#include <assert.h>
#include <stdint.h>

typedef struct mxlk_q8_0_block {
  uint16_t d;
  int8_t codes[32];
} mxlk_q8_0_block;

static_assert(sizeof(mxlk_q8_0_block) == 34, "a Q8_0 block has 34 bytes");

#endif

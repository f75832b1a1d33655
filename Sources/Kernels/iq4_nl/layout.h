/* IQ4_NL: 32 weights in 18 bytes, w = d values[code].
 *
 *   byte   0 1        2 + i, i in 0..15
 *        [ d: half ][ high nibble: code of weight 16 + i | low nibble: code of weight i ]
 */
#ifndef MXLK_IQ4_NL_LAYOUT_H
#define MXLK_IQ4_NL_LAYOUT_H

#include <assert.h>
#include <stdint.h>

typedef struct mxlk_iq4_nl_block {
  uint16_t d;
  uint8_t codes[16];
} mxlk_iq4_nl_block;

static_assert(sizeof(mxlk_iq4_nl_block) == 18, "an IQ4_NL block has 18 bytes");

#endif

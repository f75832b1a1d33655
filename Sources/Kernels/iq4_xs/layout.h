/* IQ4_XS: 256 weights in 136 bytes, eight sub-blocks b of 32: w = d sc_b values[code], values those of IQ4_NL, sc_b 6 bits less 32.
 *
 *   byte   0 1        2 + b / 4                4 + b / 2              8 + 16 b + i, i in 0..15
 *        [ d: half ][ high bits of four sc_b ][ low nibbles of two ][ high nibble: code of weight 32 b + 16 + i | low: of 32 b + i ]
 *
 * sc_b, plus 32, has bits 2 (b % 4) and 2 (b % 4) + 1 of its byte of high bits above nibble b % 2 of its byte of low ones.
 */
#ifndef MXLK_IQ4_XS_LAYOUT_H
#define MXLK_IQ4_XS_LAYOUT_H

#include <assert.h>
#include <stdint.h>

typedef struct mxlk_iq4_xs_block {
  uint16_t d;
  uint8_t high[2];
  uint8_t low[4];
  uint8_t codes[128];
} mxlk_iq4_xs_block;

static_assert(sizeof(mxlk_iq4_xs_block) == 136, "an IQ4_XS block has 136 bytes");

#endif

/* MXFP4: 32 weights in 17 bytes, w = d values[code], d half of the power of two 2^(e - 127) (E8M0), values twice E2M1's.
 *
 *   byte   0    1 + i, i in 0..15
 *        [ e ][ high nibble: code of weight 16 + i | low nibble: code of weight i ]
 */
#ifndef MXLK_MXFP4_LAYOUT_H
#define MXLK_MXFP4_LAYOUT_H

#include <assert.h>
#include <stdint.h>

typedef struct mxlk_mxfp4_block {
  uint8_t e;
  uint8_t codes[16];
} mxlk_mxfp4_block;

static_assert(sizeof(mxlk_mxfp4_block) == 17, "an MXFP4 block has 17 bytes");

#endif

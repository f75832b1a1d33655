/* Q5_0: 32 weights in 22 bytes, w = d (code - 16), codes of 5 bits.
 *
 *   byte   0 1        2..5, little-endian             6 + i, i in 0..15
 *        [ d: half ][ bit i: bit 4 of weight i ][ high nibble: of weight 16 + i | low nibble: of weight i ]
 */
#ifndef MXLK_Q5_0_LAYOUT_H
#define MXLK_Q5_0_LAYOUT_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

typedef struct mxlk_q5_0_block {
  uint16_t d;
  uint8_t high[4];
  uint8_t codes[16];
} mxlk_q5_0_block;

static_assert(sizeof(mxlk_q5_0_block) == 22, "a Q5_0 block has 22 bytes");

/* The codes of a block from its fifth bits and nibbles, for Q5_0 and Q5_1. Eight bits at a time become the bits 4 of eight bytes: each byte of a
 * word keeps its own bit, and what is not 0 carries into bit 7. */
static inline void mxlk_q5_0_unpack_codes(const uint8_t high[4], const uint8_t nibbles[16], uint8_t codes[32]) {
  for (int i = 0; i < 16; i++) {
    codes[i] = nibbles[i] & 15;
    codes[16 + i] = nibbles[i] >> 4;
  }
  for (int byte = 0; byte < 4; byte++) {
    uint64_t bits = high[byte] * UINT64_C(0x0101010101010101) & UINT64_C(0x8040201008040201), eight;
    memcpy(&eight, codes + 8 * byte, 8);
    eight |= (bits + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 3 & UINT64_C(0x1010101010101010);
    memcpy(codes + 8 * byte, &eight, 8);
  }
}

/* Its inverse: the product moves bit 4 of byte i to bit 56 + i. */
static inline void mxlk_q5_0_pack_codes(const uint8_t codes[32], uint8_t high[4], uint8_t nibbles[16]) {
  for (int byte = 0; byte < 4; byte++) {
    uint64_t eight;
    memcpy(&eight, codes + 8 * byte, 8);
    high[byte] = (uint8_t)((eight >> 4 & UINT64_C(0x0101010101010101)) * UINT64_C(0x0102040810204080) >> 56);
  }
  for (int i = 0; i < 16; i++) nibbles[i] = (uint8_t)(codes[16 + i] << 4 | (codes[i] & 15));
}

#endif

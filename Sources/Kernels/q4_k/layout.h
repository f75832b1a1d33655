/* Q4_K: 256 weights in 144 bytes, eight sub-blocks b of 32: w = d sc_b code - dmin m_b.
 *
 *   byte   0 1        2 3           4..15                   16 + 32 c + i, c in 0..3, i in 0..31
 *        [ d: half ][ dmin: half ][ sc, m: 8 x 6 bits each ][ high nibble: weight 64 c + 32 + i | low nibble: weight 64 c + i ]
 *
 * The 12 bytes s of sc and m, b in 0..3:
 *
 *   s[b]      = sc_{b+4} bits 4..5 | sc_b (6 bits)
 *   s[4 + b]  = m_{b+4} bits 4..5  | m_b (6 bits)
 *   s[8 + b]  = m_{b+4} bits 0..3  | sc_{b+4} bits 0..3
 */
#ifndef MXLK_Q4_K_LAYOUT_H
#define MXLK_Q4_K_LAYOUT_H

#include <assert.h>
#include <stdint.h>

typedef struct mxlk_q4_k_block {
  uint16_t d, dmin;
  uint8_t scales[12];
  uint8_t codes[128];
} mxlk_q4_k_block;

static_assert(sizeof(mxlk_q4_k_block) == 144, "a Q4_K block has 144 bytes");

/* Takes the 12 bytes apart, for Q4_K and Q5_K. */
static inline void mxlk_q4_k_unpack_scales(const uint8_t *packed, uint8_t *scales, uint8_t *minima) {
  for (int b = 0; b < 4; b++) {
    scales[b] = packed[b] & 63;
    minima[b] = packed[4 + b] & 63;
    scales[4 + b] = (uint8_t)((packed[b] >> 6 << 4) | (packed[8 + b] & 15));
    minima[4 + b] = (uint8_t)((packed[4 + b] >> 6 << 4) | (packed[8 + b] >> 4));
  }
}

/* The inverse. */
static inline void mxlk_q4_k_pack_scales(const uint8_t *scales, const uint8_t *minima, uint8_t *packed) {
  for (int b = 0; b < 4; b++) {
    packed[b] = (uint8_t)(scales[4 + b] >> 4 << 6 | scales[b]);
    packed[4 + b] = (uint8_t)(minima[4 + b] >> 4 << 6 | minima[b]);
    packed[8 + b] = (uint8_t)(minima[4 + b] << 4 | (scales[4 + b] & 15));
  }
}

#endif

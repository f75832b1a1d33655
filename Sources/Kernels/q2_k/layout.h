/* Q2_K: 256 weights in 84 bytes, sixteen sub-blocks b of 16: w = d sc_b code - dmin m_b, codes of 2 bits, sc_b and m_b of 4.
 *
 *   byte   b                16 + 32 h + i, h in 0..1, i in 0..31                                80 81        82 83
 *        [ m_b | sc_b ]   [ bits 2 j, 2 j + 1, j in 0..3: weight 128 h + 32 j + i, j = 3 at the top ][ d: half ][ dmin: half ]
 */
#ifndef MXLK_Q2_K_LAYOUT_H
#define MXLK_Q2_K_LAYOUT_H

#include <assert.h>
#include <stdint.h>

typedef struct mxlk_q2_k_block {
  uint8_t scales[16];
  uint8_t codes[64];
  uint16_t d, dmin;
} mxlk_q2_k_block;

static_assert(sizeof(mxlk_q2_k_block) == 84, "a Q2_K block has 84 bytes");

/* 256 codes of 2 bits out of 64 bytes, for Q2_K and Q3_K. */
static inline void mxlk_q2_k_unpack_codes(const uint8_t *packed, uint8_t *codes) {
  for (int h = 0; h < 2; h++)
    for (int j = 0; j < 4; j++)
      for (int i = 0; i < 32; i++) codes[128 * h + 32 * j + i] = packed[32 * h + i] >> (2 * j) & 3;
}

/* The inverse; bits above the second are left out. */
static inline void mxlk_q2_k_pack_codes(const uint8_t *codes, uint8_t *packed) {
  for (int h = 0; h < 2; h++)
    for (int i = 0; i < 32; i++) {
      const uint8_t *at = codes + 128 * h + i;
      packed[32 * h + i] = (uint8_t)((at[0] & 3) | (at[32] & 3) << 2 | (at[64] & 3) << 4 | at[96] << 6);
    }
}

#endif

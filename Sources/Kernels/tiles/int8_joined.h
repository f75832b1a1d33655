/* int8 tiles on vpdpbusd for CPUs whose shifts and additions have ports of their own (AMD). What shares the dots' ports is kept few, multiplications
 * with integer scales: two sub-blocks' sums are joined in one register, 16 bits each, and vpdpwssd multiplies and adds both.
 *
 *   dots of sub-block b            i_b
 *   << 16, + 2^15 + start          i_b 2^16 + 2^15 + start of b + 1
 *   dots of b + 1                  i_b 2^16 + (2^15 + i_b+1): as 2^15 + i_b+1 is no less than 0, it borrows nothing
 *   ^ 2^15                         [i_b | i_b+1], a pair of int16
 *   vpdpwssd                       sum + i_b sc_b 2^s_b + i_b+1 sc_b+1 2^s_b+1, the scales shifted as a pair
 *
 * Both sums have to fit. Of codes of 2 and 3 bits all do, of 4 all but those of x nearly of one sign; a superblock of x with a sub-block that may not fit is
 * wide (of Gaussian x 6 % with 5 bits, 2 % with 6), and its sums are shifted and multiplied one by one. So are those of codes of 8 bits (SUPER32_SIX). */
#ifndef MXLK_TILES_INT8_JOINED_H
#define MXLK_TILES_INT8_JOINED_H

#include "activation/int8.h"
#include "panel/panel.h"

/* What these tiles read of an mxl_int8_activation, and whether it is wide. */
typedef struct mxlk_joined_activation {
  int8_t codes[MXL_SUPERBLOCK];
  int16_t sums16[16];
  int16_t sums32[8];
  uint8_t shifts[8];
  float alpha;
  uint32_t wide;
} mxlk_joined_activation;

_Static_assert(sizeof(mxlk_joined_activation) == 320, "rows of x begin at cache lines");

void mxlk_arrange_int8_joined__avx512vnni(const mxl_kernel_row *row, const void *record, int64_t k, int64_t index,
                                          void *arranged);

#endif

/* int8 tiles on vpdpbusd and vpdpwssd for CPUs whose shifts, additions and multiplications all share the ports of those dots, and whose vpmulld takes
 * two operations (Intel). The bits are those of the other tiles. What differs is how a sub-block's sum is shifted and scaled:
 *
 *   floats    f(i << s) d is f(i) (d 2^s): expanded panels have d 2^s for each s. (BLOCK32, BLOCK32_MIN. d was a half, so that nothing overflows.)
 *   integers  sc (i << s) is i (sc 2^s), by vpdpwssd, which adds to the sum at once. i has to fit into 16 bits then, so codes are centred. Of 5 and 6
 *             bits it does where the |q| of a sub-block add up to less than 2^15 / 2^(bits - 1), 63.9 on average, as those of most x do; a
 *             superblock that has others is wide, and its sub-blocks are summed in halves. Where a scheme's codes are not centred (SUPER32),
 *             z sc (S << s) is added at the end, two sub-blocks a vpdpwssd. Codes of 8 bits do not fit and are multiplied as elsewhere
 *             (SUPER32_SIX, GROUP).
 *
 * x is arranged once for all panels: what a tile broadcasts lies ready. */
#ifndef MXLK_TILES_INT8_PAIRS_H
#define MXLK_TILES_INT8_PAIRS_H

#include "activation/int8.h"
#include "panel/panel.h"

/* A superblock of a row of x. */
typedef struct mxlk_arranged_pairs {
  int8_t codes[MXL_SUPERBLOCK]; /* q */
  int32_t starts[16];           /* -z sum of q over each sub-block, where its dots begin */
  int32_t halves[32];           /* the same of halves of sub-blocks; SUPER32 of 5 bits and SUPER16 of 6 */
  int32_t shifts[8];            /* s_b; where a GROUP's sums are multiplied with it, 2^s_b */
  union {
    int32_t pairs[8];  /* S << s of two sub-blocks as a pair of int16: SUPER32: 4, SUPER16_MIN: 8 */
    int32_t groups[8]; /* GROUP: the sum of S_b << s_b over each group */
    float sums[8];     /* BLOCK32_MIN: S_b << s_b */
  };
  float alpha;
  uint32_t wide;
  int32_t group_pairs[8]; /* GROUP: -groups in 256 parts and a rest, the parts above the rest */
  uint32_t reserved[6];
} mxlk_arranged_pairs;

_Static_assert(sizeof(mxlk_arranged_pairs) == 576, "rows of x begin at cache lines");

void mxlk_arrange_int8_pairs__avx512vnni(const mxl_kernel_row *row, const void *record, int64_t k, int64_t index,
                                         void *arranged);
void mxlk_expand_int8_pairs_32__avx512vnni(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);
void mxlk_linear_expanded_int8_pairs_8x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_packed_int8_pairs_8x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile);

#endif

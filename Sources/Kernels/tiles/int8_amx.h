/* What the int8 tiles on AMX read in the place of activation records and of the expanded panel (panel/panel.h): int8 on both sides, so that
 * a whole sub-block, superblock or group is one row of tile products.
 *
 * A tile product takes 16 rows of x by 16 outputs by up to 64 k, in 16 cycles whatever the k. Where a format's integer sum I spans more than 32 k,
 * what its terms are multiplied with goes into the factors beforehand, and I is what the tiles add up:
 *
 *   x        v = q 2^(s_b - s), s the least shift of the superblock; up to 1016: v = low + 256 high, both int8, high mostly 0
 *   weights  w = sc_b (code - zero) (GROUP: code - zero_g) = low + 256 high, low then unsigned; formats of narrow codes need no high
 *   I        = (sum low low + 256 (sum low high + sum high low) + 65536 sum high high) 2^s
 *
 * BLOCK32's sums are of 32 k, and scaled one by one: x is q, w is code - zero, and d 2^s for each of the four s stands in the place of high. Where all
 * sub-blocks of a row have the same s, as most have, alpha takes 2^s instead, to the same bits: t is 2^s times as large with d 2^s, and not near the
 * ends of float32's range, as d is a half. */
#ifndef MXLK_TILES_INT8_AMX_H
#define MXLK_TILES_INT8_AMX_H

#include "activation/int8.h"
#include "panel/panel.h"

typedef struct mxlk_arranged {
  int8_t low[MXL_SUPERBLOCK]; /* BLOCK32: q */
  int8_t high[MXL_SUPERBLOCK];
  /* S_b << s_b. SUPER32: pairs of int16, of sub-blocks 2 i and 2 i + 1; SUPER16_MIN: the same of 16 k; BLOCK32_MIN: float_sums. */
  union {
    int32_t sums[8];
    float float_sums[8];
  };
  /* BLOCK32: how many bytes behind d 2^0 the d 2^s_b of a sub-block are; BLOCK32_POWER: s_b; else the first is s. */
  int32_t shifts[8];
  uint32_t wide; /* bit b: some high of sub-block b is not 0 */
  int32_t row;   /* of the tile */
  float alpha;   /* BLOCK32 and BLOCK32_MIN of one shift: alpha 2^s, and float_sums are without it */
  int32_t one_shift;
  uint32_t reserved[12];
} mxlk_arranged;

_Static_assert(sizeof(mxlk_arranged) == 640, "rows of x begin at cache lines");

/* Byte planes of weights, [g][lane] as in an expanded panel, then its scales. */
#define MXLK_AMX_EXPANDED_BYTES(columns) ((2 * MXL_SUPERBLOCK + 104) * (columns))

void mxlk_arrange_int8__amx(const mxl_kernel_row *row, const void *record, int64_t k, int64_t index, void *arranged);
void mxlk_expand_int8_32__amx(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);
void mxlk_linear_expanded_int8_64x32__amx(const mxl_kernel_row *row, const mxl_tile *tile);
/* The tiles' configuration, of this thread. */
void mxlk_enter_int8__amx(const mxl_kernel_row *row);
void mxlk_leave__amx(const mxl_kernel_row *row);

#endif

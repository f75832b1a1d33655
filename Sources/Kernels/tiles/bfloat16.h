/* Tile kernels of bfloat16 weights, in pairs or chains (dense/pairs.h), with bfloat16 x. For each superblock, blocks of 32 k ascending:
 *
 *     e = +0, o = +0;   e = fma(x_2i, w_2i, e), o = fma(x_2i+1, w_2i+1, o) for i = 0 to 15;   t = t + (e + o)
 *
 * where denormal inputs count as zero and denormal results become zero: what TDPBF16PS does. Then y = y + t under the usual rules.
 *
 * A last block of fewer k may be filled with zeros on both sides or end early: products of zeros change nothing but a zero's sign, which ends
 * at y, begun at +0 and never -0. So kernels fill it: x where it is arranged, weights in a copy of their last lines. */
#ifndef MXLK_TILES_BFLOAT16_H
#define MXLK_TILES_BFLOAT16_H

#include "maxlinear.h"

/* k, and lines of pairs, of a block. */
#define MXLK_DOT_K 32
#define MXLK_DOT_LINES (MXLK_DOT_K / 2)

/* Of one row of x, a superblock as float32, 16 even k and then 16 odd ones for each block; zeros behind the last k. */
#define MXLK_DOT_FLOATS_BYTES (4 * MXL_SUPERBLOCK)
void mxlk_arrange_dot_floats__avx2(const mxl_kernel_row *row, const void *from, int64_t k, int64_t index,
                                   void *arranged);

void mxlk_linear_bf16_bf16_4x16__scalar(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_bf16_bf16_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_bf16_bf16_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile);

/* vdpbf16ps adds both halves of a pair to one sum, the high one first: so pairs of one chain, the k of the first in the high half, as the weights. */
#define MXLK_DOT_CHAINS_BYTES (2 * MXL_SUPERBLOCK)
/* Of each block 8 pairs of even k and then 8 of odd ones; zeros behind the last k. */
void mxlk_arrange_dot_chains__avx512bf16(const mxl_kernel_row *row, const void *from, int64_t k, int64_t index,
                                         void *arranged);
void mxlk_linear_bf16_bf16_14x32__avx512bf16(const mxl_kernel_row *row, const mxl_tile *tile);

/* As it lies in x; zeros behind the last k. */
#define MXLK_DOT_PLAIN_BYTES (2 * MXL_SUPERBLOCK)
void mxlk_arrange_dot_plain(const mxl_kernel_row *row, const void *from, int64_t k, int64_t index, void *arranged);
void mxlk_linear_bf16_bf16_64x32__amx(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_enter_bf16__amx(const mxl_kernel_row *row);
void mxlk_leave_bf16__amx(const mxl_kernel_row *row);

#endif

/* Tile kernels on pairs of 16-bit weights (dense/pairs.h).
 *
 * ..._f32_...   x is float32: t = fma(x, w, t) over a superblock's k ascending, y = y + t: the bits of the tiles on float32 lines.
 * bf16_bf16     x is bfloat16, pairs side by side: x[k / 2 * rows + row]. Denormal inputs count as zero and denormal results become zero,
 *               which is what vdpbf16ps does: t = fma(x_odd, w_odd, t), t = fma(x_even, w_even, t) over the superblock's pairs; then
 *               y = y + t under the usual rules. */
#ifndef MXLK_TILES_PAIRS_H
#define MXLK_TILES_PAIRS_H

#include "maxlinear.h"

void mxlk_linear_f16_f32_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_bf16_f32_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_f16_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_bf16_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile);

void mxlk_linear_bf16_bf16_4x16__scalar(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_bf16_bf16_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_bf16_bf16_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_bf16_bf16_14x32__avx512bf16(const mxl_kernel_row *row, const mxl_tile *tile);

/* A superblock of a panel, of any multiple of 8 columns, as lines of float32 (dense/pairs.h). */
void mxlk_pairs_expand_f16__avx2(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);
void mxlk_pairs_expand_bf16__avx2(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);

#endif

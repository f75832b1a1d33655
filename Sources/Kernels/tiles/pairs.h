/* Tile kernels on pairs or chains of 16-bit weights (dense/pairs.h) with float32 x: t = fma(x, w, t) over a superblock's k ascending, y = y + t: the
 * bits of the tiles on float32 lines. Those with bfloat16 x are in tiles/bfloat16.h. */
#ifndef MXLK_TILES_PAIRS_H
#define MXLK_TILES_PAIRS_H

#include "maxlinear.h"

/* Lines of a panel's k weights. */
static inline int64_t mxlk_pairs_lines(int64_t k) { return (k + 1) / 2; }
static inline int64_t mxlk_chains_lines(int64_t k) { return (k + 3) / 4 * 2; }

/* side_rows of the rows for AVX2 and of those of dots, and of AVX-512's of compute float32. */
#define MXLK_PAIRS_SIDE_ROWS 4
#define MXLK_PAIRS_SIDE_ROWS_AVX512 10

void mxlk_linear_f16_f32_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_bf16_f32_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_f16_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_bf16_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_bf16_f32_14x32__avx512bf16(const mxl_kernel_row *row, const mxl_tile *tile); /* on chains */

/* A superblock of a panel, in pairs, of any multiple of 8 columns, as lines of float32 (dense/pairs.h). */
void mxlk_pairs_expand_f16__avx2(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);
void mxlk_pairs_expand_bf16__avx2(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);
/* One in chains, of 32 columns. */
void mxlk_chains_expand_bf16__avx512(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);

#endif

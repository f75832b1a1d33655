/* Tile kernels on packed 8-bit floats (dense/float8.h), x float32: t = fma(x, w, t) over a superblock's k ascending, y = y + t: the bits of the
 * tiles on float32 lines. */
#ifndef MXLK_TILES_FLOAT8_H
#define MXLK_TILES_FLOAT8_H

#include "maxlinear.h"

void mxlk_linear_f8_e4m3_f32_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_f8_e5m2_f32_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_f8_e4m3_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_f8_e5m2_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile);

/* A superblock of a panel as lines of float32. */
void mxlk_expand_f8_e4m3_16__avx2(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);
void mxlk_expand_f8_e5m2_16__avx2(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);
void mxlk_expand_f8_e4m3_32__avx512(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);
void mxlk_expand_f8_e5m2_32__avx512(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);

#endif

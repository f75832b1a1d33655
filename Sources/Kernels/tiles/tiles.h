/* The tile kernels, one per arithmetic and CPU variant, shared by all encodings that use the arithmetic. */
#ifndef MXLK_TILES_H
#define MXLK_TILES_H

#include "maxlinear.h"

/* float32 weights, lines of panel_columns (dense/layout.h), float32 x:
 * t = +0, t = fma(x, w, t) over a superblock's k ascending, y = y + t. */
void mxlk_linear_f32_f32_4x16__scalar(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_f32_f32_6x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_f32_f32_14x32__avx512(const mxl_kernel_row *row, const mxl_tile *tile);
/* The most rows times panels that the last takes side by side. */
#define MXLK_FLOAT32_SIDE_ROWS 14

#endif

/* Dense weights: the encoding F32 and its rows. */
#ifndef MXLK_DENSE_H
#define MXLK_DENSE_H

#include "maxlinear.h"

extern const mxl_encoding mxlk_encoding_f32;

extern const mxl_kernel_row mxlk_row_dense_f32__scalar;
extern const mxl_kernel_row mxlk_row_dense_f32__avx2;
extern const mxl_kernel_row mxlk_row_dense_f32__avx512;

#endif

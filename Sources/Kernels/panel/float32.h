/* Expanding packed blocks to float32 lines, for compute float32: line j holds weight j of all the panel's outputs. The values have the bits
 * of dequantize. */
#ifndef MXLK_PANEL_FLOAT32_H
#define MXLK_PANEL_FLOAT32_H

#include "kernels.h"

void mxlk_expand_float32_16__scalar(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);
void mxlk_expand_float32_16__avx2(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);
void mxlk_expand_float32_32__avx512(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);

#endif

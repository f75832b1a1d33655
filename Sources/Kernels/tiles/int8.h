/* The int8 tile kernels: expanded codes and scales (panel/panel.h) against activation records (activation/int8.h), one superblock a call.
 * mxl_kernel_row.context is the encoding's mxlk_block_format. With i_b = sum of (code - zero) q over sub-block b, f = int32 to float
 * rounded to nearest even, b ascending from t = +0:
 *
 *   BLOCK32, BLOCK32_POWER  t = fma(f(i_b << s_b), d_b, t)                                             y = fma(t, alpha, y)
 *   BLOCK32_MIN  codes not centred: t = fma(f(i_b << s_b), d_b, t), t = fma(f(S_b << s_b), m_b, t)  y = fma(t, alpha, y)
 *   SUPER32  I = sum sc_b (i_b << s_b), J = sum m_b (S_b << s_b), codes not centred
 *            t = fma(-f(J), dmin, f(I) d)                                               y = fma(t, alpha, y)
 *   SUPER16  I = sum sc_b (i_b << s_b/2) over 16-blocks                                 y = fma(f(I) d, alpha, y)
 *   SUPER16_MIN  as SUPER32 over 16-blocks, S over the 16, s_b/2
 *   SUPER32_SIX  I = sum sc_b (i_b << s_b), with sc_b < 0 too                              y = fma(f(I) d, alpha, y)
 *   GROUP    for each group: I = sum (i_b << s_b) - zero sum (S_b << s_b), codes not centred
 *            t = fma(f(I), scale, t)                                                    y = fma(t, alpha, y) */
#ifndef MXLK_TILES_INT8_H
#define MXLK_TILES_INT8_H

#include "activation/int8.h"
#include "panel/panel.h"

void mxlk_expand_int8_16__scalar(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);
void mxlk_activate_int8__scalar(const float *x, int64_t k, mxlk_activation *out);
void mxlk_linear_expanded_int8_4x16__scalar(const mxl_kernel_row *row, const mxl_tile *tile);

void mxlk_expand_int8_16__avx2(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);
void mxlk_activate_int8__avx2(const float *x, int64_t k, mxlk_activation *out);
void mxlk_linear_expanded_int8_4x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_packed_int8_4x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile);

/* Packed and expanded as for AVX2. */
void mxlk_linear_expanded_int8_6x16__avxvnni(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_packed_int8_6x16__avxvnni(const mxl_kernel_row *row, const mxl_tile *tile);

void mxlk_expand_int8_32__avx512vnni(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);
void mxlk_activate_int8__avx512vnni(const float *x, int64_t k, mxlk_activation *out);
void mxlk_linear_expanded_int8_6x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile);
void mxlk_linear_packed_int8_6x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile);

#endif

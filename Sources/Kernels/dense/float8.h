/* F8_E4M3 and F8_E5M2: dense weights of 8 bits (float8_codes.h), whose scales are no part of the encoding: the loops apply them to the sums.
 *
 * Stored: out_dim rows of in_dim bytes. Packed: a superblock of a panel is ceil(k / 4) lines of panel_columns words, line q holding the weights
 * 4 q (lowest byte) to 4 q + 3 of all the panel's columns; behind a k that is no multiple of 4 the bytes are zero:
 *
 *     line q    w[1][4q+3] w[1][4q+2] w[1][4q+1] w[1][4q] | w[0][4q+3] w[0][4q+2] w[0][4q+1] w[0][4q]        <- 32 bits a column
 *
 * A superblock is expanded to lines of float32 (layout.h), or taken apart in registers. */
#ifndef MXLK_DENSE_FLOAT8_H
#define MXLK_DENSE_FLOAT8_H

#include "kernels.h"

extern const mxl_encoding mxlk_encoding_f8_e4m3, mxlk_encoding_f8_e5m2;

#ifdef __x86_64__
#define MXLK_F8_ROWS 3
#define MXLK_F8_ROWS_OF(rows) &rows[0], &rows[1], &rows[2]
#else
#define MXLK_F8_ROWS 1
#define MXLK_F8_ROWS_OF(rows) &rows[0]
#endif

extern const mxl_kernel_row mxlk_rows_f8_e4m3[MXLK_F8_ROWS], mxlk_rows_f8_e5m2[MXLK_F8_ROWS];

#endif

/* F16 and BF16: dense weights of 16 bits.
 *
 * Stored: out_dim rows of in_dim little-endian 16-bit floats. Packed, in pairs: a superblock of a panel is ceil(k / 2) lines of panel_columns words,
 * line p holding the weights 2 p (low half) and 2 p + 1 (high half) of all the panel's columns; behind an odd k the high half is zero:
 *
 *     line p    w[1][2p+1] w[1][2p] | w[0][2p+1] w[0][2p]        <- 32 bits a column
 *
 * 16 lines of 16 columns are a tile of weights as TDPBF16PS takes it. Packed, in chains, for vdpbf16ps, which adds the product of the high halves to a
 * sum and then that of the low ones: for each 4 k, q = 4 p, a line of two even k and one of two odd k, ceil(k / 4) times; zeros behind the last k:
 *
 *     line 2p      w[1][q]   w[1][q+2] | w[0][q]   w[0][q+2]
 *     line 2p+1    w[1][q+1] w[1][q+3] | w[0][q+1] w[0][q+3]
 *
 * For compute float32 a superblock is expanded to lines of float32 (layout.h), or taken apart in registers; for compute bfloat16 see
 * tiles/bfloat16.h. */
#ifndef MXLK_DENSE_PAIRS_H
#define MXLK_DENSE_PAIRS_H

#include "kernels.h"

size_t mxlk_pairs_packed_size(const mxl_kernel_row *row, int64_t k);
void mxlk_pairs_pack(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
                     void *packed);
void mxlk_pairs_unpack(const mxl_kernel_row *row, const void *packed, int64_t panel, int64_t k_begin, int64_t k,
                       const mxl_source *destination);
size_t mxlk_chains_packed_size(const mxl_kernel_row *row, int64_t k);
void mxlk_chains_pack(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
                      void *packed);
void mxlk_chains_unpack(const mxl_kernel_row *row, const void *packed, int64_t panel, int64_t k_begin, int64_t k,
                        const mxl_source *destination);
/* Pairs to lines of float32. */
void mxlk_pairs_expand_f16(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);
void mxlk_pairs_expand_bf16(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);

extern const mxl_encoding mxlk_encoding_f16, mxlk_encoding_bf16;

#ifdef __x86_64__
#define MXLK_F16_ROWS 3
#define MXLK_F16_ROWS_OF(rows) &rows[0], &rows[1], &rows[2]
#define MXLK_BF16_ROWS 10
#define MXLK_BF16_ROWS_OF(rows) \
  &rows[0], &rows[1], &rows[2], &rows[3], &rows[4], &rows[5], &rows[6], &rows[7], &rows[8], &rows[9]
#else
#define MXLK_F16_ROWS 1
#define MXLK_F16_ROWS_OF(rows) &rows[0]
#define MXLK_BF16_ROWS 2
#define MXLK_BF16_ROWS_OF(rows) &rows[0], &rows[1]
#endif

extern const mxl_kernel_row mxlk_rows_f16[MXLK_F16_ROWS], mxlk_rows_bf16[MXLK_BF16_ROWS];

#endif

/* Activations in the form that a tile reads, for each mxl_compute. */
#ifndef MXLK_ACTIVATION_H
#define MXLK_ACTIVATION_H

#include "activation/int8.h"
#include "activation/rows.h"

/* Bytes that k <= 256 columns of one row take. */
static inline int64_t mxlk_activation_bytes(const mxl_kernel_row *row, int64_t k) {
  if (row->arrange != NULL) return (int64_t)row->arranged_size;
  if (row->compute == MXL_COMPUTE_INT8) return sizeof(mxlk_activation);
  return 4 * (row->compute == MXL_COMPUTE_BFLOAT16 ? (k + 1) / 2 : k);
}

/* Bytes that all columns of one row take. */
static inline int64_t mxlk_activation_row_bytes(const mxl_kernel_row *row, int64_t in_dim) {
  int64_t rest = in_dim % MXL_SUPERBLOCK;
  return in_dim / MXL_SUPERBLOCK * mxlk_activation_bytes(row, MXL_SUPERBLOCK) +
         (rest == 0 ? 0 : mxlk_activation_bytes(row, rest));
}

/* Prepares rows [row_begin, row_begin + count) x columns [k_begin, k_begin + k) of x, one superblock, for a tile of `count` rows of
 * this kernel row. columns: NULL, or which column of x stands at each place; then the k are places. MXL_COMPUTE_INT8 takes k a
 * multiple of 32. x has any alignment. */
void mxlk_activate(const mxl_kernel_row *kernel, int32_t dtype, const void *x, const mxlk_rows *rows, int64_t row_begin,
                   int64_t count, const int32_t *columns, int64_t k_begin, int64_t k, void *packed);

#endif

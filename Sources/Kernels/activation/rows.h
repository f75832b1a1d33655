/* The rows of x and y of a call, wherever they lie, and their packing for the tile kernels. */
#ifndef MXLK_ROWS_H
#define MXLK_ROWS_H

#include "kernels.h"

/* How many rows there are: the product of the shape. */
int64_t mxlk_rows_count(const mxlk_rows *rows);

/* The same rows in as few dimensions as their strides allow. */
mxlk_rows mxlk_rows_collapsed(const mxlk_rows *rows);

/* Element offset of a row, in order, the last dimension fastest. */
static inline int64_t mxlk_rows_offset(const mxlk_rows *rows, const int64_t *strides, int64_t row) {
  int64_t offset = 0;
  for (int32_t i = rows->rank - 1; i > 0; i--) {
    offset += row % rows->shape[i] * strides[i];
    row /= rows->shape[i];
  }
  return rows->rank == 0 ? 0 : offset + row * strides[0];
}

/* Packs float32 rows [row_begin, row_begin + count) x columns [k_begin, k_begin + k) of x as a tile kernel of
 * MXL_COMPUTE_FLOAT32 reads them: packed[j * count + row]. x has any alignment. */
void mxlk_pack_rows_f32(const void *x, const mxlk_rows *rows, int64_t row_begin, int64_t count, int64_t k_begin,
                        int64_t k, float *packed);

#endif

/* The tile kernels in portable C. What they return is the arithmetic; every other variant returns the same bits. */
#include "tiles.h"

#include <math.h>

enum { columns = 16 };

void mxlk_linear_f32_f32_4x16__scalar(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  const float *x = tile->x;
  const float *weights = tile->weights;
  int64_t rows = tile->rows;
  for (int64_t begin = 0; begin < tile->k; begin += MXL_SUPERBLOCK) {
    int64_t k = tile->k - begin < MXL_SUPERBLOCK ? tile->k - begin : MXL_SUPERBLOCK;
    for (int64_t row = 0; row < rows; row++) {
      float *y = tile->y + row * columns;
      float t[columns] = {0};
      for (int64_t j = 0; j < k; j++) {
        for (int64_t column = 0; column < columns; column++)
          t[column] = fmaf(x[j * rows + row], weights[j * columns + column], t[column]);
      }
      for (int64_t column = 0; column < columns; column++) y[column] = y[column] + t[column];
    }
    x += k * rows;
    weights += k * columns;
  }
}

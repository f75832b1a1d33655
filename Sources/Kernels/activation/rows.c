/* Rows of x and y. */
#include "rows.h"

int64_t mxlk_rows_count(const mxlk_rows *rows) {
  int64_t count = 1;
  for (int32_t i = 0; i < rows->rank; i++) count *= rows->shape[i];
  return count;
}

mxlk_rows mxlk_rows_collapsed(const mxlk_rows *rows) {
  mxlk_rows result = {0};
  for (int32_t i = 0; i < rows->rank; i++) {
    if (rows->shape[i] == 1) continue;
    int32_t last = result.rank - 1;
    if (last >= 0 && result.x_strides[last] == rows->x_strides[i] * rows->shape[i] &&
        result.y_strides[last] == rows->y_strides[i] * rows->shape[i]) {
      result.shape[last] *= rows->shape[i];
    } else {
      last = result.rank++;
      result.shape[last] = rows->shape[i];
    }
    result.x_strides[last] = rows->x_strides[i];
    result.y_strides[last] = rows->y_strides[i];
  }
  return result;
}

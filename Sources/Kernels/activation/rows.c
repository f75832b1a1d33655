/* Rows of x and y, and packing of float32 activations. */
#include "rows.h"

#include <string.h>

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

typedef float quad __attribute__((vector_size(16)));

static inline quad load_quad(const char *from) {
  quad value;
  memcpy(&value, from, 16);
  return value;
}

/* Four rows from `from` on, four columns at a time: column j of them becomes packed[j * count .. + 3]. Returns how many
 * columns that were. */
static int64_t pack_four(const char *const from[4], int64_t count, int64_t k, float *packed) {
  int64_t j = 0;
  for (; j + 4 <= k; j += 4) {
    quad a = load_quad(from[0] + 4 * j), b = load_quad(from[1] + 4 * j);
    quad c = load_quad(from[2] + 4 * j), d = load_quad(from[3] + 4 * j);
    quad ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    quad cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    quad columns[4] = {
        __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5), __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7),
        __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5), __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7)};
    for (int i = 0; i < 4; i++) memcpy(packed + (j + i) * count, &columns[i], 16);
  }
  return j;
}

void mxlk_pack_rows_f32(const void *x, const mxlk_rows *rows, int64_t row_begin, int64_t count, int64_t k_begin,
                        int64_t k, float *packed) {
  for (int64_t row = 0; row < count;) {
    int64_t together = count - row < 4 ? 1 : 4, done = 0;
    const char *from[4];
    for (int64_t i = 0; i < together; i++) {
      int64_t offset = mxlk_rows_offset(rows, rows->x_strides, row_begin + row + i) + k_begin;
      from[i] = (const char *)x + offset * 4;
    }
    if (together == 4) done = pack_four(from, count, k, packed + row);
    for (int64_t i = 0; i < together; i++) {
      for (int64_t j = done; j < k; j++) memcpy(&packed[j * count + row + i], from[i] + 4 * j, 4);
    }
    row += together;
  }
}

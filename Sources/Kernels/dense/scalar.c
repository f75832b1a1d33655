/* F32 in portable C: the encoding, and the row that defines its arithmetic. */
#include "dense.h"
#include "layout.h"
#include "../tiles/tiles.h"

enum { columns = 16 };

static void dequantize(const void *blocks, int64_t elements, float *values) {
  memcpy(values, blocks, (size_t)elements * 4);
}

const mxl_encoding mxlk_encoding_f32 = {
    .struct_size = sizeof(mxl_encoding),
    .dtype = MXL_FLOAT32,
    .name = "F32",
    .elements_per_block = 1,
    .block_size = 4,
    .dequantize = dequantize,
};

static size_t packed_size(const mxl_kernel_row *row, int64_t k) {
  return mxlk_dense_packed_size(k, row->panel_columns);
}

static void pack(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
                 void *packed) {
  (void)row;
  uint32_t *lines = packed;
  int64_t valid = mxlk_dense_valid_columns(source, panel, columns);
  for (int64_t column = 0; column < valid; column++) {
    const char *from = mxlk_dense_at(source, panel * columns + column, k_begin);
    for (int64_t j = 0; j < k; j++) {
      uint32_t bits;
      memcpy(&bits, from + 4 * j, 4);
      lines[j * columns + column] = mxlk_dense_clipped(bits, source->clip);
    }
  }
  for (int64_t column = valid; column < columns; column++) {
    for (int64_t j = 0; j < k; j++) lines[j * columns + column] = 0;
  }
}

static void unpack(const mxl_kernel_row *row, const void *packed, int64_t panel, int64_t k_begin, int64_t k,
                   const mxl_source *destination) {
  (void)row;
  const uint32_t *lines = packed;
  int64_t valid = mxlk_dense_valid_columns(destination, panel, columns);
  for (int64_t column = 0; column < valid; column++) {
    char *to = (char *)mxlk_dense_at(destination, panel * columns + column, k_begin);
    for (int64_t j = 0; j < k; j++) memcpy(to + 4 * j, &lines[j * columns + column], 4);
  }
}

const mxl_kernel_row mxlk_row_dense_f32__scalar = {
    .struct_size = sizeof(mxl_kernel_row),
    .op = MXL_OP_LINEAR,
    .compute = MXL_COMPUTE_FLOAT32,
    .rank = 0,
    .cpu_features = 0,
    .name = "mxlk_linear_f32_f32_4x16__scalar",
    .encoding = "F32",
    .tile_rows = 4,
    .panel_columns = columns,
    .packed_size = packed_size,
    .pack = pack,
    .unpack = unpack,
    .run = mxlk_linear_f32_f32_4x16__scalar,
};

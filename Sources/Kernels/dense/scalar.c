/* F32 in portable C: the encoding, and the row that defines its arithmetic. */
#include "dense.h"
#include "layout.h"
#include "../tiles/tiles.h"
#include "words.h"

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

/* Words beyond +-clip by compare and select, as mxlk_dense_clipped. */
static inline __attribute__((always_inline)) void clip_words(mxlk_words *words, float clip) {
  typedef float floats __attribute__((vector_size(32)));
  typedef int32_t masks __attribute__((vector_size(32)));
  floats values, bounds = {clip, clip, clip, clip, clip, clip, clip, clip};
  memcpy(&values, words, sizeof values);
  masks high = values > bounds, low = values < -bounds;
  mxlk_words bits, sign = {0}, above, below;
  memcpy(&bits, &bounds, sizeof bits);
  memcpy(&above, &high, sizeof above);
  memcpy(&below, &low, sizeof below);
  sign |= 0x80000000u;
  *words = (*words & ~(above | below)) | (bits & above) | ((bits | sign) & below);
}

static void pack(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
                 void *packed) {
  (void)row;
  uint32_t *lines = packed;
  int64_t valid = mxlk_dense_valid_columns(source, panel, columns), whole = k / 4 * 4;
  const char *from = mxlk_dense_at(source, panel * columns, k_begin);
  for (int64_t j = 0; j < whole; j += 4)
    for (int64_t first = 0; first < columns; first += 8) {
      mxlk_words words[4];
      mxlk_words_gather(from + 4 * j, source->row_stride, first, valid, words);
      for (int i = 0; i < 4; i++) {
        clip_words(&words[i], source->clip);
        memcpy(lines + (j + i) * columns + first, &words[i], sizeof words[i]);
      }
    }
  for (int64_t column = 0; column < columns; column++)
    for (int64_t j = whole; j < k; j++) {
      uint32_t bits = 0;
      if (column < valid) memcpy(&bits, from + column * source->row_stride + 4 * j, 4);
      lines[j * columns + column] = mxlk_dense_clipped(bits, source->clip);
    }
}

static void unpack(const mxl_kernel_row *row, const void *packed, int64_t panel, int64_t k_begin, int64_t k,
                   const mxl_source *destination) {
  (void)row;
  const uint32_t *lines = packed;
  int64_t valid = mxlk_dense_valid_columns(destination, panel, columns), whole = k / 4 * 4;
  char *to = (char *)mxlk_dense_at(destination, panel * columns, k_begin);
  for (int64_t first = 0; first < columns; first += 8)
    for (int64_t j = 0; j < whole; j += 4) {
      mxlk_words words[4];
      for (int i = 0; i < 4; i++) memcpy(&words[i], lines + (j + i) * columns + first, sizeof words[i]);
      mxlk_words_scatter(words, to + 4 * j, destination->row_stride, first, valid);
    }
  for (int64_t column = 0; column < valid; column++)
    for (int64_t j = whole; j < k; j++)
      memcpy(to + column * destination->row_stride + 4 * j, &lines[j * columns + column], 4);
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

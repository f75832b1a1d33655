/* Rows for any encoding that says how to dequantize: packed panels hold the stored blocks, a superblock is expanded to lines of float32,
 * and the dense tiles run on those. The values are dequantize's, so the bits are the same on every CPU variant.
 *
 * Packed superblock: the blocks of output 0, those of output 1, ...; zeros up to a multiple of 64 bytes. */
#include "plugins.h"
#include "tiles/tiles.h"
#include "words.h"

#include <stdio.h>

static const mxl_encoding *encoding_of(const mxl_kernel_row *row) { return row->context; }

/* Bytes of k weights of one output. */
static size_t column_bytes(const mxl_kernel_row *row, int64_t k) {
  const mxl_encoding *encoding = encoding_of(row);
  return (size_t)(k / encoding->elements_per_block * encoding->block_size);
}

static size_t packed_size(const mxl_kernel_row *row, int64_t k) {
  return mxlk_align_up(column_bytes(row, k) * (size_t)row->panel_columns);
}

/* The stored blocks of an output from k_begin on. */
static char *stored_at(const mxl_kernel_row *row, const mxl_source *source, int64_t output, int64_t k_begin) {
  return (char *)(uintptr_t)source->data + output * source->row_stride + column_bytes(row, k_begin);
}

static int64_t outputs_of(const mxl_kernel_row *row, const mxl_source *source, int64_t panel) {
  int64_t left = source->out_dim - panel * row->panel_columns;
  return left < row->panel_columns ? left : row->panel_columns;
}

static void pack(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
                 void *packed) {
  size_t bytes = column_bytes(row, k);
  int64_t outputs = outputs_of(row, source, panel);
  char *to = packed;
  for (int64_t i = 0; i < outputs; i++)
    memcpy(to + (size_t)i * bytes, stored_at(row, source, panel * row->panel_columns + i, k_begin), bytes);
  memset(to + (size_t)outputs * bytes, 0, packed_size(row, k) - (size_t)outputs * bytes);
}

static void unpack(const mxl_kernel_row *row, const void *packed, int64_t panel, int64_t k_begin, int64_t k,
                   const mxl_source *destination) {
  size_t bytes = column_bytes(row, k);
  int64_t outputs = outputs_of(row, destination, panel);
  for (int64_t i = 0; i < outputs; i++)
    memcpy(stored_at(row, destination, panel * row->panel_columns + i, k_begin),
           (const char *)packed + (size_t)i * bytes, bytes);
}

/* Line j holds weight j of all the panel's outputs. */
static void expand(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  const mxl_encoding *encoding = encoding_of(row);
  size_t bytes = column_bytes(row, k);
  int64_t columns = row->panel_columns, whole = k / 4 * 4;
  float values[8][MXL_SUPERBLOCK];
  float *lines = expanded;
  for (int64_t first = 0; first < columns; first += 8) {
    for (int64_t i = 0; i < 8; i++)
      encoding->dequantize((const char *)packed + (size_t)(first + i) * bytes, k, values[i]);
    for (int64_t j = 0; j < whole; j += 4) {
      mxlk_words words[4];
      mxlk_words_gather((const char *)&values[0][j], sizeof values[0], 0, 8, words);
      for (int i = 0; i < 4; i++) memcpy(lines + (j + i) * columns + first, &words[i], sizeof words[i]);
    }
    for (int64_t j = whole; j < k; j++)
      for (int64_t i = 0; i < 8; i++) lines[j * columns + first + i] = values[i][j];
  }
}

/* Below every rank that a plugin may give. */
static const mxl_kernel_row variants[] = {
    {.name = "4x16__scalar", .rank = -3, .tile_rows = 4, .panel_columns = 16, .run = mxlk_linear_f32_f32_4x16__scalar},
#ifdef __x86_64__
    {.name = "6x16__avx2",
     .rank = -2,
     .cpu_features = MXL_CPU_AVX2,
     .tile_rows = 6,
     .panel_columns = 16,
     .run = mxlk_linear_f32_f32_6x16__avx2},
    {.name = "14x32__avx512",
     .rank = -1,
     .cpu_features = MXL_CPU_AVX2 | MXL_CPU_AVX512,
     .tile_rows = 14,
     .panel_columns = 32,
     .run = mxlk_linear_f32_f32_14x32__avx512},
#endif
};

_Static_assert(sizeof variants / sizeof *variants <= MXLK_GENERIC_ROWS, "room for all variants");

size_t mxlk_generic_rows(const mxl_encoding *encoding, mxl_kernel_row *rows, char (*names)[MXL_MOST_ROW_NAME + 1]) {
  size_t count = sizeof variants / sizeof *variants;
  for (size_t i = 0; i < count; i++) {
    snprintf(names[i], sizeof names[i], "mxlk_linear_generic_%s_f32_%s", encoding->name, variants[i].name);
    rows[i] = variants[i];
    rows[i].struct_size = sizeof(mxl_kernel_row);
    rows[i].op = MXL_OP_LINEAR;
    rows[i].compute = MXL_COMPUTE_FLOAT32;
    rows[i].name = names[i];
    rows[i].encoding = encoding->name;
    rows[i].packed_size = packed_size;
    rows[i].pack = pack;
    rows[i].unpack = unpack;
    rows[i].expand = expand;
    rows[i].expanded_size = (size_t)(MXL_SUPERBLOCK * rows[i].panel_columns) * 4;
    rows[i].context = encoding;
  }
  return count;
}

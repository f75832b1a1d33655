#include "dense/float8.h"

#include "contract.h"
#include "dense/layout.h"
#include "float8_codes.h"
#include "tiles/expanded_row.h"
#include "tiles/float8.h"
#include "tiles/tiles.h"
#include "words.h"

static size_t packed_size(const mxl_kernel_row *row, int64_t k) {
  return (size_t)((k + 3) / 4 * row->panel_columns) * 4;
}

static void pack(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
                 void *packed) {
  uint32_t *words = packed;
  int64_t columns = row->panel_columns, valid = mxlk_dense_valid_columns(source, panel, columns), whole = k / 16 * 16;
  const char *from = (const char *)source->data + panel * columns * source->row_stride + k_begin;
  for (int64_t j = 0; j < whole; j += 16)
    for (int64_t first = 0; first < columns; first += 8) {
      mxlk_words four[4];
      mxlk_words_gather(from + j, source->row_stride, first, valid, four);
      for (int i = 0; i < 4; i++) memcpy(words + (j / 4 + i) * columns + first, &four[i], sizeof four[i]);
    }
  for (int64_t c = 0; c < columns; c++)
    for (int64_t j = whole; j < k; j += 4) {
      uint32_t word = 0;
      if (c < valid) memcpy(&word, from + c * source->row_stride + j, (size_t)(k - j < 4 ? k - j : 4));
      words[j / 4 * columns + c] = word;
    }
}

static void unpack(const mxl_kernel_row *row, const void *packed, int64_t panel, int64_t k_begin, int64_t k,
                   const mxl_source *destination) {
  const uint32_t *words = packed;
  int64_t columns = row->panel_columns, valid = mxlk_dense_valid_columns(destination, panel, columns);
  int64_t whole = k / 16 * 16;
  char *to = (char *)destination->data + panel * columns * destination->row_stride + k_begin;
  for (int64_t first = 0; first < columns; first += 8)
    for (int64_t j = 0; j < whole; j += 16) {
      mxlk_words four[4];
      for (int i = 0; i < 4; i++) memcpy(&four[i], words + (j / 4 + i) * columns + first, sizeof four[i]);
      mxlk_words_scatter(four, to + j, destination->row_stride, first, valid);
    }
  for (int64_t c = 0; c < valid; c++)
    for (int64_t j = whole; j < k; j += 4)
      memcpy(to + c * destination->row_stride + j, &words[j / 4 * columns + c], (size_t)(k - j < 4 ? k - j : 4));
}

static void expand(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  const uint32_t *restrict words = packed;
  float *restrict lines = expanded;
  int64_t columns = row->panel_columns;
  int e4m3 = row->context == &mxlk_encoding_f8_e4m3;
  for (int64_t j = 0; j < k; j++, lines += columns) {
    const uint32_t *line = words + j / 4 * columns;
    int shift = (int)(j % 4) * 8;
    if (e4m3)
      for (int64_t c = 0; c < columns; c++) lines[c] = mxlk_float_from_e4m3((uint8_t)(line[c] >> shift));
    else
      for (int64_t c = 0; c < columns; c++) lines[c] = mxlk_float_from_e5m2((uint8_t)(line[c] >> shift));
  }
}

static void dequantize_e4m3(const void *blocks, int64_t elements, float *values) {
  const uint8_t *codes = blocks;
  for (int64_t i = 0; i < elements; i++) values[i] = mxlk_float_from_e4m3(codes[i]);
}

static void dequantize_e5m2(const void *blocks, int64_t elements, float *values) {
  const uint8_t *codes = blocks;
  for (int64_t i = 0; i < elements; i++) values[i] = mxlk_float_from_e5m2(codes[i]);
}

const mxl_encoding mxlk_encoding_f8_e4m3 = {
    .struct_size = sizeof(mxl_encoding),
    .dtype = MXL_FLOAT8_E4M3,
    .name = "F8_E4M3",
    .elements_per_block = 1,
    .block_size = 1,
    .dequantize = dequantize_e4m3,
};

const mxl_encoding mxlk_encoding_f8_e5m2 = {
    .struct_size = sizeof(mxl_encoding),
    .dtype = MXL_FLOAT8_E5M2,
    .name = "F8_E5M2",
    .elements_per_block = 1,
    .block_size = 1,
    .dequantize = dequantize_e5m2,
};

#define MXLK_F8_ROW(name, encoding, context, rank, features, rows, columns, expand, run, run_packed)                \
  MXLK_EXPANDED_ROW(name, encoding, context, MXL_COMPUTE_FLOAT32, rank, features, rows, columns, packed_size, pack, \
                    unpack, expand, columns * MXL_SUPERBLOCK * 4, run, run_packed, 0)

const mxl_kernel_row mxlk_rows_f8_e4m3[MXLK_F8_ROWS] = {
    MXLK_F8_ROW("mxlk_linear_f8_e4m3_f32_4x16__scalar", "F8_E4M3", &mxlk_encoding_f8_e4m3, 0, 0, 4, 16, expand,
                mxlk_linear_f32_f32_4x16__scalar, NULL),
#ifdef __x86_64__
    MXLK_F8_ROW("mxlk_linear_f8_e4m3_f32_6x16__avx2", "F8_E4M3", &mxlk_encoding_f8_e4m3, 10, MXL_CPU_AVX2, 6, 16,
                mxlk_expand_f8_e4m3_16__avx2, mxlk_linear_f32_f32_6x16__avx2, mxlk_linear_f8_e4m3_f32_6x16__avx2),
    MXLK_F8_ROW("mxlk_linear_f8_e4m3_f32_14x32__avx512", "F8_E4M3", &mxlk_encoding_f8_e4m3, 20,
                MXL_CPU_AVX2 | MXL_CPU_AVX512, 14, 32, mxlk_expand_f8_e4m3_32__avx512,
                mxlk_linear_f32_f32_14x32__avx512, mxlk_linear_f8_e4m3_f32_14x32__avx512),
#endif
};

const mxl_kernel_row mxlk_rows_f8_e5m2[MXLK_F8_ROWS] = {
    MXLK_F8_ROW("mxlk_linear_f8_e5m2_f32_4x16__scalar", "F8_E5M2", &mxlk_encoding_f8_e5m2, 0, 0, 4, 16, expand,
                mxlk_linear_f32_f32_4x16__scalar, NULL),
#ifdef __x86_64__
    MXLK_F8_ROW("mxlk_linear_f8_e5m2_f32_6x16__avx2", "F8_E5M2", &mxlk_encoding_f8_e5m2, 10, MXL_CPU_AVX2, 6, 16,
                mxlk_expand_f8_e5m2_16__avx2, mxlk_linear_f32_f32_6x16__avx2, mxlk_linear_f8_e5m2_f32_6x16__avx2),
    MXLK_F8_ROW("mxlk_linear_f8_e5m2_f32_14x32__avx512", "F8_E5M2", &mxlk_encoding_f8_e5m2, 20,
                MXL_CPU_AVX2 | MXL_CPU_AVX512, 14, 32, mxlk_expand_f8_e5m2_32__avx512,
                mxlk_linear_f32_f32_14x32__avx512, mxlk_linear_f8_e5m2_f32_14x32__avx512),
#endif
};

#include "dense/pairs.h"

#include "activation/convert.h"
#include "contract.h"
#include "dense/layout.h"
#include "float16.h"
#include "tiles/bfloat16.h"
#include "tiles/expanded_row.h"
#include "tiles/pairs.h"
#include "tiles/tiles.h"
#include "words.h"

enum { in_pairs, in_chains };

MXLK_INLINE int64_t lines_of(const int form, int64_t k) {
  return form == in_pairs ? mxlk_pairs_lines(k) : mxlk_chains_lines(k);
}

/* Where weight j of column c lies in a packed superblock, counted in weights. */
MXLK_INLINE int64_t place(const int form, int64_t columns, int64_t j, int64_t c) {
  int64_t line = form == in_pairs ? j / 2 : j / 4 * 2 + j % 2;
  return (line * columns + c) * 2 + (form == in_pairs ? j % 2 : 1 - j / 2 % 2);
}

/* Two lines of pairs become two of chains. */
MXLK_INLINE void chain(mxlk_words lines[2]) {
  mxlk_words first = lines[0], second = lines[1];
  lines[0] = first << 16 | (second & 0xffff);
  lines[1] = (first & 0xffff0000u) | second >> 16;
}

MXLK_INLINE void unchain(mxlk_words lines[2]) {
  mxlk_words even = lines[0], odd = lines[1];
  lines[0] = even >> 16 | (odd & 0xffff0000u);
  lines[1] = (even & 0xffff) | odd << 16;
}

size_t mxlk_pairs_packed_size(const mxl_kernel_row *row, int64_t k) {
  return (size_t)(lines_of(in_pairs, k) * row->panel_columns) * 4;
}

size_t mxlk_chains_packed_size(const mxl_kernel_row *row, int64_t k) {
  return (size_t)(lines_of(in_chains, k) * row->panel_columns) * 4;
}

static uint16_t clipped(const mxl_kernel_row *row, uint16_t bits, float clip) {
  if (!(clip < __builtin_inff())) return bits;
  int32_t dtype = row->context == &mxlk_encoding_bf16 ? MXL_BFLOAT16 : MXL_FLOAT16;
  float value;
  mxlk_floats_load(0, dtype, &bits, 1, &value);
  uint32_t kept = mxlk_dense_clipped(mxlk_bits_from_float(value), clip);
  if (kept == mxlk_bits_from_float(value)) return bits;
  value = mxlk_float_from_bits(kept);
  mxlk_floats_store(0, dtype, &value, 1, &bits);
  return bits;
}

/* form: a constant at every call. */
MXLK_INLINE void pack(const int form, const mxl_kernel_row *row, const mxl_source *source, int64_t panel,
                      int64_t k_begin, int64_t k, void *packed) {
  uint16_t *weights = packed;
  int64_t columns = row->panel_columns, valid = mxlk_dense_valid_columns(source, panel, columns);
  const char *from = (const char *)source->data + panel * columns * source->row_stride + k_begin * 2;
  /* Four lines at a time; clipping takes weights one by one. */
  int64_t whole = source->clip < __builtin_inff() ? 0 : k / 8 * 8;
  for (int64_t j = 0; j < whole; j += 8)
    for (int64_t first = 0; first < columns; first += 8) {
      mxlk_words words[4];
      mxlk_words_gather(from + 2 * j, source->row_stride, first, valid, words);
      if (form == in_chains) chain(words), chain(words + 2);
      for (int i = 0; i < 4; i++) memcpy(weights + ((j / 2 + i) * columns + first) * 2, &words[i], sizeof words[i]);
    }
  for (int64_t c = 0; c < columns; c++)
    for (int64_t j = whole; j < 2 * lines_of(form, k); j++) {
      uint16_t bits = 0;
      if (c < valid && j < k) memcpy(&bits, from + c * source->row_stride + 2 * j, 2);
      weights[place(form, columns, j, c)] = clipped(row, bits, source->clip);
    }
}

MXLK_INLINE void unpack(const int form, const mxl_kernel_row *row, const void *packed, int64_t panel, int64_t k_begin,
                        int64_t k, const mxl_source *destination) {
  const uint16_t *weights = packed;
  int64_t columns = row->panel_columns, valid = mxlk_dense_valid_columns(destination, panel, columns);
  char *to = (char *)destination->data + panel * columns * destination->row_stride + k_begin * 2;
  int64_t whole = k / 8 * 8;
  for (int64_t first = 0; first < columns; first += 8)
    for (int64_t j = 0; j < whole; j += 8) {
      mxlk_words words[4];
      for (int i = 0; i < 4; i++) memcpy(&words[i], weights + ((j / 2 + i) * columns + first) * 2, sizeof words[i]);
      if (form == in_chains) unchain(words), unchain(words + 2);
      mxlk_words_scatter(words, to + 2 * j, destination->row_stride, first, valid);
    }
  for (int64_t c = 0; c < valid; c++)
    for (int64_t j = whole; j < k; j++)
      memcpy(to + c * destination->row_stride + 2 * j, &weights[place(form, columns, j, c)], 2);
}

void mxlk_pairs_pack(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
                     void *packed) {
  pack(in_pairs, row, source, panel, k_begin, k, packed);
}

void mxlk_chains_pack(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
                      void *packed) {
  pack(in_chains, row, source, panel, k_begin, k, packed);
}

void mxlk_pairs_unpack(const mxl_kernel_row *row, const void *packed, int64_t panel, int64_t k_begin, int64_t k,
                       const mxl_source *destination) {
  unpack(in_pairs, row, packed, panel, k_begin, k, destination);
}

void mxlk_chains_unpack(const mxl_kernel_row *row, const void *packed, int64_t panel, int64_t k_begin, int64_t k,
                        const mxl_source *destination) {
  unpack(in_chains, row, packed, panel, k_begin, k, destination);
}

void mxlk_pairs_expand_f16(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  const uint32_t *restrict pairs = packed;
  float *restrict lines = expanded;
  int64_t columns = row->panel_columns;
  for (int64_t j = 0; j < k; j += 2, pairs += columns) {
    for (int64_t c = 0; c < columns; c++) lines[j * columns + c] = mxlk_float_from_half((uint16_t)pairs[c]);
    if (j + 1 < k)
      for (int64_t c = 0; c < columns; c++)
        lines[(j + 1) * columns + c] = mxlk_float_from_half((uint16_t)(pairs[c] >> 16));
  }
}

void mxlk_pairs_expand_bf16(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  const uint32_t *restrict pairs = packed;
  float *restrict lines = expanded;
  int64_t columns = row->panel_columns;
  for (int64_t j = 0; j < k; j += 2, pairs += columns) {
    for (int64_t c = 0; c < columns; c++) lines[j * columns + c] = mxlk_float_from_bits(pairs[c] << 16);
    if (j + 1 < k)
      for (int64_t c = 0; c < columns; c++) lines[(j + 1) * columns + c] = mxlk_float_from_bits(pairs[c] & 0xffff0000u);
  }
}

static void dequantize_f16(const void *blocks, int64_t elements, float *values) {
  mxlk_floats_load(0, MXL_FLOAT16, blocks, elements, values);
}

static void dequantize_bf16(const void *blocks, int64_t elements, float *values) {
  mxlk_floats_load(0, MXL_BFLOAT16, blocks, elements, values);
}

const mxl_encoding mxlk_encoding_f16 = {
    .struct_size = sizeof(mxl_encoding),
    .dtype = MXL_FLOAT16,
    .name = "F16",
    .elements_per_block = 1,
    .block_size = 2,
    .dequantize = dequantize_f16,
};

const mxl_encoding mxlk_encoding_bf16 = {
    .struct_size = sizeof(mxl_encoding),
    .dtype = MXL_BFLOAT16,
    .name = "BF16",
    .elements_per_block = 1,
    .block_size = 2,
    .dequantize = dequantize_bf16,
};

/* form: pairs or chains. */
#define MXLK_PAIRS_ROW(form, name, encoding, context, rank, features, rows, columns, expand, run, run_packed, \
                       side_rows)                                                                             \
  MXLK_EXPANDED_ROW(name, encoding, context, MXL_COMPUTE_FLOAT32, rank, features, rows, columns,              \
                    mxlk_##form##_packed_size, mxlk_##form##_pack, mxlk_##form##_unpack, expand,              \
                    columns * MXL_SUPERBLOCK * 4, run, run_packed, side_rows)

/* A row of compute bfloat16; x: its form, of tiles/bfloat16.h. */
#define MXLK_DOTS_ROW(form, x, name, rank, features, rows, columns, run, side_rows)                                  \
  MXLK_EXPANDED_ROW_AND(MXLK_DOT_##x, name, "BF16", &mxlk_encoding_bf16, MXL_COMPUTE_BFLOAT16, rank, features, rows, \
                        columns, mxlk_##form##_packed_size, mxlk_##form##_pack, mxlk_##form##_unpack, NULL, 0, run,  \
                        NULL, side_rows)
#define MXLK_DOT_PAIRS
#define MXLK_DOT_FLOATS .arrange = mxlk_arrange_dot_floats__avx2, .arranged_size = MXLK_DOT_FLOATS_BYTES,
#define MXLK_DOT_CHAINS .arrange = mxlk_arrange_dot_chains__avx512bf16, .arranged_size = MXLK_DOT_CHAINS_BYTES,
#define MXLK_DOT_PLAIN                                                                       \
  .least_rows = 2, .arrange = mxlk_arrange_dot_plain, .arranged_size = MXLK_DOT_PLAIN_BYTES, \
  .enter = mxlk_enter_bf16__amx, .leave = mxlk_leave_bf16__amx,

#define MXLK_AVX512 (MXL_CPU_AVX2 | MXL_CPU_AVX512)
#define MXLK_AVX512_BF16 (MXLK_AVX512 | MXL_CPU_AVX512_BF16)
#define MXLK_AMX_BF16 (MXLK_AVX512_BF16 | MXL_CPU_AMX_BF16)

const mxl_kernel_row mxlk_rows_f16[MXLK_F16_ROWS] = {
    MXLK_PAIRS_ROW(pairs, "mxlk_linear_f16_f32_4x16__scalar", "F16", &mxlk_encoding_f16, 0, 0, 4, 16,
                   mxlk_pairs_expand_f16, mxlk_linear_f32_f32_4x16__scalar, NULL, 0),
#ifdef __x86_64__
    MXLK_PAIRS_ROW(pairs, "mxlk_linear_f16_f32_6x16__avx2", "F16", &mxlk_encoding_f16, 10, MXL_CPU_AVX2, 6, 16,
                   mxlk_pairs_expand_f16__avx2, mxlk_linear_f32_f32_6x16__avx2, mxlk_linear_f16_f32_6x16__avx2,
                   MXLK_PAIRS_SIDE_ROWS),
    MXLK_PAIRS_ROW(pairs, "mxlk_linear_f16_f32_14x32__avx512", "F16", &mxlk_encoding_f16, 20, MXLK_AVX512, 14, 32,
                   mxlk_pairs_expand_f16__avx2, mxlk_linear_f32_f32_14x32__avx512, mxlk_linear_f16_f32_14x32__avx512,
                   MXLK_PAIRS_SIDE_ROWS_AVX512),
#endif
};

/* The float32 row of a CPU's highest rank decides what is packed: chains for vdpbf16ps, pairs for everything else. */
const mxl_kernel_row mxlk_rows_bf16[MXLK_BF16_ROWS] = {
    MXLK_PAIRS_ROW(pairs, "mxlk_linear_bf16_f32_4x16__scalar", "BF16", &mxlk_encoding_bf16, 0, 0, 4, 16,
                   mxlk_pairs_expand_bf16, mxlk_linear_f32_f32_4x16__scalar, NULL, 0),
    MXLK_DOTS_ROW(pairs, PAIRS, "mxlk_linear_bf16_bf16_4x16__scalar", 0, 0, 4, 16, mxlk_linear_bf16_bf16_4x16__scalar,
                  0),
#ifdef __x86_64__
    MXLK_PAIRS_ROW(pairs, "mxlk_linear_bf16_f32_6x16__avx2", "BF16", &mxlk_encoding_bf16, 10, MXL_CPU_AVX2, 6, 16,
                   mxlk_pairs_expand_bf16__avx2, mxlk_linear_f32_f32_6x16__avx2, mxlk_linear_bf16_f32_6x16__avx2,
                   MXLK_PAIRS_SIDE_ROWS),
    MXLK_DOTS_ROW(pairs, FLOATS, "mxlk_linear_bf16_bf16_6x16__avx2", 10, MXL_CPU_AVX2, 6, 16,
                  mxlk_linear_bf16_bf16_6x16__avx2, MXLK_PAIRS_SIDE_ROWS),
    MXLK_PAIRS_ROW(pairs, "mxlk_linear_bf16_f32_14x32__avx512", "BF16", &mxlk_encoding_bf16, 20, MXLK_AVX512, 14, 32,
                   mxlk_pairs_expand_bf16__avx2, mxlk_linear_f32_f32_14x32__avx512, mxlk_linear_bf16_f32_14x32__avx512,
                   MXLK_PAIRS_SIDE_ROWS_AVX512),
    MXLK_DOTS_ROW(pairs, FLOATS, "mxlk_linear_bf16_bf16_14x32__avx512", 20, MXLK_AVX512, 14, 32,
                  mxlk_linear_bf16_bf16_14x32__avx512, MXLK_PAIRS_SIDE_ROWS),
    MXLK_PAIRS_ROW(chains, "mxlk_linear_bf16_f32_14x32__avx512bf16", "BF16", &mxlk_encoding_bf16, 30, MXLK_AVX512_BF16,
                   14, 32, mxlk_chains_expand_bf16__avx512, mxlk_linear_f32_f32_14x32__avx512,
                   mxlk_linear_bf16_f32_14x32__avx512bf16, MXLK_PAIRS_SIDE_ROWS_AVX512),
    MXLK_DOTS_ROW(chains, CHAINS, "mxlk_linear_bf16_bf16_14x32__avx512bf16", 40, MXLK_AVX512_BF16, 14, 32,
                  mxlk_linear_bf16_bf16_14x32__avx512bf16, MXLK_PAIRS_SIDE_ROWS),
    MXLK_PAIRS_ROW(pairs, "mxlk_linear_bf16_f32_14x32__amx", "BF16", &mxlk_encoding_bf16, 50, MXLK_AMX_BF16, 14, 32,
                   mxlk_pairs_expand_bf16__avx2, mxlk_linear_f32_f32_14x32__avx512, mxlk_linear_bf16_f32_14x32__avx512,
                   MXLK_PAIRS_SIDE_ROWS_AVX512),
    MXLK_DOTS_ROW(pairs, PLAIN, "mxlk_linear_bf16_bf16_64x32__amx", 50, MXLK_AMX_BF16, 64, 32,
                  mxlk_linear_bf16_bf16_64x32__amx, 0),
#endif
};

/* Plugin zero, and the search among its encodings and rows. */
#include "dense/dense.h"
#include "dense/pairs.h"
#include "kernels.h"
#include "panel/rows.h"

#include <string.h>

static const mxl_encoding *const encodings[] = {
    &mxlk_encoding_f32,       &mxlk_encoding_f16,       &mxlk_encoding_bf16,      &mxlk_encoding_q4_0,
    &mxlk_encoding_q4_1,      &mxlk_encoding_q5_0,      &mxlk_encoding_q5_1,      &mxlk_encoding_q8_0,
    &mxlk_encoding_q4_k,      &mxlk_encoding_q5_k,      &mxlk_encoding_q6_k,      &mxlk_encoding_iq4_nl,
    &mxlk_encodings_gptq[0],  &mxlk_encodings_gptq[1],  &mxlk_encodings_gptq[2],  &mxlk_encodings_gptq[3],
    &mxlk_encodings_gptq[4],  &mxlk_encodings_gptq[5],  &mxlk_encodings_gptq[6],  &mxlk_encodings_gptq[7],
    &mxlk_encodings_gptq2[0], &mxlk_encodings_gptq2[1], &mxlk_encodings_gptq2[2], &mxlk_encodings_gptq2[3],
    &mxlk_encodings_gptq2[4], &mxlk_encodings_gptq2[5], &mxlk_encodings_gptq2[6], &mxlk_encodings_gptq2[7],
    &mxlk_encodings_gptq8[0], &mxlk_encodings_gptq8[1], &mxlk_encodings_gptq8[2], &mxlk_encodings_gptq8[3],
    &mxlk_encodings_gptq8[4], &mxlk_encodings_gptq8[5], &mxlk_encodings_gptq8[6], &mxlk_encodings_gptq8[7],
};

static const mxl_kernel_row *const rows[] = {
    &mxlk_row_dense_f32__scalar,
#ifdef __x86_64__
    &mxlk_row_dense_f32__avx2,
    &mxlk_row_dense_f32__avx512,
#endif
    MXLK_F16_ROWS_OF(mxlk_rows_f16),
    MXLK_BF16_ROWS_OF(mxlk_rows_bf16),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q4_0),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q4_1),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q5_0),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q5_1),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q8_0),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q4_k),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q5_k),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q6_k),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_iq4_nl),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq[0]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq[1]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq[2]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq[3]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq[4]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq[5]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq[6]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq[7]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq2[0]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq2[1]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq2[2]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq2[3]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq2[4]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq2[5]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq2[6]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq2[7]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq8[0]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq8[1]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq8[2]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq8[3]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq8[4]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq8[5]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq8[6]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq8[7]),
};

static const mxl_plugin built_in = {
    .struct_size = sizeof(mxl_plugin),
    .abi_major = MXL_PLUGIN_ABI_MAJOR,
    .abi_minor = MXL_PLUGIN_ABI_MINOR,
    .name = "maxlinear",
    .encodings = encodings,
    .encoding_count = sizeof encodings / sizeof *encodings,
    .rows = rows,
    .row_count = sizeof rows / sizeof *rows,
};

size_t mxlk_encoding_count(void) { return built_in.encoding_count; }

const mxl_encoding *mxlk_encoding_at(size_t index) {
  return index < built_in.encoding_count ? built_in.encodings[index] : NULL;
}

const mxl_encoding *mxlk_encoding_find(const char *name) {
  for (size_t i = 0; name != NULL && i < built_in.encoding_count; i++) {
    if (strcmp(built_in.encodings[i]->name, name) == 0) return built_in.encodings[i];
  }
  return NULL;
}

size_t mxlk_row_count(void) { return built_in.row_count; }

const mxl_kernel_row *mxlk_row_at(size_t index) { return index < built_in.row_count ? built_in.rows[index] : NULL; }

const mxl_kernel_row *mxlk_row_find(int32_t op, const char *encoding, int32_t compute, uint64_t features) {
  const mxl_kernel_row *best = NULL;
  for (size_t i = 0; encoding != NULL && i < built_in.row_count; i++) {
    const mxl_kernel_row *row = built_in.rows[i];
    if (row->op != op || row->compute != compute || strcmp(row->encoding, encoding) != 0) continue;
    if ((row->cpu_features & ~features) != 0) continue;
    if (best == NULL || row->rank > best->rank) best = row;
  }
  return best;
}

const mxl_kernel_row *mxlk_row_find_compatible(const mxl_kernel_row *row, int32_t compute, uint64_t features) {
  const mxl_kernel_row *best = NULL;
  for (size_t i = 0; i < built_in.row_count; i++) {
    const mxl_kernel_row *other = built_in.rows[i];
    if (other->op != row->op || other->compute != compute || strcmp(other->encoding, row->encoding) != 0) continue;
    if ((other->cpu_features & ~features) != 0) continue;
    if (other->pack != row->pack || other->panel_columns != row->panel_columns) continue;
    if (best == NULL || other->rank > best->rank) best = other;
  }
  return best;
}

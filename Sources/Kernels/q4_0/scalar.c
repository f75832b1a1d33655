#include "layout.h"
#include "panel/column.h"

#include <string.h>

static void dequantize(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_format_q4_0, blocks, elements, values);
}

static void quantize(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_format_q4_0, values, importance, elements, blocks);
}

static void column_from_blocks(const mxlk_block_format *format, const uint8_t *blocks, int64_t k, mxlk_column *column) {
  (void)format;
  for (int64_t b = 0; b < k / 32; b++) {
    mxlk_q4_0_block block;
    memcpy(&block, blocks + b * (int64_t)sizeof block, sizeof block);
    column->d[b] = block.d;
    mxlk_codes_from_nibbles(block.codes, column->codes + 32 * b);
  }
}

static void blocks_from_column(const mxlk_block_format *format, const mxlk_column *column, int64_t k, uint8_t *blocks) {
  (void)format;
  for (int64_t b = 0; b < k / 32; b++) {
    mxlk_q4_0_block block = {.d = column->d[b]};
    mxlk_nibbles_from_codes(column->codes + 32 * b, block.codes);
    memcpy(blocks + b * (int64_t)sizeof block, &block, sizeof block);
  }
}

const mxl_encoding mxlk_encoding_q4_0 = {
    .struct_size = sizeof(mxl_encoding),
    .dtype = MXL_UINT8,
    .name = "Q4_0",
    .elements_per_block = 32,
    .block_size = sizeof(mxlk_q4_0_block),
    .dequantize = dequantize,
    .quantize = quantize,
    .largest = 8 * 65504.0f,
};

const mxlk_block_format mxlk_format_q4_0 = {
    .encoding = &mxlk_encoding_q4_0,
    .scheme = MXLK_SCHEME_BLOCK32,
    .code_bits = 4,
    .zero = 8,
    .column_from_blocks = column_from_blocks,
    .blocks_from_column = blocks_from_column,
};

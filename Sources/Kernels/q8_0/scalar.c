#include "layout.h"
#include "panel/column.h"

#include <string.h>

static void dequantize(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_format_q8_0, blocks, elements, values);
}

static void quantize(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_format_q8_0, values, importance, elements, blocks);
}

/* Codes are made unsigned by adding 128, which is their zero. */
static void column_from_blocks(const mxlk_block_format *format, const uint8_t *blocks, int64_t k, mxlk_column *column) {
  (void)format;
  for (int64_t b = 0; b < k / 32; b++) {
    mxlk_q8_0_block block;
    memcpy(&block, blocks + b * (int64_t)sizeof block, sizeof block);
    column->d[b] = block.d;
    for (int i = 0; i < 32; i++) column->codes[32 * b + i] = (uint8_t)(block.codes[i] ^ 0x80);
  }
}

static void blocks_from_column(const mxlk_block_format *format, const mxlk_column *column, int64_t k, uint8_t *blocks) {
  (void)format;
  for (int64_t b = 0; b < k / 32; b++) {
    mxlk_q8_0_block block = {.d = column->d[b]};
    for (int i = 0; i < 32; i++) block.codes[i] = (int8_t)(column->codes[32 * b + i] ^ 0x80);
    memcpy(blocks + b * (int64_t)sizeof block, &block, sizeof block);
  }
}

const mxl_encoding mxlk_encoding_q8_0 = {
    .struct_size = sizeof(mxl_encoding),
    .dtype = MXL_UINT8,
    .name = "Q8_0",
    .elements_per_block = 32,
    .block_size = sizeof(mxlk_q8_0_block),
    .dequantize = dequantize,
    .quantize = quantize,
    .largest = 127 * 65504.0f,
};

const mxlk_block_format mxlk_format_q8_0 = {
    .encoding = &mxlk_encoding_q8_0,
    .scheme = MXLK_SCHEME_BLOCK32,
    .code_bits = 8,
    .zero = 128,
    .column_from_blocks = column_from_blocks,
    .blocks_from_column = blocks_from_column,
};

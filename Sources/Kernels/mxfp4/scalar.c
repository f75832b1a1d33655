#include "layout.h"
#include "panel/column.h"

#include <string.h>

static void column_from_blocks(const mxlk_block_format *format, const uint8_t *blocks, int64_t k, mxlk_column *column) {
  (void)format;
  for (int64_t b = 0; b < k / 32; b++) {
    mxlk_mxfp4_block block;
    memcpy(&block, blocks + b * (int64_t)sizeof block, sizeof block);
    column->scales[b] = block.e;
    mxlk_codes_from_nibbles(block.codes, column->codes + 32 * b);
  }
}

static void blocks_from_column(const mxlk_block_format *format, const mxlk_column *column, int64_t k, uint8_t *blocks) {
  (void)format;
  for (int64_t b = 0; b < k / 32; b++) {
    mxlk_mxfp4_block block = {.e = column->scales[b]};
    mxlk_nibbles_from_codes(column->codes + 32 * b, block.codes);
    memcpy(blocks + b * (int64_t)sizeof block, &block, sizeof block);
  }
}

/* 0 1 2 3 4 6 8 12 and their negatives, each with 12 more. */
static const uint8_t values[16] = {12, 13, 14, 15, 16, 18, 20, 24, 12, 11, 10, 9, 8, 6, 4, 0};

MXLK_BLOCK_ENCODING(mxfp4, "MXFP4", 32, mxlk_mxfp4_block, 0x1.8p127f);

const mxlk_block_format mxlk_format_mxfp4 = {
    .encoding = &mxlk_encoding_mxfp4,
    .scheme = MXLK_SCHEME_BLOCK32_POWER,
    .code_bits = 4,
    .zero = 12,
    .table = values,
    .column_from_blocks = column_from_blocks,
    .blocks_from_column = blocks_from_column,
};

#include "layout.h"
#include "panel/column.h"

#include <string.h>

static void column_from_blocks(const mxlk_block_format *format, const uint8_t *blocks, int64_t k, mxlk_column *column) {
  (void)format;
  for (int64_t b = 0; b < k / 32; b++) {
    mxlk_q4_1_block block;
    memcpy(&block, blocks + b * (int64_t)sizeof block, sizeof block);
    column->d[b] = block.d;
    column->m[b] = block.m;
    mxlk_codes_from_nibbles(block.codes, column->codes + 32 * b);
  }
}

static void blocks_from_column(const mxlk_block_format *format, const mxlk_column *column, int64_t k, uint8_t *blocks) {
  (void)format;
  for (int64_t b = 0; b < k / 32; b++) {
    mxlk_q4_1_block block = {.d = column->d[b], .m = column->m[b]};
    mxlk_nibbles_from_codes(column->codes + 32 * b, block.codes);
    memcpy(blocks + b * (int64_t)sizeof block, &block, sizeof block);
  }
}

MXLK_BLOCK_ENCODING(q4_1, "Q4_1", 32, mxlk_q4_1_block, 65504.0f);

const mxlk_block_format mxlk_format_q4_1 = {
    .encoding = &mxlk_encoding_q4_1,
    .scheme = MXLK_SCHEME_BLOCK32_MIN,
    .code_bits = 4,
    .column_from_blocks = column_from_blocks,
    .blocks_from_column = blocks_from_column,
};

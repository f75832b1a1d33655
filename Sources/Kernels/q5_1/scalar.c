#include "layout.h"
#include "panel/column.h"
#include "q5_0/layout.h"

#include <string.h>

static void column_from_blocks(const mxlk_block_format *format, const uint8_t *blocks, int64_t k, mxlk_column *column) {
  (void)format;
  for (int64_t b = 0; b < k / 32; b++) {
    mxlk_q5_1_block block;
    memcpy(&block, blocks + b * (int64_t)sizeof block, sizeof block);
    column->d[b] = block.d;
    column->m[b] = block.m;
    mxlk_q5_0_unpack_codes(block.high, block.codes, column->codes + 32 * b);
  }
}

static void blocks_from_column(const mxlk_block_format *format, const mxlk_column *column, int64_t k, uint8_t *blocks) {
  (void)format;
  for (int64_t b = 0; b < k / 32; b++) {
    mxlk_q5_1_block block = {.d = column->d[b], .m = column->m[b]};
    mxlk_q5_0_pack_codes(column->codes + 32 * b, block.high, block.codes);
    memcpy(blocks + b * (int64_t)sizeof block, &block, sizeof block);
  }
}

MXLK_BLOCK_ENCODING(q5_1, "Q5_1", 32, mxlk_q5_1_block, 65504.0f);

const mxlk_block_format mxlk_format_q5_1 = {
    .encoding = &mxlk_encoding_q5_1,
    .scheme = MXLK_SCHEME_BLOCK32_MIN,
    .code_bits = 5,
    .column_from_blocks = column_from_blocks,
    .blocks_from_column = blocks_from_column,
};

#include "layout.h"
#include "panel/column.h"

#include <string.h>

static void column_from_blocks(const mxlk_block_format *format, const uint8_t *blocks, int64_t k, mxlk_column *column) {
  (void)format;
  mxlk_iq4_xs_block block;
  (void)k; /* one block is one superblock */
  memcpy(&block, blocks, sizeof block);
  column->d[0] = block.d;
  memcpy(column->scales, block.low, 4);
  memcpy(column->scales + 4, block.high, 2);
  for (int b = 0; b < 8; b++) mxlk_codes_from_nibbles(block.codes + 16 * b, column->codes + 32 * b);
}

static void blocks_from_column(const mxlk_block_format *format, const mxlk_column *column, int64_t k, uint8_t *blocks) {
  (void)format;
  mxlk_iq4_xs_block block = {.d = column->d[0]};
  (void)k;
  memcpy(block.low, column->scales, 4);
  memcpy(block.high, column->scales + 4, 2);
  for (int b = 0; b < 8; b++) mxlk_nibbles_from_codes(column->codes + 32 * b, block.codes + 16 * b);
  memcpy(blocks, &block, sizeof block);
}

MXLK_BLOCK_ENCODING(iq4_xs, "IQ4_XS", MXL_SUPERBLOCK, mxlk_iq4_xs_block, 32 * 127 * 65504.0f);

const mxlk_block_format mxlk_format_iq4_xs = {
    .encoding = &mxlk_encoding_iq4_xs,
    .scheme = MXLK_SCHEME_SUPER32_SIX,
    .code_bits = 4,
    .zero = 128,
    .table = mxlk_table_iq4_nl,
    .column_from_blocks = column_from_blocks,
    .blocks_from_column = blocks_from_column,
};

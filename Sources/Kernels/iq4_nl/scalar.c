#include "layout.h"
#include "panel/column.h"

#include <string.h>

static void column_from_blocks(const mxlk_block_format *format, const uint8_t *blocks, int64_t k, mxlk_column *column) {
  (void)format;
  for (int64_t b = 0; b < k / 32; b++) {
    mxlk_iq4_nl_block block;
    memcpy(&block, blocks + b * (int64_t)sizeof block, sizeof block);
    column->d[b] = block.d;
    mxlk_codes_from_nibbles(block.codes, column->codes + 32 * b);
  }
}

static void blocks_from_column(const mxlk_block_format *format, const mxlk_column *column, int64_t k, uint8_t *blocks) {
  (void)format;
  for (int64_t b = 0; b < k / 32; b++) {
    mxlk_iq4_nl_block block = {.d = column->d[b]};
    mxlk_nibbles_from_codes(column->codes + 32 * b, block.codes);
    memcpy(blocks + b * (int64_t)sizeof block, &block, sizeof block);
  }
}

/* -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113, each with 128 more. */
const uint8_t mxlk_table_iq4_nl[16] = {1, 24, 45, 63, 79, 93, 106, 118, 129, 141, 153, 166, 181, 197, 217, 241};

MXLK_BLOCK_ENCODING(iq4_nl, "IQ4_NL", 32, mxlk_iq4_nl_block, 113 * 65504.0f);

const mxlk_block_format mxlk_format_iq4_nl = {
    .encoding = &mxlk_encoding_iq4_nl,
    .scheme = MXLK_SCHEME_BLOCK32,
    .code_bits = 4,
    .zero = 128,
    .table = mxlk_table_iq4_nl,
    .column_from_blocks = column_from_blocks,
    .blocks_from_column = blocks_from_column,
};

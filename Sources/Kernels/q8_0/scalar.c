#include "layout.h"
#include "panel/column.h"

#include <string.h>

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

MXLK_BLOCK_ENCODING(q8_0, "Q8_0", 32, mxlk_q8_0_block, 127 * 65504.0f);

const mxlk_block_format mxlk_format_q8_0 = {
    .encoding = &mxlk_encoding_q8_0,
    .scheme = MXLK_SCHEME_BLOCK32,
    .code_bits = 8,
    .zero = 128,
    .column_from_blocks = column_from_blocks,
    .blocks_from_column = blocks_from_column,
};

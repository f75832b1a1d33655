#include "layout.h"
#include "panel/column.h"
#include "q2_k/layout.h"

#include <string.h>

static void column_from_blocks(const mxlk_block_format *format, const uint8_t *blocks, int64_t k, mxlk_column *column) {
  (void)format;
  mxlk_q3_k_block block;
  (void)k; /* one block is one superblock */
  memcpy(&block, blocks, sizeof block);
  column->d[0] = block.d;
  memcpy(column->scales, block.scales, 12);
  mxlk_q2_k_unpack_codes(block.codes, column->codes);
  for (int j = 0; j < 8; j++)
    for (int i = 0; i < 32; i++) column->codes[32 * j + i] |= (uint8_t)((block.high[i] >> j & 1) << 2);
}

static void blocks_from_column(const mxlk_block_format *format, const mxlk_column *column, int64_t k, uint8_t *blocks) {
  (void)format;
  mxlk_q3_k_block block = {.d = column->d[0]};
  (void)k;
  memcpy(block.scales, column->scales, 12);
  mxlk_q2_k_pack_codes(column->codes, block.codes);
  for (int j = 0; j < 8; j++)
    for (int i = 0; i < 32; i++) block.high[i] |= (uint8_t)(column->codes[32 * j + i] >> 2 << j);
  memcpy(blocks, &block, sizeof block);
}

MXLK_BLOCK_ENCODING(q3_k, "Q3_K", MXL_SUPERBLOCK, mxlk_q3_k_block, 4 * 31 * 65504.0f);

const mxlk_block_format mxlk_format_q3_k = {
    .encoding = &mxlk_encoding_q3_k,
    .scheme = MXLK_SCHEME_SUPER16,
    .code_bits = 3,
    .zero = 4,
    .scale_bits = 6,
    .column_from_blocks = column_from_blocks,
    .blocks_from_column = blocks_from_column,
};

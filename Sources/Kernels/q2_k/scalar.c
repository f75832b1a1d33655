#include "layout.h"
#include "panel/column.h"

#include <string.h>

static void column_from_blocks(const mxlk_block_format *format, const uint8_t *blocks, int64_t k, mxlk_column *column) {
  (void)format;
  mxlk_q2_k_block block;
  (void)k; /* one block is one superblock */
  memcpy(&block, blocks, sizeof block);
  column->d[0] = block.d;
  column->d[1] = block.dmin;
  memcpy(column->scales, block.scales, 16);
  mxlk_q2_k_unpack_codes(block.codes, column->codes);
}

static void blocks_from_column(const mxlk_block_format *format, const mxlk_column *column, int64_t k, uint8_t *blocks) {
  (void)format;
  mxlk_q2_k_block block = {.d = column->d[0], .dmin = column->d[1]};
  (void)k;
  memcpy(block.scales, column->scales, 16);
  mxlk_q2_k_pack_codes(column->codes, block.codes);
  memcpy(blocks, &block, sizeof block);
}

MXLK_BLOCK_ENCODING(q2_k, "Q2_K", MXL_SUPERBLOCK, mxlk_q2_k_block, 15 * 65504.0f);

const mxlk_block_format mxlk_format_q2_k = {
    .encoding = &mxlk_encoding_q2_k,
    .scheme = MXLK_SCHEME_SUPER16_MIN,
    .code_bits = 2,
    .column_from_blocks = column_from_blocks,
    .blocks_from_column = blocks_from_column,
};

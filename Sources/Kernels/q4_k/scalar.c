#include "layout.h"
#include "panel/column.h"

#include <string.h>

static void column_from_blocks(const mxlk_block_format *format, const uint8_t *blocks, int64_t k, mxlk_column *column) {
  (void)format;
  mxlk_q4_k_block block;
  (void)k; /* one block is one superblock */
  memcpy(&block, blocks, sizeof block);
  column->d[0] = block.d;
  column->d[1] = block.dmin;
  mxlk_q4_k_unpack_scales(block.scales, column->scales, column->minima);
  for (int c = 0; c < 4; c++)
    for (int i = 0; i < 32; i++) {
      column->codes[64 * c + i] = block.codes[32 * c + i] & 15;
      column->codes[64 * c + 32 + i] = block.codes[32 * c + i] >> 4;
    }
}

static void blocks_from_column(const mxlk_block_format *format, const mxlk_column *column, int64_t k, uint8_t *blocks) {
  (void)format;
  mxlk_q4_k_block block = {.d = column->d[0], .dmin = column->d[1]};
  (void)k;
  mxlk_q4_k_pack_scales(column->scales, column->minima, block.scales);
  for (int c = 0; c < 4; c++)
    for (int i = 0; i < 32; i++)
      block.codes[32 * c + i] = (uint8_t)(column->codes[64 * c + 32 + i] << 4 | column->codes[64 * c + i]);
  memcpy(blocks, &block, sizeof block);
}

MXLK_BLOCK_ENCODING(q4_k, "Q4_K", MXL_SUPERBLOCK, mxlk_q4_k_block, 63 * 65504.0f);

const mxlk_block_format mxlk_format_q4_k = {
    .encoding = &mxlk_encoding_q4_k,
    .scheme = MXLK_SCHEME_SUPER32,
    .code_bits = 4,
    .column_from_blocks = column_from_blocks,
    .blocks_from_column = blocks_from_column,
};

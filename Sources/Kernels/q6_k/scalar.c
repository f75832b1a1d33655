#include "layout.h"
#include "panel/column.h"

#include <string.h>

/* Where weight 128 h + 32 g + i lies: low[64 h + 32 (g % 2) + i], nibble g / 2; high[32 h + i], bit pair g. */

static void column_from_blocks(const mxlk_block_format *format, const uint8_t *blocks, int64_t k, mxlk_column *column) {
  (void)format;
  mxlk_q6_k_block block;
  (void)k; /* one block is one superblock */
  memcpy(&block, blocks, sizeof block);
  column->d[0] = block.d;
  memcpy(column->scales, block.scales, 16);
  for (int h = 0; h < 2; h++)
    for (int g = 0; g < 4; g++)
      for (int i = 0; i < 32; i++) {
        int low = block.low[64 * h + 32 * (g % 2) + i] >> (4 * (g / 2)) & 15;
        int high = block.high[32 * h + i] >> (2 * g) & 3;
        column->codes[128 * h + 32 * g + i] = (uint8_t)(high << 4 | low);
      }
}

static void blocks_from_column(const mxlk_block_format *format, const mxlk_column *column, int64_t k, uint8_t *blocks) {
  (void)format;
  mxlk_q6_k_block block = {.d = column->d[0]};
  (void)k;
  memcpy(block.scales, column->scales, 16);
  for (int h = 0; h < 2; h++)
    for (int g = 0; g < 4; g++)
      for (int i = 0; i < 32; i++) {
        uint8_t code = column->codes[128 * h + 32 * g + i];
        block.low[64 * h + 32 * (g % 2) + i] |= (uint8_t)((code & 15) << (4 * (g / 2)));
        block.high[32 * h + i] |= (uint8_t)(code >> 4 << (2 * g));
      }
  memcpy(blocks, &block, sizeof block);
}

MXLK_BLOCK_ENCODING(q6_k, "Q6_K", MXL_SUPERBLOCK, mxlk_q6_k_block, 32 * 127 * 65504.0f);

const mxlk_block_format mxlk_format_q6_k = {
    .encoding = &mxlk_encoding_q6_k,
    .scheme = MXLK_SCHEME_SUPER16,
    .code_bits = 6,
    .zero = 32,
    .scale_bits = 8,
    .column_from_blocks = column_from_blocks,
    .blocks_from_column = blocks_from_column,
};

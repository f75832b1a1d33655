/* GPTQ, 2, 4 or 8 bits, regrouped: a checkpoint's qweight, scales and zeros, which lie column by column, as one block for each group of
 * consecutive weights of an output: w = scale (code - zero).
 *
 *   byte   0 .. s - 1            s .. s + z - 1       s + z + i, i in 0 .. bits group / 8 - 1
 *        [ scale: half, float ][ zero: 0 to 2^bits  ][ the codes of weights 8 / bits i and on, from the lowest bits up ]
 *
 * with s = 2 or 4 and group = 32, 64, 128 or 256. z is 1; of 8 bits 2, whose sum is the zero. A
 * checkpoint whose groups are larger repeats their scale; tensors.h says which group it gets. Codes of 3 bits are stored as 4: the tiles
 * are faster with them (docs/PERFORMANCE.md). */
#ifndef MXLK_GPTQ_LAYOUT_H
#define MXLK_GPTQ_LAYOUT_H

#include "panel/column.h"

#define MXLK_GPTQ_ZERO_BYTES(bits) ((bits) == 8 ? 2 : 1)
#define MXLK_GPTQ_BLOCK_BYTES(bits, group, scale_bytes) \
  ((scale_bytes) + MXLK_GPTQ_ZERO_BYTES(bits) + (bits) * (group) / 8)

void mxlk_gptq_column_from_blocks(const mxlk_block_format *format, const uint8_t *blocks, int64_t k,
                                  mxlk_column *column);
void mxlk_gptq_blocks_from_column(const mxlk_block_format *format, const mxlk_column *column, int64_t k,
                                  uint8_t *blocks);

#define MXLK_GPTQ_ENCODING(name_, bits_, group_, scale_bytes_, dequantize_, quantize_) \
  {                                                                                    \
      .struct_size = sizeof(mxl_encoding),                                             \
      .dtype = MXL_UINT8,                                                              \
      .name = name_,                                                                   \
      .elements_per_block = group_,                                                    \
      .block_size = MXLK_GPTQ_BLOCK_BYTES(bits_, group_, scale_bytes_),                \
      .dequantize = dequantize_,                                                       \
      .quantize = quantize_,                                                           \
      .largest = 65504.0f,                                                             \
  }

#define MXLK_GPTQ_FORMAT(encoding_, bits_, group_, scale_bytes_) \
  {                                                              \
      .encoding = encoding_,                                     \
      .scheme = MXLK_SCHEME_GROUP,                               \
      .code_bits = bits_,                                        \
      .zero = (bits_) == 8 ? 128 : 0,                            \
      .group = group_,                                           \
      .scale_bytes = scale_bytes_,                               \
      .column_from_blocks = mxlk_gptq_column_from_blocks,        \
      .blocks_from_column = mxlk_gptq_blocks_from_column,        \
  }

#endif

/* GPTQ, 4 bits, regrouped: a checkpoint's qweight, scales and zeros, which lie column by column, as one block for each group of
 * consecutive weights of an output: w = scale (code - zero).
 *
 *   byte   0 .. s - 1            s                s + 1 + i, i in 0 .. group / 2 - 1
 *        [ scale: half, float ][ zero: 0 to 255 ][ high nibble: code of weight 2 i + 1 | low nibble: code of weight 2 i ]
 *
 * with s = 2 or 4 and group = 32, 64, 128 or 256. A checkpoint whose groups are larger repeats their scale; tensors.h says which group
 * it gets. */
#ifndef MXLK_GPTQ_LAYOUT_H
#define MXLK_GPTQ_LAYOUT_H

#define MXLK_GPTQ_BLOCK_BYTES(group, scale_bytes) ((scale_bytes) + 1 + (group) / 2)

#endif

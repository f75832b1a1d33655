/* Codes of any width and packing, a column of x at a time: the outputs side by side, a byte each. What 4 bits in AutoGPTQ's packing do
 * faster by words (codes.h). */
#ifndef MXLK_GPTQ_CODE_ROWS_H
#define MXLK_GPTQ_CODE_ROWS_H

#include "gptq_tensors.h"

/* The codes of column k of x for outputs [first, first + count). first is a multiple of 8. */
void mxlk_gptq_code_row(const mxlk_gptq_tensors *t, int64_t k, int64_t first, int64_t count, uint8_t *row);

/* The zeros of a group, offset included: 0 to 256. */
void mxlk_gptq_zero_row(const mxlk_gptq_tensors *t, int64_t group, int64_t first, int64_t count, uint16_t *row);

/* Outputs taken together: `count` from `first` on exist, the rest of `width`, a multiple of `columns`, have codes of 0. */
typedef struct mxlk_code_block {
  const mxlk_gptq_tensors *tensors;
  int64_t first, count, width, columns;
  int32_t code_bits; /* 2, 4 or 8 */
} mxlk_code_block;

/* The codes of k packed columns from k_begin on, a multiple of 32 and at most a superblock, as the codes of panels (panel.h) that begin
 * panel_bytes apart. width is at most MXLK_MOST_WIDTH. */
void mxlk_gptq_pack_codes(const mxlk_code_block *block, int64_t k_begin, int64_t k, int64_t panel_bytes,
                          uint8_t *panels);

/* The inverse, into a qweight of zeros. */
void mxlk_gptq_unpack_codes(const mxlk_code_block *block, int64_t k_begin, int64_t k, int64_t panel_bytes,
                            const uint8_t *panels, char *qweight);

/* The most outputs taken together: several lines of each row of qweight, and what is known of eight columns of x serves them all. */
#define MXLK_MOST_WIDTH 128

#endif

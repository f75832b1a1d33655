/* Codes and scales of one column, found by search: quantize_search.h under each CPU variant's target attribute. */
#ifndef MXLK_PANEL_QUANTIZE_H
#define MXLK_PANEL_QUANTIZE_H

#include "panel/column.h"

/* values and importance: k, a multiple of the block's elements, at most 256. */
typedef void (*mxlk_column_quantize)(const mxlk_block_format *format, const float *values, const float *importance,
                                     int64_t k, mxlk_column *column);

void mxlk_column_quantize__baseline(const mxlk_block_format *format, const float *values, const float *importance,
                                    int64_t k, mxlk_column *column);
void mxlk_column_quantize__avx2(const mxlk_block_format *format, const float *values, const float *importance,
                                int64_t k, mxlk_column *column);
void mxlk_column_quantize__avx512(const mxlk_block_format *format, const float *values, const float *importance,
                                  int64_t k, mxlk_column *column);

#endif

/* F32: dense float32 weights.
 *
 * Stored: out_dim rows of in_dim little-endian float32. Packed: a superblock of a panel is k lines of panel_columns
 * float32, line j holding weight (column, j) of all the panel's columns, so that one vector load brings the weights
 * that one element of x meets:
 *
 *     line 0    w[0][0]    w[1][0]    ...  w[columns-1][0]
 *     line 1    w[0][1]    w[1][1]    ...  w[columns-1][1]
 *     ...
 *     line k-1  w[0][k-1]  w[1][k-1]  ...  w[columns-1][k-1]
 *
 * Bytes are moved, never converted, unless a clip is set: NaN payloads survive pack and unpack. */
#ifndef MXLK_DENSE_LAYOUT_H
#define MXLK_DENSE_LAYOUT_H

#include "maxlinear.h"

#include <string.h>

_Static_assert(sizeof(float) == 4, "F32 is IEEE binary32");

/* Bytes of one packed superblock. */
static inline size_t mxlk_dense_packed_size(int64_t k, int64_t columns) { return (size_t)k * (size_t)columns * 4; }

/* The weight's bits, clamped to +-clip by compare and select; a NaN compares false and is kept. */
static inline uint32_t mxlk_dense_clipped(uint32_t bits, float clip) {
  float value;
  memcpy(&value, &bits, 4);
  if (value > clip) memcpy(&bits, &clip, 4);
  float low = -clip;
  if (value < low) memcpy(&bits, &low, 4);
  return bits;
}

/* The columns of a panel that the matrix has; the others are padding. */
static inline int64_t mxlk_dense_valid_columns(const mxl_source *source, int64_t panel, int64_t columns) {
  int64_t left = source->out_dim - panel * columns;
  return left < columns ? left : columns;
}

/* The first of k stored weights of a column. */
static inline const char *mxlk_dense_at(const mxl_source *source, int64_t column, int64_t k_begin) {
  return (const char *)source->data + column * source->row_stride + k_begin * 4;
}

#endif

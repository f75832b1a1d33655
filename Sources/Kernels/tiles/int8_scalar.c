/* The int8 arithmetic in portable C: what every other variant returns the bits of. */
#include "tiles/int8.h"

#include "panel/expand.h"

#include <math.h>

enum { columns = 16 };

void mxlk_expand_int8_16__scalar(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  mxlk_expand(row->context, 0, packed, columns, k, expanded);
}

void mxlk_activate_int8__scalar(const float *x, int64_t k, mxlk_activation *out) {
  mxlk_activation_quantize(x, k, out);
}

/* Sum of (code - zero) q over `count` k from k_begin on, of one output. */
static int32_t dot(const uint8_t *codes, const mxlk_activation *x, int64_t column, int64_t k_begin, int64_t count,
                   int zero) {
  int32_t sum = 0;
  for (int64_t k = k_begin; k < k_begin + count; k++)
    sum += (codes[k / 4 * 4 * columns + 4 * column + k % 4] - zero) * x->codes[k];
  return sum;
}

static void block32(const mxl_kernel_row *row, const mxl_tile *tile) {
  int zero = ((const mxlk_block_format *)row->context)->zero;
  const mxlk_activation *x = tile->x;
  const uint8_t *codes = tile->weights;
  const float *d = (const float *)(const void *)(codes + MXL_SUPERBLOCK * columns);
  for (int32_t r = 0; r < tile->rows; r++)
    for (int64_t c = 0; c < columns; c++) {
      float t = 0, *y = tile->y + r * columns + c;
      for (int64_t b = 0; b < tile->k / 32; b++)
        t = fmaf((float)(dot(codes, x + r, c, 32 * b, 32, zero) * (1 << x[r].shifts[b])), d[b * columns + c], t);
      *y = fmaf(t, x[r].alpha, *y);
    }
}

static void block32_min(const mxl_tile *tile) {
  const mxlk_activation *x = tile->x;
  const uint8_t *codes = tile->weights;
  const float *d = (const float *)(const void *)(codes + MXL_SUPERBLOCK * columns), *m = d + 8 * columns;
  for (int32_t r = 0; r < tile->rows; r++)
    for (int64_t c = 0; c < columns; c++) {
      float t = 0, *y = tile->y + r * columns + c;
      for (int64_t b = 0; b < tile->k / 32; b++) {
        t = fmaf((float)(dot(codes, x + r, c, 32 * b, 32, 0) * (1 << x[r].shifts[b])), d[b * columns + c], t);
        t = fmaf((float)x[r].sums32[b], m[b * columns + c], t);
      }
      *y = fmaf(t, x[r].alpha, *y);
    }
}

static void super32(const mxl_tile *tile) {
  const mxlk_activation *x = tile->x;
  const uint8_t *codes = tile->weights;
  const int32_t *scales = (const int32_t *)(const void *)(codes + MXL_SUPERBLOCK * columns);
  const int16_t *minima = (const int16_t *)(scales + 8 * columns);
  const float *d = (const float *)(scales + 12 * columns), *dmin = d + columns;
  for (int32_t r = 0; r < tile->rows; r++)
    for (int64_t c = 0; c < columns; c++) {
      int32_t i = 0, j = 0;
      float *y = tile->y + r * columns + c;
      for (int64_t b = 0; b < 8; b++) {
        i += scales[b * columns + c] * (dot(codes, x + r, c, 32 * b, 32, 0) * (1 << x[r].shifts[b]));
        j += minima[2 * (b / 2 * columns + c) + b % 2] * x[r].sums32[b];
      }
      *y = fmaf(fmaf(-(float)j, dmin[c], (float)i * d[c]), x[r].alpha, *y);
    }
}

/* SUPER16 has 16 sub-blocks, SUPER32_SIX 8. */
static void centred(const mxl_kernel_row *row, const mxl_tile *tile, int64_t blocks) {
  int zero = ((const mxlk_block_format *)row->context)->zero;
  const mxlk_activation *x = tile->x;
  const uint8_t *codes = tile->weights;
  const int32_t *scales = (const int32_t *)(const void *)(codes + MXL_SUPERBLOCK * columns);
  const float *d = (const float *)(const void *)(scales + blocks * columns);
  for (int32_t r = 0; r < tile->rows; r++)
    for (int64_t c = 0; c < columns; c++) {
      int32_t i = 0;
      float *y = tile->y + r * columns + c;
      for (int64_t b = 0; b < blocks; b++) {
        int32_t sum = dot(codes, x + r, c, 256 / blocks * b, 256 / blocks, zero);
        i += scales[b * columns + c] * (sum * (1 << x[r].shifts[8 * b / blocks]));
      }
      *y = fmaf((float)i * d[c], x[r].alpha, *y);
    }
}

static void super16_min(const mxl_tile *tile) {
  const mxlk_activation *x = tile->x;
  const uint8_t *codes = tile->weights;
  const int32_t *scales = (const int32_t *)(const void *)(codes + MXL_SUPERBLOCK * columns);
  const int16_t *minima = (const int16_t *)(scales + 16 * columns);
  const float *d = (const float *)(scales + 24 * columns), *dmin = d + columns;
  for (int32_t r = 0; r < tile->rows; r++)
    for (int64_t c = 0; c < columns; c++) {
      int32_t i = 0, j = 0;
      float *y = tile->y + r * columns + c;
      for (int64_t b = 0; b < 16; b++) {
        int32_t factor = 1 << x[r].shifts[b / 2];
        i += scales[b * columns + c] * (dot(codes, x + r, c, 16 * b, 16, 0) * factor);
        j += minima[2 * (b / 2 * columns + c) + b % 2] * (x[r].sums16[b] * factor);
      }
      *y = fmaf(fmaf(-(float)j, dmin[c], (float)i * d[c]), x[r].alpha, *y);
    }
}

static void group(const mxl_kernel_row *row, const mxl_tile *tile) {
  const mxlk_block_format *format = row->context;
  const int64_t blocks = format->group / 32;
  const mxlk_activation *x = tile->x;
  const uint8_t *codes = tile->weights;
  const float *scales = (const float *)(const void *)(codes + MXL_SUPERBLOCK * columns);
  const int32_t *zeros = (const int32_t *)(const void *)(scales + 8 * columns);
  for (int32_t r = 0; r < tile->rows; r++)
    for (int64_t c = 0; c < columns; c++) {
      float t = 0, *y = tile->y + r * columns + c;
      for (int64_t g = 0; g < tile->k / format->group; g++) {
        int32_t i = 0, sum = 0;
        for (int64_t b = g * blocks; b < (g + 1) * blocks; b++) {
          i += dot(codes, x + r, c, 32 * b, 32, 0) * (1 << x[r].shifts[b]);
          sum += x[r].sums32[b];
        }
        t = fmaf((float)(i - zeros[g * columns + c] * sum), scales[g * columns + c], t);
      }
      *y = fmaf(t, x[r].alpha, *y);
    }
}

void mxlk_linear_expanded_int8_4x16__scalar(const mxl_kernel_row *row, const mxl_tile *tile) {
  switch (((const mxlk_block_format *)row->context)->scheme) {
    case MXLK_SCHEME_BLOCK32:
    case MXLK_SCHEME_BLOCK32_POWER: block32(row, tile); break;
    case MXLK_SCHEME_BLOCK32_MIN: block32_min(tile); break;
    case MXLK_SCHEME_SUPER32: super32(tile); break;
    case MXLK_SCHEME_SUPER16: centred(row, tile, 16); break;
    case MXLK_SCHEME_SUPER16_MIN: super16_min(tile); break;
    case MXLK_SCHEME_SUPER32_SIX: centred(row, tile, 8); break;
    case MXLK_SCHEME_GROUP: group(row, tile); break;
  }
}

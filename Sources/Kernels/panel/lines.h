/* The loop of panel/float32.h, included under each variant's target attribute. */
#ifndef MXLK_PANEL_LINES_H
#define MXLK_PANEL_LINES_H

#include "panel/expand.h"

/* `width` is panel columns, a constant at every call. */
MXLK_INLINE void mxlk_expand_lines(const mxlk_block_format *format, const uint8_t *packed, const int width, int64_t k,
                                   float *restrict lines) {
  _Alignas(64) uint8_t expanded[MXLK_EXPANDED_BYTES(32)];
  mxlk_expand(format, 0, packed, width, k, expanded);
  const uint8_t *codes = expanded;
  const int32_t *scales = (const int32_t *)(const void *)(expanded + MXL_SUPERBLOCK * width);
  const float *d32 = (const float *)(const void *)scales, *d = (const float *)(scales + 16 * width);
  if (format->scheme == MXLK_SCHEME_SUPER32) d = (const float *)(scales + 12 * width);
  if (format->scheme == MXLK_SCHEME_SUPER16_MIN) d = (const float *)(scales + 24 * width);
  if (format->scheme == MXLK_SCHEME_SUPER32_SIX) d = (const float *)(scales + 8 * width);
  const int16_t *minima = (const int16_t *)(scales + (format->scheme == MXLK_SCHEME_SUPER16_MIN ? 16 : 8) * width);
  for (int64_t b = 0; b < k / 16; b++) {
    float factor[32], offset[32];
    int32_t zero[32];
    for (int c = 0; c < width; c++) {
      offset[c] = 0;
      zero[c] = format->zero;
      if (format->scheme == MXLK_SCHEME_BLOCK32 || format->scheme == MXLK_SCHEME_BLOCK32_POWER) {
        factor[c] = d32[b / 2 * width + c];
      } else if (format->scheme == MXLK_SCHEME_BLOCK32_MIN) {
        factor[c] = d32[b / 2 * width + c];
        offset[c] = -d32[(8 + b / 2) * width + c];
      } else if (format->scheme == MXLK_SCHEME_SUPER32) {
        factor[c] = d[c] * (float)scales[b / 2 * width + c];
        offset[c] = d[width + c] * (float)minima[2 * (b / 4 * width + c) + b / 2 % 2];
      } else if (format->scheme == MXLK_SCHEME_SUPER16_MIN) {
        factor[c] = d[c] * (float)scales[b * width + c];
        offset[c] = d[width + c] * (float)minima[2 * (b / 2 * width + c) + b % 2];
      } else if (format->scheme == MXLK_SCHEME_SUPER32_SIX) {
        factor[c] = d[c] * (float)scales[b / 2 * width + c];
      } else if (format->scheme == MXLK_SCHEME_GROUP) {
        factor[c] = d32[16 * b / format->group * width + c];
        zero[c] = scales[(8 + 16 * b / format->group) * width + c];
      } else {
        factor[c] = d[c] * (float)scales[b * width + c];
      }
    }
    for (int64_t j = 16 * b; j < 16 * b + 16; j++)
      for (int c = 0; c < width; c++) {
        float value = factor[c] * (float)(codes[j / 4 * 4 * width + 4 * c + j % 4] - zero[c]);
        lines[j * width + c] = mxlk_has_offsets(format->scheme) ? value - offset[c] : value;
      }
  }
}

#endif

/* Panels of block encodings: packing, its inverse, and the layout both share with expand.h. */
#include "panel/panel.h"

#include <string.h>

/* Bytes of one column's superblock in stored blocks. */
static int64_t stored_bytes(const mxlk_block_format *format, int64_t k) {
  return k / format->encoding->elements_per_block * format->encoding->block_size;
}

static uint8_t *stored_blocks(const mxlk_block_format *format, const mxl_source *source, int64_t row, int64_t k_begin) {
  return (uint8_t *)source->data + row * source->row_stride + stored_bytes(format, k_begin);
}

mxlk_panel_layout mxlk_panel_layout_of(const mxlk_block_format *format, int64_t columns, int64_t k) {
  mxlk_panel_layout layout = {.high = k * columns * (format->code_bits == 8 ? 8 : 4) / 8};
  layout.scales = layout.high + (format->code_bits == 8 ? 0 : k * columns * (format->code_bits - 4) / 8);
  switch (format->scheme) {
    case MXLK_SCHEME_BLOCK32:
      layout.minima = layout.d = layout.scales;
      layout.bytes = layout.d + k / 32 * columns * 2;
      break;
    case MXLK_SCHEME_SUPER32:
      layout.minima = layout.scales + 8 * columns;
      layout.d = layout.minima + 8 * columns;
      layout.bytes = layout.d + 4 * columns;
      break;
    case MXLK_SCHEME_SUPER16:
      layout.minima = layout.d = layout.scales + 16 * columns;
      layout.bytes = layout.d + 2 * columns;
      break;
    case MXLK_SCHEME_GROUP:
      layout.minima = layout.scales;
      layout.d = layout.minima + mxlk_group_count(format, k) * columns;
      layout.bytes = layout.d + mxlk_group_count(format, k) * columns * format->scale_bytes;
      break;
  }
  layout.bytes = (layout.bytes + 63) / 64 * 64;
  return layout;
}

/* Halves of d in a column of k codes. */
static int d_count(const mxlk_block_format *format, int64_t k) {
  if (format->scheme == MXLK_SCHEME_BLOCK32) return (int)(k / 32);
  if (format->scheme == MXLK_SCHEME_GROUP) return 0;
  return format->scheme == MXLK_SCHEME_SUPER32 ? 2 : 1;
}

/* Puts a column's codes and scales where they belong in a zeroed panel. */
static void put_column(const mxlk_block_format *format, const mxlk_panel_layout *layout, int64_t columns, int64_t k,
                       const mxlk_column *column, int64_t index, uint8_t *packed) {
  for (int64_t i = 0; i < k; i++) {
    int64_t group = i / 4, lane = index * 4 + i % 4;
    uint8_t code = column->codes[i];
    if (format->code_bits == 8) {
      packed[group * 4 * columns + lane] = code;
      continue;
    }
    packed[group / 2 * 4 * columns + lane] |= (uint8_t)((code & 15) << (4 * (group % 2)));
    if (format->code_bits == 5)
      packed[layout->high + group / 8 * 4 * columns + lane] |= (uint8_t)(code >> 4 << group % 8);
    if (format->code_bits == 6)
      packed[layout->high + group / 4 * 4 * columns + lane] |= (uint8_t)(code >> 4 << (2 * (group % 4)));
  }
  if (format->scheme == MXLK_SCHEME_SUPER32)
    for (int b = 0; b < 8; b++) {
      packed[layout->scales + b * columns + index] = column->scales[b];
      packed[layout->minima + b * columns + index] = column->minima[b];
    }
  if (format->scheme == MXLK_SCHEME_SUPER16)
    for (int b = 0; b < 16; b++) packed[layout->scales + b * columns + index] = column->scales[b];
  for (int b = 0; b < d_count(format, k); b++) memcpy(packed + layout->d + 2 * (b * columns + index), &column->d[b], 2);
  if (format->scheme == MXLK_SCHEME_GROUP)
    for (int64_t g = 0; g < mxlk_group_count(format, k); g++) {
      packed[layout->minima + g * columns + index] = column->minima[g];
      mxlk_group_scale_store(format, column->group_scales[g],
                             packed + layout->d + format->scale_bytes * (g * columns + index));
    }
}

static void take_column(const mxlk_block_format *format, const mxlk_panel_layout *layout, int64_t columns, int64_t k,
                        mxlk_column *column, int64_t index, const uint8_t *packed) {
  for (int64_t i = 0; i < k; i++) {
    int64_t group = i / 4, lane = index * 4 + i % 4;
    if (format->code_bits == 8) {
      column->codes[i] = packed[group * 4 * columns + lane];
      continue;
    }
    int high = 0;
    if (format->code_bits == 5) high = packed[layout->high + group / 8 * 4 * columns + lane] >> group % 8 & 1;
    if (format->code_bits == 6) high = packed[layout->high + group / 4 * 4 * columns + lane] >> (2 * (group % 4)) & 3;
    int low = packed[group / 2 * 4 * columns + lane] >> (4 * (group % 2)) & 15;
    column->codes[i] = (uint8_t)(high << 4 | low);
  }
  if (format->scheme == MXLK_SCHEME_SUPER32)
    for (int b = 0; b < 8; b++) {
      column->scales[b] = packed[layout->scales + b * columns + index];
      column->minima[b] = packed[layout->minima + b * columns + index];
    }
  if (format->scheme == MXLK_SCHEME_SUPER16)
    for (int b = 0; b < 16; b++) column->scales[b] = packed[layout->scales + b * columns + index];
  for (int b = 0; b < d_count(format, k); b++) memcpy(&column->d[b], packed + layout->d + 2 * (b * columns + index), 2);
  if (format->scheme == MXLK_SCHEME_GROUP)
    for (int64_t g = 0; g < mxlk_group_count(format, k); g++) {
      column->minima[g] = packed[layout->minima + g * columns + index];
      column->group_scales[g] =
          mxlk_group_scale_load(format, packed + layout->d + format->scale_bytes * (g * columns + index));
    }
}

void mxlk_panel_pack(const mxlk_block_format *format, int64_t columns, const mxl_source *source, int64_t panel,
                     int64_t k_begin, int64_t k, uint8_t *packed) {
  mxlk_panel_layout layout = mxlk_panel_layout_of(format, columns, k);
  memset(packed, 0, (size_t)layout.bytes);
  for (int64_t c = 0; c < columns && panel * columns + c < source->out_dim; c++) {
    mxlk_column column;
    format->column_from_blocks(format, stored_blocks(format, source, panel * columns + c, k_begin), k, &column);
    put_column(format, &layout, columns, k, &column, c, packed);
  }
}

void mxlk_panel_unpack(const mxlk_block_format *format, int64_t columns, const uint8_t *packed, int64_t panel,
                       int64_t k_begin, int64_t k, const mxl_source *destination) {
  mxlk_panel_layout layout = mxlk_panel_layout_of(format, columns, k);
  for (int64_t c = 0; c < columns && panel * columns + c < destination->out_dim; c++) {
    mxlk_column column;
    take_column(format, &layout, columns, k, &column, c, packed);
    format->blocks_from_column(format, &column, k, stored_blocks(format, destination, panel * columns + c, k_begin));
  }
}

/* Panels of block encodings: packing, its inverse, and the layout both share with expand.h. */
#include "panel/pack_loops.h"

mxlk_panel_layout mxlk_panel_layout_of(const mxlk_block_format *format, int64_t columns, int64_t k) {
  const int low_bits = mxlk_low_bits(format->code_bits);
  mxlk_panel_layout layout = {.high = k * columns * low_bits / 8};
  layout.scales = layout.high + k * columns * (format->code_bits - low_bits) / 8;
  switch (format->scheme) {
    case MXLK_SCHEME_BLOCK32:
      layout.minima = layout.d = layout.scales;
      layout.bytes = layout.d + k / 32 * columns * 2;
      break;
    case MXLK_SCHEME_BLOCK32_MIN:
      layout.d = layout.scales;
      layout.minima = layout.d + k / 32 * columns * 2;
      layout.bytes = layout.minima + k / 32 * columns * 2;
      break;
    case MXLK_SCHEME_SUPER32:
      layout.minima = layout.scales + 8 * columns;
      layout.d = layout.minima + 8 * columns;
      layout.bytes = layout.d + 4 * columns;
      break;
    case MXLK_SCHEME_SUPER16:
      layout.minima = layout.d = layout.scales + 2 * format->scale_bits * columns;
      layout.bytes = layout.d + 2 * columns;
      break;
    case MXLK_SCHEME_SUPER16_MIN:
      layout.minima = layout.scales;
      layout.d = layout.scales + 16 * columns;
      layout.bytes = layout.d + 4 * columns;
      break;
    case MXLK_SCHEME_BLOCK32_POWER:
      layout.minima = layout.d = layout.scales;
      layout.bytes = layout.d + k / 32 * columns;
      break;
    case MXLK_SCHEME_SUPER32_SIX:
      layout.minima = layout.d = layout.scales + 6 * columns;
      layout.bytes = layout.d + 2 * columns;
      break;
    case MXLK_SCHEME_GROUP:
      layout.minima = layout.scales;
      layout.d = layout.minima + mxlk_group_count(format, k) * columns * (format->code_bits == 8 ? 2 : 1);
      layout.bytes = layout.d + mxlk_group_count(format, k) * columns * format->scale_bytes;
      break;
  }
  /* Whole lines; where scales are so few that filling up a line would show, whole vectors. */
  const int64_t unit = format->scheme == MXLK_SCHEME_GROUP && columns == 16 ? 32 : 64;
  layout.bytes = (layout.bytes + unit - 1) / unit * unit;
  return layout;
}

void mxlk_panel_pack(const mxlk_block_format *format, int64_t columns, const mxl_source *source, int64_t panel,
                     int64_t k_begin, int64_t k, uint8_t *packed) {
  mxlk_panel_pack_loop(format, columns, source, panel, k_begin, k, packed);
}

void mxlk_panel_unpack(const mxlk_block_format *format, int64_t columns, const uint8_t *packed, int64_t panel,
                       int64_t k_begin, int64_t k, const mxl_source *destination) {
  mxlk_panel_unpack_loop(format, columns, packed, panel, k_begin, k, destination);
}

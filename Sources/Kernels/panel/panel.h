/* Panels of block encodings: `columns` outputs side by side, superblock after superblock.
 *
 * Four consecutive codes of one output lie together, the outputs of the panel follow one another: a group of 4 k is
 * 4 * columns bytes, lane = 4 * output + k % 4. That is what vpdpbusd and vpmaddubsw want: one broadcast of 4 activations meets
 * the codes of 16 (512 bits) or 8 (256 bits) outputs.
 *
 * Packed superblock, g counts groups of 4 k:
 *
 *   low      code_bits 4, 5, 6: byte [g / 2][lane] = low nibble of group 2 (g / 2) | of group 2 (g / 2) + 1 << 4
 *            code_bits 2, 3: byte [g / 4][lane], low two bits of group g as bits 2 (g % 4)
 *            code_bits = 8: byte [g][lane]
 *   high     3, 5 bits: byte [g / 8][lane], bit g % 8;  6 bits: byte [g / 4][lane], bits 2 (g % 4)
 *   scales   bytes [b][output];  minima likewise, under SUPER16_MIN in the scales' upper nibbles; scales of 6 bits are 12 bytes an output
 *   d        halves [b][output]; under BLOCK32_MIN the minima are halves too, behind them
 *   BLOCK32_POWER  no scales; d are bytes, mxlk_power says of what
 *   SUPER32_SIX    scales as stored, six bytes: [b / 2][output] low nibbles of two, then [b / 4][output] high bits of four
 *   GROUP    minima are the zeros [group][output], bytes, of 8 bits two bytes to be added; d the scales [group][output], halves or floats
 *
 * Expanded superblock, in a thread's cache while all rows of x pass over it:
 *
 *   codes    byte [g][lane], room for 256 k; what the table says where the format has one
 *   then     BLOCK32, BLOCK32_POWER: float d[8][output]
 *            BLOCK32_MIN: float d[8][output], float m[8][output]
 *            SUPER32: int32 sc[8][output], int16 m[4][output][2], float d[output], float dmin[output]
 *            SUPER16: int32 sc[16][output], float d[output]
 *            SUPER16_MIN: int32 sc[16][output], int16 m[8][output][2], float d[output], float dmin[output]
 *            SUPER32_SIX: int32 sc[8][output], float d[output]
 *            GROUP: float scale[8][output], int32 zero[8][output], as many of the 8 as there are groups
 *
 * For kernels that take two sub-blocks together (tiles/int8_joined.h) sc of SUPER32, SUPER16 and SUPER16_MIN are int16 [b / 2][output][2], that of b + 1
 * first; the lines behind them, which would have the others, are not used.
 *
 * For kernels that want scales for each shift (tiles/int8_pairs.h) d[b] of BLOCK32 and BLOCK32_MIN, and sc[b] of the schemes that have one but
 * SUPER32_SIX, are four lines [b][s][output]: d 2^s, or sc 2^s as an int16 below a 0; and behind those of SUPER32 stand
 * int16 z sc[4][output][2], z = 8 or 16 what its codes are centred at.
 */
#ifndef MXLK_PANEL_PANEL_H
#define MXLK_PANEL_PANEL_H

#include "panel/column.h"

/* Bits of a code in `low`; the rest are in `high`. */
static inline int mxlk_low_bits(int code_bits) { return code_bits == 8 ? 8 : code_bits < 4 ? 2 : 4; }

/* Byte offsets in a packed superblock; the codes begin at 0. */
typedef struct mxlk_panel_layout {
  int64_t high, scales, minima, d, bytes;
} mxlk_panel_layout;

mxlk_panel_layout mxlk_panel_layout_of(const mxlk_block_format *format, int64_t columns, int64_t k);

void mxlk_panel_pack(const mxlk_block_format *format, int64_t columns, const mxl_source *source, int64_t panel,
                     int64_t k_begin, int64_t k, uint8_t *packed);
void mxlk_panel_unpack(const mxlk_block_format *format, int64_t columns, const uint8_t *packed, int64_t panel,
                       int64_t k_begin, int64_t k, const mxl_source *destination);
#ifdef __x86_64__
void mxlk_panel_pack__avx2(const mxlk_block_format *format, int64_t columns, const mxl_source *source, int64_t panel,
                           int64_t k_begin, int64_t k, uint8_t *packed);
void mxlk_panel_unpack__avx2(const mxlk_block_format *format, int64_t columns, const uint8_t *packed, int64_t panel,
                             int64_t k_begin, int64_t k, const mxl_source *destination);
#endif

/* Byte offsets in an expanded superblock, with `copies` lines of each scale: 1, or 4. */
typedef struct mxlk_expanded_layout {
  int64_t scales, corrections, minima, d;
} mxlk_expanded_layout;

/* Whether a scheme's scales may come in several copies. */
static inline int mxlk_scales_copied(mxlk_scheme scheme) {
  return scheme != MXLK_SCHEME_SUPER32_SIX && scheme != MXLK_SCHEME_BLOCK32_POWER && scheme != MXLK_SCHEME_GROUP;
}

static inline mxlk_expanded_layout mxlk_expanded_layout_of(mxlk_scheme scheme, int64_t columns, int64_t copies) {
  mxlk_expanded_layout layout = {.scales = MXL_SUPERBLOCK * columns};
  int64_t line = 4 * columns, lines = mxlk_scales_copied(scheme) ? 8 * copies : 8;
  if (scheme == MXLK_SCHEME_SUPER16 || scheme == MXLK_SCHEME_SUPER16_MIN) lines *= 2;
  layout.corrections = layout.minima = layout.d = layout.scales + lines * line;
  switch (scheme) {
    case MXLK_SCHEME_BLOCK32:
    case MXLK_SCHEME_BLOCK32_POWER:
    case MXLK_SCHEME_BLOCK32_MIN:
    case MXLK_SCHEME_GROUP: layout.d = layout.scales; break;
    case MXLK_SCHEME_SUPER32:
      layout.minima += copies > 1 ? 4 * line : 0;
      layout.d = layout.minima + 4 * line;
      break;
    case MXLK_SCHEME_SUPER16_MIN: layout.d = layout.minima + 8 * line; break;
    case MXLK_SCHEME_SUPER16:
    case MXLK_SCHEME_SUPER32_SIX: break;
  }
  return layout;
}

/* Bytes of an expanded superblock of any scheme: codes, and at most 104 bytes of scales an output. */
#define MXLK_EXPANDED_BYTES(columns) ((MXL_SUPERBLOCK + 104) * (columns))
/* The same with four lines of each scale. */
#define MXLK_EXPANDED_SHIFTS_BYTES(columns) ((MXL_SUPERBLOCK + 296) * (columns))

#endif

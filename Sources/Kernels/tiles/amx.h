/* AMX's tile registers. Included under a target attribute that has amx-tile. */
#ifndef MXLK_TILES_AMX_H
#define MXLK_TILES_AMX_H

#include <stdint.h>

/* The operand of ldtilecfg. */
typedef struct mxlk_amx_palette {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} mxlk_amx_palette;

_Static_assert(sizeof(mxlk_amx_palette) == 64, "as the instruction reads it");

/* The first `sums` tiles are sums, row_count by 16 of 32 bits; then come `xs` tiles of x, row_count of k_bytes; the others are weights, groups of
 * 4 bytes of k by 16 outputs. */
#define MXLK_AMX_CONFIGURE(sums, xs, row_count, k_bytes)                                             \
  do {                                                                                               \
    mxlk_amx_palette palette = {.palette = 1};                                                       \
    for (int tile = 0; tile < 8; tile++) {                                                           \
      palette.rows[tile] = (uint8_t)(tile < (sums) + (xs) ? (row_count) : (k_bytes) / 4);            \
      palette.row_bytes[tile] = (uint16_t)(tile >= (sums) && tile < (sums) + (xs) ? (k_bytes) : 64); \
    }                                                                                                \
    _tile_loadconfig(&palette);                                                                      \
  } while (0)

/* Stands between two instructions that load tiles or multiply them. Where another program keeps the core's other hyperthread busy, such instructions
 * one behind the other take two to four times as long, and with eight others between half of that; alone, these fit into the cycles that a tile takes. */
#define MXLK_AMX_APART() __asm__ volatile(".rept 8\n\tnopw 0(%%rax,%%rax,1)\n\t.endr" ::)

#endif

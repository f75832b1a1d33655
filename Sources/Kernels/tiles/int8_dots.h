/* Sums of vpdpbusd's products. Included behind int8_schemes.h; the variant defines
 *
 *   enum { broadcasts_again }   1: the dots of every second row broadcast x from memory, each by itself
 *
 * where its instructions can. A broadcast into a register, which the row's vectors share, takes a vector port on AMD's processors, one that an
 * instruction does itself takes a load more. */
#ifndef MXLK_TILES_INT8_DOTS_H
#define MXLK_TILES_INT8_DOTS_H

#include "tiles/settle.h"

/* dots += the four products of codes and q, an output each. */
static ints add_four_products(ints dots, bytes codes, ints q);

/* dots[r][v] += sum of code q over `groups` groups of 4 k from `first` on. */
MXLK_INLINE void add_dots(const int rows, const weights *w, int64_t p, const x_row *x, int64_t first, const int groups,
                          ints dots[][vectors]) {
  const x_row *again = x;
  if (broadcasts_again) MXLK_FORGET(again);
#pragma clang loop unroll(full)
  for (int g = 0; g < groups; g++) {
    bytes codes[vectors];
    for (int v = 0; v < vectors; v++) codes[v] = codes_at(w, p, first + g, v);
    prefetch_at(w, p, first + g);
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++) {
        int32_t four;
        memcpy(&four, (v > 0 && r % 2 == 1 ? again : x)[r].codes + (first + g) * 4, 4);
        dots[r][v] = add_four_products(dots[r][v], codes[v], every(four));
      }
    /* Else the compiler takes up the next groups, or the scales, before it ends this one, and spills what it has. */
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++) MXLK_SETTLE(dots[r][v]);
    MXLK_SETTLE_MEMORY();
  }
}

#endif

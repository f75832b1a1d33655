/* The int8 schemes on vpdpbusd, which adds four products of an unsigned code and a signed activation to each output in 32 bits. A variant's
 * file includes this as it would int8_schemes.h, and has behind it what its instructions are. */
#ifndef MXLK_TILES_INT8_VNNI_H
#define MXLK_TILES_INT8_VNNI_H

#include "tiles/int8_schemes.h"
#include "tiles/settle.h"

/* dots += the four products of codes and q, an output each. */
static ints add_four_products(ints dots, bytes codes, ints q);

/* value << shift in every lane. */
static ints shifted(ints value, int32_t shift);

/* starts: -zero S, where the accumulators begin; factors: the shifts. */
MXLK_INLINE void words_of(const int scaled, const int blocks, const int code_bits, const mxlk_activation *x, int zero,
                          row_words *words) {
  (void)scaled, (void)code_bits;
  for (int b = 0; b < 8; b++) words->factors[b] = x->shifts[b];
  for (int b = 0; b < blocks; b++)
    words->starts[b] = -zero * (blocks == 16 ? x->sums16[b] : x->sums16[2 * b] + x->sums16[2 * b + 1]);
}

/* dots[r][v] += sum of code q over `groups` groups of 4 k from `first` on. */
MXLK_INLINE void add_dots(const int rows, const weights *w, int64_t p, const mxlk_activation *x, int64_t first,
                          const int groups, ints dots[][vectors]) {
#pragma clang loop unroll(full)
  for (int g = 0; g < groups; g++) {
    bytes codes[vectors];
    for (int v = 0; v < vectors; v++) codes[v] = codes_at(w, p, first + g, v);
    prefetch_at(w, p, first + g);
    for (int r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, x[r].codes + (first + g) * 4, 4);
      for (int v = 0; v < vectors; v++) dots[r][v] = add_four_products(dots[r][v], codes[v], every(four));
    }
    /* Else the compiler takes up the next groups, or the scales, before it ends this one, and spills what it has. */
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++) MXLK_SETTLE(dots[r][v]);
    MXLK_SETTLE_MEMORY();
  }
}

MXLK_INLINE void block_dots(const int rows, const int centred, const weights *w, int64_t p, const mxlk_activation *x,
                            const row_words *words, int64_t b, ints dots[][vectors]) {
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) dots[r][v] = centred ? every(words[r].starts[b]) : (ints){};
  add_dots(rows, w, p, x, 8 * b, 8, dots);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) dots[r][v] = shifted(dots[r][v], words[r].factors[b]);
}

MXLK_INLINE void add_scaled_dots(const int rows, const mxlk_scheme scheme, const weights *w, int64_t p,
                                 const mxlk_activation *x, const row_words *words, int64_t b, ints sums[][vectors]) {
  const int blocks = blocks_of(scheme);
  ints dots[tile_rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) dots[r][v] = is_centred(scheme) ? every(words[r].starts[b]) : (ints){};
  add_dots(rows, w, p, x, 64 / blocks * b, 64 / blocks, dots);
  for (int v = 0; v < vectors; v++) {
    ints scale = scale_at(scheme, w, p, b, v);
    for (int r = 0; r < rows; r++)
      sums[r][v] += shifted(dots[r][v], words[r].factors[blocks == 16 ? b / 2 : b]) * scale;
  }
}

#endif

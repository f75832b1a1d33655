/* The int8 schemes on vpdpbusd, which adds four products of an unsigned code and a signed activation to each output in 32 bits. A variant's
 * file includes this as it would int8_schemes.h, and has behind it what its instructions are. */
#ifndef MXLK_TILES_INT8_VNNI_H
#define MXLK_TILES_INT8_VNNI_H

#include "tiles/int8_records.h"

#include "tiles/int8_dots.h"

/* value << shift in every lane. */
static ints shifted(ints value, int32_t shift);

/* starts: -zero S, where the accumulators begin; factors: the shifts. */
MXLK_INLINE void fill_starts_and_shifts(const int blocks, const x_row *x, int zero, row_words *words) {
  for (int b = 0; b < 8; b++) words->factors[b] = x->shifts[b];
  for (int b = 0; b < blocks; b++)
    words->starts[b] = -zero * (blocks == 16 ? x->sums16[b] : x->sums16[2 * b] + x->sums16[2 * b + 1]);
}

MXLK_INLINE void block_dots(const int rows, const int centred, const weights *w, int64_t p, const x_row *x,
                            const row_words *words, int64_t b, ints dots[][vectors]) {
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) dots[r][v] = centred ? every(words[r].starts[b]) : (ints){};
  add_dots(rows, w, p, x, 8 * b, 8, dots);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) dots[r][v] = shifted(dots[r][v], words[r].factors[b]);
}

/* add_scaled_dots of one sub-block. */
MXLK_INLINE void add_shifted_dots(const int rows, const mxlk_scheme scheme, const weights *w, int64_t p, const x_row *x,
                                  const row_words *words, int64_t b, ints sums[][vectors]) {
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

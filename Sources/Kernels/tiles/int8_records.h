/* The int8 schemes on activation records (activation/int8.h): what a tile makes of them. A variant includes this in place of int8_schemes.h, and
 * has fill_words behind. One that defines MXLK_JOINS_SUMS has a row of x as int8_joined.h says, and is_wide and sub_blocks_at_once of its own. */
#ifndef MXLK_TILES_INT8_RECORDS_H
#define MXLK_TILES_INT8_RECORDS_H

#include "tiles/int8_weights.h"

#ifdef MXLK_JOINS_SUMS
typedef mxlk_joined_activation x_row;
#else
typedef mxlk_activation x_row;
#endif

/* What a superblock of one row of x brings to its dots, ready to be broadcast. What starts and factors are is the variant's own. */
typedef struct row_words {
  int32_t starts[16];
  int32_t factors[8];
  int32_t pairs
      [8]; /* SUPER16_MIN: S << s of the sub-blocks 2 p and 2 p + 1 as a pair of int16; GROUP: the sum of S << s over each group */
  /* Where sums are joined, of the sub-blocks 2 p and 2 p + 1: starts[p] is the first one's, then 2^15 + the second one's, and s of the first above that of
   * the second. */
  int32_t joined_starts[8], shift_pairs[8];
} row_words;

#include "tiles/int8_schemes.h"

/* Starts and factors of the superblock's sub-blocks: 8 of 32 columns or 16 of 16 (`blocks`). scaled: for add_scaled_dots, else for block_dots. joined: for
 * sums that are joined, which have no factors. */
static void fill_words(const int scaled, const int joined, const int blocks, const int code_bits, const x_row *x,
                       int zero, row_words *words);

/* The pairs of a row's words. */
MXLK_INLINE void pairs_of(const x_row *x, row_words *words) {
  typedef int16_t shorts16 __attribute__((vector_size(32)));
  typedef int32_t ints8 __attribute__((vector_size(32)));
  typedef uint8_t bytes8 __attribute__((vector_size(8)));
  bytes8 shifts;
  shorts16 sums;
  memcpy(&shifts, x->shifts, sizeof shifts);
  memcpy(&sums, x->sums16, sizeof sums);
  ints8 factors = (0x10001 - (ints8){}) << __builtin_convertvector(shifts, ints8);
  sums *= (shorts16)factors;
  memcpy(words->pairs, &sums, sizeof sums);
}

MXLK_INLINE void group_sums_of(const weights *w, const x_row *x, row_words *words) {
  typedef int16_t shorts8 __attribute__((vector_size(16)));
  typedef int32_t ints8 __attribute__((vector_size(32)));
  shorts8 each;
  memcpy(&each, x->sums32, sizeof each);
  ints8 sums = __builtin_convertvector(each, ints8);
  for (int size = 32; size < w->group; size *= 2)
    sums = __builtin_shufflevector(sums, sums, 0, 2, 4, 6, 0, 2, 4, 6) +
           __builtin_shufflevector(sums, sums, 1, 3, 5, 7, 1, 3, 5, 7);
  memcpy(words->pairs, &sums, sizeof sums);
}

#ifndef MXLK_JOINS_SUMS
MXLK_INLINE int sub_blocks_at_once(const mxlk_scheme scheme, const int code_bits, const int packed, const int rows) {
  (void)scheme, (void)code_bits, (void)packed, (void)rows;
  return 1;
}

MXLK_INLINE int is_wide(const mxlk_scheme scheme, const weights *w, const int rows, const x_row *x) {
  (void)scheme, (void)w, (void)rows, (void)x;
  return 0;
}
#endif

MXLK_INLINE void words_of(const mxlk_scheme scheme, const weights *w, const x_row *x, int zero, row_words *words) {
  const int blocks = blocks_of(scheme);
  const int scaled = scheme == MXLK_SCHEME_SUPER32 || scheme == MXLK_SCHEME_SUPER32_SIX || blocks == 16;
  fill_words(scaled, w->at_once == 2 && !w->wide, blocks, w->code_bits, x, zero, words);
  if (scheme == MXLK_SCHEME_SUPER16_MIN) pairs_of(x, words);
  if (scheme == MXLK_SCHEME_GROUP) group_sums_of(w, x, words);
}

MXLK_INLINE void add_block_dots(const int rows, const int centred, const weights *w, int64_t p, const x_row *x,
                                const row_words *words, int64_t b, ints sums[][vectors]) {
  ints dots[tile_rows][vectors];
  block_dots(rows, centred, w, p, x, words, b, dots);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) sums[r][v] += dots[r][v];
}

MXLK_INLINE void complete_sums(const int rows, const int blocks, const weights *w, int64_t p, int v, const x_row *x,
                               const row_words *words, ints sums[][vectors]) {
  (void)rows, (void)blocks, (void)w, (void)p, (void)v, (void)x, (void)words, (void)sums;
}

MXLK_INLINE floats d_of_row(const weights *w, int64_t b, int v, const x_row *x, floats d) {
  (void)w, (void)b, (void)v, (void)x;
  return d;
}

MXLK_INLINE float sum_of_row(const x_row *x, int64_t b) { return x->sums32[b]; }

MXLK_INLINE int32_t pair_of_row(const int blocks, const x_row *x, const row_words *words, int i) {
  int32_t pair = words->pairs[i];
  if (blocks == 8) memcpy(&pair, x->sums32 + 2 * i, 4);
  return pair;
}

MXLK_INLINE int32_t group_sum_of_row(const x_row *x, const row_words *words, int64_t g) {
  (void)x;
  return words->pairs[g];
}

MXLK_INLINE ints zeros_product(const int code_bits, ints zeros, const x_row *x, const row_words *words, int64_t g) {
  (void)code_bits;
  return zeros * -group_sum_of_row(x, words, g);
}

/* Of 8 bits, as AVX2 has them. */
MXLK_INLINE int group_center(const int code_bits) { return code_bits == 8 ? 128 : 0; }

#endif

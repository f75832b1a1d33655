/* int8 tiles on 256 bits: 4 rows of x, 16 outputs as two vectors of 8.
 *
 * vpmaddubsw adds two products of an unsigned code and a signed activation in 16 bits, and vpaddw adds such sums modulo 2^16, so that only
 * the last sum must fit. vpmaddwd then multiplies by what the sub-block's sum is to be multiplied with anyway, 2^s or sc 2^s, and adds the
 * two halves of an output. So the products' port, of which there is one on many CPUs, does for each row, vector and superblock
 *
 *   2 bits  codes not centred: 3 * 127 * 8 = 3048                     64 + 16, and 8 for the minima
 *   3 bits  begun at -4 q: 4 * 127 * 8 = 4064                         64 + 16
 *   4 bits  codes not centred: 15 * 127 * 16 = 30480                  64 + 8 vpmaddwd
 *   5 bits  31 * 127 * 8 = 31496, so two sums a sub-block             64 + 16
 *   6 bits  begun at -32 q, each half its own: 32 * 127 * 8 = 32512   64 + 16
 *   MXFP4   as 6 bits, begun at -12 q: 12 * 127 * 16 = 24384          64 + 8
 *   8 bits  |w| meets q with the sign of w: 128 * 127 * 2 = 32512     64 + 64
 *
 * and for SUPER32 4 more for the minima. */
#include "tiles/int8.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define MXLK_CONVERTS_HALVES
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

enum { lanes = 8, vectors = 2, tile_rows = 4, most_panels = 4, scale_copies = 1, x_lines_apart = 1 };

#include "tiles/int8_records.h"

void mxlk_expand_int8_16__avx2(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  mxlk_expand(row->context, 0, packed, columns, k, expanded);
}

void mxlk_activate_int8__avx2(const float *x, int64_t k, mxlk_activation *out) { mxlk_activation_quantize(x, k, out); }

/* starts: of 32 columns, -zero (S_b << s_b), added to the shifted dots; of 16 columns and for codes of 6 bits, -zero S for the halves that a
 * vector of pairs has, where the pairs begin. factors: s_b where there are scales to be shifted, else 2^s_b in both halves. */
MXLK_INLINE void fill_words(const int scaled, const int joined, const int blocks, const int code_bits, const x_row *x,
                            int zero, row_words *words) {
  (void)joined;
  int16_t starts[32];
  if (blocks == 8 && code_bits == 6) {
    for (int i = 0; i < 16; i++)
      starts[i] = (int16_t)(-zero * (x->lanes16[i / 2 * 4 + i % 2] + x->lanes16[i / 2 * 4 + 2 + i % 2]));
    memcpy(words->starts, starts, 32);
  } else if (blocks == 8) {
    for (int b = 0; b < 8; b++) words->starts[b] = -zero * x->sums32[b];
  } else {
    for (int i = 0; i < 32; i++) starts[i] = (int16_t)(-zero * x->lanes16[i]);
    memcpy(words->starts, starts, sizeof starts);
  }
  for (int b = 0; b < 8; b++) words->factors[b] = scaled ? x->shifts[b] : 0x10001 << x->shifts[b];
}

MXLK_INLINE bytes looked_up(const uint8_t *table, bytes codes) {
  __m128i entries;
  memcpy(&entries, table, sizeof entries);
  return (bytes)_mm256_shuffle_epi8(_mm256_broadcastsi128_si256(entries), (__m256i)codes);
}

MXLK_INLINE ints add_pair_products(ints j, ints a, ints b) {
  return j + (ints)_mm256_madd_epi16((__m256i)a, (__m256i)b);
}

MXLK_INLINE __m256i activations_at(const x_row *x, int64_t group) {
  int32_t four;
  memcpy(&four, x->codes + group * 4, 4);
  return _mm256_set1_epi32(four);
}

/* What the products of a group of 4 k do to the pairs. */
enum { add, begin, begin_centred };

MXLK_INLINE void add_group(const int rows, const int does, const weights *w, int64_t p, const x_row *x, int64_t group,
                           const row_words *words, int64_t b, __m256i pairs[][vectors]) {
  __m256i codes[vectors];
  for (int v = 0; v < vectors; v++) {
    codes[v] = (__m256i)codes_at(w, p, group, v);
    if (w->code_bits == 8) codes[v] = _mm256_xor_si256(codes[v], _mm256_set1_epi8((char)0x80));
  }
  prefetch_at(w, p, group);
  for (int r = 0; r < rows; r++) {
    __m256i q = activations_at(x + r, group), products[vectors];
    for (int v = 0; v < vectors; v++)
      products[v] = w->code_bits == 8 ? _mm256_maddubs_epi16(_mm256_abs_epi8(codes[v]), _mm256_sign_epi8(q, codes[v]))
                                      : _mm256_maddubs_epi16(codes[v], q);
    for (int v = 0; v < vectors; v++) __asm__ volatile("" : "+x"(products[v]));
    for (int v = 0; v < vectors; v++) {
      if (does == add)
        products[v] = _mm256_add_epi16(pairs[r][v], products[v]);
      else if (does == begin_centred)
        products[v] = _mm256_add_epi16(products[v], _mm256_set1_epi32(words[r].starts[b]));
      pairs[r][v] = products[v];
    }
  }
  /* Else the compiler takes up the next groups before it ends this one, and spills what it has. */
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) __asm__ volatile("" : "+x"(pairs[r][v])::"memory");
}

/* How many groups of 4 k the pairs of a sub-block hold before they are multiplied. */
MXLK_INLINE int groups_together(const int code_bits, const int groups) {
  return code_bits == 8 ? 1 : code_bits == 5 ? 4 : groups;
}

MXLK_INLINE void add_groups(const int rows, const int begins, const weights *w, int64_t p, const x_row *x,
                            int64_t first, const int count, const row_words *words, int64_t b,
                            __m256i pairs[][vectors]) {
  add_group(rows, begins, w, p, x, first, words, b, pairs);
#pragma clang loop unroll(full)
  for (int g = 1; g < count; g++) add_group(rows, add, w, p, x, first + g, words, b, pairs);
}

MXLK_INLINE void block_dots(const int rows, const int centred, const weights *w, int64_t p, const x_row *x,
                            const row_words *words, int64_t b, ints dots[][vectors]) {
  const int together = groups_together(w->code_bits, 8);
#pragma clang loop unroll(full)
  for (int first = 0; first < 8; first += together) {
    __m256i pairs[tile_rows][vectors];
    add_groups(rows, centred && w->code_bits == 6 ? begin_centred : begin, w, p, x, 8 * b + first, together, words, b,
               pairs);
    for (int r = 0; r < rows; r++) {
      ints factor = every(words[r].factors[b]);
      for (int v = 0; v < vectors; v++) {
        const int later = centred && w->code_bits != 8 && w->code_bits != 6;
        ints start = first > 0 ? dots[r][v] : later ? every(words[r].starts[b]) : (ints){};
        dots[r][v] = add_pair_products(start, (ints)pairs[r][v], factor);
      }
    }
  }
}

MXLK_INLINE void add_scaled_dots(const int rows, const mxlk_scheme scheme, const weights *w, int64_t p, const x_row *x,
                                 const row_words *words, int64_t b, ints sums[][vectors]) {
  const int blocks = blocks_of(scheme), groups = 64 / blocks, together = groups_together(w->code_bits, groups);
  ints scale[vectors];
  for (int v = 0; v < vectors; v++) scale[v] = scale_at(scheme, w, p, b, v);
#pragma clang loop unroll(full)
  for (int first = 0; first < groups; first += together) {
    __m256i pairs[tile_rows][vectors];
    add_groups(rows, is_centred(scheme) && w->code_bits != 8 ? begin_centred : begin, w, p, x, groups * b + first,
               together, words, b, pairs);
    for (int v = 0; v < vectors; v++) {
      /* The scale in both halves: within +-1024 when shifted. */
      const __m256i twice = _mm256_setr_epi8(0, 1, 0, 1, 4, 5, 4, 5, 8, 9, 8, 9, 12, 13, 12, 13, 0, 1, 0, 1, 4, 5, 4, 5,
                                             8, 9, 8, 9, 12, 13, 12, 13);
      __m256i scales = _mm256_shuffle_epi8((__m256i)scale[v], twice);
      for (int r = 0; r < rows; r++) {
        __m128i shift = _mm_cvtsi32_si128(words[r].factors[blocks == 16 ? b / 2 : b]);
        sums[r][v] = add_pair_products(sums[r][v], (ints)pairs[r][v], (ints)_mm256_sll_epi16(scales, shift));
      }
    }
  }
}

void mxlk_linear_expanded_int8_4x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile) { run_format(0, row, tile); }

void mxlk_linear_packed_int8_4x16__avx2(const mxl_kernel_row *row, const mxl_tile *tile) {
  run_packed_panels(row, tile);
}

#pragma clang attribute pop
#endif

/* int8 tiles on 512 bits: 6 rows of x, 32 outputs as two vectors of 16; integer scales as int8_joined.h says.
 *
 * Registers of a full tile: 12 integer accumulators, 12 float (or int32) sums, 2 vectors of codes, 1 broadcast of activations.
 * Operations on the two wide multiply ports per row and vector of outputs, of 64 dots in a superblock; where x is wide in brackets:
 *   BLOCK32  64 dots + 8 fma + 1 = 73       SUPER32  64 dots + 4 (8) pair dots + 4 pair dots + 3 = 75 (79)
 *   BLOCK32_MIN  64 dots + 16 fma + 1 = 81
 *   SUPER16_MIN  64 dots + 8 pair dots + 8 pair dots + 3 = 83
 *   SUPER16  64 dots + 8 (16) pair dots + 2 = 74 (82)       GROUP    64 dots + 2 a group + 1 = 69 for groups of 128 */
#include "tiles/int8.h"

#if defined(__x86_64__)
#include "tiles/int8_joined.h"

#include <immintrin.h>

#define MXLK_CONVERTS_HALVES
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), \
                             apply_to = function)

enum {
  lanes = 16,
  vectors = 2,
  tile_rows = 6,
  most_panels = 4,
  scale_copies = 1,
  x_lines_apart = 1,
  broadcasts_again = 1
};

#define MXLK_JOINS_SUMS
#include "tiles/int8_vnni.h"
#include "tiles/int8_avx512.h"

/* What makes the lower of two joined sums an unsigned number. */
enum { bias = 1 << 15 };

/* Whether sums of two sub-blocks are joined. */
MXLK_INLINE int are_joined(const mxlk_scheme scheme) {
  return scheme == MXLK_SCHEME_SUPER32 || scheme == MXLK_SCHEME_SUPER16 || scheme == MXLK_SCHEME_SUPER16_MIN;
}

/* With one and two rows, and where codes of 5 bits are taken apart, making pairs of scales takes longer than it spares. */
MXLK_INLINE int sub_blocks_at_once(const mxlk_scheme scheme, const int code_bits, const int packed, const int rows) {
  return are_joined(scheme) && (!packed || (rows > 2 && code_bits != 5)) ? 2 : 1;
}

/* Whether sub-blocks of a scheme may be wide. */
MXLK_INLINE int may_be_wide(const mxlk_scheme scheme, const int code_bits) {
  return scheme == MXLK_SCHEME_SUPER32 || (scheme == MXLK_SCHEME_SUPER16 && code_bits == 6);
}

MXLK_INLINE int is_wide(const mxlk_scheme scheme, const weights *w, const int rows, const x_row *x) {
  uint32_t wide = 0;
  for (int r = 0; r < rows && w->at_once == 2 && may_be_wide(scheme, w->code_bits); r++) wide |= x[r].wide;
  return wide != 0;
}

/* The sums of |q| over each 16 codes. */
MXLK_INLINE void magnitudes_of(const int8_t *codes, int16_t magnitudes[16]) {
  __m512i eights[4]; /* over 8 codes each */
  for (int i = 0; i < 4; i++)
    eights[i] = _mm512_sad_epu8(_mm512_abs_epi8(_mm512_loadu_si512(codes + 64 * i)), _mm512_setzero_si512());
  for (int i = 0; i < 2; i++) {
    /* [0 8 2 10 4 12 6 14], where vectors 2 i and 2 i + 1 have 0 to 7 and 8 to 15. */
    __m512i sums = _mm512_add_epi64(_mm512_unpacklo_epi64(eights[2 * i], eights[2 * i + 1]),
                                    _mm512_unpackhi_epi64(eights[2 * i], eights[2 * i + 1]));
    int64_t unordered[8];
    memcpy(unordered, &sums, sizeof unordered);
    for (int j = 0; j < 8; j++) magnitudes[8 * i + j % 2 * 4 + j / 2] = (int16_t)unordered[j];
  }
}

/* Whether a sum of codes and q may not fit into 16 bits. */
MXLK_INLINE uint32_t exceeds(const mxlk_block_format *format, const mxlk_activation *x) {
  int16_t magnitudes[16];
  magnitudes_of(x->codes, magnitudes);
  int exceeding = 0;
  if (format->scheme == MXLK_SCHEME_SUPER16) { /* codes are at most `zero` away from it */
    for (int i = 0; i < 16; i++) exceeding |= magnitudes[i] * format->zero > INT16_MAX;
  } else { /* codes times the q above 0, or those below it */
    const int most = (1 << format->code_bits) - 1;
    for (int b = 0; b < 8; b++) {
      int sum = x->sums16[2 * b] + x->sums16[2 * b + 1];
      int one_sign = (magnitudes[2 * b] + magnitudes[2 * b + 1] + (sum < 0 ? -sum : sum)) / 2;
      exceeding |= one_sign * most > INT16_MAX;
    }
  }
  return (uint32_t)exceeding;
}

void mxlk_arrange_int8_joined__avx512vnni(const mxl_kernel_row *row, const void *record, int64_t k, int64_t index,
                                          void *arranged) {
  const mxlk_activation *x = record;
  const mxlk_block_format *format = row->context;
  mxlk_joined_activation *to = (mxlk_joined_activation *)arranged + index;
  (void)k;
  memcpy(to->codes, x->codes, sizeof to->codes);
  memcpy(to->sums16, x->sums16, sizeof to->sums16);
  memcpy(to->sums32, x->sums32, sizeof to->sums32);
  memcpy(to->shifts, x->shifts, sizeof to->shifts);
  to->alpha = x->alpha;
  to->wide = may_be_wide(format->scheme, format->code_bits) && exceeds(format, x);
}

void mxlk_expand_int8_32__avx512vnni(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  mxlk_expand(row->context, 1, packed, columns, k, expanded);
}

void mxlk_activate_int8__avx512vnni(const float *x, int64_t k, mxlk_activation *out) {
  mxlk_activation_quantize(x, k, out);
}

MXLK_INLINE ints add_four_products(ints dots, bytes codes, ints q) {
  return (ints)_mm512_dpbusd_epi32((__m512i)dots, (__m512i)codes, (__m512i)q);
}

MXLK_INLINE ints shifted(ints value, int32_t shift) {
  return (ints)_mm512_sllv_epi32((__m512i)value, _mm512_set1_epi32(shift));
}

MXLK_INLINE ints shifted_pair(ints value, int32_t shift_pair) {
  return (ints)_mm512_sllv_epi16((__m512i)value, _mm512_set1_epi32(shift_pair));
}

MXLK_INLINE void fill_words(const int scaled, const int joined, const int blocks, const int code_bits, const x_row *x,
                            int zero, row_words *words) {
  typedef int32_t ints8 __attribute__((vector_size(32)));
  typedef int32_t ints4 __attribute__((vector_size(16)));
  typedef uint8_t bytes8 __attribute__((vector_size(8)));
  typedef uint16_t words4 __attribute__((vector_size(8)));
  (void)scaled, (void)code_bits;
  if (!joined) {
    fill_starts_and_shifts(blocks, x, zero, words);
  } else if (blocks == 8) {
    words4 shifts;
    memcpy(&shifts, x->shifts, sizeof shifts);
    ints4 pairs = __builtin_convertvector(shifts, ints4);
    pairs = (pairs & 255) << 16 | pairs >> 8;
    memcpy(words->shift_pairs, &pairs, sizeof pairs);
  } else {
    bytes8 shifts;
    ints8 sums;
    memcpy(&shifts, x->shifts, sizeof shifts);
    memcpy(&sums, x->sums16, sizeof sums);
    ints8 pairs = __builtin_convertvector(shifts, ints8);
    ints8 starts = -zero * (sums << 16 >> 16), joined_starts = bias - zero * (sums >> 16);
    pairs |= pairs << 16;
    memcpy(words->starts, &starts, sizeof starts);
    memcpy(words->joined_starts, &joined_starts, sizeof joined_starts);
    memcpy(words->shift_pairs, &pairs, sizeof pairs);
  }
}

MXLK_INLINE void add_scaled_dots(const int rows, const mxlk_scheme scheme, const weights *w, int64_t p, const x_row *x,
                                 const row_words *words, int64_t b, ints sums[][vectors]) {
  if (w->at_once == 1 || w->wide) {
#pragma clang loop unroll(full)
    for (int i = 0; i < w->at_once; i++) add_shifted_dots(rows, scheme, w, p, x, words, b + i, sums);
    return;
  }
  const int groups = 64 / blocks_of(scheme), centred = is_centred(scheme);
  ints dots[tile_rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) dots[r][v] = centred ? every(words[r].starts[b / 2]) : (ints){};
  add_dots(rows, w, p, x, groups * b, groups, dots);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++)
      dots[r][v] = (dots[r][v] << 16) + every(centred ? words[r].joined_starts[b / 2] : bias);
  add_dots(rows, w, p, x, groups * (b + 1), groups, dots);
  for (int v = 0; v < vectors; v++) {
    ints scales = scale_pair_at(scheme, w, p, b, v);
    for (int r = 0; r < rows; r++)
      sums[r][v] = add_pair_products(sums[r][v], dots[r][v] ^ bias, shifted_pair(scales, words[r].shift_pairs[b / 2]));
  }
}

void mxlk_linear_expanded_int8_6x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  run_format(0, row, tile);
}

void mxlk_linear_packed_int8_6x32__avx512vnni(const mxl_kernel_row *row, const mxl_tile *tile) {
  run_packed_panels(row, tile);
}

#pragma clang attribute pop
#endif

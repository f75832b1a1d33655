/* The int8 arithmetic of int8.h for vectors of any width. A variant's file, before it includes this under its target attribute, defines
 *
 *   enum { lanes, vectors, tile_rows }     outputs a vector, vectors a panel, the most rows of a tile
 *
 * and behind it the functions declared here without a body: what its instructions make of a block's dots. */
#ifndef MXLK_TILES_INT8_SCHEMES_H
#define MXLK_TILES_INT8_SCHEMES_H

#include "panel/expand.h"
#include "tiles/int8.h"

enum { columns = lanes * vectors };

enum { expanded_codes, packed_codes, packed_table };

typedef int32_t ints __attribute__((vector_size(4 * lanes)));
typedef float floats __attribute__((vector_size(4 * lanes)));
typedef uint8_t bytes __attribute__((vector_size(4 * lanes))); /* 4 consecutive codes of each output */
typedef uint16_t words __attribute__((vector_size(4 * lanes)));
typedef uint8_t unsigned_bytes __attribute__((vector_size(lanes))); /* one an output */
typedef int8_t signed_bytes __attribute__((vector_size(lanes)));
typedef uint16_t unsigned_words __attribute__((vector_size(2 * lanes))); /* one an output */
typedef _Float16 halves __attribute__((vector_size(2 * lanes)));

/* Where a kernel's codes and scales come from. All but the pointers are constants at every call: whether the superblock is expanded or
 * still packed, and then is taken apart in registers; code bits. Prefetches of what comes next are spread over the dots. */
typedef struct weights {
  int packed, code_bits; /* `packed` may be packed_table: nibbles that stand for codes of code_bits */
  int powers;            /* packed d are bytes, mxlk_power's, not halves */
  const uint8_t *table;
  const uint8_t *codes, *high; /* codes; packed: low nibbles (or bytes) and high bits */
  /* Expanded: int32, pairs of int16, float; packed: bytes, bytes, halves. BLOCK32_MIN's minima are as d. */
  const uint8_t *scales, *minima, *d;
  const char *next;
  int64_t step; /* packed: bytes to prefetch a group of 4 k; expanded: lines to prefetch a superblock */
  int scale_bytes, group;
} weights;

/* What a superblock of one row of x brings to its dots, ready to be broadcast. What the words are is the variant's own. */
typedef struct row_words {
  int32_t starts[16];
  int32_t factors[8];
  int32_t pairs[8]; /* SUPER16_MIN: S << s of the sub-blocks 2 p and 2 p + 1 as a pair of int16 */
} row_words;

/* The words of the superblock's sub-blocks: 8 of 32 columns or 16 of 16 (`blocks`), for codes of so many bits whose 0 is `zero`. scaled: for
 * add_scaled_dots, else for block_dots. */
static void words_of(const int scaled, const int blocks, const int code_bits, const mxlk_activation *x, int zero,
                     row_words *words);

/* dots[r][v] = (sum of (code - zero) q) << s_b over sub-block b of 32; not centred: (sum of code q) << s_b. */
static void block_dots(const int rows, const int centred, const weights *w, const mxlk_activation *x,
                       const row_words *words, int64_t b, ints dots[][vectors]);

/* sums[r][v] += scale_at(b, v) ((sum of (code - zero) q) << s) over sub-block b of the scheme's; not centred: (sum of code q) << s. */
static void add_scaled_dots(const int rows, const mxlk_scheme scheme, const weights *w, const mxlk_activation *x,
                            const row_words *words, int64_t b, ints sums[][vectors]);

/* What a table of 16 bytes has for each of the codes. */
static bytes looked_up(const uint8_t *table, bytes codes);

/* j += the two products of each pair of int16. */
static ints add_pair_products(ints j, ints a, ints b);

MXLK_INLINE ints ints_at(const void *from) {
  ints value;
  memcpy(&value, from, sizeof value);
  return value;
}

MXLK_INLINE floats floats_at(const void *from) {
  floats value;
  memcpy(&value, from, sizeof value);
  return value;
}

MXLK_INLINE floats halves_at(const void *from) {
  halves value;
  memcpy(&value, from, sizeof value);
  return __builtin_convertvector(value, floats);
}

MXLK_INLINE ints unsigned_bytes_at(const void *from) {
  unsigned_bytes value;
  memcpy(&value, from, sizeof value);
  return __builtin_convertvector(value, ints);
}

MXLK_INLINE ints signed_bytes_at(const void *from) {
  signed_bytes value;
  memcpy(&value, from, sizeof value);
  return __builtin_convertvector(value, ints);
}

MXLK_INLINE ints unsigned_words_at(const void *from) {
  unsigned_words value;
  memcpy(&value, from, sizeof value);
  return __builtin_convertvector(value, ints);
}

MXLK_INLINE ints every(int32_t value) { return value - (ints){}; }
MXLK_INLINE floats every_float(float value) { return value - (floats){}; }
MXLK_INLINE floats rounded(ints value) { return __builtin_convertvector(value, floats); }
MXLK_INLINE floats fused(floats a, floats b, floats c) { return __builtin_elementwise_fma(a, b, c); }

/* The weights of k columns, `offset` bytes behind the tile's first. */
MXLK_INLINE weights weights_of(const mxl_kernel_row *row, const int packed, const mxl_tile *tile, int64_t offset,
                               int64_t k) {
  const uint8_t *at = (const uint8_t *)tile->weights + offset;
  weights w = {.codes = at, .high = at};
  w.next = tile->next == NULL ? (const char *)at : (const char *)tile->next + offset;
  w.step = tile->next == NULL ? 0 : packed ? tile->next_bytes / (tile->k / 4) : tile->next_bytes / 64;
  const mxlk_block_format *format = row->context;
  w.scale_bytes = format->scale_bytes;
  w.table = format->table;
  w.group = format->group;
  if (packed) {
    mxlk_panel_layout layout = mxlk_panel_layout_of(format, columns, k);
    w.high = at + layout.high;
    w.scales = at + layout.scales;
    w.minima = at + layout.minima;
    w.d = at + layout.d;
  } else {
    w.scales = at + MXL_SUPERBLOCK * columns;
    w.minima = w.scales + (format->scheme == MXLK_SCHEME_SUPER16_MIN ? 64 : 32) * columns;
    w.d = w.scales + (format->scheme == MXLK_SCHEME_SUPER32       ? 48
                      : format->scheme == MXLK_SCHEME_SUPER16     ? 64
                      : format->scheme == MXLK_SCHEME_SUPER16_MIN ? 96
                      : format->scheme == MXLK_SCHEME_SUPER32_SIX ? 32
                                                                  : 0) *
                         columns;
  }
  return w;
}

/* Not inlined: once or twice a tile of many superblocks, where an expanded tile, of one superblock, would pay for the call. */
static __attribute__((noinline)) weights packed_weights_of(const mxl_kernel_row *row, const mxl_tile *tile,
                                                           int64_t offset, int64_t k) {
  return weights_of(row, 1, tile, offset, k);
}

/* On to the next superblock. */
MXLK_INLINE void move(weights *w, int64_t bytes) {
  w->codes += bytes, w->high += bytes, w->scales += bytes, w->minima += bytes, w->d += bytes, w->next += bytes;
}

/* The codes of 2 or 3 bits of a vector's outputs in group g of 4 k. */
MXLK_INLINE bytes narrow_codes_at(const weights *w, int64_t g, int v) {
  const int width = 4 * columns, position = (int)(g % 8); /* of the high bit, to be moved to bit 2 */
  words low, high;
  memcpy(&low, w->codes + g / 4 * width + 4 * lanes * v, sizeof low);
  bytes codes = (bytes)(low >> (2 * (g % 4))) & 3;
  if (w->code_bits == 2) return codes;
  memcpy(&high, w->high + g / 8 * width + 4 * lanes * v, sizeof high);
  high = position <= 2 ? high << (2 - position) : high >> (position - 2);
  return codes | ((bytes)high & 4);
}

/* The codes of a vector's outputs in group g of 4 k. */
MXLK_INLINE bytes codes_at(const weights *w, int64_t g, int v) {
  const int width = 4 * columns, whole = !w->packed || (w->packed == packed_codes && w->code_bits == 8);
  bytes low;
  if (!whole && w->code_bits < 4) return narrow_codes_at(w, g, v);
  memcpy(&low, w->codes + (whole ? g : g / 2) * width + 4 * lanes * v, sizeof low);
  if (whole) return low;
  bytes nibbles = (g % 2 ? (bytes)((words)low >> 4) : low) & 15;
  if (w->packed == packed_table) return looked_up(w->table, nibbles);
  if (w->code_bits == 4) return nibbles;
  /* The high bits of this group, moved to bit 4 (and 5): left by 4 - position, or right. */
  int position = (int)(w->code_bits == 5 ? g % 8 : 2 * (g % 4));
  words high;
  memcpy(&high, w->high + g / (w->code_bits == 5 ? 8 : 4) * width + 4 * lanes * v, sizeof high);
  high = position <= 4 ? high << (4 - position) : high >> (position - 4);
  const uint8_t mask = w->code_bits == 5 ? 16 : 48;
  return nibbles | ((bytes)high & mask);
}

/* Packed weights: asks for what comes next, a share a group of 4 k and an eighth for scales. */
MXLK_INLINE void prefetch_at(const weights *w, int64_t g) {
  if (!w->packed) return;
  const int bits = w->packed == packed_table ? 4 : w->code_bits;
  const int share = 4 * columns * bits / 8 * 9 / 8;
  for (int line = 0; line < (share + 63) / 64; line++) __builtin_prefetch(w->next + g * w->step + 64 * line, 0, 3);
}

/* Expanded weights meet tile after tile, whose x and y lie one behind the other in the second level cache: in sub-block b of so many, asks for
 * a share of the next tile's, and of the weights that will be expanded next. */
MXLK_INLINE void prefetch_tile(const int rows, const int blocks, const weights *w, const mxlk_activation *x,
                               const float *y, int64_t b) {
  if (w->packed) return;
  const int lines = (rows * (int)sizeof *x / 64 + blocks - 1) / blocks;
  for (int line = 0; line < lines; line++) __builtin_prefetch((const char *)(x + rows) + (b * lines + line) * 64, 0, 3);
  __builtin_prefetch(y + rows * columns + b * rows * columns / blocks, 1, 3);
  for (int64_t line = b; line < w->step; line += blocks) __builtin_prefetch(w->next + line * 64, 0, 3);
}

/* Sub-blocks of a superblock, and whether their codes are centred, where scales are integers. */
MXLK_INLINE int blocks_of(const mxlk_scheme scheme) {
  return scheme == MXLK_SCHEME_SUPER16 || scheme == MXLK_SCHEME_SUPER16_MIN ? 16 : 8;
}
MXLK_INLINE int is_centred(const mxlk_scheme scheme) {
  return scheme != MXLK_SCHEME_SUPER32 && scheme != MXLK_SCHEME_SUPER16_MIN;
}

/* sc of sub-block b: unsigned bytes or nibbles where codes are not centred, else signed bytes, which scales of 6 bits are made beforehand. */
MXLK_INLINE ints scale_at(const mxlk_scheme scheme, const weights *w, int64_t b, int v) {
  int64_t at = b * columns + lanes * v;
  if (!w->packed) return ints_at(w->scales + 4 * at);
  if (scheme == MXLK_SCHEME_SUPER16_MIN) return unsigned_bytes_at(w->scales + at) & 15;
  return is_centred(scheme) ? signed_bytes_at(w->scales + at) : unsigned_bytes_at(w->scales + at);
}

/* m of sub-blocks 2 p and 2 p + 1 as pairs of int16. */
MXLK_INLINE ints minima_at(const int blocks, const weights *w, int64_t p, int v) {
  if (!w->packed) return ints_at(w->minima + 4 * (p * columns + lanes * v));
  const uint8_t *at = w->minima + 2 * p * columns + lanes * v;
  if (blocks == 16) return unsigned_bytes_at(at) >> 4 | unsigned_bytes_at(at + columns) >> 4 << 16;
  return unsigned_bytes_at(at) | unsigned_bytes_at(at + columns) << 16;
}

/* Of a line of d, or of BLOCK32_MIN's minima. */
MXLK_INLINE floats line_at(const weights *w, const uint8_t *lines, int64_t b, int v) {
  int64_t at = b * columns + lanes * v;
  return w->packed ? halves_at(lines + 2 * at) : floats_at(lines + 4 * at);
}

/* mxlk_power of a vector's outputs. */
MXLK_INLINE floats powers_at(const void *from) {
  ints stored = unsigned_bytes_at(from), denormal = stored < 2;
  return (floats)((denormal & (stored + 1) << 21) | (~denormal & (stored - 1) << 23));
}

MXLK_INLINE floats d_at(const weights *w, int64_t b, int v) {
  return w->powers ? powers_at(w->d + b * columns + lanes * v) : line_at(w, w->d, b, v);
}

MXLK_INLINE floats group_scales_at(const weights *w, int64_t g, int v) {
  int64_t at = g * columns + lanes * v;
  return w->packed && w->scale_bytes == 2 ? halves_at(w->d + 2 * at) : floats_at(w->d + 4 * at);
}

MXLK_INLINE ints zeros_at(const weights *w, int64_t g, int v) {
  int64_t at = g * columns + lanes * v;
  if (!w->packed) return ints_at(w->minima + 4 * at);
  if (w->code_bits != 8) return unsigned_bytes_at(w->minima + at);
  ints two = unsigned_words_at(w->minima + 2 * at);
  return (two & 255) + (two >> 8);
}

/* y = fma(t, alpha, y) */
MXLK_INLINE void finish(const mxlk_activation *x, floats t, float *y) {
  floats sum = fused(t, every_float(x->alpha), floats_at(y));
  memcpy(y, &sum, sizeof sum);
}

MXLK_INLINE void block32(const int rows, const weights *w, const mxlk_activation *x, const row_words *words, int64_t k,
                         float *y) {
  floats t[tile_rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) t[r][v] = (floats){};
  for (int64_t b = 0; b < k / 32; b++) {
    ints i[tile_rows][vectors];
    prefetch_tile(rows, 8, w, x, y, b);
    block_dots(rows, 1, w, x, words, b, i);
    for (int v = 0; v < vectors; v++) {
      floats d = d_at(w, b, v);
      for (int r = 0; r < rows; r++) t[r][v] = fused(rounded(i[r][v]), d, t[r][v]);
    }
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) finish(x + r, t[r][v], y + r * columns + lanes * v);
}

MXLK_INLINE void block32_min(const int rows, const weights *w, const mxlk_activation *x, const row_words *words,
                             int64_t k, float *y) {
  floats t[tile_rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) t[r][v] = (floats){};
  for (int64_t b = 0; b < k / 32; b++) {
    ints i[tile_rows][vectors];
    prefetch_tile(rows, 8, w, x, y, b);
    block_dots(rows, 0, w, x, words, b, i);
    for (int v = 0; v < vectors; v++) {
      floats d = d_at(w, b, v), m = line_at(w, w->minima, b, v);
      for (int r = 0; r < rows; r++)
        t[r][v] = fused(every_float(x[r].sums32[b]), m, fused(rounded(i[r][v]), d, t[r][v]));
    }
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) finish(x + r, t[r][v], y + r * columns + lanes * v);
}

/* I = sum of sc_b (i_b << s_b) over the superblock's sub-blocks. */
MXLK_INLINE void super(const int rows, const mxlk_scheme scheme, const weights *w, const mxlk_activation *x,
                       const row_words *words, const float *y, ints sums[][vectors]) {
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) sums[r][v] = (ints){};
  /* Two at a time where their high bits are in one byte: positions are then constants. */
  const int together = w->packed && w->code_bits == 3 ? 2 : 1;
  for (int64_t b = 0; b < blocks_of(scheme); b += together)
#pragma clang loop unroll(full)
    for (int i = 0; i < together; i++) {
      prefetch_tile(rows, blocks_of(scheme), w, x, y, b + i);
      add_scaled_dots(rows, scheme, w, x, words, b + i, sums);
    }
}

/* The pairs of a row's words. */
MXLK_INLINE void pairs_of(const mxlk_activation *x, row_words *words) {
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

/* `blocks` is 8 for SUPER32 and 16 for SUPER16_MIN. */
MXLK_INLINE void super_min(const int rows, const int blocks, const weights *w, const mxlk_activation *x,
                           const row_words *words, float *y) {
  ints sums[tile_rows][vectors];
  super(rows, blocks == 16 ? MXLK_SCHEME_SUPER16_MIN : MXLK_SCHEME_SUPER32, w, x, words, y, sums);
  /* Unrolled, else the sums, whose numbers must be constants to be in registers, are stored sub-block by sub-block. */
#pragma clang loop unroll(full)
  for (int v = 0; v < vectors; v++) {
    ints minima[8];
    for (int p = 0; p < blocks / 2; p++) minima[p] = minima_at(blocks, w, p, v);
    floats d = d_at(w, 0, v), dmin = d_at(w, 1, v);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++) {
      ints j = {};
      for (int p = 0; p < blocks / 2; p++) {
        int32_t pair = words[r].pairs[p];
        if (blocks == 8) memcpy(&pair, x[r].sums32 + 2 * p, 4);
        j = add_pair_products(j, minima[p], every(pair));
      }
      finish(x + r, fused(-rounded(j), dmin, rounded(sums[r][v]) * d), y + r * columns + lanes * v);
    }
  }
}

/* SUPER16 and SUPER32_SIX. */
MXLK_INLINE void super_centred(const int rows, const mxlk_scheme scheme, const weights *w, const mxlk_activation *x,
                               const row_words *words, float *y) {
  ints sums[tile_rows][vectors];
  super(rows, scheme, w, x, words, y, sums);
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) finish(x + r, rounded(sums[r][v]) * d_at(w, 0, v), y + r * columns + lanes * v);
}

/* I begins at -zero S, S = sum of S_b << s_b over the group. Codes of 8 bits come centred, as AVX2 has them, and their zeros are moved too. */
MXLK_INLINE void group(const int rows, const weights *w, const mxlk_activation *x, const row_words *words, int64_t k,
                       float *y) {
  floats t[tile_rows][vectors];
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) t[r][v] = (floats){};
  const int64_t blocks = w->group / 32;
  const int centred = w->code_bits == 8;
  for (int64_t g = 0; g < k / w->group; g++) {
    ints sums[tile_rows][vectors];
    for (int r = 0; r < rows; r++) {
      int32_t sum = 0;
#pragma clang loop vectorize(disable)
      for (int64_t b = g * blocks; b < (g + 1) * blocks; b++) sum += x[r].sums32[b];
      for (int v = 0; v < vectors; v++) sums[r][v] = (centred ? zeros_at(w, g, v) - 128 : zeros_at(w, g, v)) * -sum;
    }
    for (int64_t b = g * blocks; b < (g + 1) * blocks; b++) {
      ints i[tile_rows][vectors];
      prefetch_tile(rows, 8, w, x, y, b);
      block_dots(rows, centred, w, x, words, b, i);
      for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++) sums[r][v] += i[r][v];
    }
    for (int r = 0; r < rows; r++)
      for (int v = 0; v < vectors; v++) t[r][v] = fused(rounded(sums[r][v]), group_scales_at(w, g, v), t[r][v]);
  }
  for (int r = 0; r < rows; r++)
    for (int v = 0; v < vectors; v++) finish(x + r, t[r][v], y + r * columns + lanes * v);
}

/* How many columns the superblock at k has. */
MXLK_INLINE int64_t columns_from(const mxl_tile *tile, int64_t k) {
  return tile->k - k < MXL_SUPERBLOCK ? tile->k - k : MXL_SUPERBLOCK;
}

/* All superblocks of a tile: an expanded one is alone. All but the last two arguments are constants. */
MXLK_INLINE void run_superblocks(const mxlk_scheme scheme, const int code_bits, const int packed, const int rows,
                                 const mxl_kernel_row *row, const mxl_tile *tile) {
  const mxlk_activation *x = tile->x;
  const int blocks = blocks_of(scheme);
  const int scaled = scheme == MXLK_SCHEME_SUPER32 || scheme == MXLK_SCHEME_SUPER32_SIX || blocks == 16;
  const int zero = scheme == MXLK_SCHEME_SUPER16_MIN ? 0 : ((const mxlk_block_format *)row->context)->zero;
  _Alignas(64) uint8_t whole[16 * columns]; /* scales of 6 bits, as bytes */
  const int64_t bytes = packed ? (int64_t)row->packed_size(row, MXL_SUPERBLOCK) : 0;
  int64_t first = columns_from(tile, 0);
  weights at = packed ? packed_weights_of(row, tile, 0, first) : weights_of(row, 0, tile, 0, first);
  for (int64_t done = 0; done < tile->k; done += MXL_SUPERBLOCK) {
    int64_t k = columns_from(tile, done);
    /* The last superblock may have another layout. */
    if (packed && done > 0 && k < MXL_SUPERBLOCK) at = packed_weights_of(row, tile, done / MXL_SUPERBLOCK * bytes, k);
    weights w = at;
    w.packed = packed, w.code_bits = code_bits; /* constants to the compiler */
    w.powers = packed && scheme == MXLK_SCHEME_BLOCK32_POWER;
    if (packed && scheme == MXLK_SCHEME_SUPER16 && code_bits == 3) {
      mxlk_expand_narrow_scales(w.scales, columns, whole);
      w.scales = whole;
    }
    if (packed && scheme == MXLK_SCHEME_SUPER32_SIX) {
      mxlk_expand_six_bits(w.scales, columns, (int8_t *)whole);
      w.scales = whole;
    }
    row_words words[tile_rows];
    for (int r = 0; r < rows; r++) {
      words_of(scaled, blocks, code_bits, x + r, zero, &words[r]);
      if (scheme == MXLK_SCHEME_SUPER16_MIN) pairs_of(x + r, &words[r]);
    }
    switch (scheme) {
      case MXLK_SCHEME_BLOCK32:
      case MXLK_SCHEME_BLOCK32_POWER: block32(rows, &w, x, words, k, tile->y); break;
      case MXLK_SCHEME_BLOCK32_MIN: block32_min(rows, &w, x, words, k, tile->y); break;
      case MXLK_SCHEME_SUPER32: super_min(rows, 8, &w, x, words, tile->y); break;
      case MXLK_SCHEME_SUPER16_MIN: super_min(rows, 16, &w, x, words, tile->y); break;
      case MXLK_SCHEME_SUPER16:
      case MXLK_SCHEME_SUPER32_SIX: super_centred(rows, scheme, &w, x, words, tile->y); break;
      case MXLK_SCHEME_GROUP: group(rows, &w, x, words, k, tile->y); break;
    }
    x += rows;
    move(&at, bytes);
  }
}

/* The number of rows as a constant. */
MXLK_INLINE void run_rows(const mxlk_scheme scheme, const int code_bits, const int packed, const mxl_kernel_row *row,
                          const mxl_tile *tile) {
  switch (tile->rows) {
    case 1: run_superblocks(scheme, code_bits, packed, 1, row, tile); break;
    case 2: run_superblocks(scheme, code_bits, packed, 2, row, tile); break;
    case 3: run_superblocks(scheme, code_bits, packed, 3, row, tile); break;
    case 4: run_superblocks(scheme, code_bits, packed, 4, row, tile); break;
    case 5:
      if (tile_rows >= 5) run_superblocks(scheme, code_bits, packed, 5, row, tile);
      break;
    case 6:
      if (tile_rows >= 6) run_superblocks(scheme, code_bits, packed, 6, row, tile);
      break;
  }
}

/* The scheme and the code bits as constants. */
MXLK_INLINE void run_format(const int packed, const mxl_kernel_row *row, const mxl_tile *tile) {
  const mxlk_block_format *format = row->context;
  switch (format->scheme) {
    case MXLK_SCHEME_BLOCK32:
      if (format->table != NULL) {
        run_rows(MXLK_SCHEME_BLOCK32, 8, packed ? packed_table : expanded_codes, row, tile);
        break;
      }
      if (format->code_bits == 4) run_rows(MXLK_SCHEME_BLOCK32, 4, packed, row, tile);
      if (format->code_bits == 5) run_rows(MXLK_SCHEME_BLOCK32, 5, packed, row, tile);
      if (format->code_bits == 8) run_rows(MXLK_SCHEME_BLOCK32, 8, packed, row, tile);
      break;
    case MXLK_SCHEME_BLOCK32_MIN:
      if (format->code_bits == 4) run_rows(MXLK_SCHEME_BLOCK32_MIN, 4, packed, row, tile);
      if (format->code_bits == 5) run_rows(MXLK_SCHEME_BLOCK32_MIN, 5, packed, row, tile);
      break;
    case MXLK_SCHEME_SUPER32:
      if (format->code_bits == 4) run_rows(MXLK_SCHEME_SUPER32, 4, packed, row, tile);
      if (format->code_bits == 5) run_rows(MXLK_SCHEME_SUPER32, 5, packed, row, tile);
      break;
    case MXLK_SCHEME_SUPER16:
      if (format->code_bits == 3) run_rows(MXLK_SCHEME_SUPER16, 3, packed, row, tile);
      if (format->code_bits == 6) run_rows(MXLK_SCHEME_SUPER16, 6, packed, row, tile);
      break;
    case MXLK_SCHEME_SUPER16_MIN: run_rows(MXLK_SCHEME_SUPER16_MIN, 2, packed, row, tile); break;
    case MXLK_SCHEME_BLOCK32_POWER: /* the table's codes are 0 to 24 */
      run_rows(MXLK_SCHEME_BLOCK32_POWER, 6, packed ? packed_table : expanded_codes, row, tile);
      break;
    case MXLK_SCHEME_SUPER32_SIX:
      run_rows(MXLK_SCHEME_SUPER32_SIX, 8, packed ? packed_table : expanded_codes, row, tile);
      break;
    case MXLK_SCHEME_GROUP:
      if (format->code_bits == 2) run_rows(MXLK_SCHEME_GROUP, 2, packed, row, tile);
      if (format->code_bits == 4) run_rows(MXLK_SCHEME_GROUP, 4, packed, row, tile);
      if (format->code_bits == 8) run_rows(MXLK_SCHEME_GROUP, 8, packed, row, tile);
      break;
  }
}

#endif

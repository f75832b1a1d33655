/* The int8 arithmetic of int8.h for vectors of any width. A variant's file, before it includes this under its target attribute, defines
 *
 *   enum { lanes, vectors, tile_rows }     outputs a vector, vectors a panel, the most rows of a tile
 *   enum { most_panels }                   of a tile of one row; not above tile_rows
 *   enum { scale_copies }                  1, or 4: expanded scales come ready for each shift
 *   enum { x_lines_apart }                 of the next tile's x, every which line is asked for
 *   x_row, row_words                       a superblock of a row of x, and what a tile makes of it: int8_records.h, or arranged beforehand
 *
 * and behind it the functions declared here without a body: what its instructions make of a block's dots.
 *
 * Few rows wait for memory, which is read faster in several places at once. So a tile of few rows takes several panels side by side,
 * sub-block by sub-block in turn. `rows` and `panels` are constants; row r of panel p is number p * rows + r of arrays that are for all
 * panels. */
#ifndef MXLK_TILES_INT8_SCHEMES_H
#define MXLK_TILES_INT8_SCHEMES_H

#include "tiles/int8_weights.h"
#include "tiles/panels.h"

/* weights.at_once: 2 for what add_scaled_dots takes two sub-blocks of, from an even one on; all expanded ones of a scheme or none. */
static int sub_blocks_at_once(const mxlk_scheme scheme, const int code_bits, const int packed, const int rows);

/* Whether the sums of these rows are too large for what the variant does otherwise. weights.wide says so to the functions below. */
static int is_wide(const mxlk_scheme scheme, const weights *w, const int rows, const x_row *x);

/* The words for weights whose 0 is `zero`. */
static void words_of(const mxlk_scheme scheme, const weights *w, const x_row *x, int zero, row_words *words);

/* Of panel p: dots[r][v] = (sum of (code - zero) q) << s_b over sub-block b of 32; not centred:
 * (sum of code q) << s_b. Not shifted where the weights' scales are. */
static void block_dots(const int rows, const int centred, const weights *w, int64_t p, const x_row *x,
                       const row_words *words, int64_t b, ints dots[][vectors]);

/* Likewise: sums[r][v] += scale_at(b, v) ((sum of (code - zero) q) << s_b) over sub-block b of the scheme's, or as many as are
 * taken at once; not centred: (sum of code q) << s_b. */
static void add_scaled_dots(const int rows, const mxlk_scheme scheme, const weights *w, int64_t p, const x_row *x,
                            const row_words *words, int64_t b, ints sums[][vectors]);

/* GROUP: sums[r][v] += block_dots. */
static void add_block_dots(const int rows, const int centred, const weights *w, int64_t p, const x_row *x,
                           const row_words *words, int64_t b, ints sums[][vectors]);

/* Ends a SUPER32's or SUPER16_MIN's sums of vector v of panel p, which add_scaled_dots made of codes around another zero. pairs: of each row. */
static void complete_sums(const int rows, const int blocks, const weights *w, int64_t p, int v, const x_row *x,
                          const row_words *words, ints sums[][vectors]);

/* j += the two products of each pair of int16. */
static ints add_pair_products(ints j, ints a, ints b);

/* What of d, a line of sub-block b, meets block_dots of this row. */
static floats d_of_row(const weights *w, int64_t b, int v, const x_row *x, floats d);

/* f(S << s) of sub-block b, S << s of two sub-blocks as a pair of int16, and the sum of S << s over group g. */
static float sum_of_row(const x_row *x, int64_t b);
static int32_t pair_of_row(const int blocks, const x_row *x, const row_words *words, int i);
static int32_t group_sum_of_row(const x_row *x, const row_words *words, int64_t g);

/* -zeros times the sum of S << s over group g, zeros being those that block_dots leaves. */
static ints zeros_product(const int code_bits, ints zeros, const x_row *x, const row_words *words, int64_t g);

/* What codes of a GROUP are centred at in block_dots, which its zeros then are, too. */
static int group_center(const int code_bits);

MXLK_INLINE void block32(const int rows, const int panels, const weights *w, const x_row *x, const row_words *words,
                         int64_t k, const float *y, floats t[][vectors]) {
  for (int i = 0; i < rows * panels; i++)
    for (int v = 0; v < vectors; v++) t[i][v] = (floats){};
  for (int64_t b = 0; b < k / 32; b++) {
    prefetch_tile(rows, 8, w, x, sizeof *x, y, b);
#pragma clang loop unroll(full)
    for (int p = 0; p < panels; p++) {
      ints dots[tile_rows][vectors];
      block_dots(rows, 1, w, p, x, words, b, dots);
      floats d[vectors];
      for (int v = 0; v < vectors; v++) d[v] = d_at(w, p, b, v);
      /* Row by row, but for codes of 5 bits: the compiler's registers suffice for more of the sums. */
#pragma clang loop unroll(full)
      for (int i = 0; i < rows * vectors; i++) {
        int r = w->code_bits == 5 ? i % rows : i / vectors, v = w->code_bits == 5 ? i / rows : i % vectors;
        t[p * rows + r][v] = fused(rounded(dots[r][v]), d_of_row(w, b, v, x + r, d[v]), t[p * rows + r][v]);
      }
    }
  }
}

MXLK_INLINE void block32_min(const int rows, const int panels, const weights *w, const x_row *x, const row_words *words,
                             int64_t k, const float *y, floats t[][vectors]) {
  for (int i = 0; i < rows * panels; i++)
    for (int v = 0; v < vectors; v++) t[i][v] = (floats){};
  for (int64_t b = 0; b < k / 32; b++) {
    prefetch_tile(rows, 8, w, x, sizeof *x, y, b);
#pragma clang loop unroll(full)
    for (int p = 0; p < panels; p++) {
      ints dots[tile_rows][vectors];
      block_dots(rows, 0, w, p, x, words, b, dots);
      for (int v = 0; v < vectors; v++) {
        floats d = d_at(w, p, b, v), m = line_at(w, w->minima, p, b, v);
        for (int r = 0; r < rows; r++) {
          floats sum = fused(rounded(dots[r][v]), d_of_row(w, b, v, x + r, d), t[p * rows + r][v]);
          t[p * rows + r][v] = fused(every_float(sum_of_row(x + r, b)), m, sum);
        }
      }
    }
  }
}

/* I = sum of sc_b (i_b << s_b) over the superblock's sub-blocks. */
MXLK_INLINE void super(const int rows, const int panels, const mxlk_scheme scheme, const weights *w, const x_row *x,
                       const row_words *words, const float *y, ints sums[][vectors]) {
  for (int i = 0; i < rows * panels; i++)
    for (int v = 0; v < vectors; v++) sums[i][v] = (ints){};
  /* Two at a time where their high bits are in one byte: positions are then constants. */
  const int together = w->packed && w->code_bits == 3 ? 2 : w->at_once;
  for (int64_t b = 0; b < blocks_of(scheme); b += together)
#pragma clang loop unroll(full)
    for (int i = 0; i < together; i += w->at_once) {
      prefetch_tile(rows, blocks_of(scheme) / w->at_once, w, x, sizeof *x, y, (b + i) / w->at_once);
#pragma clang loop unroll(full)
      for (int p = 0; p < panels; p++) add_scaled_dots(rows, scheme, w, p, x, words, b + i, sums + p * rows);
    }
}

/* `blocks` is 8 for SUPER32 and 16 for SUPER16_MIN. */
MXLK_INLINE void super_min(const int rows, const int panels, const int blocks, const weights *w, const x_row *x,
                           const row_words *words, const float *y, floats t[][vectors]) {
  ints sums[tile_rows][vectors];
  super(rows, panels, blocks == 16 ? MXLK_SCHEME_SUPER16_MIN : MXLK_SCHEME_SUPER32, w, x, words, y, sums);
  /* Unrolled, else the sums, whose numbers must be constants to be in registers, are stored sub-block by sub-block. */
#pragma clang loop unroll(full)
  for (int p = 0; p < panels; p++)
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      ints minima[8];
      for (int i = 0; i < blocks / 2; i++) minima[i] = minima_at(blocks, w, p, i, v);
      floats d = d_at(w, p, 0, v), dmin = d_at(w, p, 1, v);
      complete_sums(rows, blocks, w, p, v, x, words, sums + p * rows);
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++) {
        ints j = {};
        for (int i = 0; i < blocks / 2; i++) {
          j = add_pair_products(j, minima[i], every(pair_of_row(blocks, x + r, words + r, i)));
        }
        t[p * rows + r][v] = fused(-rounded(j), dmin, rounded(sums[p * rows + r][v]) * d);
      }
    }
}

/* SUPER16 and SUPER32_SIX. */
MXLK_INLINE void super_centred(const int rows, const int panels, const mxlk_scheme scheme, const weights *w,
                               const x_row *x, const row_words *words, const float *y, floats t[][vectors]) {
  ints sums[tile_rows][vectors];
  super(rows, panels, scheme, w, x, words, y, sums);
  for (int i = 0; i < rows * panels; i++)
    for (int v = 0; v < vectors; v++) t[i][v] = rounded(sums[i][v]) * d_at(w, i / rows, 0, v);
}

/* Whether the zeros of all outputs are as the first's. */
MXLK_INLINE int are_alike(const ints zeros[vectors]) {
  ints others = {};
  for (int v = 0; v < vectors; v++) others |= zeros[v] ^ every(zeros[0][0]);
  return __builtin_reduce_or(others) == 0;
}

/* I begins at -zero S, S = sum of S_b << s_b over the group. Zeros that are alike, as all of a symmetric checkpoint's are, take one product a row. */
MXLK_INLINE void group(const int rows, const int panels, const weights *w, const x_row *x, const row_words *words,
                       int64_t k, const float *y, floats t[][vectors]) {
  for (int i = 0; i < rows * panels; i++)
    for (int v = 0; v < vectors; v++) t[i][v] = (floats){};
  const int64_t blocks = (unsigned)w->group / 32;
  const int center = group_center(w->code_bits);
  for (int64_t g = 0; g * w->group < k; g++) {
    ints sums[tile_rows][vectors];
#pragma clang loop unroll(full)
    for (int p = 0; p < panels; p++) {
      ints zeros[vectors];
      for (int v = 0; v < vectors; v++) zeros[v] = zeros_at(w, p, g, v) - center;
      const int alike = are_alike(zeros);
#pragma clang loop unroll(full)
      for (int r = 0; r < rows; r++)
        for (int v = 0; v < vectors; v++)
          sums[p * rows + r][v] = alike ? every(zeros[0][0] * -group_sum_of_row(x + r, words + r, g))
                                        : zeros_product(w->code_bits, zeros[v], x + r, words + r, g);
    }
    for (int64_t b = g * blocks; b < (g + 1) * blocks; b++) {
      __builtin_assume(b >= 0 &&
                       b < 8); /* else halves of signed numbers are among the addresses, and vectors of them */
      prefetch_tile(rows, 8, w, x, sizeof *x, y, b);
#pragma clang loop unroll(full)
      for (int p = 0; p < panels; p++) add_block_dots(rows, center != 0, w, p, x, words, b, sums + p * rows);
    }
    for (int i = 0; i < rows * panels; i++)
      for (int v = 0; v < vectors; v++)
        t[i][v] = fused(rounded(sums[i][v]), group_scales_at(w, i / rows, g, v), t[i][v]);
  }
}

MXLK_INLINE void scheme_sums(const mxlk_scheme scheme, const int rows, const int panels, const weights *w,
                             const x_row *x, const row_words *words, int64_t k, const float *y, floats t[][vectors]) {
  switch (scheme) {
    case MXLK_SCHEME_BLOCK32:
    case MXLK_SCHEME_BLOCK32_POWER: block32(rows, panels, w, x, words, k, y, t); break;
    case MXLK_SCHEME_BLOCK32_MIN: block32_min(rows, panels, w, x, words, k, y, t); break;
    case MXLK_SCHEME_SUPER32: super_min(rows, panels, 8, w, x, words, y, t); break;
    case MXLK_SCHEME_SUPER16_MIN: super_min(rows, panels, 16, w, x, words, y, t); break;
    case MXLK_SCHEME_SUPER16:
    case MXLK_SCHEME_SUPER32_SIX: super_centred(rows, panels, scheme, w, x, words, y, t); break;
    case MXLK_SCHEME_GROUP: group(rows, panels, w, x, words, k, y, t); break;
  }
}

/* The sums t of a superblock of k columns of each panel. All but pointers and k are constants. */
MXLK_INLINE void superblock_sums(const mxlk_scheme scheme, const int code_bits, const int packed, const int rows,
                                 const int panels, int zero, const weights *at, const x_row *x, int64_t k,
                                 const float *y, floats t[][vectors]) {
  _Alignas(64) uint8_t whole[most_panels][16 * columns]; /* scales of 6 bits, as bytes */
  weights w = *at;
  w.packed = packed, w.code_bits = code_bits; /* constants to the compiler */
  w.powers = packed && scheme == MXLK_SCHEME_BLOCK32_POWER;
  w.copied = !packed && scale_copies > 1 && mxlk_scales_copied(scheme);
  w.at_once = sub_blocks_at_once(scheme, code_bits, packed, rows);
  w.scales_apart = w.apart;
  if (packed && scheme == MXLK_SCHEME_SUPER16 && code_bits == 3) {
    for (int p = 0; p < panels; p++) mxlk_expand_narrow_scales(w.scales + p * w.apart, columns, whole[p]);
    w.scales = *whole, w.scales_apart = sizeof *whole;
  }
  if (packed && scheme == MXLK_SCHEME_SUPER32_SIX) {
    for (int p = 0; p < panels; p++) mxlk_expand_six_bits(w.scales + p * w.apart, columns, (int8_t *)whole[p]);
    w.scales = *whole, w.scales_apart = sizeof *whole;
  }
  row_words words[tile_rows];
  w.wide = is_wide(scheme, &w, rows, x);
  if (w.wide) {
    w.wide = 1; /* a constant from here on */
    for (int r = 0; r < rows; r++) words_of(scheme, &w, x + r, zero, &words[r]);
    scheme_sums(scheme, rows, panels, &w, x, words, k, y, t);
  } else {
    w.wide = 0;
    for (int r = 0; r < rows; r++) words_of(scheme, &w, x + r, zero, &words[r]);
    scheme_sums(scheme, rows, panels, &w, x, words, k, y, t);
  }
}

/* How many columns the superblock at k has. */
MXLK_INLINE int64_t columns_from(const mxl_tile *tile, int64_t k) {
  return tile->k - k < MXL_SUPERBLOCK ? tile->k - k : MXL_SUPERBLOCK;
}

/* Not inlined: once or twice a tile of many superblocks, where an expanded tile, of one superblock, would pay for the call. */
static __attribute__((noinline)) weights packed_weights_of(const mxl_kernel_row *row, const mxl_tile *tile,
                                                           int64_t offset, int64_t k) {
  return weights_of(row, ((const mxlk_block_format *)row->context)->scheme, 1, tile, offset, k);
}

/* All superblocks of a tile: an expanded one is alone. All but the last two arguments are constants. */
MXLK_INLINE void run_superblocks(const mxlk_scheme scheme, const int code_bits, const int packed, const int rows,
                                 const int panels, const mxl_kernel_row *row, const mxl_tile *tile) {
  const x_row *x = tile->x;
  /* Copies, as what is stored to y could be the tile, for all that the compiler knows. */
  float *const tile_y = tile->y;
  const int64_t y_apart = tile->y_apart, all = tile->k;
  const int zero = scheme == MXLK_SCHEME_SUPER16_MIN ? 0 : ((const mxlk_block_format *)row->context)->zero;
  const int64_t bytes = packed ? (int64_t)row->packed_size(row, MXL_SUPERBLOCK) : 0;
  int64_t first = columns_from(tile, 0);
  weights at = packed ? packed_weights_of(row, tile, 0, first) : weights_of(row, scheme, 0, tile, 0, first);
  for (int64_t done = 0; done < (packed ? all : 1); done += MXL_SUPERBLOCK) {
    int64_t k = packed ? columns_from(tile, done) : first;
    /* The last superblock may have another layout. */
    if (packed && done > 0 && k < MXL_SUPERBLOCK) at = packed_weights_of(row, tile, done / MXL_SUPERBLOCK * bytes, k);
    floats t[tile_rows][vectors];
    superblock_sums(scheme, code_bits, packed, rows, panels, zero, &at, x, k, tile_y, t);
    for (int i = 0; i < rows * panels; i++)
      for (int v = 0; v < vectors; v++) {
        float *y = tile_y + i / rows * y_apart + i % rows * columns + lanes * v;
        floats sum = fused(t[i][v], every_float(x[i % rows].alpha), floats_at(y));
        memcpy(y, &sum, sizeof sum);
      }
    x += rows;
    move(&at, bytes);
  }
}

/* Codes of 2 and 3 bits and IQ4_XS's take longer to take apart than to read. */
MXLK_INLINE int takes_panels(const mxlk_scheme scheme, const int code_bits) {
  return code_bits >= 4 && scheme != MXLK_SCHEME_SUPER32_SIX;
}

/* The number of panels as a constant. */
MXLK_INLINE void run_panels(const mxlk_scheme scheme, const int code_bits, const int packed, const int rows,
                            const mxl_kernel_row *row, const mxl_tile *tile) {
  if (packed && takes_panels(scheme, code_bits) && 2 * rows <= most_panels && tile->panels > 1) {
    run_superblocks(scheme, code_bits, packed, rows, most_panels / rows, row, tile);
  } else {
    run_superblocks(scheme, code_bits, packed, rows, 1, row, tile);
  }
}

/* A format's tiles by their number of rows, each a function of its own. With all of them in one the compiler shares what they have in common, addresses
 * above all, and makes bad code of some. */
#define MXLK_TILE(name, frame, scheme, code_bits, packed, rows)                                                \
  static __attribute__((noinline)) frame void name##_##rows(const mxl_kernel_row *row, const mxl_tile *tile) { \
    if (rows <= tile_rows) run_panels(scheme, code_bits, packed, rows, row, tile);                             \
  }

#define MXLK_TILES(name, frame, scheme, code_bits, packed)            \
  MXLK_TILE(name, frame, scheme, code_bits, packed, 1)                \
  MXLK_TILE(name, frame, scheme, code_bits, packed, 2)                \
  MXLK_TILE(name, frame, scheme, code_bits, packed, 3)                \
  MXLK_TILE(name, frame, scheme, code_bits, packed, 4)                \
  MXLK_TILE(name, frame, scheme, code_bits, packed, 5)                \
  MXLK_TILE(name, frame, scheme, code_bits, packed, 6)                \
  MXLK_TILE(name, frame, scheme, code_bits, packed, 7)                \
  MXLK_TILE(name, frame, scheme, code_bits, packed, 8)                \
  static void name(const mxl_kernel_row *row, const mxl_tile *tile) { \
    switch (tile->rows) {                                             \
      case 1: name##_1(row, tile); break;                             \
      case 2: name##_2(row, tile); break;                             \
      case 3: name##_3(row, tile); break;                             \
      case 4: name##_4(row, tile); break;                             \
      case 5: name##_5(row, tile); break;                             \
      case 6: name##_6(row, tile); break;                             \
      case 7: name##_7(row, tile); break;                             \
      case 8: name##_8(row, tile); break;                             \
    }                                                                 \
  }

/* Vectors that do not fit into registers are then kept within cache lines, which else nothing tells the compiler to do. It takes a register, which tiles of
 * expanded weights miss more than that. */
#define MXLK_ALIGNED_FRAME __attribute__((force_align_arg_pointer))

/* Of a format expanded and packed; table: packed codes are nibbles that stand for others. */
#define MXLK_FORMAT(name, scheme, code_bits, table)                \
  MXLK_TILES(name##_expanded, , scheme, code_bits, expanded_codes) \
  MXLK_TILES(name##_packed, MXLK_ALIGNED_FRAME, scheme, code_bits, table ? packed_table : packed_codes)

MXLK_FORMAT(block32_table, MXLK_SCHEME_BLOCK32, 8, 1)
MXLK_FORMAT(block32_4, MXLK_SCHEME_BLOCK32, 4, 0)
MXLK_FORMAT(block32_5, MXLK_SCHEME_BLOCK32, 5, 0)
MXLK_FORMAT(block32_8, MXLK_SCHEME_BLOCK32, 8, 0)
MXLK_FORMAT(block32_min_4, MXLK_SCHEME_BLOCK32_MIN, 4, 0)
MXLK_FORMAT(block32_min_5, MXLK_SCHEME_BLOCK32_MIN, 5, 0)
MXLK_FORMAT(super32_4, MXLK_SCHEME_SUPER32, 4, 0)
MXLK_FORMAT(super32_5, MXLK_SCHEME_SUPER32, 5, 0)
MXLK_FORMAT(super16_3, MXLK_SCHEME_SUPER16, 3, 0)
MXLK_FORMAT(super16_6, MXLK_SCHEME_SUPER16, 6, 0)
MXLK_FORMAT(super16_min_2, MXLK_SCHEME_SUPER16_MIN, 2, 0)
MXLK_FORMAT(block32_power, MXLK_SCHEME_BLOCK32_POWER, 6, 1) /* the table's codes are 0 to 24 */
MXLK_FORMAT(super32_six, MXLK_SCHEME_SUPER32_SIX, 8, 1)
MXLK_FORMAT(group_2, MXLK_SCHEME_GROUP, 2, 0)
MXLK_FORMAT(group_4, MXLK_SCHEME_GROUP, 4, 0)
MXLK_FORMAT(group_8, MXLK_SCHEME_GROUP, 8, 0)

/* What runs a format's tiles. */
typedef void run_tile(const mxl_kernel_row *row, const mxl_tile *tile);

static run_tile *tile_of(const mxlk_block_format *format, int packed) {
#define MXLK_OF(name) return packed ? name##_packed : name##_expanded
  switch (format->scheme) {
    case MXLK_SCHEME_BLOCK32:
      if (format->table != NULL) MXLK_OF(block32_table);
      if (format->code_bits == 4) MXLK_OF(block32_4);
      if (format->code_bits == 5) MXLK_OF(block32_5);
      MXLK_OF(block32_8);
    case MXLK_SCHEME_BLOCK32_MIN:
      if (format->code_bits == 4) MXLK_OF(block32_min_4);
      MXLK_OF(block32_min_5);
    case MXLK_SCHEME_SUPER32:
      if (format->code_bits == 4) MXLK_OF(super32_4);
      MXLK_OF(super32_5);
    case MXLK_SCHEME_SUPER16:
      if (format->code_bits == 3) MXLK_OF(super16_3);
      MXLK_OF(super16_6);
    case MXLK_SCHEME_SUPER16_MIN: MXLK_OF(super16_min_2);
    case MXLK_SCHEME_BLOCK32_POWER: MXLK_OF(block32_power);
    case MXLK_SCHEME_SUPER32_SIX: MXLK_OF(super32_six);
    case MXLK_SCHEME_GROUP:
      if (format->code_bits == 2) MXLK_OF(group_2);
      if (format->code_bits == 4) MXLK_OF(group_4);
      break;
  }
  MXLK_OF(group_8);
#undef MXLK_OF
}

MXLK_INLINE void run_format(const int packed, const mxl_kernel_row *row, const mxl_tile *tile) {
  tile_of(row->context, packed)(row, tile);
}

static __attribute__((noinline)) void run_packed(const mxl_kernel_row *row, const mxl_tile *tile) {
  run_format(1, row, tile);
}

/* Panels side by side where they are as many as the kernels have, else one after the other. */
static void run_packed_panels(const mxl_kernel_row *row, const mxl_tile *tile) {
  const mxlk_block_format *format = row->context;
  int fits = takes_panels(format->scheme, format->code_bits) && tile->panels * tile->rows == most_panels;
  if (tile->panels <= 1 || fits)
    run_packed(row, tile);
  else
    mxlk_one_by_one(run_packed, row, tile);
}

#endif

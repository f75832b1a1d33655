/* Where the int8 schemes' codes and scales come from: vectors of them out of expanded or packed panels. Included by int8_schemes.h. */
#ifndef MXLK_TILES_INT8_WEIGHTS_H
#define MXLK_TILES_INT8_WEIGHTS_H

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
  int copied;            /* expanded scales come for each shift */
  int at_once; /* sub-blocks whose sums are scaled together, 1 or 2: expanded scales then come as pairs of int16, the first's above */
  int wide; /* is_wide of the rows that meet them */
  const uint8_t *table;
  const uint8_t *codes, *high; /* codes; packed: low nibbles (or bytes) and high bits */
  /* Expanded: int32, pairs of int16, float; packed: bytes, bytes, halves. BLOCK32_MIN's minima are as d. */
  const uint8_t *scales, *minima, *d;
  const uint8_t *corrections; /* expanded, SUPER32 with scales for each shift: pairs of int16 */
  const char *next;
  int64_t apart, scales_apart; /* from one panel's to the next's: bytes of all these, of scales */
  int64_t step;                /* packed: bytes to prefetch a group of 4 k; expanded: lines to prefetch a superblock */
  int scale_bytes, group;
} weights;

/* What a table of 16 bytes has for each of the codes. */
static bytes looked_up(const uint8_t *table, bytes codes);

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
MXLK_INLINE weights weights_of(const mxl_kernel_row *row, const mxlk_scheme scheme, const int packed,
                               const mxl_tile *tile, int64_t offset, int64_t k) {
  const uint8_t *at = (const uint8_t *)tile->weights + offset;
  weights w = {.codes = at, .high = at};
  w.next = tile->next == NULL ? (const char *)at : (const char *)tile->next + offset;
  w.step = tile->next == NULL ? 0 : packed ? tile->next_bytes / (tile->k / 4) : tile->next_bytes / 64;
  const mxlk_block_format *format = row->context;
  w.scale_bytes = format->scale_bytes;
  w.table = format->table;
  w.group = format->group;
  if (packed) {
    w.apart = tile->weights_apart;
    mxlk_panel_layout layout = mxlk_panel_layout_of(format, columns, k);
    w.high = at + layout.high;
    w.scales = at + layout.scales;
    w.minima = at + layout.minima;
    w.d = at + layout.d;
  } else {
    mxlk_expanded_layout layout = mxlk_expanded_layout_of(scheme, columns, scale_copies);
    w.scales = at + layout.scales;
    w.corrections = at + layout.corrections;
    w.minima = at + layout.minima;
    w.d = at + layout.d;
  }
  return w;
}

/* On to the next superblock. */
MXLK_INLINE void move(weights *w, int64_t bytes) {
  w->codes += bytes, w->high += bytes, w->scales += bytes, w->minima += bytes, w->d += bytes, w->next += bytes;
}

/* The codes of 2 or 3 bits of a vector's outputs in group g of 4 k of panel p. */
MXLK_INLINE bytes narrow_codes_at(const weights *w, int64_t p, int64_t g, int v) {
  const int width = 4 * columns, position = (int)(g % 8); /* of the high bit, to be moved to bit 2 */
  words low, high;
  memcpy(&low, w->codes + p * w->apart + g / 4 * width + 4 * lanes * v, sizeof low);
  bytes codes = (bytes)(low >> (2 * (g % 4))) & 3;
  if (w->code_bits == 2) return codes;
  memcpy(&high, w->high + p * w->apart + g / 8 * width + 4 * lanes * v, sizeof high);
  high = position <= 2 ? high << (2 - position) : high >> (position - 2);
  return codes | ((bytes)high & 4);
}

/* The codes of a vector's outputs in group g of 4 k of panel p. */
MXLK_INLINE bytes codes_at(const weights *w, int64_t p, int64_t g, int v) {
  const int width = 4 * columns, whole = !w->packed || (w->packed == packed_codes && w->code_bits == 8);
  bytes low;
  if (!whole && w->code_bits < 4) return narrow_codes_at(w, p, g, v);
  memcpy(&low, w->codes + p * w->apart + (whole ? g : g / 2) * width + 4 * lanes * v, sizeof low);
  if (whole) return low;
  bytes nibbles = (g % 2 ? (bytes)((words)low >> 4) : low) & 15;
  if (w->packed == packed_table) return looked_up(w->table, nibbles);
  if (w->code_bits == 4) return nibbles;
  /* The high bits of this group, moved to bit 4 (and 5): left by 4 - position, or right. */
  int position = (int)(w->code_bits == 5 ? g % 8 : 2 * (g % 4));
  words high;
  memcpy(&high, w->high + p * w->apart + g / (w->code_bits == 5 ? 8 : 4) * width + 4 * lanes * v, sizeof high);
  high = position <= 4 ? high << (4 - position) : high >> (position - 4);
  const uint8_t mask = w->code_bits == 5 ? 16 : 48;
  return nibbles | ((bytes)high & mask);
}

/* Packed weights: asks for what comes next, a share a group of 4 k and an eighth for scales. */
MXLK_INLINE void prefetch_at(const weights *w, int64_t p, int64_t g) {
  if (!w->packed) return;
  const int bits = w->packed == packed_table ? 4 : w->code_bits;
  const int share = 4 * columns * bits / 8 * 9 / 8;
  for (int line = 0; line < (share + 63) / 64; line++)
    __builtin_prefetch(w->next + p * w->apart + g * w->step + 64 * line, 0, 3);
}

/* Expanded weights meet tile after tile, whose x and y lie one behind the other in the second level cache: in sub-block b of so many, asks for
 * a share of the next tile's, and of the weights that will be expanded next. */
MXLK_INLINE void prefetch_tile(const int rows, const int blocks, const weights *w, const void *x, const int x_bytes,
                               const float *y, int64_t b) {
  if (w->packed) return;
  const int lines = (rows * x_bytes / 64 + blocks - 1) / blocks;
  for (int line = 0; line < lines; line += x_lines_apart)
    __builtin_prefetch((const char *)x + rows * x_bytes + (b * lines + line) * 64, 0, 3);
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
MXLK_INLINE ints scale_at(const mxlk_scheme scheme, const weights *w, int64_t p, int64_t b, int v) {
  int64_t at = b * columns + lanes * v;
  if (!w->packed && w->at_once == 2) return ints_at(w->scales + 4 * (b / 2 * columns + lanes * v)) << b % 2 * 16 >> 16;
  if (!w->packed) return ints_at(w->scales + 4 * at);
  at += p * w->scales_apart;
  if (scheme == MXLK_SCHEME_SUPER16_MIN) return unsigned_bytes_at(w->scales + at) & 15;
  return is_centred(scheme) ? signed_bytes_at(w->scales + at) : unsigned_bytes_at(w->scales + at);
}

/* sc of sub-blocks b, an even one, and b + 1 as pairs of int16, that of b above. */
MXLK_INLINE ints scale_pair_at(const mxlk_scheme scheme, const weights *w, int64_t p, int64_t b, int v) {
  if (!w->packed) return ints_at(w->scales + 4 * (b / 2 * columns + lanes * v));
  return scale_at(scheme, w, p, b, v) << 16 | (scale_at(scheme, w, p, b + 1, v) & 0xffff);
}

/* m of sub-blocks 2 i and 2 i + 1 as pairs of int16. */
MXLK_INLINE ints minima_at(const int blocks, const weights *w, int64_t p, int64_t i, int v) {
  if (!w->packed) return ints_at(w->minima + 4 * (i * columns + lanes * v));
  const uint8_t *at = w->minima + p * w->apart + 2 * i * columns + lanes * v;
  if (blocks == 16) return unsigned_bytes_at(at) >> 4 | unsigned_bytes_at(at + columns) >> 4 << 16;
  return unsigned_bytes_at(at) | unsigned_bytes_at(at + columns) << 16;
}

/* Of a line of d, or of BLOCK32_MIN's minima. */
MXLK_INLINE floats line_at(const weights *w, const uint8_t *lines, int64_t p, int64_t b, int v) {
  int64_t at = b * columns + lanes * v;
  return w->packed ? halves_at(lines + p * w->apart + 2 * at) : floats_at(lines + 4 * at);
}

/* mxlk_power of a vector's outputs. */
MXLK_INLINE floats powers_at(const void *from) {
  ints stored = unsigned_bytes_at(from), denormal = stored < 2;
  return (floats)((denormal & (stored + 1) << 21) | (~denormal & (stored - 1) << 23));
}

MXLK_INLINE floats d_at(const weights *w, int64_t p, int64_t b, int v) {
  return w->powers ? powers_at(w->d + p * w->apart + b * columns + lanes * v) : line_at(w, w->d, p, b, v);
}

MXLK_INLINE floats group_scales_at(const weights *w, int64_t p, int64_t g, int v) {
  int64_t at = g * columns + lanes * v;
  const uint8_t *d = w->d + p * w->apart;
  return w->packed && w->scale_bytes == 2 ? halves_at(d + 2 * at) : floats_at(d + 4 * at);
}

MXLK_INLINE ints zeros_at(const weights *w, int64_t p, int64_t g, int v) {
  int64_t at = g * columns + lanes * v;
  if (!w->packed) return ints_at(w->minima + 4 * at);
  at += p * w->apart / (w->code_bits == 8 ? 2 : 1);
  if (w->code_bits != 8) return unsigned_bytes_at(w->minima + at);
  ints two = unsigned_words_at(w->minima + 2 * at);
  return (two & 255) + (two >> 8);
}

#endif

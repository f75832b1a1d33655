/* Packing and unpacking the panels of block encodings (panel.h), eight outputs at a time: their blocks become columns of codes and scales,
 * and four by four words of 4 codes change places in registers. Included under each variant's target attribute; on the baseline the
 * compiler splits the vectors. */
#ifndef MXLK_PANEL_PACK_LOOPS_H
#define MXLK_PANEL_PACK_LOOPS_H

#include "panel/panel.h"
#include "words.h"

/* Outputs taken apart together. */
#define MXLK_PACK_COLUMNS 8

typedef struct mxlk_pack_columns {
  mxlk_column column[MXLK_PACK_COLUMNS];
} mxlk_pack_columns;

/* A superblock of the first output of a panel in stored blocks, and its bytes. */
typedef struct mxlk_stored_blocks {
  uint8_t *first;
  int64_t stride, bytes;
  int64_t valid; /* outputs of the panel that the matrix has */
} mxlk_stored_blocks;

static inline mxlk_stored_blocks mxlk_stored_blocks_of(const mxlk_block_format *format, int64_t columns,
                                                       const mxl_source *source, int64_t panel, int64_t k_begin,
                                                       int64_t k) {
  int64_t elements = format->encoding->elements_per_block, bytes = format->encoding->block_size;
  return (mxlk_stored_blocks){
      .first = (uint8_t *)source->data + panel * columns * source->row_stride + k_begin / elements * bytes,
      .stride = source->row_stride,
      .bytes = k / elements * bytes,
      .valid = source->out_dim - panel * columns,
  };
}

/* 32 codes of each of the eight outputs as eight vectors, one for each 4 codes, the outputs side by side. */
MXLK_INLINE void mxlk_codes_load(const mxlk_pack_columns *from, int64_t first, mxlk_words words[8]) {
  for (int half = 0; half < 2; half++) {
    for (int i = 0; i < 4; i++)
      mxlk_words_load(from->column[i].codes + first + 16 * half, from->column[i + 4].codes + first + 16 * half,
                      &words[4 * half + i]);
    mxlk_words_transpose(words + 4 * half);
  }
}

MXLK_INLINE void mxlk_codes_store(mxlk_pack_columns *to, int64_t first, mxlk_words words[8]) {
  for (int half = 0; half < 2; half++) {
    mxlk_words_transpose(words + 4 * half);
    for (int i = 0; i < 4; i++)
      mxlk_words_store(&words[4 * half + i], to->column[i].codes + first + 16 * half,
                       to->column[i + 4].codes + first + 16 * half);
  }
}

/* `lines` and `high` are those of the first of the eight outputs; a line is `width` bytes. Low nibbles need no mask where codes have no others. */
MXLK_INLINE void mxlk_codes_pack(const mxlk_pack_columns *from, int64_t k, int code_bits, int64_t width,
                                 uint8_t *restrict lines, uint8_t *restrict high) {
  for (int64_t part = 0; part < k / 32; part++) {
    mxlk_words words[8];
    mxlk_codes_load(from, 32 * part, words);
    if (code_bits == 8) {
      for (int g = 0; g < 8; g++) memcpy(lines + (8 * part + g) * width, &words[g], sizeof(mxlk_words));
      continue;
    }
    mxlk_words bits = {0}, upper = {0};
    if (code_bits < 4) {
      for (int four = 0; four < 2; four++) {
        mxlk_words low = {0};
        for (int g = 0; g < 4; g++) {
          mxlk_words code = words[4 * four + g];
          low |= (code_bits == 2 ? code : code & 0x03030303u) << (2 * g);
          if (code_bits == 3) bits |= (code >> 2 & 0x01010101u) << (4 * four + g);
        }
        memcpy(lines + (2 * part + four) * width, &low, sizeof low);
      }
      if (code_bits == 3) memcpy(high + part * width, &bits, sizeof bits);
      continue;
    }
    for (int pair = 0; pair < 4; pair++) {
      mxlk_words first = words[2 * pair], second = words[2 * pair + 1];
      if (code_bits == 5)
        bits |= (first >> 4 & 0x01010101u) << (2 * pair) | (second >> 4 & 0x01010101u) << (2 * pair + 1);
      if (code_bits == 6) {
        mxlk_words two = (first >> 4 & 0x03030303u) << (4 * (pair % 2)) | (second >> 4 & 0x03030303u)
                                                                              << (4 * (pair % 2) + 2);
        if (pair < 2)
          bits |= two;
        else
          upper |= two;
      }
      mxlk_words low = code_bits == 4 ? first | second << 4 : (first & 0x0f0f0f0fu) | (second & 0x0f0f0f0fu) << 4;
      memcpy(lines + (4 * part + pair) * width, &low, sizeof low);
    }
    if (code_bits == 5) memcpy(high + part * width, &bits, sizeof bits);
    if (code_bits == 6) {
      memcpy(high + 2 * part * width, &bits, sizeof bits);
      memcpy(high + (2 * part + 1) * width, &upper, sizeof upper);
    }
  }
}

MXLK_INLINE void mxlk_codes_unpack(const uint8_t *restrict lines, const uint8_t *restrict high, int64_t k,
                                   int code_bits, int64_t width, mxlk_pack_columns *to) {
  for (int64_t part = 0; part < k / 32; part++) {
    mxlk_words words[8], bits[2] = {{0}, {0}};
    if (code_bits == 5 || code_bits == 3) memcpy(&bits[0], high + part * width, sizeof(mxlk_words));
    if (code_bits == 6)
      for (int i = 0; i < 2; i++) memcpy(&bits[i], high + (2 * part + i) * width, sizeof(mxlk_words));
    for (int g = 0; g < 8; g++) {
      if (code_bits == 8) {
        memcpy(&words[g], lines + (8 * part + g) * width, sizeof(mxlk_words));
        continue;
      }
      mxlk_words low;
      if (code_bits < 4) {
        memcpy(&low, lines + (2 * part + g / 4) * width, sizeof low);
        words[g] = low >> (2 * (g % 4)) & 0x03030303u;
        if (code_bits == 3) words[g] |= (bits[0] >> g & 0x01010101u) << 2;
        continue;
      }
      memcpy(&low, lines + (4 * part + g / 2) * width, sizeof low);
      words[g] = low >> (4 * (g % 2)) & 0x0f0f0f0fu;
      if (code_bits == 5) words[g] |= (bits[0] >> g & 0x01010101u) << 4;
      if (code_bits == 6) words[g] |= (bits[g / 4] >> (2 * (g % 4)) & 0x03030303u) << 4;
    }
    mxlk_codes_store(to, 32 * part, words);
  }
}

/* What a superblock of the format has of each kind of scale; `columns` values of each lie side by side. */
typedef struct mxlk_scale_counts {
  int scales, minima, halves, minimum_halves, groups;
} mxlk_scale_counts;

static inline mxlk_scale_counts mxlk_scale_counts_of(const mxlk_block_format *format, int64_t k) {
  int groups = format->scheme == MXLK_SCHEME_GROUP ? (int)mxlk_group_count(format, k) : 0;
  switch (format->scheme) {
    case MXLK_SCHEME_BLOCK32: return (mxlk_scale_counts){.halves = (int)(k / 32)};
    case MXLK_SCHEME_BLOCK32_MIN: return (mxlk_scale_counts){.halves = (int)(k / 32), .minimum_halves = (int)(k / 32)};
    case MXLK_SCHEME_SUPER32: return (mxlk_scale_counts){.scales = 8, .minima = 8, .halves = 2};
    case MXLK_SCHEME_SUPER16: return (mxlk_scale_counts){.scales = 2 * format->scale_bits, .halves = 1};
    case MXLK_SCHEME_SUPER16_MIN: return (mxlk_scale_counts){.scales = 16, .halves = 2};
    case MXLK_SCHEME_BLOCK32_POWER: return (mxlk_scale_counts){.scales = (int)(k / 32)};
    case MXLK_SCHEME_SUPER32_SIX: return (mxlk_scale_counts){.scales = 6, .halves = 1};
    case MXLK_SCHEME_GROUP:
      if (format->code_bits == 8) return (mxlk_scale_counts){.minimum_halves = groups, .groups = groups};
      return (mxlk_scale_counts){.minima = groups, .groups = groups};
  }
  return (mxlk_scale_counts){0};
}

/* The scales of the eight outputs from `first` on. */
MXLK_INLINE void mxlk_scales_pack(const mxlk_pack_columns *from, const mxlk_block_format *format,
                                  const mxlk_panel_layout *layout, int64_t k, int64_t columns, int64_t first,
                                  uint8_t *restrict packed) {
  mxlk_scale_counts count = mxlk_scale_counts_of(format, k);
  uint8_t *at = packed + layout->scales + first;
  for (int b = 0; b < count.scales; b++, at += columns)
    for (int c = 0; c < MXLK_PACK_COLUMNS; c++) at[c] = from->column[c].scales[b];
  at = packed + layout->minima + first;
  for (int b = 0; b < count.minima; b++, at += columns)
    for (int c = 0; c < MXLK_PACK_COLUMNS; c++) at[c] = from->column[c].minima[b];
  at = packed + layout->d + 2 * first;
  for (int b = 0; b < count.halves; b++, at += 2 * columns)
    for (int c = 0; c < MXLK_PACK_COLUMNS; c++) memcpy(at + 2 * c, &from->column[c].d[b], 2);
  at = packed + layout->minima + 2 * first;
  for (int b = 0; b < count.minimum_halves; b++, at += 2 * columns)
    for (int c = 0; c < MXLK_PACK_COLUMNS; c++) memcpy(at + 2 * c, &from->column[c].m[b], 2);
  at = packed + layout->d + format->scale_bytes * first;
  for (int g = 0; g < count.groups; g++, at += format->scale_bytes * columns)
    for (int c = 0; c < MXLK_PACK_COLUMNS; c++)
      mxlk_group_scale_store(format, from->column[c].group_scales[g], at + format->scale_bytes * c);
}

MXLK_INLINE void mxlk_scales_unpack(const uint8_t *restrict packed, const mxlk_block_format *format,
                                    const mxlk_panel_layout *layout, int64_t k, int64_t columns, int64_t first,
                                    mxlk_pack_columns *to) {
  mxlk_scale_counts count = mxlk_scale_counts_of(format, k);
  const uint8_t *at = packed + layout->scales + first;
  for (int b = 0; b < count.scales; b++, at += columns)
    for (int c = 0; c < MXLK_PACK_COLUMNS; c++) to->column[c].scales[b] = at[c];
  at = packed + layout->minima + first;
  for (int b = 0; b < count.minima; b++, at += columns)
    for (int c = 0; c < MXLK_PACK_COLUMNS; c++) to->column[c].minima[b] = at[c];
  at = packed + layout->d + 2 * first;
  for (int b = 0; b < count.halves; b++, at += 2 * columns)
    for (int c = 0; c < MXLK_PACK_COLUMNS; c++) memcpy(&to->column[c].d[b], at + 2 * c, 2);
  at = packed + layout->minima + 2 * first;
  for (int b = 0; b < count.minimum_halves; b++, at += 2 * columns)
    for (int c = 0; c < MXLK_PACK_COLUMNS; c++) memcpy(&to->column[c].m[b], at + 2 * c, 2);
  at = packed + layout->d + format->scale_bytes * first;
  for (int g = 0; g < count.groups; g++, at += format->scale_bytes * columns)
    for (int c = 0; c < MXLK_PACK_COLUMNS; c++)
      to->column[c].group_scales[g] = mxlk_group_scale_load(format, at + format->scale_bytes * c);
}

/* Asks for the blocks of the superblock behind these: rows are far apart, and there are more of them than a CPU foresees. */
MXLK_INLINE void mxlk_blocks_prefetch(const uint8_t *blocks, int64_t bytes) {
  for (int64_t line = 0; line < bytes; line += 64) __builtin_prefetch(blocks + bytes + line);
}

MXLK_INLINE void mxlk_panel_pack_loop(const mxlk_block_format *format, int64_t columns, const mxl_source *source,
                                      int64_t panel, int64_t k_begin, int64_t k, uint8_t *restrict packed) {
  mxlk_panel_layout layout = mxlk_panel_layout_of(format, columns, k);
  mxlk_stored_blocks stored = mxlk_stored_blocks_of(format, columns, source, panel, k_begin, k);
  /* Behind the scales, up to a whole line. */
  memset(packed + layout.bytes - 64, 0, 64);
  for (int64_t first = 0; first < columns; first += MXLK_PACK_COLUMNS) {
    mxlk_pack_columns taken;
    for (int c = 0; c < MXLK_PACK_COLUMNS; c++) {
      if (first + c >= stored.valid) {
        memset(&taken.column[c], 0, sizeof taken.column[c]);
        continue;
      }
      const uint8_t *blocks = stored.first + (first + c) * stored.stride;
      mxlk_blocks_prefetch(blocks, stored.bytes);
      format->column_from_blocks(format, blocks, k, &taken.column[c]);
    }
    uint8_t *lines = packed + 4 * first, *high = packed + layout.high + 4 * first;
    switch (format->code_bits) {
      case 2: mxlk_codes_pack(&taken, k, 2, 4 * columns, lines, high); break;
      case 3: mxlk_codes_pack(&taken, k, 3, 4 * columns, lines, high); break;
      case 4: mxlk_codes_pack(&taken, k, 4, 4 * columns, lines, high); break;
      case 5: mxlk_codes_pack(&taken, k, 5, 4 * columns, lines, high); break;
      case 6: mxlk_codes_pack(&taken, k, 6, 4 * columns, lines, high); break;
      default: mxlk_codes_pack(&taken, k, 8, 4 * columns, lines, high); break;
    }
    mxlk_scales_pack(&taken, format, &layout, k, columns, first, packed);
  }
}

MXLK_INLINE void mxlk_panel_unpack_loop(const mxlk_block_format *format, int64_t columns, const uint8_t *packed,
                                        int64_t panel, int64_t k_begin, int64_t k, const mxl_source *destination) {
  mxlk_panel_layout layout = mxlk_panel_layout_of(format, columns, k);
  mxlk_stored_blocks stored = mxlk_stored_blocks_of(format, columns, destination, panel, k_begin, k);
  for (int64_t first = 0; first < columns; first += MXLK_PACK_COLUMNS) {
    mxlk_pack_columns taken;
    const uint8_t *lines = packed + 4 * first, *high = packed + layout.high + 4 * first;
    switch (format->code_bits) {
      case 2: mxlk_codes_unpack(lines, high, k, 2, 4 * columns, &taken); break;
      case 3: mxlk_codes_unpack(lines, high, k, 3, 4 * columns, &taken); break;
      case 4: mxlk_codes_unpack(lines, high, k, 4, 4 * columns, &taken); break;
      case 5: mxlk_codes_unpack(lines, high, k, 5, 4 * columns, &taken); break;
      case 6: mxlk_codes_unpack(lines, high, k, 6, 4 * columns, &taken); break;
      default: mxlk_codes_unpack(lines, high, k, 8, 4 * columns, &taken); break;
    }
    mxlk_scales_unpack(packed, format, &layout, k, columns, first, &taken);
    for (int c = 0; c < MXLK_PACK_COLUMNS && first + c < stored.valid; c++)
      format->blocks_from_column(format, &taken.column[c], k, stored.first + (first + c) * stored.stride);
  }
}

#endif

#include "gptq/code_rows.h"

#include "gptq/codes.h"
#include "gptq/places.h"

#include <string.h>

/* The codes of four AWQ words, two vectors of sixteen outputs: in a word the low nibbles of its bytes are outputs 0 4 1 5, the high ones
 * 2 6 3 7. */
static void awq_four_words(const char *words, uint8_t *row) {
  typedef uint16_t pairs __attribute__((vector_size(16)));
  mxlk_half_words all, half[2];
  memcpy(&all, words, sizeof all);
  for (int i = 0; i < 2; i++) {
    mxlk_half_words x = all >> (4 * i) & 0x0f0f0f0fu;
    half[i] = (x & 0xff0000ffu) | (x & 0xff00u) << 8 | (x >> 8 & 0xff00u);
  }
  pairs low = (pairs)half[0], high = (pairs)half[1];
  pairs first = __builtin_shufflevector(low, high, 0, 8, 1, 9, 2, 10, 3, 11);
  pairs second = __builtin_shufflevector(low, high, 4, 12, 5, 13, 6, 14, 7, 15);
  memcpy(row, &first, sizeof first);
  memcpy(row + 16, &second, sizeof second);
}

void mxlk_gptq_code_row(const mxlk_gptq_tensors *t, int64_t k, int64_t first, int64_t count, uint8_t *row) {
  if (t->awq) {
    const char *words = (const char *)t->qweight + k * t->qweight_stride + first / 2;
    int64_t n = 0;
    for (; n + 32 <= count; n += 32) awq_four_words(words + n / 2, row + n);
    for (; n < count; n++) row[n] = (uint8_t)(mxlk_word_at(words, n / 8) >> mxlk_awq_shifts[n % 8] & 15);
    return;
  }
  const mxlk_bit_place place = mxlk_bit_place_of(t->bits, k);
  const char *words = (const char *)t->qweight + place.word * t->qweight_stride + 4 * first;
  const uint32_t mask = (1u << t->bits) - 1;
  if (!place.crosses) {
    for (int64_t n = 0; n < count; n++) row[n] = (uint8_t)(mxlk_word_at(words, n) >> place.shift & mask);
    return;
  }
  const char *next = words + t->qweight_stride;
  for (int64_t n = 0; n < count; n++)
    row[n] = (uint8_t)((mxlk_word_at(words, n) >> place.shift | mxlk_word_at(next, n) << (32 - place.shift)) & mask);
}

/* The inverse, into words of zeros. */
static void put_code_row(const mxlk_gptq_tensors *t, int64_t k, int64_t first, int64_t count, const uint8_t *row,
                         char *qweight) {
  if (t->awq) {
    char *words = qweight + k * t->qweight_stride + first / 2;
    for (int64_t n = 0; n < count; n++) mxlk_add_to_word(words, n / 8, (uint32_t)row[n] << mxlk_awq_shifts[n % 8]);
    return;
  }
  const mxlk_bit_place place = mxlk_bit_place_of(t->bits, k);
  char *words = qweight + place.word * t->qweight_stride + 4 * first;
  for (int64_t n = 0; n < count; n++) mxlk_add_to_word(words, n, (uint32_t)row[n] << place.shift);
  if (!place.crosses) return;
  for (int64_t n = 0; n < count; n++)
    mxlk_add_to_word(words + t->qweight_stride, n, (uint32_t)row[n] >> (32 - place.shift));
}

void mxlk_gptq_zero_row(const mxlk_gptq_tensors *t, int64_t group, int64_t first, int64_t count, uint16_t *row) {
  const uint32_t mask = (1u << t->bits) - 1;
  const char *words = (const char *)t->qzeros + group * t->qzeros_stride;
  for (int64_t n = first; n < first + count; n++) {
    uint32_t stored;
    if (t->qzeros == NULL) {
      row[n - first] = (uint16_t)(1u << (t->bits - 1));
      continue;
    }
    if (t->awq) {
      stored = mxlk_word_at(words, n / 8) >> mxlk_awq_shifts[n % 8];
    } else {
      mxlk_bit_place place = mxlk_bit_place_of(t->bits, n);
      stored = mxlk_word_at(words, place.word) >> place.shift;
      if (place.crosses) stored |= mxlk_word_at(words, place.word + 1) << (32 - place.shift);
    }
    row[n - first] = (uint16_t)((stored & mask) + (uint32_t)t->zero_offset);
  }
}

static int64_t column_of(const mxlk_gptq_tensors *t, int64_t place) {
  return t->order == NULL ? place : t->order[place];
}

/* Lines of panels from four rows of codes for each 8 / bits of a byte; `bits` is a constant. */
static inline __attribute__((always_inline)) void pack_rows(const mxlk_code_block *b, const int bits, int64_t k_begin,
                                                            int64_t k, int64_t panel_bytes, uint8_t *panels) {
  const int groups = 8 / bits;
  _Alignas(16) uint8_t rows[16][MXLK_MOST_WIDTH];
  memset(rows, 0, sizeof rows);
  for (int64_t line = 0; line < k / (4 * groups); line++) {
    for (int i = 0; i < 4 * groups; i++)
      mxlk_gptq_code_row(b->tensors, column_of(b->tensors, k_begin + 4 * groups * line + i), b->first, b->count,
                         rows[i]);
    for (int64_t n = 0; n < b->width; n += 16) {
      uint8_t *to = panels + n / b->columns * panel_bytes + 4 * (line * b->columns + n % b->columns);
      mxlk_code_bytes all[4] = {{0}, {0}, {0}, {0}};
      for (int g = 0; g < groups; g++) {
        mxlk_code_bytes v[4];
        for (int i = 0; i < 4; i++) memcpy(&v[i], rows[4 * g + i] + n, sizeof v[i]);
        mxlk_bytes_join(v);
        for (int i = 0; i < 4; i++) all[i] |= v[i] << (bits * g);
      }
      memcpy(to, all, sizeof all);
    }
  }
}

static inline __attribute__((always_inline)) void unpack_rows(const mxlk_code_block *b, const int bits, int64_t k_begin,
                                                              int64_t k, int64_t panel_bytes, const uint8_t *panels,
                                                              char *qweight) {
  const int groups = 8 / bits;
  _Alignas(16) uint8_t rows[16][MXLK_MOST_WIDTH];
  for (int64_t line = 0; line < k / (4 * groups); line++) {
    for (int64_t n = 0; n < b->width; n += 16) {
      const uint8_t *from = panels + n / b->columns * panel_bytes + 4 * (line * b->columns + n % b->columns);
      mxlk_code_bytes all[4];
      memcpy(all, from, sizeof all);
      for (int g = 0; g < groups; g++) {
        mxlk_code_bytes v[4];
        for (int i = 0; i < 4; i++) v[i] = all[i] >> (bits * g) & (uint8_t)((1 << bits) - 1);
        mxlk_bytes_split(v);
        for (int i = 0; i < 4; i++) memcpy(rows[4 * g + i] + n, &v[i], sizeof v[i]);
      }
    }
    for (int i = 0; i < 4 * groups; i++)
      put_code_row(b->tensors, column_of(b->tensors, k_begin + 4 * groups * line + i), b->first, b->count, rows[i],
                   qweight);
  }
}

void mxlk_gptq_pack_codes(const mxlk_code_block *block, int64_t k_begin, int64_t k, int64_t panel_bytes,
                          uint8_t *panels) {
  switch (block->code_bits) {
    case 2: pack_rows(block, 2, k_begin, k, panel_bytes, panels); break;
    case 4: pack_rows(block, 4, k_begin, k, panel_bytes, panels); break;
    default: pack_rows(block, 8, k_begin, k, panel_bytes, panels); break;
  }
}

void mxlk_gptq_unpack_codes(const mxlk_code_block *block, int64_t k_begin, int64_t k, int64_t panel_bytes,
                            const uint8_t *panels, char *qweight) {
  switch (block->code_bits) {
    case 2: unpack_rows(block, 2, k_begin, k, panel_bytes, panels, qweight); break;
    case 4: unpack_rows(block, 4, k_begin, k, panel_bytes, panels, qweight); break;
    default: unpack_rows(block, 8, k_begin, k, panel_bytes, panels, qweight); break;
  }
}

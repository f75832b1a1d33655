/* qweight's words as the lines of a panel (panel.h). A word holds the codes of columns 0 to 7 of x in this order, a line's those of
 * columns 0 4 1 5 2 6 3 7, from the lowest nibble up. Where the columns of x come in another order, codes lie between the two as rows of
 * bytes: row i has columns 2 i and 2 i + 1 of x, low nibble and high, the outputs side by side. Sixteen outputs at a time. */
#ifndef MXLK_GPTQ_CODES_H
#define MXLK_GPTQ_CODES_H

#include "words.h"

typedef uint8_t mxlk_code_bytes __attribute__((vector_size(16)));

/* Exchanges nibbles 2, 3 with 4, 5, then 1 with 2 and 5 with 6. */
MXLK_INLINE void mxlk_line_from_words(const void *words, void *line) {
  for (int half = 0; half < 2; half++) {
    mxlk_words x, t;
    memcpy(&x, (const char *)words + 32 * half, sizeof x);
    t = (x ^ x >> 8) & 0x0000ff00u;
    x ^= t ^ t << 8;
    t = (x ^ x >> 4) & 0x00f000f0u;
    x ^= t ^ t << 4;
    memcpy((char *)line + 32 * half, &x, sizeof x);
  }
}

/* The inverse. */
MXLK_INLINE void mxlk_words_from_line(const void *line, void *words) {
  for (int half = 0; half < 2; half++) {
    mxlk_words x, t;
    memcpy(&x, (const char *)line + 32 * half, sizeof x);
    t = (x ^ x >> 4) & 0x00f000f0u;
    x ^= t ^ t << 4;
    t = (x ^ x >> 8) & 0x0000ff00u;
    x ^= t ^ t << 8;
    memcpy((char *)words + 32 * half, &x, sizeof x);
  }
}

/* v[i] holds outputs 4 i to 4 i + 3, four bytes each, and comes to hold byte i of all sixteen outputs. */
MXLK_INLINE void mxlk_bytes_split(mxlk_code_bytes v[4]) {
  mxlk_code_bytes a[4];
  for (int i = 0; i < 2; i++) {
    a[i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    a[2 + i] =
        __builtin_shufflevector(v[2 * i], v[2 * i + 1], 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  }
  for (int i = 0; i < 2; i++) {
    v[i] = __builtin_shufflevector(a[2 * i], a[2 * i + 1], 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    v[2 + i] =
        __builtin_shufflevector(a[2 * i], a[2 * i + 1], 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  }
}

/* The inverse. */
MXLK_INLINE void mxlk_bytes_join(mxlk_code_bytes v[4]) {
  mxlk_code_bytes a[4];
  for (int i = 0; i < 2; i++) {
    a[i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    a[2 + i] =
        __builtin_shufflevector(v[2 * i], v[2 * i + 1], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  }
  for (int i = 0; i < 2; i++) {
    v[2 * i] = __builtin_shufflevector(a[2 * i], a[2 * i + 1], 0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23);
    v[2 * i + 1] =
        __builtin_shufflevector(a[2 * i], a[2 * i + 1], 8, 9, 24, 25, 10, 11, 26, 27, 12, 13, 28, 29, 14, 15, 30, 31);
  }
}

/* Words as four rows of bytes, `width` apart. */
MXLK_INLINE void mxlk_rows_from_words(const void *words, int64_t width, uint8_t *rows) {
  mxlk_code_bytes v[4];
  memcpy(v, words, sizeof v);
  mxlk_bytes_split(v);
  for (int i = 0; i < 4; i++) memcpy(rows + i * width, &v[i], sizeof v[i]);
}

/* The inverse. */
MXLK_INLINE void mxlk_words_from_rows(const uint8_t *rows, int64_t width, void *words) {
  mxlk_code_bytes v[4];
  for (int i = 0; i < 4; i++) memcpy(&v[i], rows + i * width, sizeof v[i]);
  mxlk_bytes_join(v);
  memcpy(words, v, sizeof v);
}

/* Where the codes of eight columns of x are: their rows, and the lowest bit of their nibble. */
typedef struct mxlk_code_places {
  uint8_t *row[8];
  uint32_t shift[8];
} mxlk_code_places;

/* A line from eight columns of x. */
MXLK_INLINE void mxlk_line_from_rows(const mxlk_code_places *from, int64_t output, void *line) {
  mxlk_code_bytes v[4];
  for (int i = 0; i < 4; i++) {
    mxlk_half_words low, high, both;
    memcpy(&low, from->row[i] + output, sizeof low);
    memcpy(&high, from->row[4 + i] + output, sizeof high);
    both = (low >> from->shift[i] & 0x0f0f0f0fu) | (high >> from->shift[4 + i] & 0x0f0f0f0fu) << 4;
    memcpy(&v[i], &both, sizeof both);
  }
  mxlk_bytes_join(v);
  memcpy(line, v, sizeof v);
}

/* The inverse, into rows of zeros. */
MXLK_INLINE void mxlk_rows_from_line(const void *line, const mxlk_code_places *to, int64_t output) {
  mxlk_code_bytes v[4];
  memcpy(v, line, sizeof v);
  mxlk_bytes_split(v);
  for (int j = 0; j < 8; j++) {
    mxlk_half_words codes, row;
    memcpy(&codes, &v[j % 4], sizeof codes);
    memcpy(&row, to->row[j] + output, sizeof row);
    row |= (codes >> 4 * (j / 4) & 0x0f0f0f0fu) << to->shift[j];
    memcpy(to->row[j] + output, &row, sizeof row);
  }
}

#endif

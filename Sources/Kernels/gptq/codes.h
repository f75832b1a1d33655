/* qweight's words as bytes, and bytes as the lines of a panel (panel.h), sixteen outputs at a time. Between the two the columns of x come
 * in any order: codes lie as rows of bytes, one a column of x, the outputs side by side. */
#ifndef MXLK_GPTQ_CODES_H
#define MXLK_GPTQ_CODES_H

#include <stdint.h>
#include <string.h>

typedef uint8_t mxlk_code_bytes __attribute__((vector_size(16)));

static inline void mxlk_bytes_load(const void *from, mxlk_code_bytes *bytes) { memcpy(bytes, from, sizeof *bytes); }
static inline void mxlk_bytes_store(const mxlk_code_bytes *bytes, void *to) { memcpy(to, bytes, sizeof *bytes); }

/* Sixteen times four bytes: v[i] holds outputs 4 i to 4 i + 3, four bytes each, and comes to hold byte i of all sixteen outputs. */
static inline void mxlk_bytes_split(mxlk_code_bytes v[4]) {
  mxlk_code_bytes a[4];
  for (int i = 0; i < 2; i++) {
    a[i] = __builtin_shufflevector(v[2 * i], v[2 * i + 1], 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    a[2 + i] =
        __builtin_shufflevector(v[2 * i], v[2 * i + 1], 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  }
  v[0] = __builtin_shufflevector(a[0], a[1], 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  v[2] = __builtin_shufflevector(a[0], a[1], 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  v[1] = __builtin_shufflevector(a[2], a[3], 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  v[3] = __builtin_shufflevector(a[2], a[3], 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
}

/* The inverse. */
static inline void mxlk_bytes_join(mxlk_code_bytes v[4]) {
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

/* Sixteen words of qweight as eight rows of codes. */
static inline void mxlk_codes_from_words(const void *words, int64_t width, uint8_t *codes) {
  mxlk_code_bytes even[4], odd[4];
  for (int i = 0; i < 4; i++) {
    mxlk_code_bytes both;
    mxlk_bytes_load((const char *)words + 16 * i, &both);
    even[i] = both & 15;
    odd[i] = both >> 4;
  }
  mxlk_bytes_split(even);
  mxlk_bytes_split(odd);
  for (int i = 0; i < 4; i++) {
    mxlk_bytes_store(&even[i], codes + 2 * i * width);
    mxlk_bytes_store(&odd[i], codes + (2 * i + 1) * width);
  }
}

/* The inverse. */
static inline void mxlk_words_from_codes(const uint8_t *codes, int64_t width, void *words) {
  mxlk_code_bytes v[4];
  for (int i = 0; i < 4; i++) {
    mxlk_code_bytes even, odd;
    mxlk_bytes_load(codes + 2 * i * width, &even);
    mxlk_bytes_load(codes + (2 * i + 1) * width, &odd);
    v[i] = even | odd << 4;
  }
  mxlk_bytes_join(v);
  for (int i = 0; i < 4; i++) mxlk_bytes_store(&v[i], (char *)words + 16 * i);
}

/* Eight rows of codes as sixteen outputs' part of a line: the first four rows the low nibbles, the others the high ones. */
static inline void mxlk_line_from_codes(const uint8_t *const rows[8], int64_t column, uint8_t *line) {
  mxlk_code_bytes v[4];
  for (int i = 0; i < 4; i++) {
    mxlk_code_bytes low, high;
    mxlk_bytes_load(rows[i] + column, &low);
    mxlk_bytes_load(rows[4 + i] + column, &high);
    v[i] = low | high << 4;
  }
  mxlk_bytes_join(v);
  for (int i = 0; i < 4; i++) mxlk_bytes_store(&v[i], line + 16 * i);
}

/* The inverse. */
static inline void mxlk_codes_from_line(const uint8_t *line, uint8_t *const rows[8], int64_t column) {
  mxlk_code_bytes v[4];
  for (int i = 0; i < 4; i++) mxlk_bytes_load(line + 16 * i, &v[i]);
  mxlk_bytes_split(v);
  for (int i = 0; i < 4; i++) {
    mxlk_code_bytes low = v[i] & 15, high = v[i] >> 4;
    mxlk_bytes_store(&low, rows[i] + column);
    mxlk_bytes_store(&high, rows[4 + i] + column);
  }
}

#endif

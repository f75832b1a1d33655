/* Packing moves words of 32 bits: a float, a pair of halves, or four codes. Here they are eight outputs' in one vector, which baseline CPUs
 * split in two. By pointer only: how such vectors are passed by value depends on the CPU variant. */
#ifndef MXLK_WORDS_H
#define MXLK_WORDS_H

#include "contract.h"

#include <stdint.h>
#include <string.h>

typedef uint32_t mxlk_words __attribute__((vector_size(32)));
typedef uint32_t mxlk_half_words __attribute__((vector_size(16)));

/* Four words of one output below four of another; any alignment. */
MXLK_INLINE void mxlk_words_load(const void *low, const void *high, mxlk_words *words) {
  mxlk_half_words a, b;
  memcpy(&a, low, sizeof a);
  memcpy(&b, high, sizeof b);
  *words = __builtin_shufflevector(a, b, 0, 1, 2, 3, 4, 5, 6, 7);
}

MXLK_INLINE void mxlk_words_store(const mxlk_words *words, void *low, void *high) {
  mxlk_half_words a = __builtin_shufflevector(*words, *words, 0, 1, 2, 3);
  mxlk_half_words b = __builtin_shufflevector(*words, *words, 4, 5, 6, 7);
  memcpy(low, &a, sizeof a);
  memcpy(high, &b, sizeof b);
}

/* In each half, word j of vector i becomes word i of vector j. So four words of the outputs i and i + 4 become, for each word, those of
 * the outputs 0 to 7; and back. */
MXLK_INLINE void mxlk_words_transpose(mxlk_words v[4]) {
  mxlk_words a = __builtin_shufflevector(v[0], v[1], 0, 8, 1, 9, 4, 12, 5, 13);
  mxlk_words b = __builtin_shufflevector(v[0], v[1], 2, 10, 3, 11, 6, 14, 7, 15);
  mxlk_words c = __builtin_shufflevector(v[2], v[3], 0, 8, 1, 9, 4, 12, 5, 13);
  mxlk_words d = __builtin_shufflevector(v[2], v[3], 2, 10, 3, 11, 6, 14, 7, 15);
  v[0] = __builtin_shufflevector(a, c, 0, 1, 8, 9, 4, 5, 12, 13);
  v[1] = __builtin_shufflevector(a, c, 2, 3, 10, 11, 6, 7, 14, 15);
  v[2] = __builtin_shufflevector(b, d, 0, 1, 8, 9, 4, 5, 12, 13);
  v[3] = __builtin_shufflevector(b, d, 2, 3, 10, 11, 6, 7, 14, 15);
}

/* Four words each of the outputs first to first + 7 of a panel, whose rows are `stride` bytes apart, as four vectors; zeros for outputs from
 * `valid` on. */
MXLK_INLINE void mxlk_words_gather(const char *rows, int64_t stride, int64_t first, int64_t valid, mxlk_words v[4]) {
  static const uint32_t zeros[4];
  for (int64_t c = first; c < first + 4; c++)
    mxlk_words_load(c < valid ? rows + c * stride : (const char *)zeros,
                    c + 4 < valid ? rows + (c + 4) * stride : (const char *)zeros, &v[c - first]);
  mxlk_words_transpose(v);
}

/* The inverse; outputs from `valid` on are dropped. */
MXLK_INLINE void mxlk_words_scatter(mxlk_words v[4], char *rows, int64_t stride, int64_t first, int64_t valid) {
  uint32_t dropped[4];
  mxlk_words_transpose(v);
  for (int64_t c = first; c < first + 4; c++)
    mxlk_words_store(&v[c - first], c < valid ? rows + c * stride : (char *)dropped,
                     c + 4 < valid ? rows + (c + 4) * stride : (char *)dropped);
}

#endif

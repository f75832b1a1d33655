/* Where codes and zeros lie in the words of AutoGPTQ's and AutoAWQ's tensors (gptq_tensors.h). Words at any alignment. */
#ifndef MXLK_GPTQ_PLACES_H
#define MXLK_GPTQ_PLACES_H

#include <stdint.h>
#include <string.h>

/* A code of AutoGPTQ's stream of bits: from bit `shift` of a word on, and where it crosses, on in the next. */
typedef struct mxlk_bit_place {
  int64_t word;
  int shift, crosses;
} mxlk_bit_place;

static inline mxlk_bit_place mxlk_bit_place_of(int32_t bits, int64_t place) {
  int64_t at = bits * place;
  int shift = (int)(at % 32);
  return (mxlk_bit_place){at / 32, shift, shift + bits > 32};
}

/* The words of a row of `count` zeros: whole runs of them, 32 of 3 bits in three words, else as many as are in one. */
static inline int64_t mxlk_gptq_words(int32_t bits, int64_t count) {
  return bits == 3 ? (count + 31) / 32 * 3 : (count + 32 / bits - 1) / (32 / bits);
}

/* The lowest bit of each of the eight outputs of an AWQ word. */
static const uint8_t mxlk_awq_shifts[8] = {0, 16, 4, 20, 8, 24, 12, 28};

static inline uint32_t mxlk_word_at(const void *words, int64_t index) {
  uint32_t word;
  memcpy(&word, (const char *)words + 4 * index, 4);
  return word;
}

static inline void mxlk_add_to_word(void *words, int64_t index, uint32_t bits) {
  uint32_t word = mxlk_word_at(words, index) | bits;
  memcpy((char *)words + 4 * index, &word, 4);
}

/* A code, into words of zeros, the first at `first`, the others `step` words apart. */
static inline void mxlk_add_to_stream(void *words, int64_t first, int64_t step, mxlk_bit_place place, uint32_t code) {
  mxlk_add_to_word(words, first + place.word * step, code << place.shift);
  if (place.crosses) mxlk_add_to_word(words, first + (place.word + 1) * step, code >> (32 - place.shift));
}

#endif

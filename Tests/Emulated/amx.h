/* AMX's tile intrinsics in C: a file's own tile registers of the calling thread, with the rows and row bytes that it configured. What raises #UD
 * or #GP ends the process. */
#ifndef EMULATED_AMX_H
#define EMULATED_AMX_H

#include <immintrin.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define EMULATED_TILES static inline __attribute__((unused))

typedef struct emulated_tiles {
  uint8_t palette; /* 0: not configured */
  uint8_t rows[8];
  uint16_t row_bytes[8];
  _Alignas(64) char data[8][16][64]; /* zeros behind what is configured */
} emulated_tiles;

static _Thread_local emulated_tiles emulated_tile __attribute__((unused));

EMULATED_TILES void emulated_expect(int holds) {
  if (!holds) abort();
}

EMULATED_TILES void emulated_tile_release(void) { memset(&emulated_tile, 0, sizeof emulated_tile); }

EMULATED_TILES void emulated_tile_loadconfig(const void *from) {
  uint8_t config[64];
  uint16_t row_bytes;
  memcpy(config, from, sizeof config);
  emulated_tile_release();
  if (config[0] == 0) return;
  emulated_expect(config[0] == 1 && config[1] == 0);
  emulated_tile.palette = 1;
  for (int tile = 0; tile < 8; tile++) {
    memcpy(&row_bytes, config + 16 + 2 * tile, 2);
    emulated_tile.row_bytes[tile] = row_bytes;
    emulated_tile.rows[tile] = config[48 + tile];
    emulated_expect(row_bytes <= 64 && config[48 + tile] <= 16 && (row_bytes == 0) == (config[48 + tile] == 0));
  }
}

EMULATED_TILES void emulated_tile_zero(int tile) {
  emulated_expect(emulated_tile.rows[tile] > 0);
  memset(emulated_tile.data[tile], 0, sizeof emulated_tile.data[tile]);
}

EMULATED_TILES void emulated_tile_loadd(int tile, const void *from, int64_t stride) {
  emulated_tile_zero(tile);
  for (int row = 0; row < emulated_tile.rows[tile]; row++)
    memcpy(emulated_tile.data[tile][row], (const char *)from + row * stride, emulated_tile.row_bytes[tile]);
}

EMULATED_TILES void emulated_tile_stored(int tile, void *to, int64_t stride) {
  emulated_expect(emulated_tile.rows[tile] > 0);
  for (int row = 0; row < emulated_tile.rows[tile]; row++)
    memcpy((char *)to + row * stride, emulated_tile.data[tile][row], emulated_tile.row_bytes[tile]);
}

/* sums: rows of a by row bytes of b; b has a row for each 4 bytes of a's. */
EMULATED_TILES void emulated_expect_shapes(int sums, int a, int b) {
  const emulated_tiles *t = &emulated_tile;
  emulated_expect(sums != a && sums != b && a != b);
  emulated_expect(t->rows[sums] > 0 && t->rows[sums] == t->rows[a] && t->row_bytes[sums] == t->row_bytes[b]);
  emulated_expect(t->row_bytes[a] == 4 * t->rows[b] && t->row_bytes[b] % 4 == 0);
}

/* The words of b's rows that take part, k by k, against one word of a; b's bytes are unsigned or not. */
EMULATED_TILES void emulated_tile_bytes(int sums, int a, int b, const int is_unsigned) {
  emulated_expect_shapes(sums, a, b);
  emulated_tiles *t = &emulated_tile;
  for (int row = 0; row < t->rows[sums]; row++) {
    uint32_t words[16];
    memcpy(words, t->data[sums][row], sizeof words);
    for (int k = 0; k < t->rows[b]; k++)
      for (int n = 0; n < 16; n++)
        for (int i = 0; i < 4; i++) {
          int byte = t->data[b][k][4 * n + i];
          words[n] += (uint32_t)((int8_t)t->data[a][row][4 * k + i] * (is_unsigned ? byte & 255 : (int8_t)byte));
        }
    memcpy(t->data[sums][row], words, t->row_bytes[sums]);
  }
}

EMULATED_TILES void emulated_tile_dpbssd(int sums, int a, int b) { emulated_tile_bytes(sums, a, b, 0); }
EMULATED_TILES void emulated_tile_dpbsud(int sums, int a, int b) { emulated_tile_bytes(sums, a, b, 1); }

/* The sums of the even elements, then those of the odd ones, for 8 columns. */
static inline __attribute__((always_inline)) __m256 emulated_tile_dot(const char *a, const char (*b)[64], int count) {
  const __m256i upper = _mm256_set1_epi32((int)0xffff0000);
  __m256 even = _mm256_setzero_ps(), odd = _mm256_setzero_ps();
  for (int k = 0; k < count; k++) {
    int32_t pair;
    memcpy(&pair, a + 4 * k, 4);
    __m256i x = _mm256_set1_epi32(pair), w = _mm256_loadu_si256((const __m256i *)(const void *)b[k]);
    even = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_slli_epi32(x, 16)), _mm256_castsi256_ps(_mm256_slli_epi32(w, 16)),
                           even);
    odd = _mm256_fmadd_ps(_mm256_castsi256_ps(_mm256_and_si256(x, upper)),
                          _mm256_castsi256_ps(_mm256_and_si256(w, upper)), odd);
  }
  return _mm256_add_ps(even, odd);
}

/* For each row and column a sum of the even elements and one of the odd ones, k ascending, both from +0, then sums + (even + odd), rounded to
 * nearest with denormals as zero whatever MXCSR says; it raises no flags. */
EMULATED_TILES void emulated_tile_dpbf16ps(int sums, int a, int b) {
  emulated_expect_shapes(sums, a, b);
  emulated_tiles *t = &emulated_tile;
  const uint32_t before = _mm_getcsr();
  _mm_setcsr(0x9fc0);
  __asm__ volatile("" ::"r"(t) : "memory"); /* all is loaded behind this and stored ahead of the other */
  for (int row = 0; row < t->rows[sums]; row++)
    for (int half = 0; half < 2; half++) {
      char *at = t->data[sums][row] + 32 * half;
      __m256 dot = emulated_tile_dot(t->data[a][row], (const char (*)[64])(t->data[b][0] + 32 * half), t->rows[b]);
      dot = _mm256_add_ps(_mm256_load_ps((const float *)(const void *)at), dot);
      _mm256_store_ps((float *)(void *)at, dot);
    }
  __asm__ volatile("" ::"r"(t) : "memory");
  _mm_setcsr(before);
}

#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbssd
#undef _tile_dpbsud
#undef _tile_dpbf16ps
#define _tile_loadconfig(config) emulated_tile_loadconfig(config)
#define _tile_release() emulated_tile_release()
#define _tile_zero(tile) emulated_tile_zero(tile)
#define _tile_loadd(tile, from, stride) emulated_tile_loadd(tile, from, (int64_t)(stride))
#define _tile_stored(tile, to, stride) emulated_tile_stored(tile, to, (int64_t)(stride))
#define _tile_dpbssd(sums, a, b) emulated_tile_dpbssd(sums, a, b)
#define _tile_dpbsud(sums, a, b) emulated_tile_dpbsud(sums, a, b)
#define _tile_dpbf16ps(sums, a, b) emulated_tile_dpbf16ps(sums, a, b)

#endif

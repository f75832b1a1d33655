/* bfloat16 dots on AMX: strips of 16 rows of x by 32 outputs. A tile product takes 16 rows by 16 outputs by a block of k, in 16 cycles, and its
 * sums are t + (e + o) as they are wanted.
 *
 * Two strips by two vectors of outputs share four loaded tiles between four products. While they are multiplied, the vector units add the t of the
 * superblock, or strips, before to y. */
#include "tiles/bfloat16.h"

#ifdef __x86_64__
#include "contract.h"
#include "tiles/amx.h"

#include <immintrin.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16"))), \
                             apply_to = function)

enum { columns = 32, vectors = 2, strip_rows = 16, most_strips = 2, line_bytes = 4 * columns };
enum { blocks = MXL_SUPERBLOCK / MXLK_DOT_K, block_bytes = MXLK_DOT_LINES * line_bytes };

void mxlk_enter_bf16__amx(const mxl_kernel_row *row) {
  (void)row;
  MXLK_AMX_CONFIGURE(4, 2, strip_rows, 2 * MXLK_DOT_K);
}

void mxlk_leave_bf16__amx(const mxl_kernel_row *row) {
  (void)row;
  _tile_release();
}

void mxlk_arrange_dot_plain(const mxl_kernel_row *row, const void *from, int64_t k, int64_t index, void *arranged) {
  (void)row;
  char *to = (char *)arranged + index * MXLK_DOT_PLAIN_BYTES;
  memcpy(to, from, 2 * (size_t)k);
  memset(to + 2 * k, 0, 2 * (size_t)(-k & (MXLK_DOT_K - 1)));
}

/* t of up to two strips, to be added to y. */
typedef struct sums {
  _Alignas(64) float t[most_strips][vectors][strip_rows][16];
  float *y;
  int64_t rows;
} sums;

/* Rows [begin, end) of y = y + t. */
MXLK_INLINE void finish(const sums *from, int64_t begin, int64_t end) {
  if (end > from->rows) end = from->rows;
  for (int64_t r = begin; r < end; r++)
    for (int v = 0; v < vectors; v++) {
      float *y = from->y + r * columns + 16 * v;
      __m512 t = _mm512_load_ps(from->t[r / strip_rows][v][r % strip_rows]);
      _mm512_store_ps(y, _mm512_add_ps(_mm512_load_ps(y), t));
    }
}

/* What is asked for meanwhile: `lines` lines of 64 bytes a block and pass. */
typedef struct reading {
  const char *next;
  int64_t lines;
} reading;

/* t of one or two strips over `k` of a superblock, while those before are finished. */
MXLK_INLINE void multiply(const int strips, const char *x, const char *w, int64_t k, reading *read, sums *to,
                          const sums *before) {
  _Alignas(64) char last[block_bytes];
  const int64_t strip = strip_rows * MXLK_DOT_PLAIN_BYTES;
  _tile_zero(0);
  _tile_zero(1);
  if (strips == 2) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t b = 0; b < blocks; b++) {
    if (b * MXLK_DOT_K < k) {
      const char *at = w + b * block_bytes;
      if (k - b * MXLK_DOT_K < MXLK_DOT_K) {
        memset(last, 0, sizeof last);
        at = memcpy(last, at, (size_t)((k - b * MXLK_DOT_K + 1) / 2 * line_bytes));
      }
      _tile_loadd(4, x + 2 * MXLK_DOT_K * b, MXLK_DOT_PLAIN_BYTES);
      _tile_loadd(6, at, line_bytes);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, at + 64, line_bytes);
      _tile_dpbf16ps(1, 4, 7);
      if (strips == 2) {
        _tile_loadd(5, x + strip + 2 * MXLK_DOT_K * b, MXLK_DOT_PLAIN_BYTES);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    for (int64_t i = 0; i < read->lines; i++) _mm_prefetch(read->next + 64 * i, _MM_HINT_T0);
    read->next += 64 * read->lines;
    enum { share = most_strips * strip_rows / blocks };
    if (before != NULL) finish(before, share * b, share * (b + 1));
  }
  _tile_stored(0, to->t[0][0], 64);
  _tile_stored(1, to->t[0][1], 64);
  if (strips == 2) {
    _tile_stored(2, to->t[1][0], 64);
    _tile_stored(3, to->t[1][1], 64);
  }
}

void mxlk_linear_bf16_bf16_64x32__amx(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  const int64_t together = most_strips * strip_rows;
  const int64_t passes = (tile->rows + together - 1) / together;
  const int64_t superblocks = (tile->k + MXL_SUPERBLOCK - 1) / MXL_SUPERBLOCK;
  const char *x = tile->x, *w = tile->weights;
  reading read = {.next = tile->next == NULL ? w : tile->next};
  if (tile->next != NULL) {
    int64_t steps = passes * superblocks * blocks;
    read.lines = (tile->next_bytes / 64 + steps - 1) / steps;
  }
  sums kept[2];
  int64_t count = 0;
  for (int64_t begin = 0; begin < tile->k; begin += MXL_SUPERBLOCK) {
    int64_t k = tile->k - begin < MXL_SUPERBLOCK ? tile->k - begin : MXL_SUPERBLOCK;
    for (int64_t first = 0; first < tile->rows; first += together, count++) {
      sums *to = &kept[count & 1], *before = count == 0 ? NULL : &kept[(count - 1) & 1];
      const char *of_strip = x + first * MXLK_DOT_PLAIN_BYTES;
      to->y = tile->y + first * columns;
      to->rows = tile->rows - first < together ? tile->rows - first : together;
      if (to->rows > strip_rows)
        multiply(2, of_strip, w, k, &read, to, before);
      else
        multiply(1, of_strip, w, k, &read, to, before);
    }
    x += tile->rows * MXLK_DOT_PLAIN_BYTES;
    w += blocks * block_bytes;
  }
  finish(&kept[(count - 1) & 1], 0, together);
}

#pragma clang attribute pop
#endif

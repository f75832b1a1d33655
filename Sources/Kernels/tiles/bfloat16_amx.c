/* bfloat16 dots on AMX: strips of 16 rows of x by 32 outputs. A tile product takes 16 rows by 16 outputs by a block of k, in 16 cycles, and its
 * sums are t + (e + o) as they are wanted.
 *
 * Two strips by two vectors of outputs, a pass, share four loaded tiles between four products. While a pass is multiplied, the t of the one before
 * is added to y. */
#include "tiles/bfloat16.h"

#ifdef __x86_64__
#include "contract.h"
#include "tiles/amx.h"

#include <immintrin.h>
#include <string.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl,amx-tile,amx-bf16"))), \
                             apply_to = function)

enum { columns = 32, vectors = 2, strip_rows = 16, most_strips = 2, line_bytes = 4 * columns };
enum { strip_bytes = strip_rows * MXLK_DOT_PLAIN_BYTES };
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

/* A call: `rows` rows of x by two vectors over k, superblock by superblock and in each pass by pass. */
typedef struct call {
  const char *x, *weights;
  int64_t rows, k;
  const char *next;   /* weights to ask for */
  int64_t lines;      /* of 64 bytes, a block's share of them */
  const char *padded; /* the weights of a last block of fewer k, with zeros behind them */
} call;

/* What the products of a block of k take: x of one strip or two, weights of two vectors. */
typedef struct operands {
  const char *x, *weights;
} operands;

/* One or two strips over k columns of a superblock. */
typedef struct pass {
  operands first;
  int64_t k, strips;
} pass;

/* t of a pass, and how many of its rows have been added to y. */
typedef struct sums {
  _Alignas(64) float t[most_strips][vectors][strip_rows][16];
  float *y;
  int64_t rows, finished;
} sums;

MXLK_INLINE void store_sums(float *y, int64_t rows, sums *to) {
  _tile_stored(0, to->t[0][0], 64);
  _tile_stored(1, to->t[0][1], 64);
  if (rows > strip_rows) {
    _tile_stored(2, to->t[1][0], 64);
    _tile_stored(3, to->t[1][1], 64);
  }
  to->y = y;
  to->rows = rows;
  to->finished = 0;
}

/* y = y + t of `count` rows more, of one strip. */
MXLK_INLINE void finish(sums *s, const int count) {
  const int64_t r = s->finished;
  const float *t = s->t[r / strip_rows][0][r % strip_rows];
  float *y = s->y + r * columns;
  for (int i = 0; i < count; i++)
    for (int v = 0; v < vectors; v++) {
      float *to = y + i * columns + 16 * v;
      _mm512_store_ps(to, _mm512_add_ps(_mm512_load_ps(to), _mm512_load_ps(t + (v * strip_rows + i) * 16)));
    }
  s->finished += count;
}

MXLK_INLINE void finish_all(sums *s) {
  while (s->finished < s->rows) finish(s, 1);
}

/* Tiles 0 to 3 are sums, of strip 0 with vectors 0 and 1, then of strip 1; 4 and 5 are x of the two strips, 6 and 7 weights of the two vectors. */
#define LOAD_X(strip, from) _tile_loadd(4 + (strip), (from) + (strip) * strip_bytes, MXLK_DOT_PLAIN_BYTES)
#define LOAD_WEIGHTS(vector, from) _tile_loadd(6 + (vector), (from) + 64 * (vector), line_bytes)

/* The products of a pass, whose first operands are loaded. Behind its last products those of the pass ahead are. */
MXLK_INLINE void multiply(const int strips, call *c, const operands first, int64_t k, const pass ahead, sums *before) {
  _tile_zero(0);
  _tile_zero(1);
  if (strips == 2) {
    _tile_zero(2);
    _tile_zero(3);
  }
  for (int64_t at = MXLK_DOT_K; at < k + MXLK_DOT_K; at += MXLK_DOT_K) {
    const int last = at >= k;
    operands next = {first.x + 2 * at, k - at >= MXLK_DOT_K ? first.weights + at / 2 * line_bytes : c->padded};
    if (last) next = ahead.first;
    _tile_dpbf16ps(0, 4, 6);
    MXLK_AMX_APART();
    if (strips == 2) _tile_dpbf16ps(2, 5, 6);
    MXLK_AMX_APART();
    LOAD_WEIGHTS(0, next.weights);
    MXLK_AMX_APART();
    _tile_dpbf16ps(1, 4, 7);
    MXLK_AMX_APART();
    LOAD_X(0, next.x);
    MXLK_AMX_APART();
    if (strips == 2) _tile_dpbf16ps(3, 5, 7);
    MXLK_AMX_APART();
    if ((last ? ahead.strips : strips) == 2) LOAD_X(1, next.x);
    MXLK_AMX_APART();
    LOAD_WEIGHTS(1, next.weights);
    MXLK_AMX_APART();
    for (int64_t i = 0; i < c->lines; i++) _mm_prefetch(c->next + 64 * i, _MM_HINT_T1);
    c->next += 64 * c->lines;
    enum { share = most_strips * strip_rows / blocks };
    if (before->finished + share <= before->rows) finish(before, share);
  }
  finish_all(before);
}

/* The pass over rows from `first` on of the superblock that begins at k. */
MXLK_INLINE pass pass_at(const call *c, int64_t first, int64_t k) {
  const int64_t rest = c->k - k;
  return (pass){
      .first = {c->x + (k / MXL_SUPERBLOCK * c->rows + first) * MXLK_DOT_PLAIN_BYTES,
                rest < MXLK_DOT_K ? c->padded : c->weights + k / 2 * line_bytes},
      .k = rest < MXL_SUPERBLOCK ? rest : MXL_SUPERBLOCK,
      .strips = c->rows - first > strip_rows ? 2 : 1,
  };
}

void mxlk_linear_bf16_bf16_64x32__amx(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  enum { pass_rows = most_strips * strip_rows };
  _Alignas(64) char padded[block_bytes];
  call c = {tile->x, tile->weights, tile->rows, tile->k, tile->next, 0, padded};
  const int64_t last = c.k % MXLK_DOT_K;
  if (last != 0) {
    memset(padded, 0, sizeof padded);
    memcpy(padded, c.weights + c.k / MXLK_DOT_K * block_bytes, (size_t)((last + 1) / 2 * line_bytes));
  }
  if (c.next != NULL) {
    const int64_t superblocks = (c.k + MXL_SUPERBLOCK - 1) / MXL_SUPERBLOCK;
    const int64_t steps = (c.rows + pass_rows - 1) / pass_rows * superblocks * blocks;
    c.lines = (tile->next_bytes / 64 + steps - 1) / steps;
  }
  sums kept;
  kept.rows = kept.finished = 0;
  pass now = pass_at(&c, 0, 0);
  LOAD_X(0, now.first.x);
  if (now.strips == 2) LOAD_X(1, now.first.x);
  LOAD_WEIGHTS(0, now.first.weights);
  LOAD_WEIGHTS(1, now.first.weights);
  for (int64_t k = 0; k < c.k; k += MXL_SUPERBLOCK)
    for (int64_t first = 0; first < c.rows; first += pass_rows) {
      pass ahead = now; /* once more, behind the last */
      if (first + pass_rows < c.rows)
        ahead = pass_at(&c, first + pass_rows, k);
      else if (k + MXL_SUPERBLOCK < c.k)
        ahead = pass_at(&c, 0, k + MXL_SUPERBLOCK);
      if (now.strips == 2)
        multiply(2, &c, now.first, now.k, ahead, &kept);
      else
        multiply(1, &c, now.first, now.k, ahead, &kept);
      store_sums(tile->y + first * columns, c.rows - first < pass_rows ? c.rows - first : pass_rows, &kept);
      now = ahead;
    }
  finish_all(&kept);
}

#pragma clang attribute pop
#endif

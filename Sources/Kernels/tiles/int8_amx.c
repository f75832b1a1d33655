/* int8 tiles on AMX: strips of 16 rows of x by 32 outputs.
 *
 * While the tile unit multiplies a strip, the vector units finish the sums of the one before: per strip and superblock SUPER32 has 16 tile
 * products of 16 cycles, 24 to 32 where shifts differ, and 32 vectors of sums to finish; BLOCK32 16, and 256 vectors. */
#include "tiles/int8_amx.h"

#if defined(__x86_64__)
#include "contract.h"
#include "tiles/amx.h"

#include <immintrin.h>

#pragma clang attribute push(                                                                                 \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,amx-tile,amx-int8"))), \
    apply_to = function)

enum { columns = 32, vectors = 2, strip_rows = 16, plane_bytes = MXL_SUPERBLOCK * columns };

/* Tiles 0 to 5 hold sums, 6 x, 7 weights. */
enum { line_bytes = 4 * columns };

/* Columns of k that one tile product takes. */
MXLK_INLINE int step_of(const mxlk_block_format *format) {
  switch (format->scheme) {
    case MXLK_SCHEME_BLOCK32:
    case MXLK_SCHEME_BLOCK32_MIN:
    case MXLK_SCHEME_BLOCK32_POWER: return 32;
    case MXLK_SCHEME_GROUP: return format->group == 32 ? 32 : 64;
    default: return 64;
  }
}

MXLK_INLINE int is_block32(const mxlk_scheme scheme) {
  return scheme == MXLK_SCHEME_BLOCK32 || scheme == MXLK_SCHEME_BLOCK32_MIN || scheme == MXLK_SCHEME_BLOCK32_POWER;
}

/* Planes of weights. Q3_K's products of -4 to 3 and -32 to 31 are at most 128, and at least -124: negated they fit. */
MXLK_INLINE int planes_of(const mxlk_block_format *format) {
  if (is_block32(format->scheme) || format->scheme == MXLK_SCHEME_SUPER16_MIN) return 1;
  if (format->scheme == MXLK_SCHEME_GROUP) return format->code_bits == 8 ? 2 : 1;
  return format->code_bits == 3 ? 1 : 2;
}

void mxlk_enter_int8__amx(const mxl_kernel_row *row) { MXLK_AMX_CONFIGURE(6, 1, strip_rows, step_of(row->context)); }

void mxlk_leave__amx(const mxl_kernel_row *row) {
  (void)row;
  _tile_release();
}

/* A row of BLOCK32 and its like. */
MXLK_INLINE void arrange_blocks(const mxlk_scheme scheme, const mxlk_activation *x, int64_t k, mxlk_arranged *to) {
  const int each = scheme == MXLK_SCHEME_BLOCK32_POWER ? 1 : 8 * columns * (int)sizeof(float);
  const int shift = x->shifts[0];
  int one_shift = scheme != MXLK_SCHEME_BLOCK32_POWER;
  for (int b = 1; b < k / 32; b++) one_shift &= x->shifts[b] == shift;
  memcpy(to->low, x->codes, sizeof to->low);
  for (int b = 0; b < 8; b++) to->shifts[b] = x->shifts[b] * each, to->float_sums[b] = (float)x->sums32[b];
  to->one_shift = one_shift;
  if (!one_shift) return;
  to->alpha *= (float)(1 << shift);
  for (int b = 0; b < 8; b++) to->float_sums[b] /= (float)(1 << shift);
}

/* One row and superblock. */
MXLK_INLINE void arrange(const mxlk_block_format *format, const mxlk_activation *x, int64_t k, mxlk_arranged *to) {
  to->alpha = x->alpha;
  to->wide = 0;
  if (is_block32(format->scheme)) {
    arrange_blocks(format->scheme, x, k, to);
    return;
  }
  int least_shift = 3;
  for (int b = 0; b < k / 32; b++) least_shift = x->shifts[b] < least_shift ? x->shifts[b] : least_shift;
  to->shifts[0] = least_shift;
  for (int b = 0; b < 8; b++) {
    __m512i values = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(x->codes + 32 * b)));
    values = _mm512_slli_epi16(values, (unsigned)(b < k / 32 ? x->shifts[b] - least_shift : 0));
    __m512i high = _mm512_srai_epi16(_mm512_add_epi16(values, _mm512_set1_epi16(128)), 8);
    _mm256_store_si256((__m256i *)(void *)(to->low + 32 * b), _mm512_cvtepi16_epi8(values));
    _mm256_store_si256((__m256i *)(void *)(to->high + 32 * b), _mm512_cvtepi16_epi8(high));
    to->wide |= (uint32_t)(_mm512_test_epi16_mask(high, high) != 0) << b;
  }
  memcpy(to->sums, x->sums32, sizeof x->sums32);
  if (format->scheme != MXLK_SCHEME_SUPER16_MIN) return;
  for (int i = 0; i < 8; i++) {
    int16_t pair[2] = {(int16_t)(x->sums16[2 * i] * (1 << x->shifts[i])),
                       (int16_t)(x->sums16[2 * i + 1] * (1 << x->shifts[i]))};
    memcpy(to->sums + i, pair, 4);
  }
}

/* Rows without high bytes come first, so that strips of them need no products of high bytes. */
void mxlk_arrange_int8__amx(const mxl_kernel_row *row, const void *record, int64_t k, int64_t index, void *arranged) {
  mxlk_arranged *rows = arranged, *to = rows + index;
  arrange(row->context, record, k, to);
  to->row = (int32_t)index;
  if (to->wide != 0) return;
  int64_t first = 0, end = index; /* of those that have some */
  while (first < end) {
    int64_t middle = (first + end) / 2;
    if (rows[middle].wide != 0)
      end = middle;
    else
      first = middle + 1;
  }
  if (first == index) return;
  mxlk_arranged narrow = *to;
  *to = rows[first];
  rows[first] = narrow;
}

/* What a call works with. */
typedef struct work {
  const mxlk_arranged *x;
  const uint8_t *codes, *scales;
  float *y;
  int64_t rows;
  const char *next; /* weights to ask for */
  int64_t lines;    /* of 64 bytes, a tile product's share */
} work;

MXLK_INLINE void ask(work *w) {
  for (int64_t i = 0; i < w->lines; i++) _mm_prefetch(w->next + 64 * i, _MM_HINT_T1);
  w->next += 64 * w->lines;
}

/* A strip's sums of 16 outputs over a superblock, or over one group of it. */
typedef struct unit {
  int64_t first, rows; /* of x */
  int64_t group;
  uint32_t wide; /* steps in which x has high bytes */
} unit;

/* Low products, those of weight 256, those of weight 65536. */
typedef int32_t unit_sums[3][strip_rows][16];

/* Finishes rows [begin, end) of a unit of vector v. groups: of the superblock. */
MXLK_INLINE void finish(const mxlk_scheme scheme, const int planes, const int groups, const int v, const work *w,
                        const unit *u, unit_sums *sums, float t[strip_rows][columns], int64_t begin, int64_t end) {
  const int blocks = scheme == MXLK_SCHEME_SUPER16 || scheme == MXLK_SCHEME_SUPER16_MIN ? 16 : 8;
  const int has_minima = scheme == MXLK_SCHEME_SUPER32 || scheme == MXLK_SCHEME_SUPER16_MIN;
  const int minima_count = !has_minima ? 0 : scheme == MXLK_SCHEME_SUPER16_MIN ? 8 : 4;
  const int32_t *integers = (const int32_t *)(const void *)w->scales;
  const int32_t *minima = integers + blocks * columns;
  const float *d = (const float *)(const void *)(minima + minima_count * columns) + 16 * v;
  if (scheme == MXLK_SCHEME_GROUP) d = (const float *)(const void *)(integers + u->group * columns) + 16 * v;
  const int wide = u->wide != 0;
  __m512 scale = _mm512_load_ps(d), second = has_minima ? _mm512_load_ps(d + columns) : scale;
  __m512i pairs[8];
  for (int i = 0; i < minima_count; i++) pairs[i] = _mm512_load_si512(minima + i * columns + 16 * v);
  if (end > u->rows) end = u->rows;
  const mxlk_arranged *x = w->x + u->first + begin;
  for (int64_t r = begin; r < end; r++, x++) {
    float *y = w->y + (int64_t)x->row * columns + 16 * v;
    __m512i sum = _mm512_load_si512((*sums)[0][r]);
    if (planes == 2 || wide) sum = _mm512_add_epi32(sum, _mm512_slli_epi32(_mm512_load_si512((*sums)[1][r]), 8));
    if (planes == 2 && wide) sum = _mm512_add_epi32(sum, _mm512_slli_epi32(_mm512_load_si512((*sums)[2][r]), 16));
    __m512 value = _mm512_cvtepi32_ps(_mm512_sllv_epi32(sum, _mm512_set1_epi32(x->shifts[0]))), total;
    if (scheme == MXLK_SCHEME_GROUP) {
      total = u->group == 0 ? _mm512_setzero_ps() : _mm512_load_ps(t[r] + 16 * v);
      total = _mm512_fmadd_ps(value, scale, total);
      if (u->group + 1 < groups) {
        _mm512_store_ps(t[r] + 16 * v, total);
        continue;
      }
    } else {
      total = _mm512_mul_ps(value, scale);
    }
    if (has_minima) {
      __m512i j = _mm512_setzero_si512();
#pragma clang loop unroll(full)
      for (int i = 0; i < minima_count; i++) j = _mm512_dpwssd_epi32(j, pairs[i], _mm512_set1_epi32(x->sums[i]));
      total = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(j), second, total);
    }
    _mm512_store_ps(y, _mm512_fmadd_ps(total, _mm512_set1_ps(x->alpha), _mm512_load_ps(y)));
  }
}

/* sum += x by weights. Tile 6 is x's, tile 7 the weights'. */
#define PRODUCT(sum, x, weights)                   \
  do {                                             \
    _tile_loadd(6, x, (int)sizeof(mxlk_arranged)); \
    _tile_loadd(7, weights, line_bytes);           \
    _tile_dpbssd(sum, 6, 7);                       \
  } while (0)

/* One step of a unit: tiles low, high, top hold its sums. */
#define STEP(low, high, top)                                          \
  do {                                                                \
    _tile_loadd(6, x, (int)sizeof(mxlk_arranged));                    \
    _tile_loadd(7, codes, line_bytes);                                \
    if (planes == 1) _tile_dpbssd(low, 6, 7);                         \
    if (planes == 2) {                                                \
      _tile_dpbsud(low, 6, 7);                                        \
      _tile_loadd(7, codes + plane_bytes, line_bytes);                \
      _tile_dpbssd(high, 6, 7);                                       \
    }                                                                 \
    if (wide) {                                                       \
      _tile_loadd(6, x + MXL_SUPERBLOCK, (int)sizeof(mxlk_arranged)); \
      if (planes == 2) _tile_dpbssd(top, 6, 7);                       \
      _tile_loadd(7, codes, line_bytes);                              \
      if (planes == 1) _tile_dpbssd(high, 6, 7);                      \
      if (planes == 2) _tile_dpbsud(high, 6, 7);                      \
    }                                                                 \
  } while (0)

MXLK_INLINE void multiply_step(const int planes, const int v, const char *x, const uint8_t *codes, int wide) {
  if (v == 0)
    STEP(0, 1, 2);
  else
    STEP(3, 4, 5);
}

MXLK_INLINE void begin_unit(const int planes, const int v, int wide) {
  if (v == 0) {
    _tile_zero(0);
    if (planes == 2 || wide) _tile_zero(1);
    if (planes == 2 && wide) _tile_zero(2);
  } else {
    _tile_zero(3);
    if (planes == 2 || wide) _tile_zero(4);
    if (planes == 2 && wide) _tile_zero(5);
  }
}

MXLK_INLINE void store_unit(const int planes, const int v, int wide, unit_sums *sums) {
  if (v == 0) {
    _tile_stored(0, (*sums)[0], 64);
    if (planes == 2 || wide) _tile_stored(1, (*sums)[1], 64);
    if (planes == 2 && wide) _tile_stored(2, (*sums)[2], 64);
  } else {
    _tile_stored(3, (*sums)[0], 64);
    if (planes == 2 || wide) _tile_stored(4, (*sums)[1], 64);
    if (planes == 2 && wide) _tile_stored(5, (*sums)[2], 64);
  }
}

/* A unit of vector v is multiplied while the unit before, of the other vector, is stored, and the one before that finished: a store that waits
 * for its products holds up all that comes behind it. */
MXLK_INLINE void run_unit(const mxlk_scheme scheme, const int planes, const int groups, const int width,
                          const int steps, const int v, work *w, unit units[2], unit_sums sums[2],
                          float t[strip_rows][columns], unit now) {
  const char *x = (const char *)(w->x + now.first) + now.group * steps * width;
  const uint8_t *codes = w->codes + now.group * steps * width / 4 * line_bytes + 64 * v;
  begin_unit(planes, v, now.wide != 0);
#pragma clang loop unroll(full)
  for (int i = 0; i < steps; i++) {
    multiply_step(planes, v, x + i * width, codes + i * width / 4 * line_bytes, now.wide >> i & 1);
    ask(w);
    if (i == 0 && units[v ^ 1].rows > 0) store_unit(planes, v ^ 1, units[v ^ 1].wide != 0, &sums[v ^ 1]);
    finish(scheme, planes, groups, v, w, &units[v], &sums[v], t, strip_rows / steps * i, strip_rows / steps * (i + 1));
  }
  units[v] = now;
}

MXLK_INLINE uint32_t wide_steps(const work *w, int64_t first, int64_t rows, const int width, const int steps,
                                int64_t group) {
  uint32_t blocks = 0, wide = 0;
  for (int64_t r = 0; r < rows; r++) blocks |= w->x[first + r].wide;
  blocks >>= group * steps * width / 32;
  for (int i = 0; i < steps; i++) wide |= (uint32_t)((blocks >> (i * width / 32) & (width == 32 ? 1 : 3)) != 0) << i;
  return wide;
}

MXLK_INLINE void run_units(const mxlk_scheme scheme, const int planes, const int groups, const int width,
                           const int steps, work *w) {
  _Alignas(64) unit_sums sums[2];
  _Alignas(64) float t[strip_rows][columns];
  unit units[2] = {{0}, {0}};
  for (int64_t first = 0; first < w->rows; first += strip_rows) {
    int64_t rows = w->rows - first < strip_rows ? w->rows - first : strip_rows;
    for (int64_t g = 0; g < groups; g++) {
      unit now = {first, rows, g, wide_steps(w, first, rows, width, steps, g)};
      run_unit(scheme, planes, groups, width, steps, 0, w, units, sums, t, now);
      run_unit(scheme, planes, groups, width, steps, 1, w, units, sums, t, now);
    }
  }
  store_unit(planes, 1, units[1].wide != 0, &sums[1]);
  finish(scheme, planes, groups, 0, w, &units[0], &sums[0], t, 0, strip_rows);
  finish(scheme, planes, groups, 1, w, &units[1], &sums[1], t, 0, strip_rows);
}

/* Sums of 16 outputs over each sub-block of 32 k. */
typedef int32_t block_sums[8][strip_rows][16];

/* What the sums of a vector are scaled with, by sub-block. */
typedef struct block_factors {
  __m512 d[8], minima[8];
} block_factors;

MXLK_INLINE void load_block_factors(const mxlk_scheme scheme, const work *w, int v, const int count, block_factors *f) {
  const char *d = (const char *)w->scales + 64 * v;
  for (int b = 0; b < count; b++) {
    f->d[b] = _mm512_load_ps(d + b * columns * 4);
    if (scheme == MXLK_SCHEME_BLOCK32_MIN) f->minima[b] = _mm512_load_ps(d + (8 + b) * columns * 4);
  }
}

/* Finishes rows [begin, end) of a strip and vector: t of one row stays in a register. BLOCK32 and BLOCK32_MIN have d 2^s in the place of a second
 * plane. */
MXLK_INLINE void finish_blocks(const mxlk_scheme scheme, const work *w, const unit *u, int v, const int count,
                               const block_factors *f, block_sums *sums, int64_t begin, int64_t end) {
  const char *shifted = (const char *)w->codes + plane_bytes + 64 * v;
  if (end > u->rows) end = u->rows;
  for (int64_t r = begin; r < end; r++) {
    const mxlk_arranged *x = &w->x[u->first + r];
    const int one_shift = scheme != MXLK_SCHEME_BLOCK32_POWER && x->one_shift;
    __m512 t = _mm512_setzero_ps();
    for (int b = 0; b < count; b++) {
      __m512i sum = _mm512_load_si512((*sums)[b][r]);
      if (scheme == MXLK_SCHEME_BLOCK32_POWER) sum = _mm512_sllv_epi32(sum, _mm512_set1_epi32(x->shifts[b]));
      __m512 d = f->d[b];
      if (scheme != MXLK_SCHEME_BLOCK32_POWER && !one_shift)
        d = _mm512_load_ps(shifted + b * columns * 4 + x->shifts[b]);
      t = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), d, t);
      if (scheme == MXLK_SCHEME_BLOCK32_MIN) t = _mm512_fmadd_ps(_mm512_set1_ps(x->float_sums[b]), f->minima[b], t);
    }
    float *y = w->y + (u->first + r) * columns + 16 * v;
    _mm512_store_ps(y, _mm512_fmadd_ps(t, _mm512_set1_ps(x->alpha), _mm512_load_ps(y)));
  }
}

MXLK_INLINE void multiply_block(int tile, const char *x, const uint8_t *codes) {
  switch (tile) {
    case 0:
      _tile_zero(0);
      PRODUCT(0, x, codes);
      break;
    case 1:
      _tile_zero(1);
      PRODUCT(1, x, codes);
      break;
    case 2:
      _tile_zero(2);
      PRODUCT(2, x, codes);
      break;
    default:
      _tile_zero(3);
      PRODUCT(3, x, codes);
      break;
  }
}

MXLK_INLINE void store_block(int tile, int32_t sums[strip_rows][16]) {
  switch (tile) {
    case 0: _tile_stored(0, sums, 64); break;
    case 1: _tile_stored(1, sums, 64); break;
    case 2: _tile_stored(2, sums, 64); break;
    default: _tile_stored(3, sums, 64); break;
  }
}

/* Sub-block by sub-block; each is stored two later, while rows of the vector before are finished. */
MXLK_INLINE void run_blocks(const mxlk_scheme scheme, work *w, const int count) {
  _Alignas(64) block_sums sums[2];
  unit before = {0};
  for (int64_t first = 0; first < w->rows; first += strip_rows) {
    unit now = {first, w->rows - first < strip_rows ? w->rows - first : strip_rows, 0, 0};
    for (int v = 0; v < vectors; v++) {
      block_factors factors;
      load_block_factors(scheme, w, v ^ 1, count, &factors);
      for (int four = 0; four < count; four += 4)
#pragma clang loop unroll(full)
        for (int i = 0; i < 4; i++) {
          const int b = four + i;
          if (b >= count) continue;
          multiply_block(i, (const char *)w->x[first].low + 32 * b, w->codes + b * 8 * line_bytes + 64 * v);
          ask(w);
          if (b >= 2) store_block((i + 2) & 3, sums[v][b - 2]);
          finish_blocks(scheme, w, &before, v ^ 1, count, &factors, &sums[v ^ 1], strip_rows * b / count,
                        strip_rows * (b + 1) / count);
        }
      if (count > 1) store_block((count - 2) & 3, sums[v][count - 2]);
      store_block((count - 1) & 3, sums[v][count - 1]);
      before = now;
    }
  }
  block_factors factors;
  load_block_factors(scheme, w, 1, count, &factors);
  finish_blocks(scheme, w, &before, 1, count, &factors, &sums[1], 0, strip_rows);
}

/* The number of sub-blocks as a constant but for a matrix's last superblock. */
MXLK_INLINE void run_all_blocks(const mxlk_scheme scheme, work *w, int64_t k) {
  if (k == MXL_SUPERBLOCK)
    run_blocks(scheme, w, 8);
  else
    run_blocks(scheme, w, (int)(k / 32));
}

MXLK_INLINE void run_groups(const int planes, const int groups, int group, work *w) {
  switch (group) {
    case 256: run_units(MXLK_SCHEME_GROUP, planes, groups, 64, 4, w); break;
    case 128: run_units(MXLK_SCHEME_GROUP, planes, groups, 64, 2, w); break;
    case 64: run_units(MXLK_SCHEME_GROUP, planes, groups, 64, 1, w); break;
    default: run_units(MXLK_SCHEME_GROUP, planes, groups, 32, 1, w); break;
  }
}

void mxlk_linear_expanded_int8_64x32__amx(const mxl_kernel_row *row, const mxl_tile *tile) {
  const mxlk_block_format *format = row->context;
  const int64_t k = tile->k;
  work w = {.x = tile->x, .codes = tile->weights, .y = tile->y, .rows = tile->rows, .next = tile->next};
  w.scales = w.codes + 2 * plane_bytes;
  int64_t strips = (w.rows + strip_rows - 1) / strip_rows, pieces = strips * (is_block32(format->scheme) ? 16 : 8);
  w.lines = tile->next == NULL ? 0 : (tile->next_bytes / 64 + pieces - 1) / pieces;
  switch (format->scheme) {
    case MXLK_SCHEME_BLOCK32: run_all_blocks(MXLK_SCHEME_BLOCK32, &w, k); break;
    case MXLK_SCHEME_BLOCK32_POWER: run_all_blocks(MXLK_SCHEME_BLOCK32_POWER, &w, k); break;
    case MXLK_SCHEME_BLOCK32_MIN: run_all_blocks(MXLK_SCHEME_BLOCK32_MIN, &w, k); break;
    case MXLK_SCHEME_SUPER32: run_units(MXLK_SCHEME_SUPER32, 2, 1, 64, 4, &w); break;
    case MXLK_SCHEME_SUPER32_SIX: run_units(MXLK_SCHEME_SUPER32_SIX, 2, 1, 64, 4, &w); break;
    case MXLK_SCHEME_SUPER16_MIN: run_units(MXLK_SCHEME_SUPER16_MIN, 1, 1, 64, 4, &w); break;
    case MXLK_SCHEME_SUPER16: run_units(MXLK_SCHEME_SUPER16, planes_of(format), 1, 64, 4, &w); break;
    case MXLK_SCHEME_GROUP: {
      const int groups = (int)(k / format->group);
      if (format->code_bits == 8)
        run_groups(2, groups, format->group, &w);
      else
        run_groups(1, groups, format->group, &w);
      break;
    }
  }
}

#pragma clang attribute pop
#endif

/* int8 tiles on AMX: strips of 16 rows of x by 32 outputs.
 *
 * While the tile unit multiplies a strip, the vector units finish the sums of the one before: per strip and superblock SUPER32 has 16 tile
 * products of 16 cycles, 24 to 32 where shifts differ, and 32 vectors of sums to finish; BLOCK32 16, and 256 vectors. */
#include "tiles/int8_amx.h"

#if defined(__x86_64__)
#include "contract.h"
#include "tiles/amx.h"

#include <immintrin.h>

#define MXLK_CONVERTS_HALVES
#pragma clang attribute push(                                                                                 \
    __attribute__((target("avx2,fma,f16c,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,amx-tile,amx-int8"))), \
    apply_to = function)

#include "panel/expand.h"

enum { columns = 32, vectors = 2, strip_rows = 16, most_strips = 4, plane_bytes = MXL_SUPERBLOCK * columns };

/* Tiles 0 to 3 hold sums, 4 and 5 x, 6 and 7 weights. */
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

void mxlk_enter_int8__amx(const mxl_kernel_row *row) { MXLK_AMX_CONFIGURE(strip_rows, step_of(row->context)); }

void mxlk_leave__amx(const mxl_kernel_row *row) {
  (void)row;
  _tile_release();
}

void mxlk_arrange_int8__amx(const mxl_kernel_row *row, const void *record, int64_t k, void *arranged) {
  const mxlk_block_format *format = row->context;
  const mxlk_activation *x = record;
  mxlk_arranged *to = arranged;
  to->alpha = x->alpha;
  to->wide = 0;
  if (is_block32(format->scheme)) {
    memcpy(to->low, x->codes, sizeof to->low);
    for (int b = 0; b < 8; b++) to->shifts[b] = x->shifts[b], to->sums[b] = x->sums32[b];
    return;
  }
  int least = 3;
  for (int b = 0; b < k / 32; b++) least = x->shifts[b] < least ? x->shifts[b] : least;
  to->shifts[0] = least;
  for (int b = 0; b < 8; b++) {
    __m512i values = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)(x->codes + 32 * b)));
    values = _mm512_slli_epi16(values, b < k / 32 ? x->shifts[b] - least : 0);
    __m512i high = _mm512_srai_epi16(_mm512_add_epi16(values, _mm512_set1_epi16(128)), 8);
    _mm256_storeu_si256((__m256i *)(void *)(to->low + 32 * b), _mm512_cvtepi16_epi8(values));
    _mm256_storeu_si256((__m256i *)(void *)(to->high + 32 * b), _mm512_cvtepi16_epi8(high));
    to->wide |= (uint32_t)(_mm512_test_epi16_mask(high, high) != 0) << b;
  }
  if (format->scheme == MXLK_SCHEME_SUPER16_MIN) {
    for (int i = 0; i < 8; i++) {
      int16_t pair[2] = {(int16_t)(x->sums16[2 * i] * (1 << x->shifts[i])),
                         (int16_t)(x->sums16[2 * i + 1] * (1 << x->shifts[i]))};
      memcpy(to->sums + i, pair, 4);
    }
  } else {
    memcpy(to->sums, x->sums32, sizeof x->sums32);
  }
}

/* Of 16 outputs by 4 k: both planes of code scale - offset, scale and offset an int16 twice a lane. */
MXLK_INLINE void split(const int planes, uint8_t *codes, __m512i scale, __m512i offset) {
  __m512i bytes = _mm512_loadu_si512(codes), low_bytes = _mm512_set1_epi16(255);
  __m512i even = _mm512_and_si512(bytes, low_bytes), odd = _mm512_srli_epi16(bytes, 8);
  even = _mm512_sub_epi16(_mm512_mullo_epi16(even, scale), offset);
  odd = _mm512_sub_epi16(_mm512_mullo_epi16(odd, scale), offset);
  __m512i low = _mm512_mask_blend_epi8(0xaaaaaaaaaaaaaaaaull, even, _mm512_slli_epi16(odd, 8));
  _mm512_storeu_si512(codes, low);
  if (planes == 1) return;
  even = _mm512_add_epi16(even, _mm512_set1_epi16(128));
  odd = _mm512_add_epi16(odd, _mm512_set1_epi16(128));
  _mm512_storeu_si512(codes + plane_bytes,
                      _mm512_mask_blend_epi8(0xaaaaaaaaaaaaaaaaull, _mm512_srli_epi16(even, 8), odd));
}

MXLK_INLINE __m512i twice(__m512i values) {
  return _mm512_or_si512(_mm512_slli_epi32(values, 16), _mm512_and_si512(values, _mm512_set1_epi32(0xffff)));
}

/* Codes of a superblock times the scales of their sub-blocks of `each` k. */
MXLK_INLINE void multiply(const int planes, const int each, uint8_t *codes, const int32_t *scales, int zero, int sign) {
  for (int b = 0; b < MXL_SUPERBLOCK / each; b++)
    for (int v = 0; v < vectors; v++) {
      __m512i scale = _mm512_loadu_si512(scales + b * columns + 16 * v);
      scale = twice(_mm512_mullo_epi32(scale, _mm512_set1_epi32(sign)));
      __m512i offset = _mm512_mullo_epi16(scale, _mm512_set1_epi16((int16_t)zero));
      for (int g = 0; g < each / 4; g++)
        split(planes, codes + (b * (each / 4) + g) * line_bytes + 64 * v, scale, offset);
    }
}

MXLK_INLINE void expand(const mxlk_block_format *format, const int bits, const uint8_t *packed, int64_t k,
                        uint8_t *expanded) {
  mxlk_panel_layout layout = mxlk_panel_layout_of(format, columns, k);
  if (bits < 4)
    mxlk_expand_narrow_codes(packed, packed + layout.high, bits, columns, k, expanded);
  else if (bits < 8)
    mxlk_expand_codes(packed, packed + layout.high, bits, columns, k, expanded);
  else
    memcpy(expanded, packed, (size_t)(k * columns));
  if (format->table != NULL) mxlk_look_up(format->table, k * columns, expanded);
  uint8_t *scales = expanded + 2 * plane_bytes;
  int32_t *integers = (int32_t *)(void *)scales;
  mxlk_expand_scales(format, &layout, packed, columns, k, scales);
  switch (format->scheme) {
    case MXLK_SCHEME_BLOCK32:
    case MXLK_SCHEME_BLOCK32_POWER:
      for (int64_t i = 0; i < k * columns; i++) expanded[i] = (uint8_t)(expanded[i] - format->zero);
      break;
    case MXLK_SCHEME_BLOCK32_MIN: break;
    case MXLK_SCHEME_SUPER32: multiply(2, 32, expanded, integers, 0, 1); break;
    case MXLK_SCHEME_SUPER32_SIX: multiply(2, 32, expanded, integers, format->zero, 1); break;
    case MXLK_SCHEME_SUPER16_MIN: multiply(1, 16, expanded, integers, 0, 1); break;
    case MXLK_SCHEME_SUPER16:
      if (bits == 3) {
        float *d = (float *)(void *)(integers + 16 * columns);
        multiply(1, 16, expanded, integers, format->zero, -1);
        for (int i = 0; i < columns; i++) d[i] = -d[i];
      } else {
        multiply(2, 16, expanded, integers, format->zero, 1);
      }
      break;
    case MXLK_SCHEME_GROUP:
      for (int64_t g = 0; g < k / format->group; g++)
        for (int v = 0; v < vectors; v++) {
          __m512i zero = twice(_mm512_loadu_si512(integers + (8 + g) * columns + 16 * v));
          uint8_t *codes = expanded + g * format->group / 4 * line_bytes + 64 * v;
          for (int i = 0; i < format->group / 4; i++)
            split(bits == 8 ? 2 : 1, codes + i * line_bytes, _mm512_set1_epi16(1), zero);
        }
      break;
  }
}

void mxlk_expand_int8_32__amx(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  const mxlk_block_format *format = row->context;
  switch (format->code_bits) {
    case 2: expand(format, 2, packed, k, expanded); break;
    case 3: expand(format, 3, packed, k, expanded); break;
    case 4: expand(format, 4, packed, k, expanded); break;
    case 5: expand(format, 5, packed, k, expanded); break;
    case 6: expand(format, 6, packed, k, expanded); break;
    default: expand(format, 8, packed, k, expanded); break;
  }
}

/* Sums of a strip, [plane][vector][row][output]: low low, the two of weight 256, high high. */
typedef int32_t sums_of_strip[3][vectors][strip_rows][16];

/* What a call works with. */
typedef struct work {
  const mxlk_arranged *x;
  const uint8_t *codes, *scales;
  float *y;
  int64_t rows;
  const char *next; /* weights to ask for */
  int64_t lines;    /* of 64 bytes, a step of a strip */
} work;

/* A strip's sums over one unit: a superblock, or one group of it. */
typedef struct unit {
  int64_t first, rows; /* of x */
  int64_t group;
  int wide; /* any shift differs */
} unit;

MXLK_INLINE void ask(work *w) {
  for (int64_t i = 0; i < w->lines; i++) _mm_prefetch(w->next + 64 * i, _MM_HINT_T0);
  w->next += 64 * w->lines;
}

/* Finishes rows [begin, end) of a unit. groups: of the superblock. */
MXLK_INLINE void finish(const mxlk_scheme scheme, const int planes, const int groups, const work *w, const unit *u,
                        const sums_of_strip *sums, float t[strip_rows][columns], int64_t begin, int64_t end) {
  const int blocks = scheme == MXLK_SCHEME_SUPER16 || scheme == MXLK_SCHEME_SUPER16_MIN ? 16 : 8;
  const int has_minima = scheme == MXLK_SCHEME_SUPER32 || scheme == MXLK_SCHEME_SUPER16_MIN;
  const int minima_count = scheme == MXLK_SCHEME_SUPER16_MIN ? 8 : 4;
  const int32_t *integers = (const int32_t *)(const void *)w->scales;
  const int32_t *minima = integers + blocks * columns;
  const float *d = (const float *)(const void *)(minima + (has_minima ? minima_count : 0) * columns);
  if (scheme == MXLK_SCHEME_GROUP) d = (const float *)(const void *)(integers + u->group * columns);
  if (end > u->rows) end = u->rows;
  for (int64_t r = begin; r < end; r++) {
    const mxlk_arranged *x = &w->x[u->first + r];
    __m512i shift = _mm512_set1_epi32(x->shifts[0]);
    __m512 alpha = _mm512_set1_ps(x->alpha);
#pragma clang loop unroll(full)
    for (int v = 0; v < vectors; v++) {
      __m512i sum = _mm512_load_si512((*sums)[0][v][r]);
      if (planes == 2 || u->wide)
        sum = _mm512_add_epi32(sum, _mm512_slli_epi32(_mm512_load_si512((*sums)[1][v][r]), 8));
      if (planes == 2 && u->wide)
        sum = _mm512_add_epi32(sum, _mm512_slli_epi32(_mm512_load_si512((*sums)[2][v][r]), 16));
      __m512 value = _mm512_cvtepi32_ps(_mm512_sllv_epi32(sum, shift));
      __m512 scale = _mm512_load_ps(d + 16 * v);
      float *y = w->y + (u->first + r) * columns + 16 * v;
      __m512 total;
      if (scheme == MXLK_SCHEME_GROUP) {
        total = _mm512_fmadd_ps(value, scale, u->group == 0 ? _mm512_setzero_ps() : _mm512_load_ps(t[r] + 16 * v));
        if (u->group + 1 < groups) {
          _mm512_store_ps(t[r] + 16 * v, total);
          continue;
        }
      } else {
        total = _mm512_mul_ps(value, scale);
      }
      if (has_minima) {
        __m512i j = _mm512_setzero_si512();
        for (int i = 0; i < minima_count; i++)
          j = _mm512_dpwssd_epi32(j, _mm512_load_si512(minima + i * columns + 16 * v), _mm512_set1_epi32(x->sums[i]));
        __m512 negative = _mm512_sub_ps(_mm512_set1_ps(-0.0f), _mm512_cvtepi32_ps(j));
        total = _mm512_fmadd_ps(negative, _mm512_load_ps(d + columns + 16 * v), total);
      }
      _mm512_store_ps(y, _mm512_fmadd_ps(total, alpha, _mm512_load_ps(y)));
    }
  }
}

/* Sums of a unit of `steps` tile products from `step` on, while `rows` rows of the unit before are finished. */
MXLK_INLINE void multiply_unit(const mxlk_scheme scheme, const int planes, const int groups, const int width,
                               const int steps, work *w, const unit *u, sums_of_strip *sums, const unit *before,
                               const sums_of_strip *sums_before, float t[strip_rows][columns]) {
  const char *x = (const char *)(w->x + u->first) + u->group * steps * width;
  const uint8_t *low = w->codes + u->group * steps * width / 4 * line_bytes;
  uint32_t wide = 0;
  _tile_zero(0);
  _tile_zero(1);
  if (planes == 2 || u->wide) {
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t r = 0; r < u->rows; r++) wide |= w->x[u->first + r].wide;
    wide >>= u->group * steps * width / 32;
  }
  for (int i = 0; i < steps; i++) {
    const uint8_t *at = low + i * width / 4 * line_bytes;
    _tile_loadd(4, x + i * width, sizeof(mxlk_arranged));
    _tile_loadd(6, at, line_bytes);
    _tile_dpbssd(0, 4, 6);
    _tile_loadd(7, at + 64, line_bytes);
    _tile_dpbssd(1, 4, 7);
    if (u->wide && (wide >> (i * width / 32) & (width == 32 ? 1 : 3)) != 0) {
      _tile_loadd(5, x + MXL_SUPERBLOCK + i * width, sizeof(mxlk_arranged));
      _tile_dpbssd(2, 5, 6);
      _tile_dpbssd(3, 5, 7);
    }
    if (planes == 2) {
      _tile_loadd(6, at + plane_bytes, line_bytes);
      _tile_dpbssd(2, 4, 6);
      _tile_loadd(7, at + plane_bytes + 64, line_bytes);
      _tile_dpbssd(3, 4, 7);
    }
    ask(w);
    if (before != NULL)
      finish(scheme, planes, groups, w, before, sums_before, t, strip_rows / steps * i, strip_rows / steps * (i + 1));
  }
  _tile_stored(0, (*sums)[0][0], 64);
  _tile_stored(1, (*sums)[0][1], 64);
  if (planes == 2 || u->wide) {
    _tile_stored(2, (*sums)[1][0], 64);
    _tile_stored(3, (*sums)[1][1], 64);
  }
  if (planes == 2 && u->wide) {
    _tile_zero(0);
    _tile_zero(1);
    for (int i = 0; i < steps; i++) {
      if ((wide >> (i * width / 32) & (width == 32 ? 1 : 3)) == 0) continue;
      const uint8_t *at = low + i * width / 4 * line_bytes + plane_bytes;
      _tile_loadd(5, x + MXL_SUPERBLOCK + i * width, sizeof(mxlk_arranged));
      _tile_loadd(6, at, line_bytes);
      _tile_dpbssd(0, 5, 6);
      _tile_loadd(7, at + 64, line_bytes);
      _tile_dpbssd(1, 5, 7);
    }
    _tile_stored(0, (*sums)[2][0], 64);
    _tile_stored(1, (*sums)[2][1], 64);
  }
}

MXLK_INLINE int any_wide(const work *w, int64_t first, int64_t rows) {
  uint32_t wide = 0;
  for (int64_t r = 0; r < rows; r++) wide |= w->x[first + r].wide;
  return wide != 0;
}

MXLK_INLINE void run_units(const mxlk_scheme scheme, const int planes, const int groups, const int width,
                           const int steps, work *w) {
  _Alignas(64) sums_of_strip sums[2];
  _Alignas(64) float t[strip_rows][columns];
  unit units[2];
  int64_t count = 0;
  for (int64_t first = 0; first < w->rows; first += strip_rows) {
    int64_t rows = w->rows - first < strip_rows ? w->rows - first : strip_rows;
    int wide = any_wide(w, first, rows);
    for (int64_t g = 0; g < groups; g++, count++) {
      units[count & 1] = (unit){first, rows, g, wide};
      multiply_unit(scheme, planes, groups, width, steps, w, &units[count & 1], &sums[count & 1],
                    count == 0 ? NULL : &units[(count - 1) & 1], &sums[(count - 1) & 1], t);
    }
  }
  finish(scheme, planes, groups, w, &units[(count - 1) & 1], &sums[(count - 1) & 1], t, 0, strip_rows);
}

/* Sums of one vector of outputs over 32 k. */
MXLK_INLINE void multiply_block(const work *w, int64_t first, int64_t b, int v, int32_t sums[strip_rows][16]) {
  _tile_zero(0);
  _tile_loadd(4, w->x[first].low + 32 * b, sizeof(mxlk_arranged));
  _tile_loadd(6, w->codes + b * 8 * line_bytes + 64 * v, line_bytes);
  _tile_dpbssd(0, 4, 6);
  _tile_stored(0, sums, 64);
}

/* BLOCK32: t of 16 rows lives in registers. */
MXLK_INLINE void run_blocks(const mxlk_scheme scheme, work *w, int64_t k) {
  _Alignas(64) int32_t sums[2][strip_rows][16];
  const float *d = (const float *)(const void *)w->scales;
  for (int64_t first = 0; first < w->rows; first += strip_rows) {
    int64_t rows = w->rows - first < strip_rows ? w->rows - first : strip_rows;
    for (int v = 0; v < vectors; v++) {
      __m512 t[strip_rows];
      for (int r = 0; r < strip_rows; r++) t[r] = _mm512_setzero_ps();
      multiply_block(w, first, 0, v, sums[0]);
      for (int64_t b = 0; b < k / 32; b++) {
        if (b + 1 < k / 32) multiply_block(w, first, b + 1, v, sums[(b + 1) & 1]);
        __m512 scale = _mm512_load_ps(d + b * columns + 16 * v);
        __m512 minimum = _mm512_load_ps(d + (8 + b) * columns + 16 * v);
        ask(w);
#pragma clang loop unroll(full)
        for (int r = 0; r < strip_rows; r++) {
          const mxlk_arranged *x = &w->x[first + r];
          __m512i sum = _mm512_sllv_epi32(_mm512_load_si512(sums[b & 1][r]), _mm512_set1_epi32(x->shifts[b]));
          t[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, t[r]);
          if (scheme == MXLK_SCHEME_BLOCK32_MIN)
            t[r] = _mm512_fmadd_ps(_mm512_set1_ps((float)x->sums[b]), minimum, t[r]);
        }
      }
#pragma clang loop unroll(full)
      for (int r = 0; r < strip_rows; r++) {
        if (r >= rows) break;
        float *y = w->y + (first + r) * columns + 16 * v;
        _mm512_store_ps(y, _mm512_fmadd_ps(t[r], _mm512_set1_ps(w->x[first + r].alpha), _mm512_load_ps(y)));
      }
    }
  }
}

void mxlk_linear_expanded_int8_64x32__amx(const mxl_kernel_row *row, const mxl_tile *tile) {
  const mxlk_block_format *format = row->context;
  const int64_t k = tile->k;
  work w = {.x = tile->x, .codes = tile->weights, .y = tile->y, .rows = tile->rows, .next = tile->next};
  w.scales = w.codes + 2 * plane_bytes;
  int64_t strips = (w.rows + strip_rows - 1) / strip_rows, pieces = strips * (is_block32(format->scheme) ? 16 : 4);
  w.lines = tile->next == NULL ? 0 : (tile->next_bytes / 64 + pieces - 1) / pieces;
  switch (format->scheme) {
    case MXLK_SCHEME_BLOCK32:
    case MXLK_SCHEME_BLOCK32_POWER: run_blocks(MXLK_SCHEME_BLOCK32, &w, k); break;
    case MXLK_SCHEME_BLOCK32_MIN: run_blocks(MXLK_SCHEME_BLOCK32_MIN, &w, k); break;
    case MXLK_SCHEME_SUPER32: run_units(MXLK_SCHEME_SUPER32, 2, 1, 64, 4, &w); break;
    case MXLK_SCHEME_SUPER32_SIX: run_units(MXLK_SCHEME_SUPER32_SIX, 2, 1, 64, 4, &w); break;
    case MXLK_SCHEME_SUPER16_MIN: run_units(MXLK_SCHEME_SUPER16_MIN, 1, 1, 64, 4, &w); break;
    case MXLK_SCHEME_SUPER16: run_units(MXLK_SCHEME_SUPER16, planes_of(format), 1, 64, 4, &w); break;
    case MXLK_SCHEME_GROUP: {
      const int planes = planes_of(format), groups = (int)(k / format->group);
      if (format->group == 256) run_units(MXLK_SCHEME_GROUP, planes, groups, 64, 4, &w);
      if (format->group == 128) run_units(MXLK_SCHEME_GROUP, planes, groups, 64, 2, &w);
      if (format->group == 64) run_units(MXLK_SCHEME_GROUP, planes, groups, 64, 1, &w);
      if (format->group == 32) run_units(MXLK_SCHEME_GROUP, planes, groups, 32, 1, &w);
      break;
    }
  }
}

#pragma clang attribute pop
#endif

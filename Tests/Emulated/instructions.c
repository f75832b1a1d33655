#include "instructions.h"
#include "../KernelChecks/buffers.h"

#include <math.h>
#include <string.h>

typedef union vector {
  __m512i integers;
  __m512 floats;
  __m256i low_half;
  __m128i low_quarter;
  uint32_t words[16];
  int32_t ints[16];
  uint16_t halves[32];
  int16_t shorts[32];
  uint8_t bytes[64];
  int8_t chars[64];
  float values[16];
} vector;

static uint32_t state = 1;

static vector any_bits(void) {
  vector v;
  for (int i = 0; i < 16; i++) v.words[i] = next_random(&state);
  return v;
}

/* Numbers near one another in magnitude, so that sums round and cancel; here and there a denormal or a zero. */
static vector numbers(void) {
  vector v = any_bits();
  for (int i = 0; i < 16; i++) v.words[i] = (v.words[i] & 0x81ffffffu) + 0x3e000000u;
  for (int i = 0; i < 16; i++)
    if (below(&state, 16) == 0) v.words[i] &= 0x807fffffu;
  return v;
}

/* Pairs of bfloat16, down to products and sums that are denormal. */
static vector pairs(void) {
  vector v = any_bits();
  for (int i = 0; i < 32; i++) {
    uint16_t exponent = below(&state, 2) == 0 ? 0x1f80 : 0x3f00;
    v.halves[i] = (uint16_t)((v.halves[i] & 0x81ff) + exponent);
    if (below(&state, 16) == 0) v.halves[i] &= 0x807f;
  }
  return v;
}

static void same(check_result *result, const char *name, vector got, vector want) {
  for (int i = 0; i < 16; i++) {
    result->comparisons++;
    if (!same_float(got.values[i], want.values[i]))
      fail(result, "%s: lane %d is %08x, not %08x", name, i, got.words[i], want.words[i]);
  }
}

static void dots(check_result *result) {
  vector t = any_bits(), a = any_bits(), b = any_bits(), four = t, two = t;
  /* The ends of the ranges, where a sum of 16 bits would saturate. */
  for (int i = 0; i < 4; i++) a.words[i] = 0xffffffffu, b.words[i] = i % 2 == 0 ? 0x80808080u : 0x7f7f7f7fu;
  a.words[4] = b.words[4] = 0x80008000u;
  for (int i = 0; i < 16; i++) {
    for (int j = 4 * i; j < 4 * i + 4; j++) four.words[i] += (uint32_t)(a.bytes[j] * b.chars[j]);
    for (int j = 2 * i; j < 2 * i + 2; j++) two.words[i] += (uint32_t)(a.shorts[j] * b.shorts[j]);
  }
  same(result, "dpbusd", (vector){_mm512_dpbusd_epi32(t.integers, a.integers, b.integers)}, four);
  same(result, "dpwssd", (vector){_mm512_dpwssd_epi32(t.integers, a.integers, b.integers)}, two);
  vector got = four;
  got.low_half = _mm256_dpbusd_avx_epi32(t.low_half, a.low_half, b.low_half);
  same(result, "dpbusd of 256 bits", got, four);
  got = two;
  got.low_half = _mm256_dpwssd_avx_epi32(t.low_half, a.low_half, b.low_half);
  same(result, "dpwssd of 256 bits", got, two);
}

static float flushed(float value) { return fpclassify(value) == FP_SUBNORMAL ? copysignf(0, value) : value; }

static float widened(uint16_t bfloat16) {
  vector v = {.words = {(uint32_t)bfloat16 << 16}};
  return v.values[0];
}

static void bfloat16_dots(check_result *result) {
  vector t = numbers(), a = pairs(), b = pairs(), want;
  for (int i = 0; i < 16; i++) {
    if (below(&state, 2) == 0) t.words[i] &= 0x80ffffffu;
    float sum = flushed(t.values[i]);
    for (int j = 2 * i + 1; j >= 2 * i; j--)
      sum = flushed(fmaf(flushed(widened(a.halves[j])), flushed(widened(b.halves[j])), sum));
    want.values[i] = sum;
  }
  vector got = {.floats = _mm512_dpbf16_ps(t.floats, (__m512bh)a.integers, (__m512bh)b.integers)};
  same(result, "dpbf16", got, want);
  result->comparisons++;
  uint32_t before = _mm_getcsr();
  _mm_setcsr(0x5f80); /* rounding up: the instruction does not ask */
  got.floats = _mm512_dpbf16_ps(t.floats, (__m512bh)a.integers, (__m512bh)b.integers);
  uint32_t behind = _mm_getcsr();
  _mm_setcsr(before);
  if (behind != 0x5f80) fail(result, "dpbf16 changes MXCSR");
  same(result, "dpbf16 under another rounding mode", got, want);
}

/* Tiles of any size, for every product. */
typedef struct tiles_config {
  uint8_t palette, start_row, reserved[14];
  uint16_t row_bytes[16];
  uint8_t rows[16];
} tiles_config;

enum { sums_tile, left_tile, right_tile };
enum { signed_bytes, unsigned_bytes, bfloat16s, product_count };
static const char *const product_names[product_count] = {"dpbssd", "dpbsud", "dpbf16ps"};

static void tile_products(check_result *result) {
  vector sums[16], a[16], b[16], want[product_count][16], got[16];
  int rows = 1 + (int)below(&state, 16), steps = 1 + (int)below(&state, 16), columns = 1 + (int)below(&state, 16);
  tiles_config config = {.palette = 1};
  config.rows[sums_tile] = config.rows[left_tile] = (uint8_t)rows;
  config.rows[right_tile] = (uint8_t)steps;
  config.row_bytes[sums_tile] = config.row_bytes[right_tile] = (uint16_t)(4 * columns);
  config.row_bytes[left_tile] = (uint16_t)(4 * steps);
  for (int i = 0; i < 16; i++) {
    sums[i] = numbers(), a[i] = pairs(), b[i] = pairs();
    for (int product = 0; product < product_count; product++) want[product][i] = sums[i];
  }
  for (int m = 0; m < rows; m++)
    for (int n = 0; n < columns; n++) {
      if (below(&state, 2) == 0) sums[m].words[n] &= 0x80ffffffu;
      uint32_t integer = sums[m].words[n], mixed = integer;
      float chains[2] = {0, 0};
      for (int k = 0; k < steps; k++) {
        for (int i = 0; i < 4; i++) {
          integer += (uint32_t)(a[m].chars[4 * k + i] * b[k].chars[4 * n + i]);
          mixed += (uint32_t)(a[m].chars[4 * k + i] * b[k].bytes[4 * n + i]);
        }
        for (int i = 0; i < 2; i++)
          chains[i] = flushed(
              fmaf(flushed(widened(a[m].halves[2 * k + i])), flushed(widened(b[k].halves[2 * n + i])), chains[i]));
      }
      want[signed_bytes][m].words[n] = integer;
      want[unsigned_bytes][m].words[n] = mixed;
      want[bfloat16s][m].values[n] = flushed(flushed(sums[m].values[n]) + flushed(chains[0] + chains[1]));
    }
  uint32_t before = _mm_getcsr();
  _tile_loadconfig(&config);
  _tile_loadd(left_tile, a, 64);
  _tile_loadd(right_tile, b, 64);
  for (int product = 0; product < product_count; product++) {
    memcpy(got, sums, sizeof got);
    _tile_loadd(sums_tile, sums, 64);
    if (product == signed_bytes) _tile_dpbssd(sums_tile, left_tile, right_tile);
    if (product == unsigned_bytes) _tile_dpbsud(sums_tile, left_tile, right_tile);
    _mm_setcsr(0x5f80); /* rounding up: the instruction does not ask */
    if (product == bfloat16s) _tile_dpbf16ps(sums_tile, left_tile, right_tile);
    uint32_t behind = _mm_getcsr();
    _mm_setcsr(before);
    if (behind != 0x5f80) fail(result, "dpbf16ps changes MXCSR");
    _tile_stored(sums_tile, got, 64);
    for (int m = 0; m < 16; m++) same(result, product_names[product], got[m], want[product][m]);
  }
  memset(got, 0, sizeof got);
  _tile_zero(sums_tile);
  _tile_stored(sums_tile, sums, 64);
  for (int m = 0; m < rows; m++)
    for (int n = 0; n < columns; n++) got[m].words[n] = sums[m].words[n];
  for (int m = 0; m < 16; m++) same(result, "a tile of zeros", got[m], (vector){_mm512_setzero_si512()});
  _tile_release();
}

static void arithmetic(check_result *result) {
  vector a = numbers(), b = numbers(), c = numbers(), plus = a, minus = a, product = a, sum = a;
  for (int i = 0; i < 16; i++) {
    plus.values[i] = fmaf(a.values[i], b.values[i], c.values[i]);
    minus.values[i] = fmaf(-a.values[i], b.values[i], c.values[i]);
    product.values[i] = a.values[i] * b.values[i];
    sum.values[i] = a.values[i] + b.values[i];
  }
  same(result, "fmadd", (vector){.floats = _mm512_fmadd_ps(a.floats, b.floats, c.floats)}, plus);
  same(result, "fnmadd", (vector){.floats = _mm512_fnmadd_ps(a.floats, b.floats, c.floats)}, minus);
  same(result, "mul", (vector){.floats = _mm512_mul_ps(a.floats, b.floats)}, product);
  same(result, "add", (vector){.floats = _mm512_add_ps(a.floats, b.floats)}, sum);
  vector x = any_bits(), y = any_bits(), low = x, total = x, rounded = x, left = x, short_left = x, short_right = x,
         right = x;
  int count = (int)below(&state, 34);
  for (int i = 0; i < 16; i++) {
    low.words[i] = x.words[i] * y.words[i];
    total.words[i] = x.words[i] + y.words[i];
    rounded.values[i] = (float)x.ints[i];
    left.words[i] = count > 31 ? 0 : x.words[i] << count;
    right.words[i] = x.words[i] >> 16;
  }
  for (int i = 0; i < 32; i++)
    short_left.halves[i] = (uint16_t)(x.halves[i] << 3), short_right.halves[i] = x.halves[i] >> 4;
  same(result, "mullo_epi32", (vector){_mm512_mullo_epi32(x.integers, y.integers)}, low);
  same(result, "add_epi32", (vector){_mm512_add_epi32(x.integers, y.integers)}, total);
  same(result, "cvtepi32_ps", (vector){.floats = _mm512_cvtepi32_ps(x.integers)}, rounded);
  same(result, "sll_epi32", (vector){_mm512_sll_epi32(x.integers, _mm_cvtsi32_si128(count))}, left);
  same(result, "srli_epi32", (vector){_mm512_srli_epi32(x.integers, 16)}, right);
  same(result, "slli_epi16", (vector){_mm512_slli_epi16(x.integers, 3)}, short_left);
  same(result, "srli_epi16", (vector){_mm512_srli_epi16(x.integers, 4)}, short_right);
}

static void conversions(check_result *result) {
  vector x = any_bits(), of_bytes, of_chars, of_words, of_shorts, of_halves, narrow = {_mm512_setzero_si512()};
  for (int i = 0; i < 16; i++) {
    of_bytes.words[i] = x.bytes[i];
    of_chars.ints[i] = x.chars[i];
    of_words.words[i] = x.halves[i];
    of_shorts.ints[i] = x.shorts[i];
    mxlk_convert(MXL_FLOAT16, &x.halves[i], MXL_FLOAT32, &of_halves.values[i], 1);
    narrow.halves[i] = (uint16_t)x.words[i];
  }
  same(result, "cvtepu8_epi32", (vector){_mm512_cvtepu8_epi32(x.low_quarter)}, of_bytes);
  same(result, "cvtepi8_epi32", (vector){_mm512_cvtepi8_epi32(x.low_quarter)}, of_chars);
  same(result, "cvtepu16_epi32", (vector){_mm512_cvtepu16_epi32(x.low_half)}, of_words);
  same(result, "cvtepi16_epi32", (vector){_mm512_cvtepi16_epi32(x.low_half)}, of_shorts);
  same(result, "cvtph_ps", (vector){.floats = _mm512_cvtph_ps(x.low_half)}, of_halves);
  vector narrowed = {_mm512_setzero_si512()};
  narrowed.low_half = _mm512_cvtepi32_epi16(x.integers);
  same(result, "cvtepi32_epi16", narrowed, narrow);
}

static void moves(check_result *result) {
  vector a = any_bits(), b = any_bits(), lanes, quarters, low, high, masked = b, greater = b, loaded, stored = b;
  __mmask16 mask = (__mmask16)next_random(&state);
  static const int order = 0x8d, first[] = {1, 3, 0, 2};
  for (int i = 0; i < 16; i++) {
    int base = i / 4 * 4, in = i % 4;
    lanes.words[i] = (in < 2 ? a : b).words[base + first[in]];
    quarters.words[i] = (i < 8 ? a : b).words[4 * first[i / 4] + in];
    low.words[i] = (in % 2 == 0 ? a : b).words[base + in / 2];
    high.words[i] = (in % 2 == 0 ? a : b).words[base + 2 + in / 2];
    if (mask >> i & 1) masked.words[i] = stored.words[i] = a.words[i];
    loaded.words[i] = mask >> i & 1 ? a.words[i] : 0;
    if (a.values[i] > b.values[i]) greater.words[i] = a.words[i];
  }
  same(result, "shuffle_ps", (vector){.floats = _mm512_shuffle_ps(a.floats, b.floats, order)}, lanes);
  same(result, "shuffle_f32x4", (vector){.floats = _mm512_shuffle_f32x4(a.floats, b.floats, order)}, quarters);
  same(result, "unpacklo_ps", (vector){.floats = _mm512_unpacklo_ps(a.floats, b.floats)}, low);
  same(result, "unpackhi_ps", (vector){.floats = _mm512_unpackhi_ps(a.floats, b.floats)}, high);
  same(result, "mask_mov_ps", (vector){.floats = _mm512_mask_mov_ps(b.floats, mask, a.floats)}, masked);
  __mmask16 above = _mm512_cmp_ps_mask(a.floats, b.floats, _CMP_GT_OQ);
  same(result, "cmp_ps_mask", (vector){.floats = _mm512_mask_mov_ps(b.floats, above, a.floats)}, greater);
  same(result, "maskz_loadu_ps", (vector){.floats = _mm512_maskz_loadu_ps(mask, a.bytes)}, loaded);
  vector to = b;
  _mm512_mask_storeu_ps(to.bytes, mask, a.floats);
  same(result, "mask_storeu_ps", to, stored);
}

check_result check_emulated_instructions(void) {
  check_result result = {0};
  for (int round = 0; round < 2000; round++) {
    dots(&result);
    bfloat16_dots(&result);
    tile_products(&result);
    arithmetic(&result);
    conversions(&result);
    moves(&result);
  }
  return result;
}

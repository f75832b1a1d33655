#include "tiles/bfloat16.h"

#include "float16.h"

#include <math.h>

enum { columns = 16 };

/* Zero for a denormal, with its sign. In integers, since a host's compiler may move arithmetic across a change of the control word. */
static float flushed(float value) {
  uint32_t bits = mxlk_bits_from_float(value);
  return (bits & 0x7f800000u) == 0 ? mxlk_float_from_bits(bits & 0x80000000u) : value;
}

static float bfloat16_of(uint16_t bits) { return flushed(mxlk_float_from_bits((uint32_t)bits << 16)); }

/* A result is tiny, and flushed, when it is below 2^-126 after rounding to 24 bits with an unbounded exponent. Rounding denormals keeps
 * fewer bits, so a result that fmaf brings up to 2^-126 is decided on a product and sum scaled by 2^24, where nothing underflows. Of x and
 * w it is the one below 1 that is scaled, since a large one, beside a zero, would overflow. */
static float flushing_fma(float x, float w, float t) {
  float result = fmaf(x, w, t);
  if (!(fabsf(result) <= 0x1p-126f)) return result; /* NaN too */
  float small = fabsf(x) < 1 ? x : w, other = fabsf(x) < 1 ? w : x;
  if (fabsf(result) == 0x1p-126f && fabsf(fmaf(small * 0x1p24f, other, t * 0x1p24f)) >= 0x1p-102f) return result;
  return mxlk_float_from_bits(mxlk_bits_from_float(result) & 0x80000000u);
}

/* Of floats that are no denormals the sum, which is exact where it is tiny. */
static float flushing_sum(float a, float b) { return flushed(a + b); }

/* t + (e + o) over the block of up to 16 pairs of one row and column. */
static float add_block(const uint16_t *x, int64_t x_apart, const uint16_t *w, int64_t pairs, float t) {
  float sums[2] = {0, 0};
  for (int64_t p = 0; p < pairs; p++)
    for (int i = 0; i < 2; i++)
      sums[i] = flushing_fma(bfloat16_of(x[2 * p * x_apart + i]), bfloat16_of(w[2 * p * columns + i]), sums[i]);
  return flushing_sum(t, flushing_sum(sums[0], sums[1]));
}

void mxlk_linear_bf16_bf16_4x16__scalar(const mxl_kernel_row *row, const mxl_tile *tile) {
  (void)row;
  const uint16_t *x = tile->x, *w = tile->weights;
  for (int64_t begin = 0; begin < tile->k; begin += MXL_SUPERBLOCK) {
    int64_t k = tile->k - begin < MXL_SUPERBLOCK ? tile->k - begin : MXL_SUPERBLOCK;
    int64_t pairs = (k + 1) / 2;
    for (int32_t r = 0; r < tile->rows; r++)
      for (int64_t c = 0; c < columns; c++) {
        float t = 0;
        for (int64_t p = 0; p < pairs; p += MXLK_DOT_LINES)
          t = add_block(x + 2 * (p * tile->rows + r), tile->rows, w + 2 * (p * columns + c),
                        pairs - p < MXLK_DOT_LINES ? pairs - p : MXLK_DOT_LINES, t);
        tile->y[r * columns + c] = tile->y[r * columns + c] + t;
      }
    x += 2 * pairs * tile->rows;
    w += 2 * pairs * columns;
  }
}

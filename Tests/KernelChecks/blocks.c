/* The CPU variants of the search for codes and scales against one another, byte for byte. */
#include "panel/quantize.h"
#include "panel/rows.h"
#include "problem.h"

#include <math.h>
#include <string.h>

enum { KINDS = 8 };

static uint32_t next(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return *state;
}

/* In (-1, 1). */
static float uniform(uint32_t *state) { return (float)((int32_t)next(state) >> 8) / 0x1p23f; }

static void fill(int kind, uint32_t *state, float largest, float *values) {
  for (int i = 0; i < MXL_SUPERBLOCK; i++) {
    float u = uniform(state);
    switch (kind) {
      case 0: values[i] = u; break;
      case 1: values[i] = u * u * u; break;
      case 2: values[i] = u < 0.8f ? 0 : u; break;
      case 3: values[i] = 3 + u; break;
      case 4: values[i] = u * largest; break;
      case 5: values[i] = u * 1e-40f; break;
      case 6: values[i] = 0; break;
      default: values[i] = i % 2 == 0 ? largest : -largest; break;
    }
  }
}

static void check_format(const mxlk_block_format *format, check_result *result) {
  uint64_t features = mxlk_cpu_features();
  int64_t step = format->encoding->elements_per_block;
  uint32_t state = 1;
  for (int round = 0; round < 400; round++) {
    float values[MXL_SUPERBLOCK], importance[MXL_SUPERBLOCK];
    fill(round % KINDS, &state, format->encoding->largest, values);
    for (int i = 0; i < MXL_SUPERBLOCK; i++) importance[i] = round / KINDS % 4 == 3 ? 0 : fabsf(uniform(&state));
    const float *weights = round / KINDS % 2 == 0 ? NULL : importance;
    mxlk_column_quantize variants[] = {mxlk_column_quantize__baseline,
#ifdef __x86_64__
                                       features & MXL_CPU_AVX2 ? mxlk_column_quantize__avx2 : NULL,
                                       features & MXL_CPU_AVX512 ? mxlk_column_quantize__avx512 : NULL
#endif
    };
    uint8_t first[512], other[512];
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
      if (variants[i] == NULL) continue;
      mxlk_column column;
      memset(&column, 0xa5, sizeof column);
      variants[i](format, values, weights, step, &column);
      format->blocks_from_column(format, &column, step, i == 0 ? first : other);
      result->comparisons++;
      if (i > 0 && memcmp(first, other, (size_t)format->encoding->block_size) != 0)
        fail(result, "%s: CPU variant %d gives other blocks, round %d", format->encoding->name, (int)i, round);
    }
  }
  (void)features;
}

check_result check_quantize_variants(void) {
  check_result result = {0};
  for (size_t i = 0; i < mxlk_row_count(); i++) {
    const mxl_kernel_row *row = mxlk_row_at(i);
    if (row->pack == mxlk_block_pack && row->compute == MXL_COMPUTE_INT8 && row->cpu_features == 0)
      check_format(row->context, &result);
  }
  return result;
}

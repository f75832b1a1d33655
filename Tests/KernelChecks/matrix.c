#include "matrix.h"

#include <stdlib.h>

float matrix_number(uint32_t *state) {
  *state = *state * 1664525u + 1013904223u;
  return (float)((int32_t)*state >> 8) / 0x1p23f;
}

void matrix_free(matrix *m) {
  free(m->stored);
  mxlk_free(m->packed);
  free((void *)(uintptr_t)m->weights.bias);
  free((void *)(uintptr_t)m->weights.scale);
}

int matrix_make(matrix *m, const mxl_encoding *encoding, const mxl_kernel_row *row, int64_t out_dim, int64_t in_dim,
                uint32_t seed) {
  int64_t row_bytes = in_dim / encoding->elements_per_block * encoding->block_size;
  float *values = malloc((size_t)(out_dim * in_dim) * 4), *bias = malloc((size_t)out_dim * 4);
  *m = (matrix){.stored = malloc((size_t)(out_dim * row_bytes)),
                .packed = mxlk_allocate(mxlk_panel_bytes(row, in_dim) * (size_t)mxlk_panel_count(row, out_dim))};
  m->weights = (mxlk_linear_weights){.row = row, .packed = m->packed, .bias = bias};
  m->weights.bfloat16_row = mxlk_row_find_compatible(row, MXL_COMPUTE_BFLOAT16, mxlk_cpu_features());
  m->weights.many_row = mxlk_row_find_many(row, mxlk_cpu_features());
  m->weights.bfloat16_many_row = mxlk_row_find_many(m->weights.bfloat16_row, mxlk_cpu_features());
  if (values == NULL || bias == NULL || m->stored == NULL || m->packed == NULL) {
    free(values);
    return 0;
  }
  for (int64_t i = 0; i < out_dim * in_dim; i++) values[i] = matrix_number(&seed) / 16;
  for (int64_t i = 0; i < out_dim; i++) bias[i] = matrix_number(&seed);
  mxlk_blocks_job job = {.encoding = encoding,
                         .values = values,
                         .dtype = MXL_FLOAT32,
                         .blocks = m->stored,
                         .rows = out_dim,
                         .k = in_dim,
                         .threads = 2};
  if (encoding->block_size == 1) {
    float *scale = malloc((size_t)out_dim * 4);
    mxlk_float8_job narrow = {.values = values, .dtype = MXL_FLOAT32, .float8 = encoding->dtype, .codes = m->stored};
    narrow.rows = out_dim, narrow.k = in_dim, narrow.scale_stride = 1, narrow.threads = 2;
    m->weights.scale = narrow.scales = scale;
    if (scale != NULL) mxlk_float8_scales(&narrow, scale);
    mxlk_float8_quantize(&narrow);
  } else if (encoding->dtype == MXL_UINT8)
    mxlk_quantize(&job);
  else
    mxlk_convert(MXL_FLOAT32, values, encoding->dtype, m->stored, out_dim * in_dim);
  free(values);
  mxl_source source = {sizeof source, __builtin_inff(), m->stored, row_bytes, in_dim, out_dim};
  mxlk_linear_pack(row, &source, m->packed, 2);
  source.data = NULL;
  m->weights.source = source;
  return 1;
}

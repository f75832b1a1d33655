#include "activation/activation.h"

#include "activation/convert.h"
#include "tiles/int8.h"

#include <string.h>

/* The quantizers return the same bits; the row's CPU features say which may run. */
static void quantize(const mxl_kernel_row *kernel, const float *x, int64_t k, mxlk_activation *record) {
#ifdef __x86_64__
  if (kernel->cpu_features & MXL_CPU_AVX512_VNNI) {
    mxlk_activate_int8__avx512vnni(x, k, record);
    return;
  }
  if (kernel->cpu_features & MXL_CPU_AVX2) {
    mxlk_activate_int8__avx2(x, k, record);
    return;
  }
#endif
  (void)kernel;
  mxlk_activate_int8__scalar(x, k, record);
}

/* Pairs of bfloat16, the tile's rows side by side: packed[k / 2 * count + row]; behind an odd k a zero. */
static void pair_up(const void *x, const mxlk_rows *rows, int64_t row_begin, int64_t count, int64_t k_begin, int64_t k,
                    uint32_t *packed) {
  for (int64_t row = 0; row < count; row++) {
    int64_t offset = mxlk_rows_offset(rows, rows->x_strides, row_begin + row) + k_begin;
    const char *from = (const char *)x + 2 * offset;
    for (int64_t j = 0; j < k; j += 2) {
      uint32_t pair = 0;
      memcpy(&pair, from + 2 * j, j + 1 < k ? 4 : 2); /* little-endian: the first is the low half */
      packed[j / 2 * count + row] = pair;
    }
  }
}

/* Values of one row of x at these columns. */
static void gather(int32_t dtype, const char *x, const int32_t *columns, int64_t k, float *values) {
  if (dtype == MXL_FLOAT32) {
    for (int64_t j = 0; j < k; j++) memcpy(&values[j], x + 4 * (int64_t)columns[j], 4);
    return;
  }
  uint16_t halves[MXL_SUPERBLOCK];
  for (int64_t j = 0; j < k; j++) memcpy(&halves[j], x + 2 * (int64_t)columns[j], 2);
  mxlk_floats_load(0, dtype, halves, k, values);
}

/* Values of one row of x from k_begin on, in the order of columns where those are given: where they lie, or in `values`. */
static const float *load(const mxl_kernel_row *kernel, int32_t dtype, const char *from, const int32_t *columns,
                         int64_t k_begin, int64_t k, float *values) {
  const char *first = from + mxlk_element_bytes(dtype) * k_begin;
  if (columns != NULL)
    gather(dtype, from, columns + k_begin, k, values);
  else if (dtype == MXL_FLOAT32 && (uintptr_t)first % sizeof(float) == 0)
    return (const float *)(const void *)first;
  else
    mxlk_floats_load(kernel->cpu_features, dtype, first, k, values);
  return values;
}

/* Row `index` of a tile and superblock, as the kernel arranges it. */
static void arrange(const mxl_kernel_row *kernel, int32_t dtype, const char *from, const int32_t *columns,
                    int64_t k_begin, int64_t k, int64_t index, void *arranged) {
  float own[MXL_SUPERBLOCK];
  if (kernel->compute == MXL_COMPUTE_BFLOAT16) {
    kernel->arrange(kernel, from + 2 * k_begin, k, index, arranged);
    return;
  }
  const float *values = load(kernel, dtype, from, columns, k_begin, k, own);
  if (kernel->compute == MXL_COMPUTE_FLOAT32) {
    kernel->arrange(kernel, values, k, index, arranged);
    return;
  }
  _Alignas(64) mxlk_activation record;
  quantize(kernel, values, k, &record);
  kernel->arrange(kernel, &record, k, index, arranged);
}

void mxlk_activate(const mxl_kernel_row *kernel, int32_t dtype, const void *x, const mxlk_rows *rows, int64_t row_begin,
                   int64_t count, const int32_t *columns, int64_t k_begin, int64_t k, void *packed) {
  float own[MXL_SUPERBLOCK];
  if (kernel->compute == MXL_COMPUTE_BFLOAT16 && kernel->arrange == NULL) {
    pair_up(x, rows, row_begin, count, k_begin, k, packed);
    return;
  }
  if (kernel->compute == MXL_COMPUTE_FLOAT32 && dtype == MXL_FLOAT32 && columns == NULL && kernel->arrange == NULL) {
    mxlk_pack_rows_f32(x, rows, row_begin, count, k_begin, k, packed);
    return;
  }
  for (int64_t row = 0; row < count; row++) {
    const char *from =
        (const char *)x + mxlk_element_bytes(dtype) * mxlk_rows_offset(rows, rows->x_strides, row_begin + row);
    if (kernel->arrange != NULL) {
      arrange(kernel, dtype, from, columns, k_begin, k, row, packed);
      continue;
    }
    const float *values = load(kernel, dtype, from, columns, k_begin, k, own);
    if (kernel->compute == MXL_COMPUTE_INT8) {
      quantize(kernel, values, k, (mxlk_activation *)packed + row);
    } else {
      float *side_by_side = packed;
      for (int64_t j = 0; j < k; j++) side_by_side[j * count + row] = values[j];
    }
  }
}

#include "activation/activation.h"

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

void mxlk_activate(const mxl_kernel_row *kernel, const void *x, const mxlk_rows *rows, int64_t row_begin, int64_t count,
                   int64_t k_begin, int64_t k, void *packed) {
  if (kernel->compute != MXL_COMPUTE_INT8) {
    mxlk_pack_rows_f32(x, rows, row_begin, count, k_begin, k, packed);
    return;
  }
  for (int64_t row = 0; row < count; row++) {
    float values[MXL_SUPERBLOCK];
    int64_t offset = mxlk_rows_offset(rows, rows->x_strides, row_begin + row) + k_begin;
    memcpy(values, (const char *)x + 4 * offset, (size_t)k * 4);
    quantize(kernel, values, k, (mxlk_activation *)packed + row);
  }
}

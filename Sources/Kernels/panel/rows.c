#include "panel/rows.h"

size_t mxlk_block_packed_size(const mxl_kernel_row *row, int64_t k) {
  return (size_t)mxlk_panel_layout_of(row->context, row->panel_columns, k).bytes;
}

void mxlk_block_pack(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
                     void *packed) {
#ifdef __x86_64__
  if (row->cpu_features & MXL_CPU_AVX2)
    return mxlk_panel_pack__avx2(row->context, row->panel_columns, source, panel, k_begin, k, packed);
#endif
  mxlk_panel_pack(row->context, row->panel_columns, source, panel, k_begin, k, packed);
}

void mxlk_block_unpack(const mxl_kernel_row *row, const void *packed, int64_t panel, int64_t k_begin, int64_t k,
                       const mxl_source *destination) {
#ifdef __x86_64__
  if (row->cpu_features & MXL_CPU_AVX2)
    return mxlk_panel_unpack__avx2(row->context, row->panel_columns, packed, panel, k_begin, k, destination);
#endif
  mxlk_panel_unpack(row->context, row->panel_columns, packed, panel, k_begin, k, destination);
}

#include "panel/panel.h"

#ifdef __x86_64__
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)

#include "panel/pack_loops.h"

void mxlk_panel_pack__avx2(const mxlk_block_format *format, int64_t columns, const mxl_source *source, int64_t panel,
                           int64_t k_begin, int64_t k, uint8_t *packed) {
  mxlk_panel_pack_loop(format, columns, source, panel, k_begin, k, packed);
}

void mxlk_panel_unpack__avx2(const mxlk_block_format *format, int64_t columns, const uint8_t *packed, int64_t panel,
                             int64_t k_begin, int64_t k, const mxl_source *destination) {
  mxlk_panel_unpack_loop(format, columns, packed, panel, k_begin, k, destination);
}

#pragma clang attribute pop
#endif

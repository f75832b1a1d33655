#include "panel/float32.h"

#include "panel/lines.h"

void mxlk_expand_float32_16__scalar(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  mxlk_expand_lines(row->context, packed, 16, k, expanded);
}

#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_q8_0[MXLK_BLOCK_ROWS] =
    MXLK_BLOCK_ENCODING_ROWS("q8_0", "Q8_0", &mxlk_format_q8_0, 4, 40);

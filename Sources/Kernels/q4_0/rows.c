#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_q4_0[MXLK_BLOCK_ROWS] =
    MXLK_BLOCK_ENCODING_ROWS("q4_0", "Q4_0", &mxlk_format_q4_0, 4, 32);

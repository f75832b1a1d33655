#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_q4_1[MXLK_BLOCK_ROWS] =
    MXLK_BLOCK_ENCODING_ROWS("q4_1", "Q4_1", &mxlk_format_q4_1, 4, 48);

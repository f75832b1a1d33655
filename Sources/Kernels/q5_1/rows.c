#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_q5_1[MXLK_BLOCK_ROWS] =
    MXLK_BLOCK_ENCODING_ROWS("q5_1", "Q5_1", &mxlk_format_q5_1, 4, 48);

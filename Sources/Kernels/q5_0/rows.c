#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_q5_0[MXLK_BLOCK_ROWS] =
    MXLK_BLOCK_ENCODING_ROWS("q5_0", "Q5_0", &mxlk_format_q5_0, 4, 32);

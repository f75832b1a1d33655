#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_q5_k[MXLK_BLOCK_ROWS] =
    MXLK_BLOCK_ENCODING_ROWS("q5_k", "Q5_K", &mxlk_format_q5_k, 4, 36);

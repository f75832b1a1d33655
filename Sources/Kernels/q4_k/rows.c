#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_q4_k[MXLK_BLOCK_ROWS] =
    MXLK_BLOCK_ENCODING_ROWS("q4_k", "Q4_K", &mxlk_format_q4_k, 4, 32);

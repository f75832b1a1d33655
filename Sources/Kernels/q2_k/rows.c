#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_q2_k[MXLK_BLOCK_ROWS] =
    MXLK_BLOCK_ENCODING_ROWS("q2_k", "Q2_K", &mxlk_format_q2_k, 0, 9);

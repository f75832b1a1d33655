#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_q3_k[MXLK_BLOCK_ROWS] =
    MXLK_BLOCK_ENCODING_ROWS("q3_k", "Q3_K", &mxlk_format_q3_k, 0, 9);

#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_q6_k[MXLK_BLOCK_ROWS] =
    MXLK_BLOCK_ENCODING_ROWS("q6_k", "Q6_K", &mxlk_format_q6_k, 4, 28);

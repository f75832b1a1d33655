#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_mxfp4[MXLK_BLOCK_ROWS] =
    MXLK_BLOCK_ENCODING_ROWS("mxfp4", "MXFP4", &mxlk_format_mxfp4, 4, 16);

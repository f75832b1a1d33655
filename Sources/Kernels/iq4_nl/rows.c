#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_iq4_nl[MXLK_BLOCK_ROWS] =
    MXLK_BLOCK_ENCODING_ROWS("iq4_nl", "IQ4_NL", &mxlk_format_iq4_nl, 4, 24);

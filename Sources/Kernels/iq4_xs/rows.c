#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_iq4_xs[MXLK_BLOCK_ROWS] =
    MXLK_BLOCK_ENCODING_ROWS("iq4_xs", "IQ4_XS", &mxlk_format_iq4_xs, 0, 32);

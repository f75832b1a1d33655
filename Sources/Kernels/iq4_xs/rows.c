#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_iq4_xs[MXLK_BLOCK_ROWS] = {
    MXLK_INT8_SCALAR("mxlk_linear_iq4_xs_int8_4x16__scalar", "IQ4_XS", &mxlk_format_iq4_xs),
    MXLK_FLOAT32_SCALAR("mxlk_linear_iq4_xs_f32_4x16__scalar", "IQ4_XS", &mxlk_format_iq4_xs),
#ifdef __x86_64__
    MXLK_INT8_AVX2("mxlk_linear_iq4_xs_int8_4x16__avx2", "IQ4_XS", &mxlk_format_iq4_xs),
    MXLK_FLOAT32_AVX2("mxlk_linear_iq4_xs_f32_6x16__avx2", "IQ4_XS", &mxlk_format_iq4_xs),
    MXLK_INT8_AVXVNNI("mxlk_linear_iq4_xs_int8_6x16__avxvnni", "IQ4_XS", &mxlk_format_iq4_xs),
    MXLK_INT8_AVX512VNNI("mxlk_linear_iq4_xs_int8_6x32__avx512vnni", "IQ4_XS", &mxlk_format_iq4_xs),
    MXLK_FLOAT32_AVX512("mxlk_linear_iq4_xs_f32_14x32__avx512", "IQ4_XS", &mxlk_format_iq4_xs),
#endif
};

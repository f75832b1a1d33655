#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_mxfp4[MXLK_BLOCK_ROWS] = {
    MXLK_INT8_SCALAR("mxlk_linear_mxfp4_int8_4x16__scalar", "MXFP4", &mxlk_format_mxfp4),
    MXLK_FLOAT32_SCALAR("mxlk_linear_mxfp4_f32_4x16__scalar", "MXFP4", &mxlk_format_mxfp4),
#ifdef __x86_64__
    MXLK_INT8_AVX2("mxlk_linear_mxfp4_int8_4x16__avx2", "MXFP4", &mxlk_format_mxfp4),
    MXLK_FLOAT32_AVX2("mxlk_linear_mxfp4_f32_6x16__avx2", "MXFP4", &mxlk_format_mxfp4),
    MXLK_INT8_AVXVNNI("mxlk_linear_mxfp4_int8_6x16__avxvnni", "MXFP4", &mxlk_format_mxfp4),
    MXLK_INT8_AVX512VNNI("mxlk_linear_mxfp4_int8_6x32__avx512vnni", "MXFP4", &mxlk_format_mxfp4),
    MXLK_FLOAT32_AVX512("mxlk_linear_mxfp4_f32_14x32__avx512", "MXFP4", &mxlk_format_mxfp4),
#endif
};

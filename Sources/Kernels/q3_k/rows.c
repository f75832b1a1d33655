#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_q3_k[MXLK_BLOCK_ROWS] = {
    MXLK_INT8_SCALAR("mxlk_linear_q3_k_int8_4x16__scalar", "Q3_K", &mxlk_format_q3_k),
    MXLK_FLOAT32_SCALAR("mxlk_linear_q3_k_f32_4x16__scalar", "Q3_K", &mxlk_format_q3_k),
#ifdef __x86_64__
    MXLK_INT8_AVX2("mxlk_linear_q3_k_int8_4x16__avx2", "Q3_K", &mxlk_format_q3_k),
    MXLK_FLOAT32_AVX2("mxlk_linear_q3_k_f32_6x16__avx2", "Q3_K", &mxlk_format_q3_k),
    MXLK_INT8_AVXVNNI("mxlk_linear_q3_k_int8_6x16__avxvnni", "Q3_K", &mxlk_format_q3_k),
    MXLK_INT8_AVX512VNNI("mxlk_linear_q3_k_int8_6x32__avx512vnni", "Q3_K", &mxlk_format_q3_k),
    MXLK_FLOAT32_AVX512("mxlk_linear_q3_k_f32_14x32__avx512", "Q3_K", &mxlk_format_q3_k),
#endif
};

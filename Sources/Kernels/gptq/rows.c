#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_gptq[MXLK_GPTQ_FORMATS][MXLK_BLOCK_ROWS] = {
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq_32_int8_4x16__scalar", "GPTQ_32", &mxlk_formats_gptq[0]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq_32_f32_4x16__scalar", "GPTQ_32", &mxlk_formats_gptq[0]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq_32_int8_4x16__avx2", "GPTQ_32", &mxlk_formats_gptq[0]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq_32_f32_6x16__avx2", "GPTQ_32", &mxlk_formats_gptq[0]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq_32_int8_6x16__avxvnni", "GPTQ_32", &mxlk_formats_gptq[0]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq_32_int8_6x32__avx512vnni", "GPTQ_32", &mxlk_formats_gptq[0]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq_32_f32_14x32__avx512", "GPTQ_32", &mxlk_formats_gptq[0]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq_64_int8_4x16__scalar", "GPTQ_64", &mxlk_formats_gptq[1]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq_64_f32_4x16__scalar", "GPTQ_64", &mxlk_formats_gptq[1]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq_64_int8_4x16__avx2", "GPTQ_64", &mxlk_formats_gptq[1]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq_64_f32_6x16__avx2", "GPTQ_64", &mxlk_formats_gptq[1]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq_64_int8_6x16__avxvnni", "GPTQ_64", &mxlk_formats_gptq[1]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq_64_int8_6x32__avx512vnni", "GPTQ_64", &mxlk_formats_gptq[1]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq_64_f32_14x32__avx512", "GPTQ_64", &mxlk_formats_gptq[1]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq_128_int8_4x16__scalar", "GPTQ_128", &mxlk_formats_gptq[2]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq_128_f32_4x16__scalar", "GPTQ_128", &mxlk_formats_gptq[2]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq_128_int8_4x16__avx2", "GPTQ_128", &mxlk_formats_gptq[2]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq_128_f32_6x16__avx2", "GPTQ_128", &mxlk_formats_gptq[2]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq_128_int8_6x16__avxvnni", "GPTQ_128", &mxlk_formats_gptq[2]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq_128_int8_6x32__avx512vnni", "GPTQ_128", &mxlk_formats_gptq[2]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq_128_f32_14x32__avx512", "GPTQ_128", &mxlk_formats_gptq[2]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq_256_int8_4x16__scalar", "GPTQ_256", &mxlk_formats_gptq[3]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq_256_f32_4x16__scalar", "GPTQ_256", &mxlk_formats_gptq[3]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq_256_int8_4x16__avx2", "GPTQ_256", &mxlk_formats_gptq[3]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq_256_f32_6x16__avx2", "GPTQ_256", &mxlk_formats_gptq[3]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq_256_int8_6x16__avxvnni", "GPTQ_256", &mxlk_formats_gptq[3]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq_256_int8_6x32__avx512vnni", "GPTQ_256", &mxlk_formats_gptq[3]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq_256_f32_14x32__avx512", "GPTQ_256", &mxlk_formats_gptq[3]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq_32_f32_int8_4x16__scalar", "GPTQ_32_F32", &mxlk_formats_gptq[4]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq_32_f32_f32_4x16__scalar", "GPTQ_32_F32", &mxlk_formats_gptq[4]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq_32_f32_int8_4x16__avx2", "GPTQ_32_F32", &mxlk_formats_gptq[4]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq_32_f32_f32_6x16__avx2", "GPTQ_32_F32", &mxlk_formats_gptq[4]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq_32_f32_int8_6x16__avxvnni", "GPTQ_32_F32", &mxlk_formats_gptq[4]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq_32_f32_int8_6x32__avx512vnni", "GPTQ_32_F32", &mxlk_formats_gptq[4]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq_32_f32_f32_14x32__avx512", "GPTQ_32_F32", &mxlk_formats_gptq[4]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq_64_f32_int8_4x16__scalar", "GPTQ_64_F32", &mxlk_formats_gptq[5]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq_64_f32_f32_4x16__scalar", "GPTQ_64_F32", &mxlk_formats_gptq[5]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq_64_f32_int8_4x16__avx2", "GPTQ_64_F32", &mxlk_formats_gptq[5]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq_64_f32_f32_6x16__avx2", "GPTQ_64_F32", &mxlk_formats_gptq[5]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq_64_f32_int8_6x16__avxvnni", "GPTQ_64_F32", &mxlk_formats_gptq[5]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq_64_f32_int8_6x32__avx512vnni", "GPTQ_64_F32", &mxlk_formats_gptq[5]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq_64_f32_f32_14x32__avx512", "GPTQ_64_F32", &mxlk_formats_gptq[5]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq_128_f32_int8_4x16__scalar", "GPTQ_128_F32", &mxlk_formats_gptq[6]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq_128_f32_f32_4x16__scalar", "GPTQ_128_F32", &mxlk_formats_gptq[6]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq_128_f32_int8_4x16__avx2", "GPTQ_128_F32", &mxlk_formats_gptq[6]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq_128_f32_f32_6x16__avx2", "GPTQ_128_F32", &mxlk_formats_gptq[6]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq_128_f32_int8_6x16__avxvnni", "GPTQ_128_F32", &mxlk_formats_gptq[6]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq_128_f32_int8_6x32__avx512vnni", "GPTQ_128_F32", &mxlk_formats_gptq[6]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq_128_f32_f32_14x32__avx512", "GPTQ_128_F32", &mxlk_formats_gptq[6]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq_256_f32_int8_4x16__scalar", "GPTQ_256_F32", &mxlk_formats_gptq[7]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq_256_f32_f32_4x16__scalar", "GPTQ_256_F32", &mxlk_formats_gptq[7]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq_256_f32_int8_4x16__avx2", "GPTQ_256_F32", &mxlk_formats_gptq[7]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq_256_f32_f32_6x16__avx2", "GPTQ_256_F32", &mxlk_formats_gptq[7]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq_256_f32_int8_6x16__avxvnni", "GPTQ_256_F32", &mxlk_formats_gptq[7]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq_256_f32_int8_6x32__avx512vnni", "GPTQ_256_F32", &mxlk_formats_gptq[7]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq_256_f32_f32_14x32__avx512", "GPTQ_256_F32", &mxlk_formats_gptq[7]),
#endif
    },
};

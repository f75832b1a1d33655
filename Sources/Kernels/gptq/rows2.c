#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_gptq2[MXLK_GPTQ_FORMATS][MXLK_BLOCK_ROWS] = {
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq2_32_int8_4x16__scalar", "GPTQ2_32", &mxlk_formats_gptq2[0]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq2_32_f32_4x16__scalar", "GPTQ2_32", &mxlk_formats_gptq2[0]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq2_32_int8_4x16__avx2", "GPTQ2_32", &mxlk_formats_gptq2[0]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq2_32_f32_6x16__avx2", "GPTQ2_32", &mxlk_formats_gptq2[0]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq2_32_int8_6x16__avxvnni", "GPTQ2_32", &mxlk_formats_gptq2[0]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq2_32_int8_6x32__avx512vnni", "GPTQ2_32", &mxlk_formats_gptq2[0]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq2_32_f32_14x32__avx512", "GPTQ2_32", &mxlk_formats_gptq2[0]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq2_64_int8_4x16__scalar", "GPTQ2_64", &mxlk_formats_gptq2[1]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq2_64_f32_4x16__scalar", "GPTQ2_64", &mxlk_formats_gptq2[1]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq2_64_int8_4x16__avx2", "GPTQ2_64", &mxlk_formats_gptq2[1]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq2_64_f32_6x16__avx2", "GPTQ2_64", &mxlk_formats_gptq2[1]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq2_64_int8_6x16__avxvnni", "GPTQ2_64", &mxlk_formats_gptq2[1]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq2_64_int8_6x32__avx512vnni", "GPTQ2_64", &mxlk_formats_gptq2[1]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq2_64_f32_14x32__avx512", "GPTQ2_64", &mxlk_formats_gptq2[1]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq2_128_int8_4x16__scalar", "GPTQ2_128", &mxlk_formats_gptq2[2]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq2_128_f32_4x16__scalar", "GPTQ2_128", &mxlk_formats_gptq2[2]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq2_128_int8_4x16__avx2", "GPTQ2_128", &mxlk_formats_gptq2[2]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq2_128_f32_6x16__avx2", "GPTQ2_128", &mxlk_formats_gptq2[2]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq2_128_int8_6x16__avxvnni", "GPTQ2_128", &mxlk_formats_gptq2[2]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq2_128_int8_6x32__avx512vnni", "GPTQ2_128", &mxlk_formats_gptq2[2]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq2_128_f32_14x32__avx512", "GPTQ2_128", &mxlk_formats_gptq2[2]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq2_256_int8_4x16__scalar", "GPTQ2_256", &mxlk_formats_gptq2[3]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq2_256_f32_4x16__scalar", "GPTQ2_256", &mxlk_formats_gptq2[3]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq2_256_int8_4x16__avx2", "GPTQ2_256", &mxlk_formats_gptq2[3]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq2_256_f32_6x16__avx2", "GPTQ2_256", &mxlk_formats_gptq2[3]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq2_256_int8_6x16__avxvnni", "GPTQ2_256", &mxlk_formats_gptq2[3]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq2_256_int8_6x32__avx512vnni", "GPTQ2_256", &mxlk_formats_gptq2[3]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq2_256_f32_14x32__avx512", "GPTQ2_256", &mxlk_formats_gptq2[3]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq2_32_f32_int8_4x16__scalar", "GPTQ2_32_F32", &mxlk_formats_gptq2[4]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq2_32_f32_f32_4x16__scalar", "GPTQ2_32_F32", &mxlk_formats_gptq2[4]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq2_32_f32_int8_4x16__avx2", "GPTQ2_32_F32", &mxlk_formats_gptq2[4]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq2_32_f32_f32_6x16__avx2", "GPTQ2_32_F32", &mxlk_formats_gptq2[4]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq2_32_f32_int8_6x16__avxvnni", "GPTQ2_32_F32", &mxlk_formats_gptq2[4]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq2_32_f32_int8_6x32__avx512vnni", "GPTQ2_32_F32", &mxlk_formats_gptq2[4]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq2_32_f32_f32_14x32__avx512", "GPTQ2_32_F32", &mxlk_formats_gptq2[4]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq2_64_f32_int8_4x16__scalar", "GPTQ2_64_F32", &mxlk_formats_gptq2[5]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq2_64_f32_f32_4x16__scalar", "GPTQ2_64_F32", &mxlk_formats_gptq2[5]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq2_64_f32_int8_4x16__avx2", "GPTQ2_64_F32", &mxlk_formats_gptq2[5]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq2_64_f32_f32_6x16__avx2", "GPTQ2_64_F32", &mxlk_formats_gptq2[5]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq2_64_f32_int8_6x16__avxvnni", "GPTQ2_64_F32", &mxlk_formats_gptq2[5]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq2_64_f32_int8_6x32__avx512vnni", "GPTQ2_64_F32", &mxlk_formats_gptq2[5]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq2_64_f32_f32_14x32__avx512", "GPTQ2_64_F32", &mxlk_formats_gptq2[5]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq2_128_f32_int8_4x16__scalar", "GPTQ2_128_F32", &mxlk_formats_gptq2[6]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq2_128_f32_f32_4x16__scalar", "GPTQ2_128_F32", &mxlk_formats_gptq2[6]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq2_128_f32_int8_4x16__avx2", "GPTQ2_128_F32", &mxlk_formats_gptq2[6]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq2_128_f32_f32_6x16__avx2", "GPTQ2_128_F32", &mxlk_formats_gptq2[6]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq2_128_f32_int8_6x16__avxvnni", "GPTQ2_128_F32", &mxlk_formats_gptq2[6]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq2_128_f32_int8_6x32__avx512vnni", "GPTQ2_128_F32",
                             &mxlk_formats_gptq2[6]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq2_128_f32_f32_14x32__avx512", "GPTQ2_128_F32", &mxlk_formats_gptq2[6]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq2_256_f32_int8_4x16__scalar", "GPTQ2_256_F32", &mxlk_formats_gptq2[7]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq2_256_f32_f32_4x16__scalar", "GPTQ2_256_F32", &mxlk_formats_gptq2[7]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq2_256_f32_int8_4x16__avx2", "GPTQ2_256_F32", &mxlk_formats_gptq2[7]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq2_256_f32_f32_6x16__avx2", "GPTQ2_256_F32", &mxlk_formats_gptq2[7]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq2_256_f32_int8_6x16__avxvnni", "GPTQ2_256_F32", &mxlk_formats_gptq2[7]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq2_256_f32_int8_6x32__avx512vnni", "GPTQ2_256_F32",
                             &mxlk_formats_gptq2[7]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq2_256_f32_f32_14x32__avx512", "GPTQ2_256_F32", &mxlk_formats_gptq2[7]),
#endif
    },
};

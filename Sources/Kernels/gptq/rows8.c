#include "panel/rows.h"

const mxl_kernel_row mxlk_rows_gptq8[MXLK_GPTQ_FORMATS][MXLK_BLOCK_ROWS] = {
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq8_32_int8_4x16__scalar", "GPTQ8_32", &mxlk_formats_gptq8[0]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq8_32_f32_4x16__scalar", "GPTQ8_32", &mxlk_formats_gptq8[0]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq8_32_int8_4x16__avx2", "GPTQ8_32", &mxlk_formats_gptq8[0]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq8_32_f32_6x16__avx2", "GPTQ8_32", &mxlk_formats_gptq8[0]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq8_32_int8_6x16__avxvnni", "GPTQ8_32", &mxlk_formats_gptq8[0]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq8_32_int8_6x32__avx512vnni", "GPTQ8_32", &mxlk_formats_gptq8[0]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq8_32_f32_14x32__avx512", "GPTQ8_32", &mxlk_formats_gptq8[0]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq8_64_int8_4x16__scalar", "GPTQ8_64", &mxlk_formats_gptq8[1]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq8_64_f32_4x16__scalar", "GPTQ8_64", &mxlk_formats_gptq8[1]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq8_64_int8_4x16__avx2", "GPTQ8_64", &mxlk_formats_gptq8[1]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq8_64_f32_6x16__avx2", "GPTQ8_64", &mxlk_formats_gptq8[1]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq8_64_int8_6x16__avxvnni", "GPTQ8_64", &mxlk_formats_gptq8[1]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq8_64_int8_6x32__avx512vnni", "GPTQ8_64", &mxlk_formats_gptq8[1]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq8_64_f32_14x32__avx512", "GPTQ8_64", &mxlk_formats_gptq8[1]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq8_128_int8_4x16__scalar", "GPTQ8_128", &mxlk_formats_gptq8[2]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq8_128_f32_4x16__scalar", "GPTQ8_128", &mxlk_formats_gptq8[2]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq8_128_int8_4x16__avx2", "GPTQ8_128", &mxlk_formats_gptq8[2]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq8_128_f32_6x16__avx2", "GPTQ8_128", &mxlk_formats_gptq8[2]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq8_128_int8_6x16__avxvnni", "GPTQ8_128", &mxlk_formats_gptq8[2]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq8_128_int8_6x32__avx512vnni", "GPTQ8_128", &mxlk_formats_gptq8[2]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq8_128_f32_14x32__avx512", "GPTQ8_128", &mxlk_formats_gptq8[2]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq8_256_int8_4x16__scalar", "GPTQ8_256", &mxlk_formats_gptq8[3]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq8_256_f32_4x16__scalar", "GPTQ8_256", &mxlk_formats_gptq8[3]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq8_256_int8_4x16__avx2", "GPTQ8_256", &mxlk_formats_gptq8[3]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq8_256_f32_6x16__avx2", "GPTQ8_256", &mxlk_formats_gptq8[3]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq8_256_int8_6x16__avxvnni", "GPTQ8_256", &mxlk_formats_gptq8[3]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq8_256_int8_6x32__avx512vnni", "GPTQ8_256", &mxlk_formats_gptq8[3]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq8_256_f32_14x32__avx512", "GPTQ8_256", &mxlk_formats_gptq8[3]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq8_32_f32_int8_4x16__scalar", "GPTQ8_32_F32", &mxlk_formats_gptq8[4]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq8_32_f32_f32_4x16__scalar", "GPTQ8_32_F32", &mxlk_formats_gptq8[4]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq8_32_f32_int8_4x16__avx2", "GPTQ8_32_F32", &mxlk_formats_gptq8[4]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq8_32_f32_f32_6x16__avx2", "GPTQ8_32_F32", &mxlk_formats_gptq8[4]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq8_32_f32_int8_6x16__avxvnni", "GPTQ8_32_F32", &mxlk_formats_gptq8[4]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq8_32_f32_int8_6x32__avx512vnni", "GPTQ8_32_F32", &mxlk_formats_gptq8[4]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq8_32_f32_f32_14x32__avx512", "GPTQ8_32_F32", &mxlk_formats_gptq8[4]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq8_64_f32_int8_4x16__scalar", "GPTQ8_64_F32", &mxlk_formats_gptq8[5]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq8_64_f32_f32_4x16__scalar", "GPTQ8_64_F32", &mxlk_formats_gptq8[5]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq8_64_f32_int8_4x16__avx2", "GPTQ8_64_F32", &mxlk_formats_gptq8[5]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq8_64_f32_f32_6x16__avx2", "GPTQ8_64_F32", &mxlk_formats_gptq8[5]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq8_64_f32_int8_6x16__avxvnni", "GPTQ8_64_F32", &mxlk_formats_gptq8[5]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq8_64_f32_int8_6x32__avx512vnni", "GPTQ8_64_F32", &mxlk_formats_gptq8[5]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq8_64_f32_f32_14x32__avx512", "GPTQ8_64_F32", &mxlk_formats_gptq8[5]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq8_128_f32_int8_4x16__scalar", "GPTQ8_128_F32", &mxlk_formats_gptq8[6]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq8_128_f32_f32_4x16__scalar", "GPTQ8_128_F32", &mxlk_formats_gptq8[6]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq8_128_f32_int8_4x16__avx2", "GPTQ8_128_F32", &mxlk_formats_gptq8[6]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq8_128_f32_f32_6x16__avx2", "GPTQ8_128_F32", &mxlk_formats_gptq8[6]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq8_128_f32_int8_6x16__avxvnni", "GPTQ8_128_F32", &mxlk_formats_gptq8[6]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq8_128_f32_int8_6x32__avx512vnni", "GPTQ8_128_F32",
                             &mxlk_formats_gptq8[6]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq8_128_f32_f32_14x32__avx512", "GPTQ8_128_F32", &mxlk_formats_gptq8[6]),
#endif
    },
    {
        MXLK_INT8_SCALAR("mxlk_linear_gptq8_256_f32_int8_4x16__scalar", "GPTQ8_256_F32", &mxlk_formats_gptq8[7]),
        MXLK_FLOAT32_SCALAR("mxlk_linear_gptq8_256_f32_f32_4x16__scalar", "GPTQ8_256_F32", &mxlk_formats_gptq8[7]),
#ifdef __x86_64__
        MXLK_INT8_AVX2("mxlk_linear_gptq8_256_f32_int8_4x16__avx2", "GPTQ8_256_F32", &mxlk_formats_gptq8[7]),
        MXLK_FLOAT32_AVX2("mxlk_linear_gptq8_256_f32_f32_6x16__avx2", "GPTQ8_256_F32", &mxlk_formats_gptq8[7]),
        MXLK_INT8_AVXVNNI("mxlk_linear_gptq8_256_f32_int8_6x16__avxvnni", "GPTQ8_256_F32", &mxlk_formats_gptq8[7]),
        MXLK_INT8_AVX512VNNI("mxlk_linear_gptq8_256_f32_int8_6x32__avx512vnni", "GPTQ8_256_F32",
                             &mxlk_formats_gptq8[7]),
        MXLK_FLOAT32_AVX512("mxlk_linear_gptq8_256_f32_f32_14x32__avx512", "GPTQ8_256_F32", &mxlk_formats_gptq8[7]),
#endif
    },
};

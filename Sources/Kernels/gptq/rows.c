#include "panel/rows.h"

/* The rows of a table of formats, by its order. many_rows: those of groups of 32, whose sums are as short as Q4_0's, and of the others. */
#define TABLE(stem, encoding, formats, side_rows, many_rows_32, many_rows)                                \
  {                                                                                                       \
      MXLK_BLOCK_ENCODING_ROWS(stem "_32", encoding "_32", &formats[0], side_rows, many_rows_32),         \
      MXLK_BLOCK_ENCODING_ROWS(stem "_64", encoding "_64", &formats[1], side_rows, many_rows),            \
      MXLK_BLOCK_ENCODING_ROWS(stem "_128", encoding "_128", &formats[2], side_rows, many_rows),          \
      MXLK_BLOCK_ENCODING_ROWS(stem "_256", encoding "_256", &formats[3], side_rows, many_rows),          \
      MXLK_BLOCK_ENCODING_ROWS(stem "_32_f32", encoding "_32_F32", &formats[4], side_rows, many_rows_32), \
      MXLK_BLOCK_ENCODING_ROWS(stem "_64_f32", encoding "_64_F32", &formats[5], side_rows, many_rows),    \
      MXLK_BLOCK_ENCODING_ROWS(stem "_128_f32", encoding "_128_F32", &formats[6], side_rows, many_rows),  \
      MXLK_BLOCK_ENCODING_ROWS(stem "_256_f32", encoding "_256_F32", &formats[7], side_rows, many_rows),  \
  }

const mxl_kernel_row mxlk_rows_gptq[MXLK_GPTQ_FORMATS][MXLK_BLOCK_ROWS] =
    TABLE("gptq", "GPTQ", mxlk_formats_gptq, 4, 48, 9);
const mxl_kernel_row mxlk_rows_gptq2[MXLK_GPTQ_FORMATS][MXLK_BLOCK_ROWS] =
    TABLE("gptq2", "GPTQ2", mxlk_formats_gptq2, 0, 32, 9);
const mxl_kernel_row mxlk_rows_gptq8[MXLK_GPTQ_FORMATS][MXLK_BLOCK_ROWS] =
    TABLE("gptq8", "GPTQ8", mxlk_formats_gptq8, 4, 64, 56);

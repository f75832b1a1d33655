/* A table for each size of codes: the encodings, and what packing needs to know of them. */
#include "gptq/layout.h"

#define FUNCTIONS(stem, index)                                                                          \
  static void dequantize_##stem##_##index(const void *blocks, int64_t elements, float *values) {        \
    mxlk_block_dequantize(&mxlk_formats_##stem[index], blocks, elements, values);                       \
  }                                                                                                     \
  static void quantize_##stem##_##index(const float *values, const float *importance, int64_t elements, \
                                        void *blocks) {                                                 \
    mxlk_block_quantize(&mxlk_formats_##stem[index], values, importance, elements, blocks);             \
  }

#define ENCODING(stem, spelled, bits, index, group, scale_bytes) \
  MXLK_GPTQ_ENCODING(spelled, bits, group, scale_bytes, dequantize_##stem##_##index, quantize_##stem##_##index)

#define FORMAT(stem, spelled, bits, index, group, scale_bytes) \
  MXLK_GPTQ_FORMAT(&mxlk_encodings_##stem[index], bits, group, scale_bytes)

/* What `what` makes of each format of a table. */
#define EACH(what, stem, spelled, bits)                                                             \
  what(stem, spelled "_32", bits, 0, 32, 2), what(stem, spelled "_64", bits, 1, 64, 2),             \
      what(stem, spelled "_128", bits, 2, 128, 2), what(stem, spelled "_256", bits, 3, 256, 2),     \
      what(stem, spelled "_32_F32", bits, 4, 32, 4), what(stem, spelled "_64_F32", bits, 5, 64, 4), \
      what(stem, spelled "_128_F32", bits, 6, 128, 4), what(stem, spelled "_256_F32", bits, 7, 256, 4)

#define TABLE(stem, spelled, bits)                                                                     \
  FUNCTIONS(stem, 0)                                                                                   \
  FUNCTIONS(stem, 1)                                                                                   \
  FUNCTIONS(stem, 2)                                                                                   \
  FUNCTIONS(stem, 3)                                                                                   \
  FUNCTIONS(stem, 4)                                                                                   \
  FUNCTIONS(stem, 5)                                                                                   \
  FUNCTIONS(stem, 6)                                                                                   \
  FUNCTIONS(stem, 7)                                                                                   \
  const mxl_encoding mxlk_encodings_##stem[MXLK_GPTQ_FORMATS] = {EACH(ENCODING, stem, spelled, bits)}; \
  const mxlk_block_format mxlk_formats_##stem[MXLK_GPTQ_FORMATS] = {EACH(FORMAT, stem, spelled, bits)}

TABLE(gptq, "GPTQ", 4);
TABLE(gptq2, "GPTQ2", 2);
TABLE(gptq8, "GPTQ8", 8);

#include "gptq/layout.h"
#include "panel/column.h"

#include <string.h>

static void column_from_blocks(const mxlk_block_format *format, const uint8_t *blocks, int64_t k, mxlk_column *column) {
  for (int64_t g = 0; g < mxlk_group_count(format, k); g++) {
    const uint8_t *block = blocks + g * format->encoding->block_size;
    column->group_scales[g] = mxlk_group_scale_load(format, block);
    column->minima[g] = block[format->scale_bytes];
    const uint8_t *codes = block + format->scale_bytes + 1;
    uint8_t *to = column->codes + g * format->group;
    for (int part = 0; part < format->group; part += 32)
      for (int i = 0; i < 16; i++) {
        to[part + 2 * i] = codes[part / 2 + i] & 15;
        to[part + 2 * i + 1] = codes[part / 2 + i] >> 4;
      }
  }
}

static void blocks_from_column(const mxlk_block_format *format, const mxlk_column *column, int64_t k, uint8_t *blocks) {
  for (int64_t g = 0; g < mxlk_group_count(format, k); g++) {
    uint8_t *block = blocks + g * format->encoding->block_size;
    mxlk_group_scale_store(format, column->group_scales[g], block);
    block[format->scale_bytes] = column->minima[g];
    const uint8_t *codes = column->codes + g * format->group;
    uint8_t *to = block + format->scale_bytes + 1;
    for (int part = 0; part < format->group; part += 32)
      for (int i = 0; i < 16; i++) to[part / 2 + i] = (uint8_t)(codes[part + 2 * i + 1] << 4 | codes[part + 2 * i]);
  }
}

static void dequantize_32(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq[0], blocks, elements, values);
}

static void quantize_32(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq[0], values, importance, elements, blocks);
}

static void dequantize_64(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq[1], blocks, elements, values);
}

static void quantize_64(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq[1], values, importance, elements, blocks);
}

static void dequantize_128(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq[2], blocks, elements, values);
}

static void quantize_128(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq[2], values, importance, elements, blocks);
}

static void dequantize_256(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq[3], blocks, elements, values);
}

static void quantize_256(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq[3], values, importance, elements, blocks);
}

static void dequantize_32_f32(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq[4], blocks, elements, values);
}

static void quantize_32_f32(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq[4], values, importance, elements, blocks);
}

static void dequantize_64_f32(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq[5], blocks, elements, values);
}

static void quantize_64_f32(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq[5], values, importance, elements, blocks);
}

static void dequantize_128_f32(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq[6], blocks, elements, values);
}

static void quantize_128_f32(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq[6], values, importance, elements, blocks);
}

static void dequantize_256_f32(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq[7], blocks, elements, values);
}

static void quantize_256_f32(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq[7], values, importance, elements, blocks);
}

#define GPTQ_ENCODING(name_, group_, scale_bytes_, dequantize_, quantize_) \
  {                                                                        \
      .struct_size = sizeof(mxl_encoding),                                 \
      .dtype = MXL_UINT8,                                                  \
      .name = name_,                                                       \
      .elements_per_block = group_,                                        \
      .block_size = MXLK_GPTQ_BLOCK_BYTES(group_, scale_bytes_),           \
      .dequantize = dequantize_,                                           \
      .quantize = quantize_,                                               \
      .largest = 65504.0f,                                                 \
  }

const mxl_encoding mxlk_encodings_gptq[MXLK_GPTQ_FORMATS] = {
    GPTQ_ENCODING("GPTQ_32", 32, 2, dequantize_32, quantize_32),
    GPTQ_ENCODING("GPTQ_64", 64, 2, dequantize_64, quantize_64),
    GPTQ_ENCODING("GPTQ_128", 128, 2, dequantize_128, quantize_128),
    GPTQ_ENCODING("GPTQ_256", 256, 2, dequantize_256, quantize_256),
    GPTQ_ENCODING("GPTQ_32_F32", 32, 4, dequantize_32_f32, quantize_32_f32),
    GPTQ_ENCODING("GPTQ_64_F32", 64, 4, dequantize_64_f32, quantize_64_f32),
    GPTQ_ENCODING("GPTQ_128_F32", 128, 4, dequantize_128_f32, quantize_128_f32),
    GPTQ_ENCODING("GPTQ_256_F32", 256, 4, dequantize_256_f32, quantize_256_f32),
};

#define GPTQ_FORMAT(index, group_, scale_bytes_) \
  {                                              \
      .encoding = &mxlk_encodings_gptq[index],   \
      .scheme = MXLK_SCHEME_GROUP,               \
      .code_bits = 4,                            \
      .group = group_,                           \
      .scale_bytes = scale_bytes_,               \
      .column_from_blocks = column_from_blocks,  \
      .blocks_from_column = blocks_from_column,  \
  }

const mxlk_block_format mxlk_formats_gptq[MXLK_GPTQ_FORMATS] = {
    GPTQ_FORMAT(0, 32, 2), GPTQ_FORMAT(1, 64, 2), GPTQ_FORMAT(2, 128, 2), GPTQ_FORMAT(3, 256, 2),
    GPTQ_FORMAT(4, 32, 4), GPTQ_FORMAT(5, 64, 4), GPTQ_FORMAT(6, 128, 4), GPTQ_FORMAT(7, 256, 4),
};

/* Codes of 8 bits: the encodings and what packing needs to know of them. */
#include "gptq/layout.h"

static void dequantize_32(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq8[0], blocks, elements, values);
}

static void quantize_32(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq8[0], values, importance, elements, blocks);
}

static void dequantize_64(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq8[1], blocks, elements, values);
}

static void quantize_64(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq8[1], values, importance, elements, blocks);
}

static void dequantize_128(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq8[2], blocks, elements, values);
}

static void quantize_128(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq8[2], values, importance, elements, blocks);
}

static void dequantize_256(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq8[3], blocks, elements, values);
}

static void quantize_256(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq8[3], values, importance, elements, blocks);
}

static void dequantize_32_f32(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq8[4], blocks, elements, values);
}

static void quantize_32_f32(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq8[4], values, importance, elements, blocks);
}

static void dequantize_64_f32(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq8[5], blocks, elements, values);
}

static void quantize_64_f32(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq8[5], values, importance, elements, blocks);
}

static void dequantize_128_f32(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq8[6], blocks, elements, values);
}

static void quantize_128_f32(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq8[6], values, importance, elements, blocks);
}

static void dequantize_256_f32(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq8[7], blocks, elements, values);
}

static void quantize_256_f32(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq8[7], values, importance, elements, blocks);
}

const mxl_encoding mxlk_encodings_gptq8[MXLK_GPTQ_FORMATS] = {
    MXLK_GPTQ_ENCODING("GPTQ8_32", 8, 32, 2, dequantize_32, quantize_32),
    MXLK_GPTQ_ENCODING("GPTQ8_64", 8, 64, 2, dequantize_64, quantize_64),
    MXLK_GPTQ_ENCODING("GPTQ8_128", 8, 128, 2, dequantize_128, quantize_128),
    MXLK_GPTQ_ENCODING("GPTQ8_256", 8, 256, 2, dequantize_256, quantize_256),
    MXLK_GPTQ_ENCODING("GPTQ8_32_F32", 8, 32, 4, dequantize_32_f32, quantize_32_f32),
    MXLK_GPTQ_ENCODING("GPTQ8_64_F32", 8, 64, 4, dequantize_64_f32, quantize_64_f32),
    MXLK_GPTQ_ENCODING("GPTQ8_128_F32", 8, 128, 4, dequantize_128_f32, quantize_128_f32),
    MXLK_GPTQ_ENCODING("GPTQ8_256_F32", 8, 256, 4, dequantize_256_f32, quantize_256_f32),
};

const mxlk_block_format mxlk_formats_gptq8[MXLK_GPTQ_FORMATS] = {
    MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq8[0], 8, 32, 2),  MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq8[1], 8, 64, 2),
    MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq8[2], 8, 128, 2), MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq8[3], 8, 256, 2),
    MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq8[4], 8, 32, 4),  MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq8[5], 8, 64, 4),
    MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq8[6], 8, 128, 4), MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq8[7], 8, 256, 4),
};

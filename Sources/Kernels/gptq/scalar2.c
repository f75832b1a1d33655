/* Codes of 2 bits: the encodings and what packing needs to know of them. */
#include "gptq/layout.h"

static void dequantize_32(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq2[0], blocks, elements, values);
}

static void quantize_32(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq2[0], values, importance, elements, blocks);
}

static void dequantize_64(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq2[1], blocks, elements, values);
}

static void quantize_64(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq2[1], values, importance, elements, blocks);
}

static void dequantize_128(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq2[2], blocks, elements, values);
}

static void quantize_128(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq2[2], values, importance, elements, blocks);
}

static void dequantize_256(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq2[3], blocks, elements, values);
}

static void quantize_256(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq2[3], values, importance, elements, blocks);
}

static void dequantize_32_f32(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq2[4], blocks, elements, values);
}

static void quantize_32_f32(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq2[4], values, importance, elements, blocks);
}

static void dequantize_64_f32(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq2[5], blocks, elements, values);
}

static void quantize_64_f32(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq2[5], values, importance, elements, blocks);
}

static void dequantize_128_f32(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq2[6], blocks, elements, values);
}

static void quantize_128_f32(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq2[6], values, importance, elements, blocks);
}

static void dequantize_256_f32(const void *blocks, int64_t elements, float *values) {
  mxlk_block_dequantize(&mxlk_formats_gptq2[7], blocks, elements, values);
}

static void quantize_256_f32(const float *values, const float *importance, int64_t elements, void *blocks) {
  mxlk_block_quantize(&mxlk_formats_gptq2[7], values, importance, elements, blocks);
}

const mxl_encoding mxlk_encodings_gptq2[MXLK_GPTQ_FORMATS] = {
    MXLK_GPTQ_ENCODING("GPTQ2_32", 2, 32, 2, dequantize_32, quantize_32),
    MXLK_GPTQ_ENCODING("GPTQ2_64", 2, 64, 2, dequantize_64, quantize_64),
    MXLK_GPTQ_ENCODING("GPTQ2_128", 2, 128, 2, dequantize_128, quantize_128),
    MXLK_GPTQ_ENCODING("GPTQ2_256", 2, 256, 2, dequantize_256, quantize_256),
    MXLK_GPTQ_ENCODING("GPTQ2_32_F32", 2, 32, 4, dequantize_32_f32, quantize_32_f32),
    MXLK_GPTQ_ENCODING("GPTQ2_64_F32", 2, 64, 4, dequantize_64_f32, quantize_64_f32),
    MXLK_GPTQ_ENCODING("GPTQ2_128_F32", 2, 128, 4, dequantize_128_f32, quantize_128_f32),
    MXLK_GPTQ_ENCODING("GPTQ2_256_F32", 2, 256, 4, dequantize_256_f32, quantize_256_f32),
};

const mxlk_block_format mxlk_formats_gptq2[MXLK_GPTQ_FORMATS] = {
    MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq2[0], 2, 32, 2),  MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq2[1], 2, 64, 2),
    MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq2[2], 2, 128, 2), MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq2[3], 2, 256, 2),
    MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq2[4], 2, 32, 4),  MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq2[5], 2, 64, 4),
    MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq2[6], 2, 128, 4), MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq2[7], 2, 256, 4),
};

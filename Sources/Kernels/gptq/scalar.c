/* Codes of 4 bits: the encodings and what packing needs to know of them. */
#include "gptq/layout.h"

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

const mxl_encoding mxlk_encodings_gptq[MXLK_GPTQ_FORMATS] = {
    MXLK_GPTQ_ENCODING("GPTQ_32", 4, 32, 2, dequantize_32, quantize_32),
    MXLK_GPTQ_ENCODING("GPTQ_64", 4, 64, 2, dequantize_64, quantize_64),
    MXLK_GPTQ_ENCODING("GPTQ_128", 4, 128, 2, dequantize_128, quantize_128),
    MXLK_GPTQ_ENCODING("GPTQ_256", 4, 256, 2, dequantize_256, quantize_256),
    MXLK_GPTQ_ENCODING("GPTQ_32_F32", 4, 32, 4, dequantize_32_f32, quantize_32_f32),
    MXLK_GPTQ_ENCODING("GPTQ_64_F32", 4, 64, 4, dequantize_64_f32, quantize_64_f32),
    MXLK_GPTQ_ENCODING("GPTQ_128_F32", 4, 128, 4, dequantize_128_f32, quantize_128_f32),
    MXLK_GPTQ_ENCODING("GPTQ_256_F32", 4, 256, 4, dequantize_256_f32, quantize_256_f32),
};

const mxlk_block_format mxlk_formats_gptq[MXLK_GPTQ_FORMATS] = {
    MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq[0], 4, 32, 2),  MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq[1], 4, 64, 2),
    MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq[2], 4, 128, 2), MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq[3], 4, 256, 2),
    MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq[4], 4, 32, 4),  MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq[5], 4, 64, 4),
    MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq[6], 4, 128, 4), MXLK_GPTQ_FORMAT(&mxlk_encodings_gptq[7], 4, 256, 4),
};

/* The encoding LOG6 as a plugin. Compiled with -DLOG6_FAST and log6_avx2.c it brings a kernel row of its own, too. */
#include "log6.h"

static void dequantize(const void *blocks, int64_t elements, float *values) {
  const log6_block *block = blocks;
  for (; elements > 0; elements -= LOG6_ELEMENTS, block++)
    for (int i = 0; i < LOG6_ELEMENTS; i++) *values++ = log6_scale(block) * log6_value(log6_code(block, i));
}

static float magnitude_of(float value) { return value < 0 ? -value : value; }

/* The e of the nearest magnitude: one more for each middle between two of them that is passed. */
static uint32_t nearest(float magnitude) {
  uint32_t e = 0;
  for (uint32_t next = 1; next < 32; next++) e += magnitude > (log6_value(next - 1) + log6_value(next)) / 2;
  return e;
}

/* The largest value gets the largest code, the others the nearest one, which is the best whatever their importance. */
static void quantize_block(const float *values, log6_block *block) {
  float largest = 0;
  for (int i = 0; i < LOG6_ELEMENTS; i++)
    if (magnitude_of(values[i]) > largest) largest = magnitude_of(values[i]);
  largest /= log6_value(31);
  uint32_t bits;
  memcpy(&bits, &largest, sizeof bits);
  bits += 0x7fff + (bits >> 16 & 1); /* to the nearest that 16 bits hold */
  memset(block, 0, sizeof *block);
  block->scale[0] = (uint8_t)(bits >> 16);
  block->scale[1] = (uint8_t)(bits >> 24);
  float scale = log6_scale(block);
  if (scale == 0) return;
  for (int i = 0; i < LOG6_ELEMENTS; i++) {
    uint32_t code = nearest(magnitude_of(values[i]) / scale) | (values[i] < 0 ? 32 : 0);
    uint32_t four = code << (6 * (i % 4));
    for (int byte = 0; byte < 3; byte++) block->codes[i / 4 * 3 + byte] |= (uint8_t)(four >> (8 * byte));
  }
}

static void quantize(const float *values, const float *importance, int64_t elements, void *blocks) {
  (void)importance;
  log6_block *block = blocks;
  for (int64_t i = 0; i < elements; i += LOG6_ELEMENTS) quantize_block(values + i, block++);
}

const mxl_encoding log6_encoding = {
    .struct_size = sizeof(mxl_encoding),
    .dtype = MXL_UINT8,
    .name = "LOG6",
    .elements_per_block = LOG6_ELEMENTS,
    .block_size = sizeof(log6_block),
    .dequantize = dequantize,
    .quantize = quantize,
    .largest = 1e38f,
};

static const mxl_encoding *const encodings[] = {&log6_encoding};
#ifdef LOG6_FAST
static const mxl_kernel_row *const rows[] = {&log6_row_avx2};
#endif

static const mxl_plugin plugin = {
    .struct_size = sizeof(mxl_plugin),
    .abi_major = MXL_PLUGIN_ABI_MAJOR,
    .abi_minor = MXL_PLUGIN_ABI_MINOR,
    .name = "log6",
    .encodings = encodings,
    .encoding_count = 1,
#ifdef LOG6_FAST
    .rows = rows,
    .row_count = 1,
#endif
};

MXL_PLUGIN_EXPORT const mxl_plugin *mxl_plugin_entry(const mxl_host *host) {
  host->log(host, MXL_LOG_INFO, "LOG6: 6.5 bits a weight");
  return &plugin;
}

/* An encoding that says no more than how to quantize and dequantize, registered before any test runs: the checks that walk the registry
 * then meet the rows that the library adds for it.
 *
 * CHECK_8: 8 codes of 8 bits, signed, behind the exponent of their power of two. */
#include "kernel_checks.h"
#include "plugins/plugins.h"

#include <math.h>
#include <string.h>

enum { ELEMENTS = 8, BYTES = 9 };

static float power_of(uint8_t exponent) {
  uint32_t bits = (uint32_t)exponent << 23;
  float power;
  memcpy(&power, &bits, sizeof power);
  return power;
}

static void dequantize(const void *blocks, int64_t elements, float *values) {
  const uint8_t *block = blocks;
  for (; elements > 0; elements -= ELEMENTS, block += BYTES)
    for (int i = 1; i < BYTES; i++) *values++ = (float)(int8_t)block[i] * power_of(block[0]);
}

static void quantize(const float *values, const float *importance, int64_t elements, void *blocks) {
  (void)importance;
  uint8_t *block = blocks;
  for (; elements > 0; elements -= ELEMENTS, values += ELEMENTS, block += BYTES) {
    float largest = 0;
    for (int i = 0; i < ELEMENTS; i++) largest = fmaxf(largest, fabsf(values[i]));
    block[0] = 1;
    while (largest > 127 * power_of(block[0])) block[0]++;
    for (int i = 0; i < ELEMENTS; i++) block[1 + i] = (uint8_t)(int8_t)rintf(values[i] / power_of(block[0]));
  }
}

static const mxl_encoding encoding = {
    .struct_size = sizeof(mxl_encoding),
    .dtype = MXL_UINT8,
    .name = "CHECK_8",
    .elements_per_block = ELEMENTS,
    .block_size = BYTES,
    .dequantize = dequantize,
    .quantize = quantize,
    .largest = 1e38f,
};
static const mxl_encoding *const encodings[] = {&encoding};

static const mxl_plugin plugin = {
    .struct_size = sizeof(mxl_plugin),
    .abi_major = MXL_PLUGIN_ABI_MAJOR,
    .abi_minor = MXL_PLUGIN_ABI_MINOR,
    .name = "checks",
    .encodings = encodings,
    .encoding_count = 1,
};

/* Tests find out when the encoding is not there. */
__attribute__((constructor)) static void register_plugin(void) {
  char text[256];
  mxlk_plugin_register(&plugin, NULL, NULL, &(mxlk_reason){text, sizeof text});
}

const char *check_plugin_zero(void) {
  static char text[256];
  const mxlk_reason reason = {text, sizeof text};
  const mxlk_plugin *zero = mxlk_plugin_at(0);
  text[0] = 0;
  for (size_t i = 0; i < zero->encoding_count; i++)
    if (mxlk_encoding_check(zero->encodings[i], &reason) != MXL_OK) return text;
  for (size_t i = 0; i < zero->row_count; i++) {
    const mxl_kernel_row *row = zero->rows[i];
    if (mxlk_row_check(row, row, mxlk_encoding_find(row->encoding), &reason) != MXL_OK) return text;
  }
  return text;
}

#include "gptq/layout.h"

/* Codes of a group, a multiple of 32; `bits` is a constant at every call. */
static inline __attribute__((always_inline)) void take_codes(const uint8_t *from, const int bits, int64_t group,
                                                             uint8_t *to) {
  const int each = 8 / bits;
  for (int64_t i = 0; i < group / each; i++)
    for (int j = 0; j < each; j++) to[each * i + j] = (uint8_t)(from[i] >> (bits * j) & ((1 << bits) - 1));
}

static inline __attribute__((always_inline)) void put_codes(const uint8_t *from, const int bits, int64_t group,
                                                            uint8_t *to) {
  const int each = 8 / bits;
  for (int64_t i = 0; i < group / each; i++) {
    uint8_t byte = 0;
    for (int j = 0; j < each; j++) byte |= (uint8_t)(from[each * i + j] << (bits * j));
    to[i] = byte;
  }
}

void mxlk_gptq_column_from_blocks(const mxlk_block_format *format, const uint8_t *blocks, int64_t k,
                                  mxlk_column *column) {
  for (int64_t g = 0; g < mxlk_group_count(format, k); g++) {
    const uint8_t *block = blocks + g * format->encoding->block_size, *zero = block + format->scale_bytes;
    column->group_scales[g] = mxlk_group_scale_load(format, block);
    const uint8_t *codes = zero + MXLK_GPTQ_ZERO_BYTES(format->code_bits);
    uint8_t *to = column->codes + g * format->group;
    if (format->code_bits == 8)
      column->m[g] = (uint16_t)(zero[0] | zero[1] << 8);
    else
      column->minima[g] = zero[0];
    switch (format->code_bits) {
      case 2: take_codes(codes, 2, format->group, to); break;
      case 4: take_codes(codes, 4, format->group, to); break;
      default: take_codes(codes, 8, format->group, to); break;
    }
  }
}

void mxlk_gptq_blocks_from_column(const mxlk_block_format *format, const mxlk_column *column, int64_t k,
                                  uint8_t *blocks) {
  for (int64_t g = 0; g < mxlk_group_count(format, k); g++) {
    uint8_t *block = blocks + g * format->encoding->block_size, *zero = block + format->scale_bytes;
    mxlk_group_scale_store(format, column->group_scales[g], block);
    const uint8_t *codes = column->codes + g * format->group;
    uint8_t *to = zero + MXLK_GPTQ_ZERO_BYTES(format->code_bits);
    if (format->code_bits == 8) {
      zero[0] = (uint8_t)column->m[g];
      zero[1] = (uint8_t)(column->m[g] >> 8);
    } else {
      zero[0] = column->minima[g];
    }
    switch (format->code_bits) {
      case 2: put_codes(codes, 2, format->group, to); break;
      case 4: put_codes(codes, 4, format->group, to); break;
      default: put_codes(codes, 8, format->group, to); break;
    }
  }
}

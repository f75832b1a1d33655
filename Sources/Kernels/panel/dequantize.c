#include "float16.h"
#include "panel/column.h"

void mxlk_column_dequantize(const mxlk_block_format *format, const mxlk_column *column, int64_t k, float *values) {
  for (int64_t b = 0; b < k / 16; b++) {
    float factor = 0, offset = 0;
    int32_t zero = format->zero;
    switch (format->scheme) {
      case MXLK_SCHEME_BLOCK32: factor = mxlk_float_from_half(column->d[b / 2]); break;
      case MXLK_SCHEME_BLOCK32_MIN:
        factor = mxlk_float_from_half(column->d[b / 2]);
        offset = -mxlk_float_from_half(column->m[b / 2]);
        break;
      case MXLK_SCHEME_SUPER32:
        factor = mxlk_float_from_half(column->d[0]) * (float)column->scales[b / 2];
        offset = mxlk_float_from_half(column->d[1]) * (float)column->minima[b / 2];
        break;
      case MXLK_SCHEME_GROUP:
        factor = mxlk_group_scale(format, column->group_scales[16 * b / format->group]);
        zero = mxlk_group_zero(format, column, 16 * b / format->group);
        break;
      case MXLK_SCHEME_SUPER16:
        factor = mxlk_float_from_half(column->d[0]) * (float)mxlk_column_scale16(format, column, b);
        break;
      case MXLK_SCHEME_SUPER16_MIN:
        factor = mxlk_float_from_half(column->d[0]) * (float)(column->scales[b] & 15);
        offset = mxlk_float_from_half(column->d[1]) * (float)(column->scales[b] >> 4);
        break;
      case MXLK_SCHEME_BLOCK32_POWER: factor = mxlk_power(column->scales[b / 2]); break;
      case MXLK_SCHEME_SUPER32_SIX:
        factor = mxlk_float_from_half(column->d[0]) * (float)mxlk_six_bits(column->scales, 1, b / 2);
        break;
    }
    for (int i = 0; i < 16; i++) {
      int32_t code = column->codes[16 * b + i];
      float value = factor * (float)((format->table == NULL ? code : format->table[code]) - zero);
      values[16 * b + i] = mxlk_has_offsets(format->scheme) ? value - offset : value;
    }
  }
}

void mxlk_block_dequantize(const mxlk_block_format *format, const uint8_t *blocks, int64_t elements, float *values) {
  int64_t step = format->encoding->elements_per_block;
  for (int64_t done = 0; done < elements; done += step) {
    mxlk_column column;
    format->column_from_blocks(format, blocks + done / step * format->encoding->block_size, step, &column);
    mxlk_column_dequantize(format, &column, step, values + done);
  }
}

/* What all block encodings have in common once a block's bits are taken apart: unsigned codes and scales. An encoding says how its
 * blocks become a column and back; packing, unpacking and expanding panels is shared. */
#ifndef MXLK_PANEL_COLUMN_H
#define MXLK_PANEL_COLUMN_H

#include "float16.h"
#include "kernels.h"

/* How scales apply to a superblock of 256 codes. */
typedef enum mxlk_scheme {
  MXLK_SCHEME_BLOCK32,       /* w = d_b (code - zero), one d for 32 codes: Q4_0, Q5_0, Q8_0, IQ4_NL */
  MXLK_SCHEME_BLOCK32_MIN,   /* w = d_b code + m_b, one d and one m for 32 codes: Q4_1, Q5_1 */
  MXLK_SCHEME_SUPER32,       /* w = d sc_b code - dmin m_b, unsigned bytes sc and m for 32 codes: Q4_K, Q5_K */
  MXLK_SCHEME_SUPER16,       /* w = d sc_b (code - zero), a signed byte or 6 bits sc for 16 codes: Q6_K, Q3_K */
  MXLK_SCHEME_SUPER16_MIN,   /* w = d sc_b code - dmin m_b, unsigned nibbles sc and m for 16 codes: Q2_K */
  MXLK_SCHEME_BLOCK32_POWER, /* w = d_b (code - zero), d_b a power of two for 32 codes, stored as a byte: MXFP4 */
  MXLK_SCHEME_SUPER32_SIX,   /* w = d sc_b (code - zero), sc_b = 6 bits - 32 for 32 codes: IQ4_XS */
  MXLK_SCHEME_GROUP          /* w = scale_g (code - zero_g), a scale and a zero for `group` codes: GPTQ, AWQ */
} mxlk_scheme;

/* One output's superblock: up to 256 codes and their scales. */
typedef struct mxlk_column {
  uint8_t codes[MXL_SUPERBLOCK];
  /* SUPER32: sc_b in 0..7; SUPER16: sc_b, two's complement, or 12 bytes of mxlk_narrow_scale; SUPER16_MIN: sc_b | m_b << 4; BLOCK32_POWER:
   * see mxlk_power; SUPER32_SIX: mxlk_six_bits */
  uint8_t scales[16];
  uint8_t minima[8]; /* SUPER32: m_b; GROUP, but for 8 bits: zero_g */
  uint16_t d[8];     /* halves. BLOCK32, BLOCK32_MIN: d_b; SUPER32, SUPER16_MIN: d, dmin; SUPER16, SUPER32_SIX: d */
  uint16_t m[8]; /* halves. BLOCK32_MIN: m_b; GROUP of 8 bits: two bytes whose sum is zero_g, 0 to 256 in checkpoints */
  uint32_t group_scales[8]; /* GROUP: the bits of a half or of a float */
} mxlk_column;

/* The facts of a block encoding that packing and the tiles need. */
typedef struct mxlk_block_format mxlk_block_format;
struct mxlk_block_format {
  const mxl_encoding *encoding;
  mxlk_scheme scheme;
  int32_t code_bits; /* 2, 3, 4, 5, 6 or 8 */
  /* the code that means 0, where the format has a fixed one; GROUP of 8 bits: 128, what codes are centred by */
  int32_t zero;
  int32_t group;       /* GROUP: codes that share a scale, 32 to 256, a divisor of 256 */
  int32_t scale_bytes; /* GROUP: 2 for halves, 4 for floats */
  int32_t scale_bits;  /* SUPER16: 8, or 6 for scales that are stored as mxlk_narrow_scale reads them */
  /* 4 bits: the 16 codes that the stored ones stand for; expanded panels hold these. BLOCK32, SUPER32_SIX: ascending; BLOCK32_POWER: zero and
   * up, then their negatives. NULL: the stored ones. */
  const uint8_t *table;
  /* Takes k codes (a multiple of the block's elements, at most 256) of one stored row apart. */
  void (*column_from_blocks)(const mxlk_block_format *format, const uint8_t *blocks, int64_t k, mxlk_column *column);
  /* The inverse, byte for byte. */
  void (*blocks_from_column)(const mxlk_block_format *format, const mxlk_column *column, int64_t k, uint8_t *blocks);
};

/* The float32 values of a multiple of the block's elements: BLOCK32, BLOCK32_POWER d (code - zero), the code out of the table where there
 * is one; BLOCK32_MIN d code + m; SUPER32, SUPER16_MIN (d sc) code - (dmin m); SUPER16, SUPER32_SIX (d sc) (code - zero); GROUP scale (code - zero);
 * each product, sum and
 * difference rounded on its own. */
void mxlk_block_dequantize(const mxlk_block_format *format, const uint8_t *blocks, int64_t elements, float *values);

/* The blocks of a multiple of the block's elements: a search for the codes and scales with the least sum of importance (value - w)^2,
 * importance 1 each when NULL. The same bytes on every CPU variant. */
void mxlk_block_quantize(const mxlk_block_format *format, const float *values, const float *importance,
                         int64_t elements, uint8_t *blocks);

/* mxlk_encoding_<stem> of a block format mxlk_format_<stem>: its name, the elements and the struct of a block, and the largest value that
 * quantize takes. */
#define MXLK_BLOCK_ENCODING(stem, spelled, elements, block, most)                                   \
  static void dequantize(const void *blocks, int64_t count, float *values) {                        \
    mxlk_block_dequantize(&mxlk_format_##stem, blocks, count, values);                              \
  }                                                                                                 \
  static void quantize(const float *values, const float *importance, int64_t count, void *blocks) { \
    mxlk_block_quantize(&mxlk_format_##stem, values, importance, count, blocks);                    \
  }                                                                                                 \
  const mxl_encoding mxlk_encoding_##stem = {.struct_size = sizeof(mxl_encoding),                   \
                                             .dtype = MXL_UINT8,                                    \
                                             .name = spelled,                                       \
                                             .elements_per_block = elements,                        \
                                             .block_size = sizeof(block),                           \
                                             .dequantize = dequantize,                              \
                                             .quantize = quantize,                                  \
                                             .largest = most}

/* Whether weights are a product and something beside it, not a product alone. */
static inline int mxlk_has_offsets(mxlk_scheme scheme) {
  return scheme == MXLK_SCHEME_BLOCK32_MIN || scheme == MXLK_SCHEME_SUPER32 || scheme == MXLK_SCHEME_SUPER16_MIN;
}

/* Sixteen scales of 6 bits in 12 bytes of one output, -32 to 31, as Q3_K stores them: byte b % 8 has four bits of scale b, byte 8 + b % 4
 * the upper two. Packed panels hold these bytes. */
static inline int32_t mxlk_narrow_scale(const uint8_t *bytes, int64_t b) {
  return ((bytes[b % 8] >> (b / 8 * 4) & 15) | (bytes[8 + b % 4] >> (b / 4 * 2) & 3) << 4) - 32;
}

/* Puts one of them into bytes that are 0 there. */
static inline void mxlk_narrow_scale_put(int32_t scale, int64_t b, uint8_t *bytes) {
  bytes[b % 8] |= (uint8_t)(((scale + 32) & 15) << (b / 8 * 4));
  bytes[8 + b % 4] |= (uint8_t)((scale + 32) >> 4 << (b / 4 * 2));
}

/* sc of sub-block b under SUPER16. */
static inline int32_t mxlk_column_scale16(const mxlk_block_format *format, const mxlk_column *column, int64_t b) {
  return format->scale_bits == 6 ? mxlk_narrow_scale(column->scales, b) : (int8_t)column->scales[b];
}

/* The nibbles of a block of 32 codes: the low ones are the first 16, as in Q4_0. */
static inline void mxlk_codes_from_nibbles(const uint8_t *nibbles, uint8_t *codes) {
  for (int i = 0; i < 16; i++) {
    codes[i] = nibbles[i] & 15;
    codes[16 + i] = nibbles[i] >> 4;
  }
}

static inline void mxlk_nibbles_from_codes(const uint8_t *codes, uint8_t *nibbles) {
  for (int i = 0; i < 16; i++) nibbles[i] = (uint8_t)(codes[16 + i] << 4 | codes[i]);
}

/* d of BLOCK32_POWER: half of the power of two that a byte is in E8M0, 2^-128 to 2^127. Below 2^-126 it is a denormal, and exact. */
static inline float mxlk_power(uint8_t stored) {
  return mxlk_float_from_bits(stored < 2 ? 0x00200000u << stored : (uint32_t)(stored - 1) << 23);
}

/* sc_b of SUPER32_SIX out of 6 bytes that lie `stride` apart: four of two low nibbles, then two of four pairs of high bits. */
static inline int32_t mxlk_six_bits(const uint8_t *bytes, int64_t stride, int64_t b) {
  int32_t low = bytes[b / 2 * stride] >> (4 * (b % 2)) & 15, high = bytes[(4 + b / 4) * stride] >> (2 * (b % 4)) & 3;
  return (high << 4 | low) - 32;
}

/* The inverse, on bytes that are together and were 0. */
static inline void mxlk_put_six_bits(int32_t scale, int64_t b, uint8_t *bytes) {
  bytes[b / 2] |= (uint8_t)(((scale + 32) & 15) << (4 * (b % 2)));
  bytes[4 + b / 4] |= (uint8_t)((scale + 32) >> 4 << (2 * (b % 4)));
}

/* The number of groups of a column of k codes under GROUP. */
static inline int64_t mxlk_group_count(const mxlk_block_format *format, int64_t k) {
  return (k + format->group - 1) / format->group;
}

/* A group's zero. */
static inline int32_t mxlk_group_zero(const mxlk_block_format *format, const mxlk_column *column, int64_t g) {
  return format->code_bits == 8 ? (column->m[g] & 255) + (column->m[g] >> 8) : column->minima[g];
}

/* A group's scale from its bits, and the bits where they are stored. */
static inline float mxlk_group_scale(const mxlk_block_format *format, uint32_t bits) {
  return format->scale_bytes == 2 ? mxlk_float_from_half((uint16_t)bits) : mxlk_float_from_bits(bits);
}

static inline uint32_t mxlk_group_scale_load(const mxlk_block_format *format, const uint8_t *from) {
  uint32_t bits = (uint32_t)(from[0] | from[1] << 8);
  return format->scale_bytes == 2 ? bits : bits | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static inline void mxlk_group_scale_store(const mxlk_block_format *format, uint32_t bits, uint8_t *to) {
  for (int i = 0; i < format->scale_bytes; i++) to[i] = (uint8_t)(bits >> (8 * i));
}

/* The values of one column. */
void mxlk_column_dequantize(const mxlk_block_format *format, const mxlk_column *column, int64_t k, float *values);

extern const mxl_encoding mxlk_encoding_q4_0, mxlk_encoding_q5_0, mxlk_encoding_q8_0;
extern const mxl_encoding mxlk_encoding_q4_1, mxlk_encoding_q5_1, mxlk_encoding_iq4_nl;
extern const mxl_encoding mxlk_encoding_iq4_xs, mxlk_encoding_mxfp4;
extern const mxl_encoding mxlk_encoding_q4_k, mxlk_encoding_q5_k, mxlk_encoding_q6_k;
extern const mxl_encoding mxlk_encoding_q2_k, mxlk_encoding_q3_k;

extern const mxlk_block_format mxlk_format_q4_0, mxlk_format_q5_0, mxlk_format_q8_0, mxlk_format_q4_1, mxlk_format_q5_1;
extern const mxlk_block_format mxlk_format_iq4_nl;
extern const mxlk_block_format mxlk_format_iq4_xs, mxlk_format_mxfp4;
extern const uint8_t mxlk_table_iq4_nl[16]; /* IQ4_XS has the same */
extern const mxlk_block_format mxlk_format_q4_k, mxlk_format_q5_k, mxlk_format_q6_k;
extern const mxlk_block_format mxlk_format_q2_k, mxlk_format_q3_k;

/* gptq/: 4, 2 and 8 bits, each with groups of 32, 64, 128, 256 with scales as halves, then as floats. */
#define MXLK_GPTQ_FORMATS 8
extern const mxl_encoding mxlk_encodings_gptq[MXLK_GPTQ_FORMATS], mxlk_encodings_gptq2[MXLK_GPTQ_FORMATS],
    mxlk_encodings_gptq8[MXLK_GPTQ_FORMATS];
extern const mxlk_block_format mxlk_formats_gptq[MXLK_GPTQ_FORMATS], mxlk_formats_gptq2[MXLK_GPTQ_FORMATS],
    mxlk_formats_gptq8[MXLK_GPTQ_FORMATS];

#endif

/* Encodings: between values and the blocks that encoded weights are stored in. */
#ifndef MAXLINEAR_ENCODINGS_H
#define MAXLINEAR_ENCODINGS_H

#include "status.h"
#include "types.h"

/* How GPTQ or AWQ weights are quantized: the fields of a checkpoint's quantize_config.json or quant_config.json. Zero it, set struct_size, then the fields.
 *
 * bits               2, 3, 4 or 8; of AWQ 4
 * group_size         columns of x that share a scale; -1 for all of them
 * desc_act           1: groups are not of consecutive columns (act-order), there is a g_idx
 * sym                1: all zeros are 2^(bits - 1); AWQ's are read as they are even so
 * quant_method       "gptq" or "awq"; NULL means "gptq"
 * checkpoint_format  "gptq" (v1: qzeros hold zero - 1), "gptq_v2" (they hold zero); NULL for "gptq". Of AWQ its version,
 *                    "gemm"; NULL means it */
typedef struct mxl_quantization {
  uint32_t struct_size;
  int32_t bits;
  int32_t group_size;
  int32_t desc_act;
  int32_t sym;
  const char *quant_method;
  const char *checkpoint_format;
} mxl_quantization;

/* Options of mxl_quantize and mxl_quantize_gptq. Zero it, set struct_size, then the fields that matter.
 *
 * threads     the most to use; 0 for mxl_threads()
 * importance  NULL, or float32 (K): what a squared error in each column of values weighs, finite and >= 0; for mxl_quantize_gptq NULL */
typedef struct mxl_quantize_options {
  uint32_t struct_size;
  int32_t threads;
  const mxl_tensor *importance;
} mxl_quantize_options;

MXL_BEGIN

/* The weights and the bytes of one block of an encoding, such as 256 and 144 for "Q4_K". Either pointer may be NULL.
 * MXL_UNSUPPORTED for a name that is no block encoding of the library's or a plugin's; of "GPTQ", which is none, 8 and 4: a word of
 * qweight of 4 bits. Any thread. */
mxl_status mxl_encoding_block(const char *encoding, int64_t *elements, int64_t *bytes, mxl_error *error);

/* The encoding in which rows of k values can be stored: `encoding` where k is a multiple of its block, else `fallback` where it is one of
 * that; fallback may be NULL. *chosen is the one of the two pointers. It takes two steps to quantize with a fallback: this, then
 * mxl_quantize with *chosen.
 *
 * Errors: MXL_UNSUPPORTED (a name that is none of the library's block encodings), MXL_INVALID_SHAPE (neither can hold such rows; the
 * message names the encodings that can), MXL_INVALID_ARGUMENT. *chosen is untouched when the call fails. Any thread. */
mxl_status mxl_encoding_choose(const char *encoding, const char *fallback, int64_t k, const char **chosen,
                               mxl_error *error);

/* Encodes values (..., K), float32, float16 or bfloat16, as blocks, uint8 (..., row bytes): rows of K / elements blocks with a small
 * squared error, the same bytes on every CPU and any number of threads. Both in C order, any rank from 1. options may be NULL.
 *
 * Errors: MXL_UNSUPPORTED (encoding), MXL_INVALID_SHAPE (K is no multiple of the block's elements, blocks of another shape),
 * MXL_INVALID_DTYPE, MXL_INVALID_ARGUMENT (a value that is not finite or beyond what the encoding holds, an importance below 0, blocks
 * that overlap values). blocks is untouched when the call fails. */
mxl_status mxl_quantize(const char *encoding, const mxl_quantize_options *options, const mxl_tensor *values,
                        mxl_tensor *blocks, mxl_error *error);

/* The inverse: blocks, uint8 (..., row bytes), to values (..., K), float32, or rounded to float16 or bfloat16. The float32 values
 * have the bits of the gguf package's dequantize. Errors as those of mxl_quantize. */
mxl_status mxl_dequantize(const char *encoding, const mxl_tensor *blocks, mxl_tensor *values, mxl_error *error);

/* Rounds values (out_dim, in_dim), float32, float16 or bfloat16, to the nearest codes of GPTQ's tensors, which may then be loaded or written
 * to a checkpoint: config says group_size, sym and checkpoint_format (what qzeros hold); its desc_act must be 0. With groups =
 * in_dim / group_size, rounded up:
 *
 * qweight  int32 (bits in_dim / 32, out_dim); AWQ: (in_dim, out_dim / 8)
 * qzeros   int32 (groups, bits out_dim / 32, rounded up; 3 bits: to a multiple of 3)
 * scales   float16, bfloat16 or float32 (groups, out_dim)
 *
 * w = scale (code - zero). With sym, zero is 2^(bits - 1) and scale max |w| / ((2^bits - 1) / 2) over the group;
 * else they follow from the range of w and 0. The same bytes on every CPU and any number of threads. All in C order, qweight and
 * qzeros 4-byte aligned. options may be NULL.
 *
 * Errors: MXL_UNSUPPORTED (config, importance), MXL_INVALID_SHAPE (in_dim, or AWQ's out_dim, is no whole words, tensors of
 * other shapes), MXL_INVALID_DTYPE, MXL_INVALID_ARGUMENT (a value that is not finite or beyond what the scales hold, tensors that
 * overlap). The tensors are untouched when the call fails. */
mxl_status mxl_quantize_gptq(const mxl_quantization *config, const mxl_quantize_options *options,
                             const mxl_tensor *values, mxl_tensor *qweight, mxl_tensor *qzeros, mxl_tensor *scales,
                             mxl_error *error);

/* Rounds values (..., K), float32, float16 or bfloat16, any rank from 1, to the nearest 8-bit floats, ties to even: the same bytes on every CPU and
 * any number of threads. weight has the values' shape and dtype MXL_FLOAT8_E4M3 or MXL_FLOAT8_E5M2.
 *
 * scale  NULL: what is beyond the format becomes an infinity, or, as E4M3 has none, NaN; a NaN stays one. Else float32, written: of shape
 *        [] or [1] one of the tensor, of [rows] or [rows, 1] one for each row. It is the largest magnitude over the format's largest, 448 or
 *        57344, at least 2^-126, 1 for zeros; weight is values / scale. A layer takes both (mxl_linear_create).
 *
 * All in C order. options may be NULL, its importance must be. Errors: MXL_INVALID_DTYPE, MXL_INVALID_SHAPE, MXL_UNSUPPORTED (importance),
 * MXL_INVALID_ARGUMENT (with a scale, a value that is not finite; tensors that overlap). The tensors are untouched when the call fails. */
mxl_status mxl_quantize_float8(const mxl_quantize_options *options, const mxl_tensor *values, mxl_tensor *weight,
                               mxl_tensor *scale, mxl_error *error);

/* The inverse: weight * scale in float32 (scale NULL for 1), rounded where values are float16 or bfloat16. Errors as those of
 * mxl_quantize_float8. */
mxl_status mxl_dequantize_float8(const mxl_tensor *weight, const mxl_tensor *scale, mxl_tensor *values,
                                 mxl_error *error);

MXL_END

#endif

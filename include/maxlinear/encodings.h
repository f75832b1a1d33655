/* Encodings: between values and the blocks that encoded weights are stored in. */
#ifndef MAXLINEAR_ENCODINGS_H
#define MAXLINEAR_ENCODINGS_H

#include "status.h"
#include "types.h"

/* Options of mxl_quantize. Zero it, set struct_size, then the fields that matter.
 *
 * threads     the most to use; 0 for mxl_threads()
 * importance  NULL, or float32 (K): what a squared error in each column of values weighs, finite and >= 0 */
typedef struct mxl_quantize_options {
  uint32_t struct_size;
  int32_t threads;
  const mxl_tensor *importance;
} mxl_quantize_options;

MXL_BEGIN

/* The weights and the bytes of one block of an encoding, such as 256 and 144 for "Q4_K". Either pointer may be NULL.
 * MXL_UNSUPPORTED for a name that is none of the library's block encodings. Any thread. */
mxl_status mxl_encoding_block(const char *encoding, int64_t *elements, int64_t *bytes, mxl_error *error);

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

MXL_END

#endif

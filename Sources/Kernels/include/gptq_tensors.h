/* A checkpoint's GPTQ tensors, 4 bits, and their way into a row's panels and back.
 *
 * qweight  int32 [in_dim / 8, out_dim]: word (k / 8, n) holds the code of column k of x for output n in bits 4 (k % 8) .. + 3
 * qzeros   int32 [groups, out_dim / 8]: word (g, n / 8) holds the zero of output n, less zero_offset, in bits 4 (n % 8) .. + 3
 * scales   [groups, out_dim], MXL_FLOAT16, MXL_BFLOAT16 or MXL_FLOAT32
 *
 * w = scale (code - zero). (The format's source: AutoGPTQ's quantized linear layer, as the field's checkpoints store it.) */
#ifndef MXLK_GPTQ_TENSORS_H
#define MXLK_GPTQ_TENSORS_H

#include "kernels.h"

/* Any alignment; strides in bytes from one row to the next, the elements of a row adjacent. All checked before they come here. */
typedef struct mxlk_gptq_tensors {
  const void *qweight, *qzeros, *scales; /* qzeros NULL: zero 8 */
  int64_t qweight_stride, qzeros_stride, scales_stride;
  int32_t scales_dtype;
  int32_t zero_offset;     /* 1 where qzeros holds zero - 1, else 0 */
  const int32_t *group_of; /* in_dim: the group of each column of x */
  const int32_t *order;    /* NULL, or in_dim: packed column i is column order[i] of x */
  int64_t in_dim, out_dim;
} mxlk_gptq_tensors;

/* The encoding that holds such groups: "GPTQ_128". group: 32, 64, 128 or 256. NULL for another. */
const char *mxlk_gptq_encoding(int32_t group, int32_t scales_dtype);

/* Packs all panels of `count` shards, which share in_dim, for a row of that encoding, or of "F32", which gets the values themselves; each
 * shard by the threads that compute it. MXL_OUT_OF_MEMORY without scratch. */
mxl_status mxlk_gptq_pack(const mxl_kernel_row *row, const mxlk_gptq_tensors *tensors, void *const *packed,
                          int32_t count, int32_t threads);

/* The words of qweight again, into zeros, rows qweight_stride bytes apart, from panels of a GPTQ encoding; the other fields as they
 * were for packing. */
mxl_status mxlk_gptq_unpack(const mxl_kernel_row *row, const void *packed, const mxlk_gptq_tensors *tensors,
                            void *qweight, int32_t threads);

/* Round to nearest, every output and group of group_size columns on its own: with sym the zero is 8 and the scale max |w| / 7.5, else
 * scale and zero follow from the range of w and 0. values: out_dim rows of in_dim, float32, float16 or bfloat16. Writes qweight, qzeros
 * (less zero_offset) and scales in C order, 4-byte aligned but for scales; the scale is rounded to its dtype before codes are chosen. */
typedef struct mxlk_gptq_quantize_job {
  const void *values;
  int64_t in_dim, out_dim, group_size; /* group_size >= 1; in_dim a multiple of 8 */
  int32_t values_dtype, sym, zero_offset, scales_dtype, threads;
  void *qweight, *qzeros, *scales;
} mxlk_gptq_quantize_job;

/* The place, counted in C order, of the first value that is not finite or beyond mxlk_gptq_largest; -1 when there is none. */
int64_t mxlk_gptq_refused(const mxlk_gptq_quantize_job *job);
float mxlk_gptq_largest(int32_t scales_dtype);

void mxlk_gptq_quantize(const mxlk_gptq_quantize_job *job);

#endif

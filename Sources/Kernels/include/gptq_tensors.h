/* A checkpoint's GPTQ tensors of 2, 3, 4 or 8 bits, or AWQ's of 4, and their way into a row's panels and back.
 *
 * qweight  int32 [bits in_dim / 32, out_dim]: below each other, the words of output n are a stream of bits, from the lowest of the first word
 *          up, that holds the code of column k of x in bits `bits k` and on. 32 codes of 3 bits are three words, two of them divided
 * qzeros   int32 [groups, bits out_dim / 32]: side by side, the words of a group are such a stream of zeros, less zero_offset
 * scales   [groups, out_dim], MXL_FLOAT16, MXL_BFLOAT16 or MXL_FLOAT32
 *
 * awq: qweight is int32 [in_dim, out_dim / 8], qzeros int32 [groups, out_dim / 8], and nibble i of a word, from the lowest up, is that of
 * output 0 2 4 6 1 3 5 7 of its eight.
 *
 * w = scale (code - zero). (The formats' sources: AutoGPTQ's and AutoAWQ's quantized linear layers, as the field's checkpoints store them.) */
#ifndef MXLK_GPTQ_TENSORS_H
#define MXLK_GPTQ_TENSORS_H

#include "kernels.h"

/* Any alignment; strides in bytes from one row to the next, the elements of a row adjacent. All checked before they come here. */
typedef struct mxlk_gptq_tensors {
  const void *qweight, *qzeros, *scales; /* qzeros NULL: zero 2^(bits - 1) */
  int64_t qweight_stride, qzeros_stride, scales_stride;
  int32_t scales_dtype;
  int32_t bits, awq;
  int32_t zero_offset;     /* 1 where qzeros holds zero - 1, else 0 */
  const int32_t *group_of; /* in_dim: the group of each column of x */
  const int32_t *order;    /* NULL, or in_dim: packed column i is column order[i] of x */
  int64_t in_dim, out_dim;
} mxlk_gptq_tensors;

/* The encoding that holds such groups: "GPTQ_128", "GPTQ2_128", "GPTQ8_128"; 3 bits are held as 4. group: 32, 64, 128 or 256. NULL for
 * another. */
const char *mxlk_gptq_encoding(int32_t bits, int32_t group, int32_t scales_dtype);

/* Packs all panels of `count` shards, which share in_dim, for a row of that encoding, or of "F32", which gets the values themselves; each
 * shard by the threads that compute it. MXL_OUT_OF_MEMORY without scratch. */
mxl_status mxlk_gptq_pack(const mxl_kernel_row *row, const mxlk_gptq_tensors *tensors, void *const *packed,
                          int32_t count, int32_t threads);

/* The words of qweight again, into zeros, rows qweight_stride bytes apart, from panels of a GPTQ encoding; the other fields as they
 * were for packing. */
mxl_status mxlk_gptq_unpack(const mxl_kernel_row *row, const void *packed, const mxlk_gptq_tensors *tensors,
                            void *qweight, int32_t threads);

/* Round to nearest, every output and group of group_size columns on its own: with sym the zero is 2^(bits - 1) and the scale max |w| / ((2^bits - 1) / 2),
 * else scale and zero follow from the range of w and 0. values: out_dim rows of in_dim, float32, float16 or bfloat16. Writes qweight, qzeros
 * (less zero_offset) and scales in C order, 4-byte aligned but for scales; the scale is rounded to its dtype before codes are chosen. */
typedef struct mxlk_gptq_quantize_job {
  const void *values;
  int64_t in_dim, out_dim, group_size; /* group_size >= 1; in_dim whole words; awq: out_dim a multiple of 8 */
  int32_t values_dtype, bits, awq, sym, zero_offset, scales_dtype, threads;
  void *qweight, *qzeros, *scales;
} mxlk_gptq_quantize_job;

/* The place, counted in C order, of the first value that is not finite or beyond mxlk_gptq_largest; -1 when there is none. */
int64_t mxlk_gptq_refused(const mxlk_gptq_quantize_job *job);
float mxlk_gptq_largest(int32_t bits, int32_t scales_dtype);

void mxlk_gptq_quantize(const mxlk_gptq_quantize_job *job);

#endif

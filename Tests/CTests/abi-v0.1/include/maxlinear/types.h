/* Tensors as views: a pointer, a dtype, a shape, strides. */
#ifndef MAXLINEAR_TYPES_H
#define MAXLINEAR_TYPES_H

#include "version.h"

#include <stddef.h>
#include <stdint.h>

/* Element types. The library computes on those that a layer's documentation names; the others can be
 * listed and read from checkpoints. */
typedef enum mxl_dtype {
  MXL_DTYPE_NONE = 0,
  MXL_FLOAT32 = 1,
  MXL_FLOAT16 = 2,
  MXL_BFLOAT16 = 3,
  MXL_FLOAT64 = 4,
  MXL_FLOAT8_E4M3 = 5,
  MXL_FLOAT8_E5M2 = 6,
  MXL_FLOAT8_E8M0 = 7, /* a power of two: 8 bits of exponent */
  MXL_FLOAT6_E2M3 = 8, /* the sub-byte types are packed without gaps, least significant bits first */
  MXL_FLOAT6_E3M2 = 9,
  MXL_FLOAT4_E2M1 = 10,
  MXL_COMPLEX64 = 11,
  MXL_BOOL = 20,
  MXL_UINT8 = 21, /* also the bytes of encoded weights */
  MXL_INT8 = 22,
  MXL_UINT16 = 23,
  MXL_INT16 = 24,
  MXL_UINT32 = 25,
  MXL_INT32 = 26,
  MXL_UINT64 = 27,
  MXL_INT64 = 28,
  MXL_DTYPE_INT32 = INT32_MIN
} mxl_dtype;

/* Device types, with DLPack's numbers. */
typedef enum mxl_device_type {
  MXL_DEVICE_DEFAULT = 0, /* the CPU; what a zeroed struct means */
  MXL_DEVICE_CPU = 1,
  MXL_DEVICE_CUDA = 2,
  MXL_DEVICE_TYPE_INT32 = INT32_MIN
} mxl_device_type;

typedef struct mxl_device {
  int32_t type; /* mxl_device_type */
  int32_t id;
} mxl_device;

/* The largest rank a tensor may have. */
#define MXL_MAX_RANK 16

/* A view of memory that somebody else owns; the library keeps no pointer of it after the call it was given
 * to, except where an mxl_entry says otherwise. Frozen: it is passed in arrays.
 *
 * data     the first element; any alignment. May be NULL when the tensor has no elements.
 * dtype    mxl_dtype
 * rank     0 to MXL_MAX_RANK
 * shape    rank dimensions, each >= 0; may be NULL when rank is 0
 * strides  rank strides counted in elements, or NULL for C order (the last dimension contiguous) */
typedef struct mxl_tensor {
  void *data;
  int32_t dtype;
  int32_t rank;
  mxl_device device;
  const int64_t *shape;
  const int64_t *strides;
} mxl_tensor;

MXL_BEGIN

/* The dtype's name as numpy and MAX write it, such as "float32"; "unknown" for a number that is none.
 * Static storage; never NULL; any thread. */
const char *mxl_dtype_name(int32_t dtype);

/* Bits of one element, or 0 for a number that is no dtype. Any thread. */
int32_t mxl_dtype_bits(int32_t dtype);

MXL_END

#endif

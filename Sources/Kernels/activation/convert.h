/* float32 from and to the dtypes that x and y may have. */
#ifndef MXLK_ACTIVATION_CONVERT_H
#define MXLK_ACTIVATION_CONVERT_H

#include "kernels.h"

/* Reads count values of dtype MXL_FLOAT32, MXL_FLOAT16 or MXL_BFLOAT16, at any alignment. Exact. features: MXL_CPU_* that may be used;
 * the values do not depend on them. */
void mxlk_floats_load(uint64_t features, int32_t dtype, const void *from, int64_t count, float *to);

/* Writes count values, rounded to nearest even. */
void mxlk_floats_store(uint64_t features, int32_t dtype, const float *from, int64_t count, void *to);

/* Bytes of one element of those dtypes. */
static inline int64_t mxlk_element_bytes(int32_t dtype) { return dtype == MXL_FLOAT32 ? 4 : 2; }

#endif

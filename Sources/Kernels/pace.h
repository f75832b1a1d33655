/* How fast kernel rows have been in this process, so that the number of threads of a call follows from measurement. */
#ifndef MXLK_PACE_H
#define MXLK_PACE_H

#include "kernels.h"

/* What one thread is likely to take for so many products (rows of x, times weights), in nanoseconds: from the calls of this kernel row
 * with about as many rows of x, or a careful guess before the first. Integers only: the caller's floating point environment may trap. */
int64_t mxlk_pace_nanoseconds(const mxl_kernel_row *kernel, int64_t rows, int64_t products);

/* What a call has taken, summed over its threads. */
void mxlk_pace_learn(const mxl_kernel_row *kernel, int64_t rows, int64_t products, int64_t thread_nanoseconds);

#endif

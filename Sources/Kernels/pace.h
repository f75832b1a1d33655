/* How many threads a call is worth, from how long such calls have taken in this process. */
#ifndef MXLK_PACE_H
#define MXLK_PACE_H

#include "kernels.h"

/* One or `threads` of them, for so many products (rows of x, times weights) of these kernels, a kernel row's address or several mixed: what has
 * been faster for as many threads, about as many rows of x and about as many weights, or before anything was measured, a careful guess. Now and
 * then either, to learn whether that is still so. Integers only: the caller's floating point environment may trap. */
int32_t mxlk_pace_threads(uint64_t kernels, int64_t rows, int64_t products, int32_t threads);

/* Whether such a call, which may take panels side by side, does: what has been faster, as above; before anything was measured, it does. */
int mxlk_pace_takes_side(uint64_t kernels, int64_t rows, int64_t products, int32_t threads);

/* What a call on so many threads has taken. side: -1, or whether panels were taken side by side where either was possible. */
void mxlk_pace_learn(uint64_t kernels, int64_t rows, int64_t products, int32_t threads, int side, int64_t nanoseconds);

#endif

/* How many threads a call is worth, from how long such calls have taken in this process. */
#ifndef MXLK_PACE_H
#define MXLK_PACE_H

#include "kernels.h"

/* One or `threads` of them, for so many products (rows of x, times weights) of these kernels, a kernel row's address or several mixed: what has
 * been faster for as many threads, about as many rows of x and about as many weights, or before anything was measured, a careful guess. Now and
 * then either, to learn whether that is still so. Integers only: the caller's floating point environment may trap. */
int32_t mxlk_pace_threads(uint64_t kernels, int64_t rows, int64_t products, int32_t threads);

/* Which of two ways, 0 or 1, such a call takes where there are two: what has been faster, as above; each is tried at first, and now and then. -1, which
 * is as 0 and not compared, for the first such call. */
int mxlk_pace_way(uint64_t kernels, int64_t rows, int64_t products, int32_t threads);

/* What a call on so many threads has taken. way: -1, or which it took where there were two. */
void mxlk_pace_learn(uint64_t kernels, int64_t rows, int64_t products, int32_t threads, int way, int64_t nanoseconds);

#endif

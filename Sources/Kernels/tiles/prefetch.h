/* Asking for weights ahead of time on CPUs with AVX-512. */
#ifndef MXLK_TILES_PREFETCH_H
#define MXLK_TILES_PREFETCH_H

#include <xmmintrin.h>

/* Up to so many rows of 16-bit weights wait for memory, and read them soonest from the first level cache. More leave time: what is asked for into that
 * cache drives x and the weights in use out of it, and holds the few entries for what it misses. */
enum { mxlk_near_rows = 2 };

/* Bytes that panels side by side ask for ahead, each in its own stream. */
enum { mxlk_side_ahead = 8192 };

/* near: a constant, like what may be known of the rows. */
static inline __attribute__((always_inline)) void mxlk_prefetch(const char *line, int near) {
  if (near) {
    _mm_prefetch(line, _MM_HINT_T0);
  } else {
    _mm_prefetch(line, _MM_HINT_T1);
  }
}

#endif

/* MAXLINEAR_VERBOSE: a line on standard error for each piece of work that a call does. Whatever it is but "" and "0" turns it on; it is read
 * once, by the first call. */
#ifndef MXLK_TRACE_H
#define MXLK_TRACE_H

#include "parallel.h"

#include <stdatomic.h>

/* 0 not yet read, 1 off, 2 on. */
extern _Atomic int32_t mxlk_trace_state;
int mxlk_trace_read(void);

/* Whether somebody wants the lines. */
static inline int mxlk_traces(void) {
  int32_t state = atomic_load_explicit(&mxlk_trace_state, memory_order_relaxed);
  return state == 0 ? mxlk_trace_read() : state == 2;
}

/* When the work began; 0 where nobody wants to know. */
static inline int64_t mxlk_trace_begin(void) { return mxlk_traces() ? mxlk_nanoseconds() : 0; }

/* Writes "maxlinear: OPERATION KERNEL M=.. K=.. N=.. threads=.. us=.." as one piece, whole unless names are very long. Lines of several
 * threads do not mix. kernel: a row's name, several with commas between, or an encoding's. 0 leaves M or N out. threads: the most that the
 * work might use. */
void mxlk_trace(const char *operation, const char *kernel, int64_t m, int64_t k, int64_t n, int32_t threads,
                int64_t nanoseconds);

/* The same of work that began at mxlk_trace_begin(); nothing where that was 0. */
static inline void mxlk_trace_end(int64_t begin, const char *operation, const char *kernel, int64_t m, int64_t k,
                                  int64_t n, int32_t threads) {
  if (begin != 0) mxlk_trace(operation, kernel, m, k, n, threads, mxlk_nanoseconds() - begin);
}

#endif

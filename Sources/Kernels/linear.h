/* The loops around a row with scratch from outside, for calls made of several (mlp.c). */
#ifndef MXLK_LINEAR_H
#define MXLK_LINEAR_H

#include "kernels.h"

/* Lowers the threads of the first of so many jobs, which stand for all, to what the work pays for now, and returns the bytes of scratch that the jobs need
 * with so many, a multiple of 64; grows with their number of rows. The jobs are as in mxlk_linear_run_together. */
size_t mxlk_linear_scratch(mxlk_linear_job *jobs, int32_t count);

/* Runs the jobs in scratch, aligned to 64 bytes. Cannot fail. */
void mxlk_linear_run_in(const mxlk_linear_job *jobs, int32_t count, char *scratch);

#endif

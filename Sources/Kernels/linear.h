/* The loops around a row with scratch from outside, for calls made of several (mlp.c). */
#ifndef MXLK_LINEAR_H
#define MXLK_LINEAR_H

#include "kernels.h"

/* Lowers the job's threads to what its work pays for now, and returns the bytes of scratch that it needs with so many, a multiple of 64;
 * grows with its number of rows. */
size_t mxlk_linear_scratch(mxlk_linear_job *job);

/* Runs the job in scratch, aligned to 64 bytes. Cannot fail. */
void mxlk_linear_run_in(const mxlk_linear_job *job, char *scratch);

#endif

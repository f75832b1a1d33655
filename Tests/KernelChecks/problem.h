/* One matrix product to check: its numbers, where they lie in memory, and what must come out. */
#ifndef CHECK_PROBLEM_H
#define CHECK_PROBLEM_H

#include "buffers.h"

/* Size and contents. */
typedef struct shape {
  int64_t rows, out_dim, in_dim;
  check_values values;
  uint32_t seed;
  int leaves_scalar; /* the scalar row has been on enough of such shapes: only the others run */
} shape;

typedef struct problem {
  shape shape;
  const mxl_encoding *encoding;
  int32_t compute;
  mxl_source source;    /* in the SOURCE buffer */
  int64_t source_bytes; /* of one row */
  const char *x;        /* in the X buffer; NaN lies between its rows */
  int32_t x_dtype;
  int64_t x_size; /* bytes of an element of x */
  char *y;        /* in the Y buffer */
  size_t y_bytes;
  mxlk_rows rows;
  const float *bias;  /* in the BIAS buffer, or NULL */
  const float *scale; /* in the SCALE buffer, or NULL */
  int accumulate;
  float *product;  /* x W^T: rows * out_dim, canonical arithmetic; freed by problem_end */
  char *y_before;  /* y_bytes */
  uint32_t random; /* for choices that follow */
} problem;

/* Makes a problem of that shape; strides, alignments, bias, accumulation and clip follow from the seed. False, with a
 * failure counted, when there is no memory for it. */
int problem_begin(problem *p, const shape *shape, const mxl_encoding *encoding, int32_t compute, check_result *result);
void problem_end(problem *p);

/* Element offsets of a row of x and of y. */
int64_t problem_x_at(const problem *p, int64_t row);
int64_t problem_y_at(const problem *p, int64_t row);

/* product of compute bfloat16, by the formula. -1: not on this CPU, whose fused operations flush otherwise, or that has none. 0: no memory. */
int multiply_bfloat16(problem *p);

/* Checks the rows that this CPU can run, on one problem; NULL environment stands for the default one. */
void check_problem(const problem *p, check_result *result);
/* mxlk_linear_pack, run and unpack alone, called in that environment. */
void check_problem_in_environment(const problem *p, check_environment environment, check_result *result);

/* Whether a row that needs CPU features of an encoding and compute runs here: then the scalar one, ten times as slow, need not be everywhere. */
int has_faster_row(const char *encoding, int32_t compute);
/* The scalar row of an encoding and compute. */
const mxl_kernel_row *scalar_row(const char *encoding, int32_t compute);
/* Calls body for every (encoding, compute) that has rows. */
void each_arithmetic(void (*body)(const mxl_encoding *encoding, int32_t compute, void *context), void *context);

#endif

/* A matrix of random weights, packed for a kernel row. */
#ifndef CHECK_MATRIX_H
#define CHECK_MATRIX_H

#include "kernels.h"

typedef struct matrix {
  mxlk_linear_weights weights; /* without data of the source */
  void *stored, *packed;
} matrix;

/* A number within +-1. */
float matrix_number(uint32_t *state);
/* Random weights in an encoding, packed for a row of it, with a bias and, of float8, scales. False without memory. */
int matrix_make(matrix *m, const mxl_encoding *encoding, const mxl_kernel_row *row, int64_t out_dim, int64_t in_dim,
                uint32_t seed);
void matrix_free(matrix *m);

#endif

#include "problem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float from_bits(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

static float plain(uint32_t *state) { return (float)(int32_t)next_random(state) * 0x1p-31f; }

static float number(check_values values, uint32_t *state) {
  uint32_t bits = next_random(state);
  uint32_t sign = bits & 0x80000000u;
  switch (values) {
    case CHECK_ZEROS: return below(state, 4) != 0 ? from_bits(sign) : plain(state);
    case CHECK_DENORMALS:
      switch (below(state, 3)) {
        case 0: return from_bits(bits & 0x807fffffu);
        case 1: return plain(state) * 0x1p-70f;
        default: return plain(state);
      }
    case CHECK_TINY:
      switch (below(state, 32)) {
        case 0:
        case 1: return from_bits(sign | 0x3f800000u);
        case 2: return from_bits(sign | (104 + 127 + below(state, 24)) << 23);
        case 3: return from_bits(sign | 0x00800000u | (bits & 0x007f0000u));
        case 4:
        case 5:
        case 6: return from_bits(sign | 0x00800000u);
        default: return from_bits(sign);
      }
    case CHECK_HUGE:
      switch (below(state, 3)) {
        case 0: return from_bits(sign | 0x7f000000u | (bits & 0x7fffffu));
        case 1: return plain(state) * 0x1p64f;
        default: return plain(state);
      }
    case CHECK_INFINITIES: return below(state, 200) == 0 ? from_bits(sign | 0x7f800000u) : plain(state);
    case CHECK_ANY_BITS: return from_bits(bits);
    default: return plain(state);
  }
}

/* Of one sign all along the row: some 1, so that quantized ones are near a level of the largest, from which on sums of sub-blocks leave 16 bits with codes of
 * 5, 6, 4 or 3 bits, or twice that, where a sub-block has no 1. */
static float near_level(int64_t row, uint32_t *state) {
  static const float levels[] = {0.26f, 0.5f, 0.54f, 1.0f};
  float sign = row / 4 % 2 == 0 ? 1.0f : -1.0f, level = levels[row % 4];
  return sign * (below(state, 64) == 0 ? 1.0f : level * (1.0f + 0.1f * plain(state)));
}

const char *check_values_name(check_values values) {
  static const char *const names[CHECK_VALUES_COUNT + 1] = {
      [CHECK_PLAIN] = "plain numbers",        [CHECK_ZEROS] = "zeros of both signs",
      [CHECK_DENORMALS] = "denormals",        [CHECK_TINY] = "sums of 2^-126",
      [CHECK_HUGE] = "numbers that overflow", [CHECK_NAN_ROW] = "a NaN in one row of x",
      [CHECK_INFINITIES] = "infinities",      [CHECK_ANY_BITS] = "any bits",
      [CHECK_LARGE_SUMS] = "sums about 2^15",
  };
  return names[values];
}

/* A group's zero, ahead of its codes, is at most 2^bits, also where those of 4 bits were 3 bits in a checkpoint. Of 8 bits it is two bytes. */
static void bound_zero(const mxl_encoding *encoding, char *block) {
  if (strncmp(encoding->name, "GPTQ", 4) != 0 || encoding->name[4] == '8') return;
  int bits = encoding->name[4] == '2' ? 2 : 4;
  char *zero = block + encoding->block_size - bits * encoding->elements_per_block / 8 - 1;
  *zero = (char)((uint8_t)*zero % ((1 << bits) + 1));
}

/* Makes most bytes of a block 0 or most 0xff, so that codes are the smallest or the largest and scales are, too. */
static void put_ends(int64_t size, char *block, uint32_t *state) {
  char end = below(state, 2) == 0 ? 0 : (char)0xff;
  for (int64_t i = 0; i < size; i++)
    if (below(state, 16) != 0) block[i] = end;
}

/* Stored weights of one row. */
static void fill_weights(const mxl_encoding *encoding, check_values values, int64_t count, char *data,
                         uint32_t *state) {
  if (encoding->dtype == MXL_FLOAT32 || encoding->dtype == MXL_BFLOAT16) {
    size_t bytes = encoding->dtype == MXL_FLOAT32 ? 4 : 2;
    for (int64_t i = 0; i < count; i++) {
      float value = number(values, state);
      memcpy(data + (size_t)i * bytes, (const char *)&value + 4 - bytes, bytes);
    }
    return;
  }
  if (encoding->dtype == MXL_FLOAT16) {
    float value;
    for (int64_t i = 0; i < count; i++) {
      value = number(values, state);
      mxlk_convert(MXL_FLOAT32, &value, MXL_FLOAT16, data + 2 * i, 1);
    }
    return;
  }
  if (encoding->block_size == 1) {
    float *floats = malloc((size_t)count * 4);
    for (int64_t i = 0; floats != NULL && i < count; i++) floats[i] = number(values, state);
    mxlk_float8_job job = {.values = floats, .dtype = MXL_FLOAT32, .float8 = encoding->dtype, .codes = data};
    job.rows = 1, job.k = floats == NULL ? 0 : count, job.threads = 1;
    mxlk_float8_quantize(&job);
    free(floats);
    /* A float's denormals are zeros here; the format has its own. */
    for (int64_t i = 0; i < count; i++) {
      if (values == CHECK_ANY_BITS) data[i] = (char)next_random(state);
      if (values == CHECK_DENORMALS && below(state, 3) == 0) data[i] = (char)(next_random(state) & 0x83);
    }
    return;
  }
  /* Random bytes, drawn again while a block of ordinary numbers holds anything else: scales are floats. */
  float *decoded = malloc((size_t)encoding->elements_per_block * 4);
  for (int64_t block = 0; block < count / encoding->elements_per_block; block++) {
    char *at = data + block * encoding->block_size;
    int fits = 0;
    for (int attempt = 0; attempt < 1000 && !fits; attempt++) {
      for (int64_t i = 0; i < encoding->block_size; i++) at[i] = (char)next_random(state);
      if (values == CHECK_LARGE_SUMS) put_ends(encoding->block_size, at, state);
      bound_zero(encoding, at);
      fits = decoded == NULL || values == CHECK_ANY_BITS;
      if (fits) continue;
      encoding->dequantize(at, encoding->elements_per_block, decoded);
      fits = 1;
      for (int64_t i = 0; i < encoding->elements_per_block; i++) fits &= fabsf(decoded[i]) < 1e4f;
    }
  }
  free(decoded);
}

/* t = fma(x, w, t) over 256 k, y = y + t, for all columns of one row of x. weights: [k][columns]. */
static inline __attribute__((always_inline)) void formula(const char *x, const float *weights, int64_t k_count,
                                                          int64_t columns, float *t, float *y) {
  memset(y, 0, (size_t)columns * 4);
  for (int64_t begin = 0; begin < k_count; begin += 256) {
    memset(t, 0, (size_t)columns * 4);
    for (int64_t k = begin; k < k_count && k < begin + 256; k++) {
      float one;
      memcpy(&one, x + 4 * k, 4);
      for (int64_t column = 0; column < columns; column++)
        t[column] = fmaf(one, weights[k * columns + column], t[column]);
    }
    for (int64_t column = 0; column < columns; column++) y[column] = y[column] + t[column];
  }
}

static void formula_portable(const char *x, const float *weights, int64_t k, int64_t columns, float *t, float *y) {
  formula(x, weights, k, columns, t, y);
}

#ifdef __x86_64__
/* The same, for the speed of the fma instruction. */
__attribute__((target("avx2,fma"))) static void formula_fast(const char *x, const float *weights, int64_t k,
                                                             int64_t columns, float *t, float *y) {
  formula(x, weights, k, columns, t, y);
}
#endif

/* product, by the formula on dequantized weights. */
static int multiply(problem *p) {
  int64_t columns = p->shape.out_dim, k = p->shape.in_dim;
  float *weights = malloc((size_t)(columns * k) * 4), *row = malloc((size_t)k * 4);
  float *t = malloc((size_t)columns * 4);
  if (weights == NULL || row == NULL || t == NULL) {
    free(weights), free(row), free(t);
    return 0;
  }
  float clip = p->source.clip;
  for (int64_t column = 0; column < columns; column++) {
    p->encoding->dequantize((const char *)p->source.data + column * p->source.row_stride, k, row);
    for (int64_t j = 0; j < k; j++) {
      float w = row[j];
      weights[j * columns + column] = w > clip ? clip : w < -clip ? -clip : w;
    }
  }
  void (*run)(const char *, const float *, int64_t, int64_t, float *, float *) = formula_portable;
#ifdef __x86_64__
  if (mxlk_cpu_features() & MXL_CPU_AVX2) run = formula_fast;
#endif
  for (int64_t m = 0; m < p->shape.rows; m++)
    run(p->x + 4 * problem_x_at(p, m), weights, k, columns, t, p->product + m * columns);
  free(weights), free(row), free(t);
  return 1;
}

/* product, by the scalar row, one row of x at a time: for arithmetics that are no plain formula. */
static int multiply_by_scalar_row(problem *p) {
  mxlk_linear_weights weights = {.row = scalar_row(p->encoding->name, p->compute), .source = p->source};
  for (int64_t m = 0; m < p->shape.rows; m++) {
    mxlk_linear_job job = {.weights = &weights, .threads = 1, .x_dtype = p->x_dtype, .y_dtype = MXL_FLOAT32};
    job.x = p->x + p->x_size * problem_x_at(p, m);
    job.y = p->product + m * p->shape.out_dim;
    if (weights.row == NULL || mxlk_linear_run(&job) != MXL_OK) return 0;
  }
  return 1;
}

static int64_t offset(const mxlk_rows *rows, const int64_t *strides, int64_t row) {
  int64_t sum = 0;
  for (int32_t i = rows->rank - 1; i >= 0; i--) {
    sum += row % rows->shape[i] * strides[i];
    row /= rows->shape[i];
  }
  return sum;
}

int64_t problem_x_at(const problem *p, int64_t row) { return offset(&p->rows, p->rows.x_strides, row); }
int64_t problem_y_at(const problem *p, int64_t row) { return offset(&p->rows, p->rows.y_strides, row); }

/* One of several ways in which the rows may lie. */
static void place_rows(problem *p) {
  int64_t m = p->shape.rows, x = p->shape.in_dim, y = p->shape.out_dim;
  mxlk_rows *rows = &p->rows;
  switch (below(&p->random, 5)) {
    case 0: x += below(&p->random, 9), y += below(&p->random, 9); break;
    case 1:
      if (m % 2 != 0) break;
      *rows = (mxlk_rows){3, {2, 1, m / 2}, {m / 2 * x + 3, 77, x}, {m / 2 * (y + 2) + 1, 99, y + 2}};
      return;
    case 2:
      if (m % 2 != 0) break;
      *rows = (mxlk_rows){2, {m / 2, 2}, {2 * x, x}, {2 * y, y}};
      return;
    case 3: {
      if (m % 2 != 0) break;
      /* Only x, or only y, could be seen as one dimension. */
      int64_t of_x = below(&p->random, 2) * 3, of_y = 3 - of_x;
      *rows = (mxlk_rows){2, {2, m / 2}, {m / 2 * x + of_x, x}, {m / 2 * y + of_y, y}};
      return;
    }
    default: break;
  }
  if (m == 1 && below(&p->random, 2) == 0) {
    rows->rank = 0;
    return;
  }
  *rows = (mxlk_rows){1, {m}, {x}, {y}};
}

/* One element of x: a bfloat16 is a float's upper half. */
static void put_x(const problem *p, char *at, float value) {
  memcpy(at, (const char *)&value + 4 - p->x_size, (size_t)p->x_size);
}

int problem_begin(problem *p, const shape *shape, const mxl_encoding *encoding, int32_t compute, check_result *result) {
  *p = (problem){.shape = *shape, .encoding = encoding, .compute = compute, .random = shape->seed * 2654435761u + 1};
  int64_t m = shape->rows, n = shape->out_dim, k = shape->in_dim;
  uint32_t *random = &p->random;
  place_rows(p);
  p->accumulate = below(random, 2) == 0;
  int clips = encoding->dtype != MXL_UINT8 && encoding->block_size > 1;
  int64_t stride = k / encoding->elements_per_block * encoding->block_size;
  p->source_bytes = stride;
  if (below(random, 2) == 0) stride += below(random, 13);
  size_t source_bytes = (size_t)((n - 1) * stride + p->source_bytes);
  p->x_dtype = compute == MXL_COMPUTE_BFLOAT16 ? MXL_BFLOAT16 : MXL_FLOAT32;
  p->x_size = compute == MXL_COMPUTE_BFLOAT16 ? 2 : 4;
  size_t x_bytes = (size_t)((problem_x_at(p, m - 1) + k) * p->x_size);
  p->y_bytes = (size_t)(problem_y_at(p, m - 1) + n) * 4;

  char *source = buffer_place(SOURCE, source_bytes, below(random, 2) == 0, (size_t)below(random, 4));
  char *x = buffer_place(X, x_bytes, below(random, 2) == 0, (size_t)(below(random, 2) * below(random, 8)));
  p->y = buffer_place(Y, p->y_bytes, below(random, 2) == 0, (size_t)below(random, 8));
  char *bias = buffer_place(BIAS, (size_t)n * 4, below(random, 2) == 0, 0);
  char *scale = buffer_place(SCALE, (size_t)n * 4, below(random, 2) == 0, 0);
  p->product = malloc((size_t)(m * n) * 4);
  p->y_before = malloc(p->y_bytes);
  if (source == NULL || x == NULL || p->y == NULL || bias == NULL || scale == NULL || p->product == NULL ||
      p->y_before == NULL) {
    fail(result, "no memory for %lld x %lld x %lld", (long long)m, (long long)n, (long long)k);
    problem_end(p);
    return 0;
  }
  memset(source, 0x5a, source_bytes);
  memset(x, 0xff, x_bytes); /* NaN */
  for (int64_t row = 0; row < n; row++) fill_weights(encoding, shape->values, k, source + row * stride, random);
  for (int64_t row = 0; row < m; row++) {
    char *at = x + p->x_size * problem_x_at(p, row);
    for (int64_t j = 0; j < k; j++) {
      float value = shape->values == CHECK_LARGE_SUMS ? near_level(row, random) : number(shape->values, random);
      put_x(p, at + p->x_size * j, value);
    }
  }
  if (shape->values == CHECK_NAN_ROW) {
    put_x(p, x + p->x_size * (problem_x_at(p, below(random, m)) + below(random, k)), NAN);
  }
  for (size_t i = 0; i + 4 <= p->y_bytes; i += 4) {
    float value = plain(random);
    memcpy(p->y_before + i, &value, 4);
  }
  if (below(random, 2) == 0) {
    for (int64_t i = 0; i < n; i++) {
      float value = number(shape->values, random);
      memcpy(bias + 4 * i, &value, 4);
    }
    p->bias = (const float *)(const void *)bias;
  }
  if (encoding->block_size == 1 && below(random, 2) == 0) {
    for (int64_t i = 0; i < n; i++) {
      float value = number(shape->values, random);
      memcpy(scale + 4 * i, &value, 4);
    }
    p->scale = (const float *)(const void *)scale;
  }
  p->x = x;
  p->source = (mxl_source){sizeof(mxl_source), INFINITY, source, stride, k, n};
  if (clips && below(random, 4) == 0) p->source.clip = 0.5f;
  int done = compute == MXL_COMPUTE_FLOAT32 ? multiply(p) : compute == MXL_COMPUTE_BFLOAT16 ? multiply_bfloat16(p) : -1;
  if (done < 0) done = multiply_by_scalar_row(p);
  if (done) return 1;
  fail(result, "no reference for %s", encoding->name);
  problem_end(p);
  return 0;
}

void problem_end(problem *p) {
  free(p->product);
  free(p->y_before);
}

int has_faster_row(const char *encoding, int32_t compute) {
  const mxl_kernel_row *best = mxlk_row_find(MXL_OP_LINEAR, encoding, compute, mxlk_cpu_features());
  return best != NULL && best->cpu_features != 0;
}

const mxl_kernel_row *scalar_row(const char *encoding, int32_t compute) {
  return mxlk_row_find(MXL_OP_LINEAR, encoding, compute, 0);
}

void each_arithmetic(void (*body)(const mxl_encoding *encoding, int32_t compute, void *context), void *context) {
  static const int32_t computes[] = {MXL_COMPUTE_FLOAT32, MXL_COMPUTE_INT8, MXL_COMPUTE_BFLOAT16};
  for (size_t i = 0; i < mxlk_encoding_count(); i++) {
    for (size_t c = 0; c < sizeof computes / sizeof *computes; c++) {
      const mxl_encoding *encoding = mxlk_encoding_at(i);
      if (scalar_row(encoding->name, computes[c]) != NULL) body(encoding, computes[c], context);
    }
  }
}

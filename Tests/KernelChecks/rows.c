/* One row of the registry against one problem, on every path to it. */
#include "activation/activation.h"
#include "environment.h"
#include "problem.h"

#include <stdlib.h>
#include <string.h>

static void report(check_result *result, const problem *p, const mxl_kernel_row *row, const char *path, int64_t m,
                   int64_t n, float got, float want) {
  fail(result,
       "%s, %s, rows %lld, out_dim %lld, in_dim %lld, values %d, seed %u: row %lld column %lld is %08x, not %08x",
       row->name, path, (long long)p->shape.rows, (long long)p->shape.out_dim, (long long)p->shape.in_dim,
       (int)p->shape.values, p->shape.seed, (long long)m, (long long)n, bits_of(got), bits_of(want));
}

static void note(check_result *result, const problem *p, const mxl_kernel_row *row, const char *what) {
  fail(result, "%s: %s (out_dim %lld, in_dim %lld, values %d, seed %u)", row->name, what, (long long)p->shape.out_dim,
       (long long)p->shape.in_dim, (int)p->shape.values, p->shape.seed);
}

static size_t packed_bytes(const problem *p, const mxl_kernel_row *row) {
  return mxlk_panel_bytes(row, p->shape.in_dim) * (size_t)mxlk_panel_count(row, p->shape.out_dim);
}

static int64_t superblock_k(const problem *p, int64_t begin) {
  int64_t left = p->shape.in_dim - begin;
  return left < MXL_SUPERBLOCK ? left : MXL_SUPERBLOCK;
}

/* The row's own pack, with the packed weights against a guard page; NULL without memory. */
static char *pack_directly(const problem *p, const mxl_kernel_row *row, int at_start) {
  size_t bytes = packed_bytes(p, row), panel_bytes = mxlk_panel_bytes(row, p->shape.in_dim);
  char *packed = buffer_place_aligned(PACKED, bytes, at_start);
  if (packed == NULL) return NULL;
  memset(packed, 0xa5, bytes);
  for (int64_t panel = 0; panel < mxlk_panel_count(row, p->shape.out_dim); panel++) {
    char *at = packed + (size_t)panel * panel_bytes;
    for (int64_t begin = 0; begin < p->shape.in_dim; begin += MXL_SUPERBLOCK) {
      int64_t k = superblock_k(p, begin);
      row->pack(row, &p->source, panel, begin, k, at);
      at += row->packed_size(row, k);
    }
  }
  return packed;
}

/* Compares unpacked rows with the source's, and that nothing lies between them. */
static void check_unpacked(const problem *p, const mxl_kernel_row *row, const char *unpacked, check_result *result) {
  result->comparisons++;
  for (int64_t n = 0; n < p->shape.out_dim; n++) {
    const char *at = unpacked + n * p->source.row_stride;
    if (memcmp(at, (const char *)p->source.data + n * p->source.row_stride, (size_t)p->source_bytes) != 0) {
      note(result, p, row, "unpack does not give back what was packed");
      return;
    }
    for (int64_t i = p->source_bytes; n + 1 < p->shape.out_dim && i < p->source.row_stride; i++) {
      if (at[i] != 0x33) {
        note(result, p, row, "unpack writes between the rows");
        return;
      }
    }
  }
}

static void check_unpack(const problem *p, const mxl_kernel_row *row, const char *packed, int at_start,
                         check_result *result) {
  if (p->source.clip != __builtin_inff()) return;
  size_t bytes = (size_t)((p->shape.out_dim - 1) * p->source.row_stride + p->source_bytes);
  char *unpacked = buffer_place(UNPACKED, bytes, at_start, (size_t)(p->shape.seed % 4));
  if (unpacked == NULL) return note(result, p, row, "no memory to unpack");
  memset(unpacked, 0x33, bytes);
  mxl_source destination = p->source;
  destination.data = unpacked;
  for (int64_t panel = 0; panel < mxlk_panel_count(row, p->shape.out_dim); panel++) {
    const char *at = packed + (size_t)panel * mxlk_panel_bytes(row, p->shape.in_dim);
    for (int64_t begin = 0; begin < p->shape.in_dim; begin += MXL_SUPERBLOCK) {
      int64_t k = superblock_k(p, begin);
      row->unpack(row, at, panel, begin, k, &destination);
      at += row->packed_size(row, k);
    }
  }
  check_unpacked(p, row, unpacked, result);
}

/* Whether the row can take all of k in one call. */
static int takes_whole(const mxl_kernel_row *row) { return row->expand == NULL || row->run_packed != NULL; }

/* The row's run on one tile: all of k in one call, or a call a superblock. */
static void check_tile(const problem *p, const mxl_kernel_row *row, const char *packed, int64_t first, int64_t count,
                       int64_t panel, int whole, int at_start, check_result *result) {
  int64_t in_dim = p->shape.in_dim, columns = row->panel_columns;
  char *x = buffer_place(TILE_X, (size_t)(count * in_dim) * 4, at_start, 0);
  float *y = (float *)(void *)buffer_place_aligned(TILE_Y, (size_t)(count * columns) * 4, at_start);
  if (x == NULL || y == NULL) return note(result, p, row, "no memory for a tile");
  for (int64_t m = 0; m < count; m++) {
    const char *from = p->x + 4 * problem_x_at(p, first + m);
    for (int64_t k = 0; k < in_dim; k++) memcpy(x + 4 * (k * count + m), from + 4 * k, 4);
  }
  memset(y, 0, (size_t)(count * columns) * 4);
  const char *weights = packed + (size_t)panel * mxlk_panel_bytes(row, in_dim);
  for (int64_t begin = 0; begin < in_dim; begin += MXL_SUPERBLOCK) {
    int64_t k = whole ? in_dim : superblock_k(p, begin);
    mxl_tile tile = {.struct_size = sizeof(mxl_tile), .rows = (int32_t)count, .k = k};
    tile.x = x + 4 * count * begin;
    tile.weights = weights;
    tile.y = y;
    if (begin == 0) tile.next = packed, tile.next_bytes = (int64_t)row->packed_size(row, superblock_k(p, 0));
    if (row->expand == NULL) {
      row->run(row, &tile);
    } else if (whole && row->run_packed != NULL) {
      row->run_packed(row, &tile);
    } else {
      char *expanded = buffer_place_aligned(EXPANDED, row->expanded_size, at_start);
      if (expanded == NULL) return note(result, p, row, "no memory to expand");
      row->expand(row, weights, k, expanded);
      tile.weights = expanded;
      row->run(row, &tile);
    }
    if (whole) break;
    weights += row->packed_size(row, k);
  }
  for (int64_t m = 0; m < count; m++) {
    for (int64_t c = 0; c < columns && panel * columns + c < p->shape.out_dim; c++) {
      float want = p->product[(first + m) * p->shape.out_dim + panel * columns + c];
      result->comparisons++;
      if (!same_float(y[m * columns + c], want))
        return report(result, p, row, whole ? "run" : "run by superblocks", first + m, panel * columns + c,
                      y[m * columns + c], want);
    }
  }
}

static void check_directly(const problem *p, const mxl_kernel_row *row, const char *packed, uint32_t *random,
                           check_result *result) {
  for (int64_t first = 0; first < p->shape.rows; first += row->tile_rows) {
    int64_t left = p->shape.rows - first, count = left < row->tile_rows ? left : row->tile_rows;
    for (int64_t panel = 0; panel < mxlk_panel_count(row, p->shape.out_dim); panel++)
      check_tile(p, row, packed, first, count, panel, below(random, 2) == 0 && takes_whole(row), below(random, 2) == 0,
                 result);
  }
}

/* Whole panels side by side: `rows` rows of x on `panels` at once, the first of as many equal parts of the matrix, then the second, ... */
static void check_panels(const problem *p, const mxl_kernel_row *row, const char *packed, int64_t rows, int64_t panels,
                         check_result *result) {
  int64_t in_dim = p->shape.in_dim, columns = row->panel_columns, count = mxlk_panel_count(row, p->shape.out_dim);
  int64_t apart = count / panels, each = rows * columns, panel_bytes = (int64_t)mxlk_panel_bytes(row, in_dim);
  size_t y_bytes = (size_t)(count * each) * 4;
  char *x = mxlk_allocate((size_t)rows * (size_t)mxlk_activation_row_bytes(row, in_dim));
  float *y = mxlk_allocate(y_bytes);
  if (x == NULL || y == NULL) {
    note(result, p, row, "no memory for panels");
  } else {
    mxlk_rows of = mxlk_rows_collapsed(&p->rows);
    char *at = x;
    for (int64_t begin = 0; begin < in_dim; begin += MXL_SUPERBLOCK) {
      mxlk_activate(row, p->x_dtype, p->x, &of, 0, rows, NULL, begin, superblock_k(p, begin), at);
      at += rows * mxlk_activation_bytes(row, superblock_k(p, begin));
    }
    memset(y, 0, y_bytes);
    for (int64_t panel = 0; panel < apart; panel++) {
      mxl_tile tile = {.struct_size = sizeof(mxl_tile), .rows = (int32_t)rows, .x = x, .k = in_dim, .panels = panels};
      tile.weights = packed + panel * panel_bytes;
      tile.y = y + panel * each;
      tile.weights_apart = apart * panel_bytes;
      tile.y_apart = apart * each;
      (row->expand == NULL ? row->run : row->run_packed)(row, &tile);
    }
    for (int64_t n = 0; n < p->shape.out_dim && n < apart * panels * columns; n++)
      for (int64_t m = 0; m < rows; m++) {
        float got = y[n / columns * each + m * columns + n % columns], want = p->product[m * p->shape.out_dim + n];
        result->comparisons++;
        if (!same_float(got, want)) report(result, p, row, "panels side by side", m, n, got, want);
      }
  }
  mxlk_free(x);
  mxlk_free(y);
}

static void check_side_panels(const problem *p, const mxl_kernel_row *row, const char *packed, check_result *result) {
  int64_t count = mxlk_panel_count(row, p->shape.out_dim);
  for (int64_t rows = 1; rows <= p->shape.rows && row->side_rows / rows > 1; rows++)
    for (int64_t panels = 2; panels <= MXL_MOST_SIDE_PANELS && panels * rows <= row->side_rows && panels <= count;
         panels++)
      check_panels(p, row, packed, rows, panels, result);
}

/* y after a call, with the bytes around the outputs. */
static void check_y(const problem *p, const mxl_kernel_row *row, const char *path, check_result *result) {
  for (int64_t m = 0; m < p->shape.rows; m++) {
    for (int64_t n = 0; n < p->shape.out_dim; n++) {
      size_t at = (size_t)(problem_y_at(p, m) + n) * 4;
      float want = p->product[m * p->shape.out_dim + n], got, before;
      memcpy(&got, p->y + at, 4);
      memcpy(&before, p->y_before + at, 4);
      if (p->scale != NULL) want = want * p->scale[n];
      if (p->bias != NULL) want = want + p->bias[n];
      if (p->accumulate) want = before + want;
      result->comparisons++;
      if (!same_float(got, want)) return report(result, p, row, path, m, n, got, want);
      memcpy(p->y + at, &before, 4);
    }
  }
  if (memcmp(p->y, p->y_before, p->y_bytes) != 0) note(result, p, row, "bytes between the rows of y changed");
}

/* mxlk_linear_run from that environment, on packed weights or, packed NULL, on the source. many: NULL, or what many rows of x run. */
static void check_run(const problem *p, const mxl_kernel_row *row, const mxl_kernel_row *many, const char *packed,
                      int32_t threads, check_environment environment, check_result *result) {
  mxlk_linear_weights weights = {.row = row, .source = p->source, .packed = packed, .bias = p->bias, .scale = p->scale};
  weights.many_row = many;
  if (packed != NULL) weights.source.data = NULL;
  mxlk_linear_job job = {
      .weights = &weights,
      .x = p->x,
      .y = p->y,
      .x_dtype = p->x_dtype,
      .y_dtype = MXL_FLOAT32,
      .rows = p->rows,
      .accumulate = p->accumulate,
      .threads = threads,
  };
  memcpy(p->y, p->y_before, p->y_bytes);
  uint64_t before = enter(environment);
  mxl_status status = mxlk_linear_run(&job);
  int kept = leave(environment, before);
  if (status != MXL_OK) return note(result, p, row, "mxlk_linear_run failed");
  if (!kept) note(result, p, row, "the caller's floating point environment changed");
  check_y(p, row, packed != NULL ? "mxlk_linear_run on packed weights" : "mxlk_linear_run on the source", result);
}

static void check_row(const problem *p, const mxl_kernel_row *row, check_result *result) {
  uint32_t random = p->random;
  int at_start = below(&random, 2) == 0;
  char *packed = pack_directly(p, row, at_start);
  if (packed == NULL) return note(result, p, row, "no memory to pack");
  check_unpack(p, row, packed, !at_start, result);
  if (p->compute == MXL_COMPUTE_FLOAT32) check_directly(p, row, packed, &random, result);
  check_run(p, row, NULL, packed, 1 + (int32_t)below(&random, 8), CHECK_DEFAULT_ENVIRONMENT, result);
  check_run(p, row, NULL, NULL, 1 + (int32_t)below(&random, 8), CHECK_DEFAULT_ENVIRONMENT, result);
  const mxl_kernel_row *many = mxlk_row_find_many(row, mxlk_cpu_features());
  if (many != NULL && row->least_rows <= 1)
    check_run(p, row, many, packed, 1 + (int32_t)below(&random, 8), CHECK_DEFAULT_ENVIRONMENT, result);
  check_side_panels(p, row, packed, result);
}

static void check_row_in_environment(const problem *p, const mxl_kernel_row *row, check_environment environment,
                                     check_result *result) {
  size_t bytes = packed_bytes(p, row);
  size_t unpacked_bytes = (size_t)((p->shape.out_dim - 1) * p->source.row_stride + p->source_bytes);
  char *packed = mxlk_allocate(bytes), *unpacked = malloc(unpacked_bytes);
  if (packed == NULL || unpacked == NULL) {
    note(result, p, row, "no memory to pack");
  } else {
    mxl_source destination = p->source;
    destination.data = unpacked;
    memset(unpacked, 0x33, unpacked_bytes);
    uint64_t before = enter(environment);
    mxlk_linear_pack(row, &p->source, packed, 4);
    mxlk_linear_unpack(row, packed, &destination, 4);
    int kept = leave(environment, before);
    if (!kept) note(result, p, row, "packing changed the caller's floating point environment");
    if (p->source.clip == __builtin_inff()) check_unpacked(p, row, unpacked, result);
    for (int32_t threads = 1; threads <= 8; threads += environment == CHECK_DEFAULT_ENVIRONMENT ? 3 : 6) {
      check_run(p, row, NULL, packed, threads, environment, result);
      check_run(p, row, NULL, NULL, threads, environment, result);
    }
  }
  mxlk_free(packed);
  free(unpacked);
}

static void each_row(const problem *p, check_environment environment, int in_environment, check_result *result) {
  for (size_t i = 0; i < mxlk_row_count(); i++) {
    const mxl_kernel_row *row = mxlk_row_at(i);
    if (strcmp(row->encoding, p->encoding->name) != 0 || row->compute != p->compute) continue;
    if (p->shape.leaves_scalar && row->cpu_features == 0) continue;
    if (!visit_row(result, i)) continue;
    if (in_environment) {
      check_row_in_environment(p, row, environment, result);
    } else {
      check_row(p, row, result);
    }
  }
}

void check_problem(const problem *p, check_result *result) { each_row(p, CHECK_DEFAULT_ENVIRONMENT, 0, result); }

void check_problem_in_environment(const problem *p, check_environment environment, check_result *result) {
  each_row(p, environment, 1, result);
}

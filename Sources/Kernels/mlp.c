/* The gated MLP: y = down(activation(gate x) * (up x)).
 *
 * Rows are taken in chunks whose h fits HIDDEN_BYTES. A chunk is two jobs of linear.c: gate and up in one pass over x, the activation
 * and the product in its epilogue where one kernel row runs both, h in float32; then down. All scratch is taken before the first, so that
 * nothing fails half-way. */
#include "activation/gate.h"
#include "activation/rows.h"
#include "contract.h"
#include "linear.h"
#include "parallel.h"
#include "scratch.h"

#include <string.h>

#define HIDDEN_BYTES ((int64_t)64 << 20)

typedef struct mlp_plan {
  mxlk_linear_job inner[2], down; /* of up and, unless it is part of up's, of gate */
  int fused;                      /* it is */
  int32_t threads;                /* at most, of the gate on its own */
  int64_t hidden_dim;
  float *gates; /* a chunk's rows of gate x, when not fused */
} mlp_plan;

typedef struct gate_job {
  int32_t activation;
  const char *gate, *up;
  int64_t count;
  char *hidden;
} gate_job;

static void gate_thread(void *context, const mxlk_team *team) {
  const gate_job *job = context;
  int64_t begin, end;
  mxlk_share(team, job->count, &begin, &end);
  float gates[256], ups[256];
  for (; begin < end; begin += 256) {
    int64_t count = end - begin < 256 ? end - begin : 256;
    memcpy(gates, job->gate + 4 * begin, (size_t)count * 4);
    memcpy(ups, job->up + 4 * begin, (size_t)count * 4);
    mxlk_gate(mxlk_cpu_features(), job->activation, gates, ups, count, ups);
    memcpy(job->hidden + 4 * begin, ups, (size_t)count * 4);
  }
}

void mxlk_gate_run(int32_t activation, const void *gate, const void *up, int64_t count, void *hidden, int32_t threads) {
  gate_job job = {activation, gate, up, count, hidden};
  int64_t worth = count >> 16;
  mxlk_parallel(worth < threads ? (worth < 1 ? 1 : (int32_t)worth) : threads, gate_thread, &job);
}

/* Strides of h, as if it held all rows; rows are counted from those of the whole call. */
static void hidden_strides(mxlk_rows *rows, int64_t hidden_dim, int64_t *strides) {
  int64_t stride = hidden_dim;
  for (int32_t i = rows->rank - 1; i >= 0; i--) {
    strides[i] = stride;
    stride *= rows->shape[i];
  }
}

/* Where row 0 of h would be when `hidden` is that of row `begin`: never read, only counted from. */
static void *origin(float *hidden, int64_t begin, int64_t hidden_dim) {
  return (void *)((uintptr_t)hidden - (uintptr_t)(begin * hidden_dim) * 4);
}

static mlp_plan plan_of(const mxlk_mlp_job *mlp) {
  mlp_plan p = {.inner = {mlp->job, mlp->job}, .down = mlp->job, .threads = mlp->job.threads};
  int32_t shards = mlp->job.shard_count == 0 ? 1 : mlp->job.shard_count;
  for (int32_t i = 0; i < shards; i++) p.hidden_dim += mlp->up[i].source.out_dim;
  p.fused = mlp->gate->row == mlp->up->row && mlp->gate->bfloat16_row == mlp->up->bfloat16_row &&
            mlp->gate->many_row == mlp->up->many_row && mlp->gate->bfloat16_many_row == mlp->up->bfloat16_many_row &&
            mlp->gate->columns == mlp->up->columns;
  mxlk_linear_job *up = &p.inner[0], *gate = &p.inner[1];
  up->weights = mlp->up;
  up->accumulate = 0;
  up->y_dtype = MXL_FLOAT32;
  hidden_strides(&up->rows, p.hidden_dim, up->rows.y_strides);
  *gate = *up;
  gate->weights = mlp->gate;
  if (p.fused) {
    up->gate = mlp->gate;
    up->activation = mlp->activation;
  }
  p.down.weights = mlp->down;
  p.down.x_dtype = MXL_FLOAT32;
  hidden_strides(&p.down.rows, p.hidden_dim, p.down.rows.x_strides);
  return p;
}

static size_t most(size_t a, size_t b) { return a > b ? a : b; }

static int32_t inner_count(const mlp_plan *p) { return p->fused ? 1 : 2; }

/* Scratch of a chunk of so many rows. */
static size_t chunk_scratch(mlp_plan *p, int64_t count) {
  p->inner[0].row_count = p->inner[1].row_count = p->down.row_count = count;
  return most(mxlk_linear_scratch(p->inner, inner_count(p)), mxlk_linear_scratch(&p->down, 1));
}

static void run_chunk(mlp_plan *p, int32_t activation, int64_t begin, int64_t count, float *hidden, char *scratch) {
  mxlk_linear_job *up = &p->inner[0], *gate = &p->inner[1];
  up->row_begin = gate->row_begin = p->down.row_begin = begin;
  up->row_count = gate->row_count = p->down.row_count = count;
  up->y = origin(hidden, begin, p->hidden_dim);
  gate->y = origin(p->gates, begin, p->hidden_dim);
  p->down.x = up->y;
  mxlk_linear_run_in(p->inner, inner_count(p), scratch);
  if (!p->fused) mxlk_gate_run(activation, p->gates, hidden, count * p->hidden_dim, hidden, p->threads);
  mxlk_linear_run_in(&p->down, 1, scratch);
}

mxl_status mxlk_mlp_run(const mxlk_mlp_job *mlp) {
  int64_t rows = mxlk_rows_count(&mlp->job.rows);
  if (rows == 0) return MXL_OK;
  mlp_plan p = plan_of(mlp);
  int64_t each = HIDDEN_BYTES / 4 / p.hidden_dim, chunks = rows / (each < 1 ? 1 : each) + 1;
  if (chunks > rows) chunks = rows;
  int64_t most_rows = rows / chunks + (rows % chunks != 0);
  p.inner[0].y = p.inner[1].y = NULL;
  p.down.x = NULL;
  size_t hidden_bytes = mxlk_align_up((size_t)most_rows * (size_t)p.hidden_dim * 4);
  /* Both, as they may run different kernel rows. */
  size_t scratch_bytes = most(chunk_scratch(&p, most_rows), chunk_scratch(&p, rows / chunks));
  mxlk_arena arena;
  if (!mxlk_arena_take(hidden_bytes * (p.fused ? 1 : 2) + scratch_bytes, &arena)) return MXL_OUT_OF_MEMORY;
  float *hidden = (float *)(void *)(arena.memory + scratch_bytes);
  p.gates = hidden + hidden_bytes / 4;
  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    int64_t begin = chunk * rows / chunks, end = (chunk + 1) * rows / chunks;
    run_chunk(&p, mlp->activation, begin, end - begin, hidden, arena.memory);
  }
  mxlk_arena_return(&arena);
  return MXL_OK;
}

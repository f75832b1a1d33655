/* The loops around a row: y = x W^T + bias.
 *
 * Two phases, each split over the threads, with a barrier between:
 *  1. x is packed into tiles: blocks of rows, superblock by superblock, so that what one superblock needs of a
 *     block lies together and stays in the second level cache. One aligned row needs no packing.
 *  2. units of work, each a block of rows times a group of panels, of which each thread has a share. Per superblock the weights
 *     of one panel meet all tiles of the block. The accumulators live in the thread's scratch until the unit ends
 *     and are then stored with the bias.
 * Neither the split nor the order of units touches the bits: a row of y is computed by the same operations
 * everywhere. */
#include "activation/activation.h"
#include "activation/convert.h"
#include "activation/gate.h"
#include "contract.h"
#include "kernels.h"
#include "linear.h"
#include "pace.h"
#include "parallel.h"
#include "plan.h"
#include "scratch.h"
#include "trace.h"

#include <string.h>

/* How far ahead of the weights in use single-tile calls prefetch, bytes. */
#define PREFETCH_AHEAD 8192

/* What one thread works in. */
typedef struct thread_scratch {
  float *accumulators, *gates; /* of a unit */
  char *packed, *expanded;     /* a superblock of a panel */
} thread_scratch;

/* The first row, within the chunk, of a tile: tiles differ by one strip at most, for most kernels a row, so 16 rows are 8 + 8 and not 14 + 2. */
static int64_t tile_row(const mxlk_x_form *x, int64_t tile) {
  return mxlk_least(mxlk_part_begin(&x->tiles, tile) * x->strip_rows, x->rows);
}
static int64_t block_tile(const mxlk_x_form *x, int64_t block) { return mxlk_part_begin(&x->blocks, block); }
static int64_t group_panel(const mxlk_matrix *m, int64_t group) { return mxlk_part_begin(&m->groups, group); }

/* Where the packed x of a tile and superblock begins: superblock by superblock of the block, or of the tile. */
static char *packed_x_at(const mxlk_plan *p, const mxlk_x_form *x, int64_t block, int64_t tile, int64_t superblock) {
  const mxl_kernel_row *row = x->task->row;
  int64_t first = tile_row(x, x->tile_by_tile ? tile : block_tile(x, block));
  int64_t end = tile_row(x, x->tile_by_tile ? tile + 1 : block_tile(x, block + 1));
  int64_t whole = mxlk_activation_bytes(row, MXL_SUPERBLOCK);
  return x->packed + first * x->row_bytes + (end - first) * superblock * whole +
         (tile_row(x, tile) - first) * mxlk_activation_bytes(row, mxlk_superblock_k(p->in_dim, superblock));
}

/* What a tile kernel reads of x. */
static const void *x_at(const mxlk_plan *p, const mxlk_x_form *x, int64_t block, int64_t tile, int64_t superblock) {
  if (x->direct != NULL) return x->direct + superblock * MXL_SUPERBLOCK;
  return packed_x_at(p, x, block, tile, superblock);
}

static void pack_x(const mxlk_plan *p, const mxlk_x_form *x, const mxlk_team *team) {
  const mxlk_task *task = x->task;
  int64_t begin, end;
  mxlk_share(team, x->tiles.count * p->superblocks, &begin, &end);
  int64_t block = 0;
  for (int64_t piece = begin; piece < end; piece++) {
    int64_t tile = piece / p->superblocks, superblock = piece % p->superblocks;
    while (tile >= block_tile(x, block + 1)) block++;
    int64_t first = tile_row(x, tile);
    mxlk_activate(task->row, task->job->x_dtype, task->job->x, &task->rows, p->chunk_begin + first,
                  tile_row(x, tile + 1) - first, task->job->weights->columns, superblock * MXL_SUPERBLOCK,
                  mxlk_superblock_k(p->in_dim, superblock), packed_x_at(p, x, block, tile, superblock));
  }
}

/* A matrix's outputs from `column` on: the sums, their scales, the bias; in `to` where they are not the sums. */
static const float *finish(const mxlk_linear_weights *weights, int64_t column, const float *restrict sums,
                           int64_t count, float *restrict to) {
  const float *scale = weights->scale == NULL ? NULL : weights->scale + column;
  const float *bias = weights->bias == NULL ? NULL : weights->bias + column;
  if (scale == NULL && bias == NULL) return sums;
  for (int64_t i = 0; i < count; i++) to[i] = scale == NULL ? sums[i] : sums[i] * scale[i];
  for (int64_t i = 0; bias != NULL && i < count; i++) to[i] = to[i] + bias[i];
  return to;
}

/* What a unit has computed: of its panels one after the other `count` rows. */
typedef struct unit_sums {
  const float *sums, *gates; /* gates: NULL or the gate's */
  int64_t first, count;      /* rows of the chunk */
  int64_t first_panel, end_panel;
} unit_sums;

/* A row's outputs of one panel: scale, bias, the gate, accumulation onto y, rounding to y's dtype. */
static void store_panel(const mxlk_matrix *m, const float *sums, const float *gates, int64_t column, char *y) {
  const mxlk_linear_job *job = m->task->job;
  uint64_t features = m->task->row->cpu_features;
  int64_t valid = mxlk_least(m->out_dim - column, m->task->panel_columns);
  float own[MXLK_MOST_PANEL_COLUMNS], other[MXLK_MOST_PANEL_COLUMNS];
  const float *values = finish(m->weights, column, sums, valid, own);
  if (gates != NULL) {
    mxlk_gate(features, job->activation, finish(m->gate, column, gates, valid, other), values, valid, own);
    values = own;
  }
  if (job->accumulate) {
    mxlk_floats_load(features, job->y_dtype, y, valid, other);
    for (int64_t i = 0; i < valid; i++) own[i] = other[i] + values[i];
    values = own;
  }
  mxlk_floats_store(features, job->y_dtype, values, valid, y);
}

/* Where a row's outputs of a matrix begin in y. row: of the chunk. */
static char *y_at(const mxlk_plan *p, const mxlk_matrix *m, int64_t row) {
  const mxlk_task *task = m->task;
  int64_t offset = mxlk_rows_offset(&task->rows, task->rows.y_strides, p->chunk_begin + row) + m->column;
  return (char *)task->job->y + offset * mxlk_element_bytes(task->job->y_dtype);
}

/* Asks for what the store of a row reads and writes: `stride` floats of a panel's sums behind those of the panel before. */
static void prefetch_row(const mxlk_matrix *m, const unit_sums *u, int64_t row, int64_t stride, const char *y) {
  int64_t columns = m->task->panel_columns, bytes = mxlk_element_bytes(m->task->job->y_dtype);
  for (int64_t panel = 0; panel < u->end_panel - u->first_panel; panel++) {
    int64_t at = panel * stride + row * columns;
    for (int64_t i = 0; i < columns; i += MXLK_ALIGNMENT / 4) {
      __builtin_prefetch(u->sums + at + i, 0, 3);
      if (u->gates != NULL) __builtin_prefetch(u->gates + at + i, 0, 3);
    }
    for (int64_t i = 0; i < columns * bytes; i += MXLK_ALIGNMENT)
      __builtin_prefetch(y + panel * columns * bytes + i, 1, 3);
  }
}

/* Row by row, since rows of y may be pages apart: each is looked up, and comes from memory, once. The sums, of a whole unit, are in the second level
 * cache by now, as is y: the next row is asked for ahead. */
static void store(const mxlk_plan *p, const mxlk_matrix *m, const unit_sums *u) {
  const mxlk_task *task = m->task;
  int64_t columns = task->panel_columns, bytes = mxlk_element_bytes(task->job->y_dtype);
  char *y = y_at(p, m, u->first);
  for (int64_t row = 0; row < u->count; row++) {
    char *next = NULL;
    if (row + 1 < u->count) {
      next = y_at(p, m, u->first + row + 1);
      prefetch_row(m, u, row + 1, u->count * columns, next + u->first_panel * columns * bytes);
    }
    for (int64_t panel = u->first_panel; panel < u->end_panel; panel++) {
      int64_t at = ((panel - u->first_panel) * u->count + row) * columns;
      store_panel(m, u->sums + at, u->gates == NULL ? NULL : u->gates + at, panel * columns,
                  y + panel * columns * bytes);
    }
    y = next;
  }
}

/* One superblock of one panel against the tiles of a block. */
static void run_superblock(const mxlk_plan *p, const mxlk_task *task, int64_t block, int64_t superblock,
                           const char *weights, const char *next, float *accumulators) {
  const mxl_kernel_row *row = task->row;
  int64_t first_tile = block_tile(task->x, block), end_tile = block_tile(task->x, block + 1);
  int64_t k = mxlk_superblock_k(p->in_dim, superblock);
  /* The next weights are prefetched in shares, one a tile, so that memory is asked while tiles are computed: a tile that asks for more than
   * memory brings meanwhile waits, one that asks for nothing leaves it idle. Rows that do not expand ask at every k, of half a line at least:
   * lines asked for more often cost the tile what they save. */
  int64_t total = next == NULL ? 0 : (int64_t)task->superblock_bytes;
  int64_t unit = MXLK_ALIGNMENT * (row->expand == NULL ? mxlk_divide_up(k, 2) : 1);
  int64_t share = mxlk_divide_up(mxlk_divide_up(total, end_tile - first_tile), unit) * unit;
  const char *x = x_at(p, task->x, block, first_tile, superblock);
  int64_t x_row_bytes = mxlk_activation_bytes(row, k);
  mxl_tile one = {.struct_size = sizeof(mxl_tile), .x = x, .weights = weights, .y = accumulators, .k = k};
  int64_t first = tile_row(task->x, first_tile), prefetched = 0;
  for (int64_t tile = first_tile; tile < end_tile; tile++) {
    int64_t end = tile_row(task->x, tile + 1), rows = end - first;
    one.rows = (int32_t)rows;
    one.next = prefetched < total ? next + prefetched : NULL;
    one.next_bytes = prefetched < total ? share : 0;
    row->run(row, &one);
    one.x = x += rows * x_row_bytes;
    one.y += rows * task->panel_columns;
    first = end, prefetched += share;
  }
}

/* One tile on whole panels of packed weights, as they lie in memory: `panels` of them, `apart` from each other; `each`: floats of a panel's
 * accumulators. */
static void run_panel(const mxlk_plan *p, const mxlk_task *task, const mxlk_linear_weights *matrix, int64_t block,
                      int64_t tile, int64_t panel, int64_t panels, int64_t apart, int64_t each, float *accumulators) {
  const char *weights = (const char *)matrix->packed + (size_t)panel * task->panel_bytes;
  mxl_tile one = {
      .struct_size = sizeof(mxl_tile),
      .rows = (int32_t)(tile_row(task->x, tile + 1) - tile_row(task->x, tile)),
      .x = x_at(p, task->x, block, tile, 0),
      .weights = weights,
      .y = accumulators,
      .k = p->in_dim,
      .next = weights + (panels > 1 ? (int64_t)task->superblock_bytes : PREFETCH_AHEAD),
      .next_bytes = (int64_t)task->panel_bytes,
      .panels = panels,
      .weights_apart = apart * (int64_t)task->panel_bytes,
      .y_apart = apart * each,
  };
  mxlk_panel_run(task->row)(task->row, &one);
}

/* How many panels a call may take side by side, where they come from memory: those that lie in a cache are read as fast one by one, and a tile
 * that takes several computes slower. */
static int64_t side_panels(const mxlk_plan *p, const mxlk_task *task, int64_t first_tile, int64_t end_tile) {
  if (end_tile - first_tile > 1 || p->weight_bytes < MXLK_MEMORY_BYTES) return 1;
  int64_t rows = tile_row(task->x, end_tile) - tile_row(task->x, first_tile), panels = task->row->side_rows / rows;
  return panels < 1 ? 1 : mxlk_least(panels, MXL_MOST_SIDE_PANELS);
}

/* A group of panels, each met by the tiles of a block before the next. Panels that are taken side by side are the first of equal parts of the
 * group, then the second, and so on, so that each part is read from front to back. */
static void run_whole_panels(const mxlk_plan *p, const mxlk_task *task, const mxlk_linear_weights *weights,
                             int64_t block, int64_t first_panel, int64_t count, int64_t each, float *accumulators) {
  int64_t first_tile = block_tile(task->x, block), end_tile = block_tile(task->x, block + 1);
  int64_t side = p->way == 1 ? side_panels(p, task, first_tile, end_tile) : 1, apart = count / side,
          first = tile_row(task->x, first_tile);
  for (int64_t panel = 0; panel < count; panel++) {
    if (panel >= apart && panel < apart * side) continue; /* taken beside the first part's */
    for (int64_t tile = first_tile; tile < end_tile; tile++)
      run_panel(p, task, weights, block, tile, first_panel + panel, panel < apart ? side : 1, apart, each,
                accumulators + panel * each + (tile_row(task->x, tile) - first) * task->panel_columns);
  }
}

/* One superblock of one panel, packed on the way when the weights are not, expanded when the row wants it. */
static void run_panel_superblock(const mxlk_plan *p, const mxlk_task *task, const mxlk_linear_weights *weights,
                                 int64_t block, int64_t panel, int64_t superblock, const char *next,
                                 const thread_scratch *scratch, float *accumulators) {
  char *packed = scratch->packed;
  int64_t k = mxlk_superblock_k(p->in_dim, superblock);
  const char *at = packed;
  if (weights->packed != NULL) {
    at =
        (const char *)weights->packed + (size_t)panel * task->panel_bytes + (size_t)superblock * task->superblock_bytes;
    if (next == NULL) next = at + PREFETCH_AHEAD;
  } else {
    task->row->pack(task->row, &weights->source, panel, superblock * MXL_SUPERBLOCK, k, packed);
  }
  if (task->row->expand != NULL) {
    task->row->expand(task->row, at, k, scratch->expanded);
    at = scratch->expanded;
  }
  run_superblock(p, task, block, superblock, at, next, accumulators);
}

/* Asks for a panel's outputs in a share of the block's rows, as many as there are superblocks: stored at once, each would be waited for. */
static void prefetch_y(const mxlk_plan *p, const mxlk_matrix *m, int64_t block, int64_t panel, int64_t superblock) {
  const mxlk_x_form *x = m->task->x;
  int64_t first = tile_row(x, block_tile(x, block)), count = tile_row(x, block_tile(x, block + 1)) - first;
  int64_t bytes = mxlk_element_bytes(m->task->job->y_dtype), column = panel * m->task->panel_columns;
  int64_t valid = mxlk_least(m->out_dim - column, m->task->panel_columns);
  for (int64_t row = count * superblock / p->superblocks; row < count * (superblock + 1) / p->superblocks; row++) {
    const char *y = y_at(p, m, first + row) + column * bytes;
    for (int64_t at = 0; at < valid * bytes; at += MXLK_ALIGNMENT) __builtin_prefetch(y + at, 1, 2);
  }
}

/* Asks for a share of the next superblock of a block's x, `part` of so many. */
static void prefetch_x(const mxlk_plan *p, const mxlk_x_form *x, int64_t block, int64_t superblock, int64_t part,
                       int64_t parts) {
  if (superblock + 1 >= p->superblocks) return;
  int64_t first = block_tile(x, block), rows = tile_row(x, block_tile(x, block + 1)) - tile_row(x, first);
  int64_t bytes = rows * mxlk_activation_bytes(x->task->row, mxlk_superblock_k(p->in_dim, superblock + 1));
  const char *from = packed_x_at(p, x, block, first, superblock + 1);
  for (int64_t at = bytes * part / parts; at < bytes * (part + 1) / parts; at += MXLK_ALIGNMENT)
    __builtin_prefetch(from + at, 0, 2);
}

/* A block of rows times a group of panels of one matrix or of its gate, into accumulators. */
static void run_panels(const mxlk_plan *p, const mxlk_matrix *m, const mxlk_linear_weights *weights, int64_t block,
                       int64_t first_panel, int64_t end_panel, const thread_scratch *scratch, float *accumulators) {
  const mxlk_task *task = m->task;
  int64_t first_tile = block_tile(task->x, block), end_tile = block_tile(task->x, block + 1);
  int64_t each = (tile_row(task->x, end_tile) - tile_row(task->x, first_tile)) * task->panel_columns;
  int64_t y_bytes = p->chunk_rows * m->out_dim * mxlk_element_bytes(task->job->y_dtype);
  int asks_y = y_bytes >= MXLK_MEMORY_BYTES && weights == m->weights;
  int asks_x = p->way == 1 && mxlk_x_is_far(task->x, p->chunk_rows);
  memset(accumulators, 0, (size_t)(each * (end_panel - first_panel)) * 4);
  if (task->x->tile_by_tile) {
    run_whole_panels(p, task, weights, block, first_panel, end_panel - first_panel, each, accumulators);
  } else if (end_tile - first_tile == 1) {
    /* Each superblock of x is used once a panel: the weights come in the order in which they lie in memory. */
    for (int64_t panel = first_panel; panel < end_panel; panel++)
      for (int64_t superblock = 0; superblock < p->superblocks; superblock++)
        run_panel_superblock(p, task, weights, block, panel, superblock, NULL, scratch,
                             accumulators + (panel - first_panel) * each);
  } else {
    for (int64_t superblock = 0; superblock < p->superblocks; superblock++)
      for (int64_t panel = first_panel; panel < end_panel; panel++) {
        int64_t next_panel = panel + 1 < end_panel ? panel + 1 : first_panel;
        const char *next = weights->packed;
        if (next != NULL)
          next += (size_t)next_panel * task->panel_bytes +
                  (size_t)(superblock + (next_panel == first_panel)) * task->superblock_bytes;
        if (asks_x) prefetch_x(p, task->x, block, superblock, panel - first_panel, end_panel - first_panel);
        if (asks_y) prefetch_y(p, m, block, panel, superblock);
        run_panel_superblock(p, task, weights, block, panel, superblock, next, scratch,
                             accumulators + (panel - first_panel) * each);
      }
  }
}

static void run_unit(const mxlk_plan *p, const mxlk_matrix *m, int64_t unit, const thread_scratch *scratch) {
  const mxlk_task *task = m->task;
  const mxlk_x_form *x = task->x;
  int64_t block = x->block_by_block ? unit / m->groups.count : unit % x->blocks.count;
  int64_t group = x->block_by_block ? unit % m->groups.count : unit / x->blocks.count;
  int64_t first_panel = group_panel(m, group), end_panel = group_panel(m, group + 1);
  int64_t first = tile_row(x, block_tile(x, block)), count = tile_row(x, block_tile(x, block + 1)) - first;
  run_panels(p, m, m->weights, block, first_panel, end_panel, scratch, scratch->accumulators);
  if (m->gate != NULL) run_panels(p, m, m->gate, block, first_panel, end_panel, scratch, scratch->gates);
  unit_sums sums = {
      scratch->accumulators, m->gate == NULL ? NULL : scratch->gates, first, count, first_panel, end_panel};
  store(p, m, &sums);
}

/* Each thread has a share of its own, the same in every call of a shape, so that y, which the host reads and calls write again, stays in its cache;
 * whoever has ended takes of the others'. */
static void run_units(const mxlk_plan *p, const mxlk_matrix *m, const mxlk_team *team, const thread_scratch *scratch) {
  const mxl_kernel_row *row = m->task->row;
  if (row->enter != NULL) row->enter(row);
  for (int32_t i = 0; i < team->count; i++) {
    mxlk_team owner = {(team->thread + i) % team->count, team->count, NULL};
    int64_t begin, end;
    mxlk_share(&owner, m->task->x->blocks.count * m->groups.count, &begin, &end);
    for (;;) {
      int64_t taken = atomic_fetch_add_explicit(&m->taken[owner.thread].units, 1, memory_order_relaxed);
      if (taken >= end - begin) break;
      run_unit(p, m, begin + taken, scratch);
    }
  }
  if (row->leave != NULL) row->leave(row);
}

static void run_thread(void *context, const mxlk_team *team) {
  mxlk_plan *p = context;
  int packed = 0;
  for (int32_t i = 0; i < p->form_count; i++) {
    if (p->forms[i].direct != NULL) continue;
    pack_x(p, &p->forms[i], team);
    packed = 1;
  }
  if (packed) mxlk_barrier(team);
  char *at = p->scratch + (size_t)team->thread * p->thread_bytes;
  char *end = at + p->thread_bytes;
  thread_scratch scratch = {
      .accumulators = (float *)(void *)at,
      .gates = (float *)(void *)(at + p->accumulator_bytes),
      .packed = end - p->expanded_bytes - p->packed_bytes,
      .expanded = end - p->expanded_bytes,
  };
  /* A thread takes the matrices one after the other, so that all of them together are one list of units. */
  mxlk_team part;
  for (int32_t i = 0; i < p->matrix_count; i++) {
    const mxlk_matrix *m = &p->matrices[i];
    if (mxlk_serves(team, m->device, m->device_count, &part)) run_units(p, m, &part, &scratch);
  }
}

/* For whoever asked to see it: the kernels of all jobs, one after the other where they differ. */
static void trace_plan(const mxlk_plan *p, int64_t nanoseconds) {
  char kernels[384] = "";
  size_t used = 0;
  for (int32_t i = 0; i < p->task_count; i++) {
    const mxl_kernel_row *row = p->tasks[i].row;
    size_t length = strlen(row->name);
    if ((i > 0 && row == p->tasks[i - 1].row) || used + length + 2 > sizeof kernels) continue;
    if (used > 0) kernels[used++] = ',';
    memcpy(kernels + used, row->name, length + 1);
    used += length;
  }
  const char *operation = p->tasks->job->gate != NULL ? "gate_up" : p->task_count > 1 ? "together" : "linear";
  mxlk_trace(operation, kernels, p->row_count, p->in_dim, p->out_dim, p->threads, nanoseconds);
}

static void run_plan(mxlk_plan *p, char *scratch) {
  mxlk_plan_place(p, scratch);
  mxlk_plan_choose(p);
  int64_t start = mxlk_nanoseconds();
  for (int64_t chunk = 0; chunk < p->chunks; chunk++) {
    mxlk_plan_chunk(p, chunk);
    mxlk_parallel(p->threads, run_thread, p);
  }
  int64_t nanoseconds = mxlk_nanoseconds() - start;
  mxlk_pace_learn(p->kernels, p->row_count, p->products, p->threads, p->way, nanoseconds);
  if (mxlk_traces()) trace_plan(p, nanoseconds);
}

size_t mxlk_linear_scratch(mxlk_linear_job *jobs, int32_t count) {
  mxlk_plan plan;
  mxlk_plan_make(&plan, jobs, count);
  mxlk_plan_pace(&plan);
  jobs->threads = plan.threads;
  return mxlk_plan_scratch(&plan);
}

void mxlk_linear_run_in(const mxlk_linear_job *jobs, int32_t count, char *scratch) {
  mxlk_plan plan;
  mxlk_plan_make(&plan, jobs, count);
  run_plan(&plan, scratch);
}

mxl_status mxlk_linear_run_together(const mxlk_linear_job *jobs, int32_t count) {
  if (jobs->row_count == 0 && mxlk_rows_count(&jobs->rows) == 0) return MXL_OK;
  mxlk_plan plan;
  mxlk_plan_make(&plan, jobs, count);
  mxlk_plan_pace(&plan);
  mxlk_arena arena;
  if (!mxlk_arena_take(mxlk_plan_scratch(&plan), &arena)) return MXL_OUT_OF_MEMORY;
  run_plan(&plan, arena.memory);
  mxlk_arena_return(&arena);
  return MXL_OK;
}

mxl_status mxlk_linear_run(const mxlk_linear_job *job) { return mxlk_linear_run_together(job, 1); }

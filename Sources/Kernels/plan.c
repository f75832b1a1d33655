#include "plan.h"

#include "contract.h"
#include "pace.h"

#include <string.h>

/* Outputs of a unit: each superblock of x that comes from the third level cache or memory meets so many. */
#define UNIT_COLUMNS 256
/* Rows of a block: those that each superblock of weights meets when it comes from memory and has been expanded. 128 rows of a superblock are at most
 * 128 KiB of x, and their accumulators for UNIT_COLUMNS outputs are as many: half of a second level cache of 512 KiB. Where tiles of many rows
 * compute faster than memory brings weights, more rows meet them, as many as a larger cache holds. */
#define BLOCK_ROWS 128
#define BLOCK_TILES 8
/* Up to so many tiles pass over packed weights one after the other, taking them apart anew; more than the second number share expanded ones,
 * and between is what is faster: that depends on what taking apart and expanding cost on a processor. */
#define PACKED_TILES 1
#define MOST_PACKED_TILES 6
/* x is packed in pieces of at most so many bytes, so that scratch is bounded whatever the number of rows. */
#define CHUNK_BYTES ((int64_t)32 << 20)
/* Tiles of so many strips and more, the last of x aside, are of whole strips: what multiplies 16 rows at once takes as long for fewer. */
#define STRIP_ROWS 16
#define TILE_STRIPS 2
/* Units per thread that the split aims at, so that threads end together. */
#define UNITS_PER_THREAD 8

static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
static size_t most_bytes(size_t a, size_t b) { return a > b ? a : b; }

size_t mxlk_panel_bytes(const mxl_kernel_row *row, int64_t in_dim) {
  size_t whole = (size_t)(in_dim / MXL_SUPERBLOCK) * row->packed_size(row, MXL_SUPERBLOCK);
  int64_t rest = in_dim % MXL_SUPERBLOCK;
  return mxlk_align_up(whole + (rest == 0 ? 0 : row->packed_size(row, rest)));
}

int64_t mxlk_panel_count(const mxl_kernel_row *row, int64_t out_dim) {
  return mxlk_divide_up(out_dim, row->panel_columns);
}

static int64_t most_block_rows(int64_t tile_rows) {
  int64_t held = mxlk_level_two_bytes() / (512 << 10) * BLOCK_ROWS;
  return most(mxlk_least(BLOCK_TILES * tile_rows, held), BLOCK_ROWS);
}

static mxlk_even_parts parts_of(int64_t whole, int64_t parts) {
  return (mxlk_even_parts){parts, whole / parts, whole % parts};
}

/* A panel of dense weights may be larger than the second level cache, from which it would come again. */
static int64_t most_panel_tiles(const mxl_kernel_row *row, int way) {
  return mxlk_panel_run(row) == NULL ? 0 : row->expand == NULL ? 1 : way == 1 ? MOST_PACKED_TILES : PACKED_TILES;
}

static const mxl_kernel_row *row_for(const mxlk_linear_job *job, int64_t row_count) {
  const mxlk_linear_weights *weights = job->weights;
  int pairs = job->x_dtype == MXL_BFLOAT16 && weights->bfloat16_row != NULL;
  const mxl_kernel_row *many = pairs ? weights->bfloat16_many_row : weights->many_row;
  if (many != NULL && row_count >= many->least_rows) return many;
  return pairs ? weights->bfloat16_row : weights->row;
}

static int in_place(const mxlk_linear_weights *weights) { return weights != NULL && weights->packed == NULL; }

static int32_t shard_count(const mxlk_linear_job *job) { return job->shard_count == 0 ? 1 : job->shard_count; }

/* Two layers that were quantized together have equal orders in memories of their own. */
static int same_columns(const int32_t *left, const int32_t *right, int64_t in_dim) {
  if (left == right) return 1;
  return left != NULL && right != NULL && memcmp(left, right, (size_t)in_dim * sizeof *left) == 0;
}

/* Whether two tasks can share one packed x, tiles and blocks. What a row arranges may depend on its context. */
static int read_alike(const mxlk_task *left, const mxlk_task *right, int64_t in_dim) {
  const mxl_kernel_row *row = left->row, *other = right->row;
  return row->compute == other->compute && row->tile_rows == other->tile_rows && left->packs == right->packs &&
         row->arrange == other->arrange && (row->arrange == NULL || row->context == other->context) &&
         most_panel_tiles(row, 0) == most_panel_tiles(other, 0) &&
         same_columns(left->job->weights->columns, right->job->weights->columns, in_dim);
}

static void add_matrices(mxlk_plan *plan, mxlk_task *task) {
  const mxlk_linear_job *job = task->job;
  int64_t column = 0;
  task->packs = 0;
  for (int32_t i = 0; i < shard_count(job); i++) {
    mxlk_matrix *m = &plan->matrices[plan->matrix_count++];
    m->task = task;
    m->weights = job->weights + i;
    m->gate = job->gate == NULL ? NULL : job->gate + i;
    m->device = i;
    m->device_count = shard_count(job);
    m->column = column;
    m->out_dim = m->weights->source.out_dim;
    m->panels = mxlk_panel_count(task->row, m->out_dim);
    column += m->out_dim;
    plan->weight_bytes += (size_t)m->panels * task->panel_bytes * (m->gate == NULL ? 1 : 2);
    task->packs |= in_place(m->weights) || in_place(m->gate);
  }
  plan->out_dim += column;
  int64_t weights = plan->in_dim * column * (job->gate == NULL ? 1 : 2), products;
  if (__builtin_mul_overflow(weights, plan->row_count, &products) ||
      __builtin_add_overflow(plan->products, products, &plan->products))
    plan->products = INT64_MAX;
}

/* The form of x that the task's row reads: an earlier task's, or a new one. */
static mxlk_x_form *form_of(mxlk_plan *plan, const mxlk_task *task) {
  for (int32_t i = 0; i < plan->form_count; i++) {
    if (read_alike(plan->forms[i].task, task, plan->in_dim)) return &plan->forms[i];
  }
  mxlk_x_form *form = &plan->forms[plan->form_count++];
  form->task = task;
  form->row_bytes = mxlk_activation_row_bytes(task->row, plan->in_dim);
  form->direct = NULL;
  const mxlk_linear_job *job = task->job;
  if (plan->row_count == 1 && task->row->compute == MXL_COMPUTE_FLOAT32 && task->row->arrange == NULL &&
      job->x_dtype == MXL_FLOAT32 && job->weights->columns == NULL) {
    const char *x = (const char *)job->x + 4 * mxlk_rows_offset(&task->rows, task->rows.x_strides, plan->row_begin);
    if ((uintptr_t)x % 4 == 0) form->direct = (const float *)(const void *)x;
  }
  return form;
}

static void add_task(mxlk_plan *plan, const mxlk_linear_job *job) {
  mxlk_task *task = &plan->tasks[plan->task_count++];
  const mxl_kernel_row *row = row_for(job, plan->row_count);
  task->job = job;
  task->row = row;
  task->rows = mxlk_rows_collapsed(&job->rows);
  task->panel_columns = row->panel_columns;
  task->panel_bytes = mxlk_panel_bytes(row, plan->in_dim);
  task->superblock_bytes = row->packed_size(row, mxlk_least(plan->in_dim, MXL_SUPERBLOCK));
  add_matrices(plan, task);
  task->x = form_of(plan, task);
  if (task == plan->tasks || row != task[-1].row) plan->kernels = plan->kernels * 3 + (uint64_t)(uintptr_t)row;
}

/* Rows of a chunk, and each thread's scratch: for fewer rows never more, so that what was taken for many will do. */
static void size_scratch(mxlk_plan *plan) {
  int64_t row_bytes = 0, tile_rows = 0;
  for (int32_t i = 0; i < plan->form_count; i++) {
    row_bytes += plan->forms[i].row_bytes;
    tile_rows = most(tile_rows, plan->forms[i].task->row->tile_rows);
  }
  int64_t chunk_rows = most(CHUNK_BYTES / row_bytes, tile_rows), most_rows = mxlk_least(plan->row_count, chunk_rows);
  plan->chunks = mxlk_divide_up(plan->row_count, chunk_rows);
  for (int32_t i = 0; i < plan->form_count; i++) {
    mxlk_x_form *form = &plan->forms[i];
    form->packed_bytes = form->direct != NULL ? 0 : mxlk_align_up((size_t)most_rows * (size_t)form->row_bytes);
    form->packed_bytes += MXL_SPARE_ROWS * form->task->row->arranged_size;
  }
  /* A block has at most one tile and a row more than it should, a group at most UNIT_COLUMNS columns. */
  int64_t block_rows = mxlk_least(most_rows, most_block_rows(tile_rows) + tile_rows + 1);
  plan->accumulator_bytes = mxlk_align_up((size_t)(block_rows * UNIT_COLUMNS) * 4);
  size_t packed = 0, expanded = 0, accumulators = 1;
  for (int32_t i = 0; i < plan->task_count; i++) {
    const mxlk_task *task = &plan->tasks[i];
    if (task->packs) packed = most_bytes(packed, mxlk_align_up(task->superblock_bytes));
    if (task->job->gate != NULL) accumulators = 2;
    expanded = most_bytes(expanded, mxlk_align_up(task->row->expanded_size));
  }
  plan->packed_bytes = packed;
  plan->expanded_bytes = expanded;
  plan->thread_bytes = plan->accumulator_bytes * accumulators + packed + expanded;
}

void mxlk_plan_make(mxlk_plan *plan, const mxlk_linear_job *jobs, int32_t count) {
  plan->in_dim = jobs->weights->source.in_dim;
  plan->superblocks = mxlk_divide_up(plan->in_dim, MXL_SUPERBLOCK);
  plan->row_begin = jobs->row_begin;
  plan->row_count = jobs->row_count == 0 ? mxlk_rows_count(&jobs->rows) : jobs->row_count;
  plan->threads = jobs->threads;
  plan->out_dim = plan->products = 0;
  plan->weight_bytes = 0;
  plan->kernels = 0;
  plan->task_count = plan->form_count = plan->matrix_count = 0;
  for (int32_t i = 0; i < count; i++) add_task(plan, &jobs[i]);
  size_scratch(plan);
}

void mxlk_plan_pace(mxlk_plan *plan) {
  int64_t most_threads = mxlk_least(plan->threads, mxlk_threads());
  plan->threads = mxlk_pace_threads(plan->kernels, plan->row_count, plan->products, (int32_t)most_threads);
}

/* Whether way 1 is another than way 0 for a task. */
static int has_ways(const mxlk_plan *plan, const mxlk_task *task) {
  const mxl_kernel_row *row = task->row;
  int64_t tiles = mxlk_divide_up(plan->row_count, row->tile_rows);
  if (task->packs) return 0;
  if (row->side_rows >= 2 * plan->row_count) return plan->weight_bytes >= MXLK_MEMORY_BYTES;
  if (tiles <= most_panel_tiles(row, 0)) return 0;
  return tiles <= most_panel_tiles(row, 1) || mxlk_x_is_far(task->x, plan->row_count);
}

void mxlk_plan_choose(mxlk_plan *plan) {
  plan->way = -1;
  for (int32_t i = 0; i < plan->task_count && plan->way < 0; i++)
    if (has_ways(plan, &plan->tasks[i]))
      plan->way = mxlk_pace_way(plan->kernels, plan->row_count, plan->products, plan->threads);
}

static size_t taken_count(const mxlk_plan *plan) { return (size_t)plan->matrix_count * (size_t)plan->threads; }

size_t mxlk_plan_scratch(const mxlk_plan *plan) {
  size_t bytes = plan->thread_bytes * (size_t)plan->threads + taken_count(plan) * sizeof(mxlk_taken);
  for (int32_t i = 0; i < plan->form_count; i++) bytes += plan->forms[i].packed_bytes;
  return bytes;
}

void mxlk_plan_place(mxlk_plan *plan, char *scratch) {
  for (int32_t i = 0; i < plan->form_count; i++) {
    plan->forms[i].packed = scratch;
    scratch += plan->forms[i].packed_bytes;
  }
  mxlk_taken *taken = (mxlk_taken *)(void *)scratch;
  for (int32_t i = 0; i < plan->matrix_count; i++) plan->matrices[i].taken = taken + i * plan->threads;
  plan->scratch = (char *)(taken + taken_count(plan));
}

/* Units that a matrix should have: its part of all, by its outputs. */
static int64_t units_wanted(const mxlk_plan *plan, const mxlk_matrix *m) {
  if (plan->threads == 1) return 1;
  return mxlk_divide_up((int64_t)plan->threads * UNITS_PER_THREAD * m->out_dim, plan->out_dim);
}

static int64_t strips_of(const mxlk_x_form *form) { return mxlk_divide_up(form->rows, form->strip_rows); }

/* Groups of as many outputs as a unit may have. */
static int64_t whole_groups(const mxlk_matrix *m) {
  return mxlk_divide_up(m->panels, UNIT_COLUMNS / m->task->panel_columns);
}

void mxlk_plan_chunk(mxlk_plan *plan, int64_t chunk) {
  int64_t begin = chunk * plan->row_count / plan->chunks;
  plan->chunk_begin = plan->row_begin + begin;
  plan->chunk_rows = (chunk + 1) * plan->row_count / plan->chunks - begin;
  for (int32_t i = 0; i < plan->form_count; i++) {
    mxlk_x_form *form = &plan->forms[i];
    int64_t tile_rows = form->task->row->tile_rows;
    form->rows = plan->chunk_rows;
    form->strip_rows = tile_rows >= TILE_STRIPS * STRIP_ROWS && tile_rows % STRIP_ROWS == 0 ? STRIP_ROWS : 1;
    form->tiles = parts_of(strips_of(form), mxlk_divide_up(plan->chunk_rows, tile_rows));
    form->blocks.count = mxlk_divide_up(plan->chunk_rows, most_block_rows(tile_rows));
    form->block_by_block = 0;
  }
  /* Where there are fewer units than wanted, blocks become smaller down to BLOCK_ROWS, then groups, and only then blocks again. */
  for (int32_t i = 0; i < plan->matrix_count; i++) {
    const mxlk_matrix *m = &plan->matrices[i];
    mxlk_x_form *form = m->task->x;
    int64_t wanted = mxlk_divide_up(units_wanted(plan, m), whole_groups(m));
    form->blocks.count = most(form->blocks.count, mxlk_least(wanted, mxlk_divide_up(plan->chunk_rows, BLOCK_ROWS)));
  }
  for (int32_t i = 0; i < plan->form_count; i++) {
    mxlk_x_form *form = &plan->forms[i];
    form->blocks.count = mxlk_least(form->blocks.count, form->tiles.count);
  }
  for (int32_t i = 0; i < plan->matrix_count; i++) {
    mxlk_matrix *m = &plan->matrices[i];
    int64_t blocks = m->task->x->blocks.count, wanted = units_wanted(plan, m), groups = whole_groups(m);
    if (groups * blocks < wanted) groups = mxlk_least(mxlk_divide_up(wanted, blocks), m->panels);
    m->groups = parts_of(m->panels, groups);
    for (int32_t thread = 0; thread < plan->threads; thread++)
      atomic_store_explicit(&m->taken[thread].units, 0, memory_order_relaxed);
  }
  for (int32_t i = 0; i < plan->matrix_count; i++) {
    mxlk_matrix *m = &plan->matrices[i];
    mxlk_x_form *form = m->task->x;
    int64_t wanted = mxlk_divide_up(units_wanted(plan, m), m->groups.count);
    if (wanted > form->blocks.count && form->tiles.count > form->blocks.count) {
      form->blocks.count = mxlk_least(wanted, form->tiles.count);
      form->block_by_block = 1;
      /* Blocks of as many tiles: 64 rows are 32 and 32, not 39 and 25. */
      int64_t tiles = mxlk_divide_up(form->tiles.count, form->blocks.count) * form->blocks.count;
      form->tiles = parts_of(strips_of(form), mxlk_least(tiles, strips_of(form)));
    }
  }
  for (int32_t i = 0; i < plan->form_count; i++) {
    mxlk_x_form *form = &plan->forms[i];
    int64_t tiles = form->tiles.count, blocks = form->blocks.count;
    form->blocks = parts_of(tiles, blocks);
    form->tile_by_tile =
        !form->task->packs && mxlk_divide_up(tiles, blocks) <= most_panel_tiles(form->task->row, plan->way);
  }
}

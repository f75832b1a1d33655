/* The loops around a row: y = x W^T + bias.
 *
 * Two phases, each split over the threads, with a barrier between:
 *  1. x is packed into tiles: blocks of rows, superblock by superblock, so that what one superblock needs of a
 *     block lies together and stays in the second level cache. One aligned row needs no packing.
 *  2. units of work, each a block of rows times a group of panels, taken from a counter. Per superblock the weights
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
#include "scratch.h"

#include <stdatomic.h>
#include <string.h>

/* Rows of a block, and outputs of a unit: each superblock of x that comes from the third level cache or memory meets so many outputs.
 * 128 rows of a superblock are at most 128 KiB of x, and their accumulators for 256 outputs are as many: half of a second level cache of
 * 512 KiB. */
#define BLOCK_ROWS 128
#define UNIT_COLUMNS 256
/* Up to so many tiles pass over packed weights one after the other, taking them apart anew; more share expanded ones. */
#define PACKED_TILES 2
/* x is packed in pieces of at most so many bytes, so that scratch is bounded whatever the number of rows. */
#define CHUNK_BYTES ((int64_t)32 << 20)
/* Units per thread that the split aims at, so that threads end together. */
#define UNITS_PER_THREAD 8
/* How far ahead of the weights in use single-tile calls prefetch, bytes. */
#define PREFETCH_AHEAD 8192

/* A number of things in consecutive parts whose sizes differ by one at most. */
typedef struct even_parts {
  int64_t count, each, more; /* the first `more` parts have each + 1 */
} even_parts;

/* One device's matrices, and its units of work. */
typedef struct shard {
  const mxlk_linear_weights *weights, *gate;
  int64_t column; /* of y, where its outputs begin */
  int64_t out_dim, panels;
  even_parts groups; /* of panels */
  _Atomic int64_t next_unit;
} shard;

typedef struct plan {
  const mxlk_linear_job *job;
  const mxl_kernel_row *row;
  mxlk_rows rows;
  int64_t in_dim, out_dim; /* out_dim: of all shards */
  int64_t superblocks, panel_columns;
  size_t panel_bytes, superblock_bytes;
  /* The chunk of rows at hand, its tiles and blocks of tiles. */
  int64_t chunk_begin, chunk_rows;
  even_parts tiles, blocks; /* of rows, of tiles */
  int tile_by_tile;         /* blocks have so few tiles that each passes over whole packed panels by itself */
  int64_t x_row_bytes;      /* of packed x, one row, all superblocks */
  const float *x_direct;    /* one aligned float32 row, used in place; else NULL */
  char *x_packed;
  char *scratch; /* per thread: thread_scratch */
  size_t scratch_each, accumulator_bytes, packed_bytes, x_bytes;
  int64_t row_count, chunks;
  int packs; /* some weights are packed on the way */
  int32_t threads, shard_count;
  shard shards[MXLK_MOST_SHARDS];
} plan;

/* What one thread works in. */
typedef struct thread_scratch {
  float *accumulators, *gates; /* of a unit */
  char *packed, *expanded;     /* a superblock of a panel */
} thread_scratch;

static int64_t divide_up(int64_t a, int64_t b) { return a / b + (a % b != 0); }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t superblock_k(int64_t in_dim, int64_t superblock) {
  return least(in_dim - superblock * MXL_SUPERBLOCK, MXL_SUPERBLOCK);
}

size_t mxlk_panel_bytes(const mxl_kernel_row *row, int64_t in_dim) {
  size_t whole = (size_t)(in_dim / MXL_SUPERBLOCK) * row->packed_size(row, MXL_SUPERBLOCK);
  int64_t rest = in_dim % MXL_SUPERBLOCK;
  return mxlk_align_up(whole + (rest == 0 ? 0 : row->packed_size(row, rest)));
}

int64_t mxlk_panel_count(const mxl_kernel_row *row, int64_t out_dim) { return divide_up(out_dim, row->panel_columns); }

static even_parts parts_of(int64_t whole, int64_t parts) { return (even_parts){parts, whole / parts, whole % parts}; }
static int64_t part_begin(const even_parts *parts, int64_t part) {
  return part * parts->each + least(part, parts->more);
}

/* The first row, within the chunk, of a tile: tiles differ by one row at most, so 16 rows are 8 + 8 and not 14 + 2. */
static int64_t tile_row(const plan *p, int64_t tile) { return part_begin(&p->tiles, tile); }
static int64_t block_tile(const plan *p, int64_t block) { return part_begin(&p->blocks, block); }
static int64_t group_panel(const shard *s, int64_t group) { return part_begin(&s->groups, group); }

/* Where the packed x of a tile and superblock begins: superblock by superblock of the block, or of the tile. */
static char *packed_x_at(const plan *p, int64_t block, int64_t tile, int64_t superblock) {
  int64_t first = tile_row(p, p->tile_by_tile ? tile : block_tile(p, block));
  int64_t end = tile_row(p, p->tile_by_tile ? tile + 1 : block_tile(p, block + 1));
  int64_t whole = mxlk_activation_bytes(p->row, MXL_SUPERBLOCK);
  return p->x_packed + first * p->x_row_bytes + (end - first) * superblock * whole +
         (tile_row(p, tile) - first) * mxlk_activation_bytes(p->row, superblock_k(p->in_dim, superblock));
}

/* What a tile kernel reads of x. */
static const void *x_at(const plan *p, int64_t block, int64_t tile, int64_t superblock) {
  if (p->x_direct != NULL) return p->x_direct + superblock * MXL_SUPERBLOCK;
  return packed_x_at(p, block, tile, superblock);
}

static void pack_x(plan *p, const mxlk_team *team) {
  int64_t begin, end;
  mxlk_share(team, p->tiles.count * p->superblocks, &begin, &end);
  int64_t block = 0;
  for (int64_t piece = begin; piece < end; piece++) {
    int64_t tile = piece / p->superblocks, superblock = piece % p->superblocks;
    while (tile >= block_tile(p, block + 1)) block++;
    int64_t first = tile_row(p, tile);
    mxlk_activate(p->row, p->job->x_dtype, p->job->x, &p->rows, p->chunk_begin + first, tile_row(p, tile + 1) - first,
                  p->job->weights->columns, superblock * MXL_SUPERBLOCK, superblock_k(p->in_dim, superblock),
                  packed_x_at(p, block, tile, superblock));
  }
}

/* A matrix's outputs from `column` on: the sums, their scales, the bias. */
static void finish(const mxlk_linear_weights *weights, int64_t column, const float *restrict sums, int64_t count,
                   float *restrict to) {
  const float *scale = weights->scale == NULL ? NULL : weights->scale + column;
  const float *bias = weights->bias == NULL ? NULL : weights->bias + column;
  for (int64_t i = 0; i < count; i++) to[i] = scale == NULL ? sums[i] : sums[i] * scale[i];
  for (int64_t i = 0; bias != NULL && i < count; i++) to[i] = to[i] + bias[i];
}

/* The outputs of one panel: scale, bias, the gate, accumulation onto y, rounding to y's dtype. gates: NULL or the gate's accumulators. */
static void store(const plan *p, const shard *s, const float *accumulators, const float *gates, int64_t first,
                  int64_t count, int64_t panel) {
  const mxlk_linear_job *job = p->job;
  uint64_t features = p->row->cpu_features;
  int64_t column = panel * p->panel_columns;
  int64_t valid = least(s->out_dim - column, p->panel_columns);
  for (int64_t row = 0; row < count; row++) {
    int64_t offset = mxlk_rows_offset(&p->rows, p->rows.y_strides, p->chunk_begin + first + row) + s->column + column;
    char *y = (char *)job->y + offset * mxlk_element_bytes(job->y_dtype);
    float values[MXLK_MOST_PANEL_COLUMNS], other[MXLK_MOST_PANEL_COLUMNS];
    finish(s->weights, column, accumulators + row * p->panel_columns, valid, values);
    if (gates != NULL) {
      finish(s->gate, column, gates + row * p->panel_columns, valid, other);
      mxlk_gate(features, job->activation, other, values, valid, values);
    }
    if (job->accumulate) {
      mxlk_floats_load(features, job->y_dtype, y, valid, other);
      for (int64_t i = 0; i < valid; i++) values[i] = other[i] + values[i];
    }
    mxlk_floats_store(features, job->y_dtype, values, valid, y);
  }
}

/* One superblock of one panel against the tiles of a block. */
static void run_superblock(const plan *p, int64_t block, int64_t superblock, const char *weights, const char *next,
                           float *accumulators) {
  int64_t first_tile = block_tile(p, block), end_tile = block_tile(p, block + 1);
  int64_t k = superblock_k(p->in_dim, superblock);
  /* The next weights are prefetched in shares, one a tile, of whole lines per k: in a burst they would cost
   * bandwidth, and a line asked for twice costs more than a tile that asks for none. */
  int64_t total = next == NULL ? 0 : (int64_t)p->superblock_bytes;
  int64_t unit = MXLK_ALIGNMENT * (p->row->expand == NULL ? k : 1);
  int64_t share = divide_up(divide_up(total, end_tile - first_tile), unit) * unit;
  const char *x = x_at(p, block, first_tile, superblock);
  int64_t x_row_bytes = mxlk_activation_bytes(p->row, k);
  mxl_tile one = {.struct_size = sizeof(mxl_tile), .x = x, .weights = weights, .y = accumulators, .k = k};
  for (int64_t tile = first_tile; tile < end_tile; tile++) {
    int64_t rows = tile_row(p, tile + 1) - tile_row(p, tile), prefetched = (tile - first_tile) * share;
    one.rows = (int32_t)rows;
    one.next = prefetched < total ? next + prefetched : NULL;
    one.next_bytes = prefetched < total ? share : 0;
    p->row->run(p->row, &one);
    one.x = x += rows * x_row_bytes;
    one.y += rows * p->panel_columns;
  }
}

/* What runs whole panels of packed weights; NULL when the row must expand them. */
static void (*panel_run(const mxl_kernel_row *row))(const mxl_kernel_row *, const mxl_tile *) {
  return row->expand == NULL ? row->run : row->run_packed;
}

/* A panel of dense weights may be larger than the second level cache, from which it would come again. */
static int64_t most_panel_tiles(const mxl_kernel_row *row) {
  return panel_run(row) == NULL ? 0 : row->expand == NULL ? 1 : PACKED_TILES;
}

/* One tile on a whole panel of packed weights, as they lie in memory. */
static void run_panel(const plan *p, const mxlk_linear_weights *matrix, int64_t block, int64_t tile, int64_t panel,
                      float *accumulators) {
  const char *weights = (const char *)matrix->packed + (size_t)panel * p->panel_bytes;
  mxl_tile one = {
      .struct_size = sizeof(mxl_tile),
      .rows = (int32_t)(tile_row(p, tile + 1) - tile_row(p, tile)),
      .x = x_at(p, block, tile, 0),
      .weights = weights,
      .y = accumulators,
      .k = p->in_dim,
      .next = weights + PREFETCH_AHEAD,
      .next_bytes = (int64_t)p->panel_bytes,
  };
  panel_run(p->row)(p->row, &one);
}

/* One superblock of one panel, packed on the way when the weights are not, expanded when the row wants it. */
static void run_panel_superblock(const plan *p, const mxlk_linear_weights *weights, int64_t block, int64_t panel,
                                 int64_t superblock, const char *next, const thread_scratch *scratch,
                                 float *accumulators) {
  char *packed = scratch->packed;
  int64_t k = superblock_k(p->in_dim, superblock);
  const char *at = packed;
  if (weights->packed != NULL) {
    at = (const char *)weights->packed + (size_t)panel * p->panel_bytes + (size_t)superblock * p->superblock_bytes;
    if (next == NULL) next = at + PREFETCH_AHEAD;
  } else {
    p->row->pack(p->row, &weights->source, panel, superblock * MXL_SUPERBLOCK, k, packed);
    next = NULL;
  }
  if (p->row->expand != NULL) {
    p->row->expand(p->row, at, k, scratch->expanded);
    at = scratch->expanded;
  }
  run_superblock(p, block, superblock, at, next, accumulators);
}

/* A block of rows times a group of panels of one matrix, into accumulators. */
static void run_matrix(const plan *p, const mxlk_linear_weights *weights, int64_t block, int64_t first_panel,
                       int64_t end_panel, const thread_scratch *scratch, float *accumulators) {
  int64_t first_tile = block_tile(p, block), end_tile = block_tile(p, block + 1);
  int64_t each = (tile_row(p, end_tile) - tile_row(p, first_tile)) * p->panel_columns;
  memset(accumulators, 0, (size_t)(each * (end_panel - first_panel)) * 4);
  if (p->tile_by_tile) {
    int64_t first = tile_row(p, first_tile);
    for (int64_t panel = first_panel; panel < end_panel; panel++)
      for (int64_t tile = first_tile; tile < end_tile; tile++)
        run_panel(p, weights, block, tile, panel,
                  accumulators + (panel - first_panel) * each + (tile_row(p, tile) - first) * p->panel_columns);
  } else if (end_tile - first_tile == 1) {
    /* Each superblock of x is used once a panel: the weights come in the order in which they lie in memory. */
    for (int64_t panel = first_panel; panel < end_panel; panel++)
      for (int64_t superblock = 0; superblock < p->superblocks; superblock++)
        run_panel_superblock(p, weights, block, panel, superblock, NULL, scratch,
                             accumulators + (panel - first_panel) * each);
  } else {
    for (int64_t superblock = 0; superblock < p->superblocks; superblock++)
      for (int64_t panel = first_panel; panel < end_panel; panel++) {
        int64_t next_panel = panel + 1 < end_panel ? panel + 1 : first_panel;
        const char *next = (const char *)weights->packed + (size_t)next_panel * p->panel_bytes +
                           (size_t)(superblock + (next_panel == first_panel)) * p->superblock_bytes;
        run_panel_superblock(p, weights, block, panel, superblock, next, scratch,
                             accumulators + (panel - first_panel) * each);
      }
  }
}

static void run_unit(const plan *p, const shard *s, int64_t unit, const thread_scratch *scratch) {
  int64_t block = unit % p->blocks.count, group = unit / p->blocks.count;
  int64_t first_panel = group_panel(s, group), end_panel = group_panel(s, group + 1);
  int64_t first = tile_row(p, block_tile(p, block)), count = tile_row(p, block_tile(p, block + 1)) - first;
  run_matrix(p, s->weights, block, first_panel, end_panel, scratch, scratch->accumulators);
  if (s->gate != NULL) run_matrix(p, s->gate, block, first_panel, end_panel, scratch, scratch->gates);
  for (int64_t panel = first_panel; panel < end_panel; panel++) {
    int64_t offset = (panel - first_panel) * count * p->panel_columns;
    store(p, s, scratch->accumulators + offset, s->gate == NULL ? NULL : scratch->gates + offset, first, count, panel);
  }
}

static void run_shard(const plan *p, shard *s, const thread_scratch *scratch) {
  int64_t units = p->blocks.count * s->groups.count;
  for (;;) {
    int64_t unit = atomic_fetch_add_explicit(&s->next_unit, 1, memory_order_relaxed);
    if (unit >= units) return;
    run_unit(p, s, unit, scratch);
  }
}

static void run_thread(void *context, const mxlk_team *team) {
  plan *p = context;
  if (p->x_direct == NULL) {
    pack_x(p, team);
    mxlk_barrier(team);
  }
  char *at = p->scratch + (size_t)team->thread * p->scratch_each;
  size_t gate_bytes = p->job->gate == NULL ? 0 : p->accumulator_bytes;
  thread_scratch scratch = {
      .accumulators = (float *)(void *)at,
      .gates = (float *)(void *)(at + gate_bytes),
      .packed = at + gate_bytes + p->accumulator_bytes,
      .expanded = at + gate_bytes + p->accumulator_bytes + p->packed_bytes,
  };
  mxlk_team part;
  for (int32_t i = 0; i < p->shard_count; i++)
    if (mxlk_serves(team, i, p->shard_count, &part)) run_shard(p, &p->shards[i], &scratch);
}

/* Of all matrices, the gates' too. */
static int64_t products_of(const plan *p) {
  int64_t weights = p->in_dim * p->out_dim * (p->job->gate == NULL ? 1 : 2), products;
  return __builtin_mul_overflow(weights, p->row_count, &products) ? INT64_MAX : products;
}

/* Tiles, blocks and groups of a chunk. */
static void split(plan *p, int32_t threads) {
  int64_t tiles = divide_up(p->chunk_rows, p->row->tile_rows), fewest = INT64_MAX;
  int64_t blocks = least(divide_up(p->chunk_rows, BLOCK_ROWS), tiles);
  int64_t wanted = threads == 1 ? 1 : divide_up((int64_t)threads * UNITS_PER_THREAD, p->shard_count);
  for (int32_t i = 0; i < p->shard_count; i++) {
    shard *s = &p->shards[i];
    int64_t groups = divide_up(s->panels, UNIT_COLUMNS / p->panel_columns);
    if (groups * blocks < wanted) groups = least(divide_up(wanted, blocks), s->panels);
    s->groups = parts_of(s->panels, groups);
    fewest = least(fewest, groups);
    atomic_store_explicit(&s->next_unit, 0, memory_order_relaxed);
  }
  if (fewest * blocks < wanted) blocks = least(divide_up(wanted, fewest), tiles);
  p->tiles = parts_of(p->chunk_rows, tiles);
  p->blocks = parts_of(tiles, blocks);
  p->tile_by_tile = !p->packs && divide_up(tiles, blocks) <= most_panel_tiles(p->row);
}

static const mxl_kernel_row *row_for(const mxlk_linear_job *job) {
  const mxl_kernel_row *bfloat16_row = job->weights->bfloat16_row;
  return job->x_dtype == MXL_BFLOAT16 && bfloat16_row != NULL ? bfloat16_row : job->weights->row;
}

static int in_place(const mxlk_linear_weights *weights) { return weights != NULL && weights->packed == NULL; }

/* Everything about a call but its scratch. */
static void plan_make(plan *p, const mxlk_linear_job *job) {
  const mxlk_linear_weights *weights = job->weights;
  const mxl_kernel_row *row = row_for(job);
  int64_t in_dim = weights->source.in_dim;
  p->job = job;
  p->row = row;
  p->rows = mxlk_rows_collapsed(&job->rows);
  p->in_dim = in_dim;
  p->x_row_bytes = mxlk_activation_row_bytes(row, in_dim);
  p->superblocks = divide_up(in_dim, MXL_SUPERBLOCK);
  p->panel_columns = row->panel_columns;
  p->panel_bytes = mxlk_panel_bytes(row, in_dim);
  p->superblock_bytes = row->packed_size(row, least(in_dim, MXL_SUPERBLOCK));
  p->shard_count = job->shard_count == 0 ? 1 : job->shard_count;
  p->out_dim = 0;
  p->packs = 0;
  for (int32_t i = 0; i < p->shard_count; i++) {
    shard *s = &p->shards[i];
    s->weights = weights + i;
    s->gate = job->gate == NULL ? NULL : job->gate + i;
    s->column = p->out_dim;
    s->out_dim = s->weights->source.out_dim;
    s->panels = mxlk_panel_count(row, s->out_dim);
    p->out_dim += s->out_dim;
    p->packs |= in_place(s->weights) || in_place(s->gate);
  }
  p->row_count = job->row_count == 0 ? mxlk_rows_count(&job->rows) : job->row_count;
  p->threads = job->threads;
  int64_t most_rows = most(CHUNK_BYTES / p->x_row_bytes, row->tile_rows);
  p->chunks = divide_up(p->row_count, most_rows);
  most_rows = p->chunks == 0 ? 0 : divide_up(p->row_count, p->chunks);
  p->x_direct = NULL;
  int direct = p->row_count == 1 && row->compute == MXL_COMPUTE_FLOAT32 && job->x_dtype == MXL_FLOAT32 &&
               weights->columns == NULL;
  if (direct) {
    const char *x = (const char *)job->x + 4 * mxlk_rows_offset(&p->rows, p->rows.x_strides, job->row_begin);
    if ((uintptr_t)x % 4 == 0) p->x_direct = (const float *)(const void *)x;
  }
  /* A block has at most BLOCK_ROWS rows and one tile and a row more, a group at most UNIT_COLUMNS columns. */
  int64_t block_rows = least(most_rows, BLOCK_ROWS + row->tile_rows + 1);
  p->accumulator_bytes = mxlk_align_up((size_t)(block_rows * UNIT_COLUMNS) * 4);
  p->packed_bytes = p->packs ? mxlk_align_up(p->superblock_bytes) : 0;
  p->scratch_each =
      p->accumulator_bytes * (job->gate == NULL ? 1 : 2) + p->packed_bytes + mxlk_align_up(row->expanded_size);
  p->x_bytes = p->x_direct != NULL ? 0 : mxlk_align_up((size_t)most_rows * (size_t)p->x_row_bytes);
}

size_t mxlk_linear_scratch(mxlk_linear_job *job) {
  plan p;
  plan_make(&p, job);
  int64_t most_threads = least(job->threads, mxlk_threads());
  job->threads = mxlk_pace_threads(p.row, p.row_count, products_of(&p), (int32_t)most_threads);
  return p.x_bytes + p.scratch_each * (size_t)job->threads;
}

void mxlk_linear_run_in(const mxlk_linear_job *job, char *scratch) {
  plan p;
  plan_make(&p, job);
  p.x_packed = scratch;
  p.scratch = scratch + p.x_bytes;
  int64_t start = mxlk_nanoseconds();
  for (int64_t chunk = 0; chunk < p.chunks; chunk++) {
    int64_t begin = chunk * p.row_count / p.chunks;
    p.chunk_begin = job->row_begin + begin;
    p.chunk_rows = (chunk + 1) * p.row_count / p.chunks - begin;
    split(&p, p.threads);
    mxlk_parallel(p.threads, run_thread, &p);
  }
  mxlk_pace_learn(p.row, p.row_count, products_of(&p), p.threads, mxlk_nanoseconds() - start);
}

mxl_status mxlk_linear_run(const mxlk_linear_job *job) {
  if (job->row_count == 0 && mxlk_rows_count(&job->rows) == 0) return MXL_OK;
  mxlk_linear_job useful = *job;
  mxlk_arena arena;
  if (!mxlk_arena_take(mxlk_linear_scratch(&useful), &arena)) return MXL_OUT_OF_MEMORY;
  mxlk_linear_run_in(&useful, arena.memory);
  mxlk_arena_return(&arena);
  return MXL_OK;
}

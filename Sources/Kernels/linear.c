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
#include "activation/rows.h"
#include "contract.h"
#include "kernels.h"
#include "parallel.h"
#include "scratch.h"

#include <stdatomic.h>
#include <string.h>

/* Rows of a block: 384 rows of a superblock of x are 384 KiB, which with the accumulators stays in 1 MiB. */
#define BLOCK_ROWS 384
/* Panels of a unit: each superblock of x that comes from the third level cache or memory is used by so many panels. */
#define GROUP_PANELS 4
/* x is packed in pieces of at most so many bytes, so that scratch is bounded whatever the number of rows. */
#define CHUNK_BYTES ((int64_t)32 << 20)
/* Units per thread that the split aims at, so that threads end together. */
#define UNITS_PER_THREAD 8
/* Nanoseconds of work that pay for one more thread, and what one thread does in a nanosecond, for that estimate. */
#define NANOSECONDS_PER_THREAD 10000
#define WEIGHTS_READ_PER_NANOSECOND 8
#define PRODUCTS_PER_NANOSECOND 50
/* How far ahead of the weights in use single-tile calls prefetch, bytes. */
#define PREFETCH_AHEAD 8192

typedef struct plan {
  const mxlk_linear_job *job;
  const mxl_kernel_row *row;
  mxlk_rows rows;
  int64_t in_dim, out_dim;
  int64_t superblocks, panels, panel_columns;
  size_t panel_bytes, superblock_bytes;
  /* The chunk of rows at hand, its tiles, blocks of tiles and groups of panels. */
  int64_t chunk_begin, chunk_rows;
  int64_t tiles, blocks, groups;
  const float *x_direct; /* one aligned row, used in place; else NULL */
  float *x_packed;
  char *scratch; /* per thread: accumulators of a unit, then one packed superblock */
  size_t scratch_each, accumulator_bytes;
  _Atomic int64_t next_unit;
} plan;

static int64_t divide_up(int64_t a, int64_t b) { return a / b + (a % b != 0); }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t superblock_k(int64_t in_dim, int64_t superblock) {
  return least(in_dim - superblock * MXL_SUPERBLOCK, MXL_SUPERBLOCK);
}

size_t mxlk_panel_bytes(const mxl_kernel_row *row, int64_t in_dim) {
  size_t whole = (size_t)(in_dim / MXL_SUPERBLOCK) * row->packed_size(MXL_SUPERBLOCK);
  int64_t rest = in_dim % MXL_SUPERBLOCK;
  return mxlk_align_up(whole + (rest == 0 ? 0 : row->packed_size(rest)));
}

int64_t mxlk_panel_count(const mxl_kernel_row *row, int64_t out_dim) { return divide_up(out_dim, row->panel_columns); }

/* The first row, within the chunk, of a tile: tiles differ by one row at most, so 16 rows are 8 + 8 and not 14 + 2. */
static int64_t tile_row(const plan *p, int64_t tile) { return tile * p->chunk_rows / p->tiles; }
static int64_t block_tile(const plan *p, int64_t block) { return block * p->tiles / p->blocks; }
static int64_t group_panel(const plan *p, int64_t group) { return group * p->panels / p->groups; }

/* Where the packed x of a tile and superblock begins. */
static float *packed_x_at(const plan *p, int64_t block, int64_t tile, int64_t superblock) {
  int64_t first = tile_row(p, block_tile(p, block)), end = tile_row(p, block_tile(p, block + 1));
  return p->x_packed + first * p->in_dim + (end - first) * superblock * MXL_SUPERBLOCK +
         (tile_row(p, tile) - first) * superblock_k(p->in_dim, superblock);
}

/* What a tile kernel reads of x. */
static const float *x_at(const plan *p, int64_t block, int64_t tile, int64_t superblock) {
  return p->x_direct != NULL ? p->x_direct + superblock * MXL_SUPERBLOCK : packed_x_at(p, block, tile, superblock);
}

static void pack_x(plan *p, const mxlk_team *team) {
  int64_t begin, end;
  mxlk_share(team, p->tiles * p->superblocks, &begin, &end);
  int64_t block = 0;
  for (int64_t piece = begin; piece < end; piece++) {
    int64_t tile = piece / p->superblocks, superblock = piece % p->superblocks;
    while (tile >= block_tile(p, block + 1)) block++;
    int64_t first = tile_row(p, tile);
    mxlk_pack_rows_f32(p->job->x, &p->rows, p->chunk_begin + first, tile_row(p, tile + 1) - first,
                       superblock * MXL_SUPERBLOCK, superblock_k(p->in_dim, superblock),
                       packed_x_at(p, block, tile, superblock));
  }
}

/* One row of a panel's outputs: bias, accumulation onto y, store. y and its old value have any alignment. */
static void store_row(const float *restrict from, const float *restrict bias, int64_t count, int accumulate,
                      char *restrict y) {
  for (int64_t i = 0; i < count; i++) {
    float value = from[i];
    if (bias != NULL) value = value + bias[i];
    if (accumulate) {
      float old;
      memcpy(&old, y + 4 * i, 4);
      value = old + value;
    }
    memcpy(y + 4 * i, &value, 4);
  }
}

static void store(const plan *p, const float *accumulators, int64_t first, int64_t count, int64_t panel) {
  int64_t column = panel * p->panel_columns;
  int64_t valid = least(p->out_dim - column, p->panel_columns);
  const float *bias = p->job->weights->bias;
  if (bias != NULL) bias += column;
  for (int64_t row = 0; row < count; row++) {
    int64_t offset = mxlk_rows_offset(&p->rows, p->rows.y_strides, p->chunk_begin + first + row) + column;
    store_row(accumulators + row * p->panel_columns, bias, valid, p->job->accumulate != 0,
              (char *)p->job->y + offset * 4);
  }
}

/* One superblock of one panel against the tiles of a block. */
static void run_superblock(const plan *p, int64_t block, int64_t superblock, const char *weights, const char *next,
                           float *accumulators) {
  int64_t first_tile = block_tile(p, block), end_tile = block_tile(p, block + 1);
  int64_t first = tile_row(p, first_tile);
  int64_t k = superblock_k(p->in_dim, superblock);
  /* The next weights are prefetched in shares, one a tile, of whole lines per k: in a burst they would cost
   * bandwidth, and a line asked for twice costs more than a tile that asks for none. */
  int64_t total = next == NULL ? 0 : (int64_t)p->superblock_bytes;
  int64_t share = divide_up(divide_up(total, end_tile - first_tile), MXLK_ALIGNMENT * k) * MXLK_ALIGNMENT * k;
  for (int64_t tile = first_tile; tile < end_tile; tile++) {
    int64_t row = tile_row(p, tile);
    mxl_tile one = {
        .struct_size = sizeof(mxl_tile),
        .rows = (int32_t)(tile_row(p, tile + 1) - row),
        .x = x_at(p, block, tile, superblock),
        .weights = weights,
        .y = accumulators + (row - first) * p->panel_columns,
        .k = k,
    };
    int64_t prefetched = (tile - first_tile) * share;
    if (prefetched < total) {
      one.next = next + prefetched;
      one.next_bytes = share;
    }
    p->row->run(&one);
  }
}

/* A unit whose block is one tile, on packed weights: whole panels, one after the other as they lie in memory. */
static void run_single_tile(const plan *p, int64_t block, int64_t panel, float *accumulators) {
  int64_t tile = block_tile(p, block);
  const char *weights = (const char *)p->job->weights->packed + (size_t)panel * p->panel_bytes;
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
  p->row->run(&one);
}

static void run_unit(const plan *p, int64_t unit, float *accumulators, char *packed) {
  int64_t block = unit % p->blocks, group = unit / p->blocks;
  int64_t first_panel = group_panel(p, group), end_panel = group_panel(p, group + 1);
  int64_t first_tile = block_tile(p, block), end_tile = block_tile(p, block + 1);
  int64_t first = tile_row(p, first_tile), count = tile_row(p, end_tile) - first;
  int64_t panel_accumulators = count * p->panel_columns;
  const mxlk_linear_weights *weights = p->job->weights;

  memset(accumulators, 0, (size_t)(panel_accumulators * (end_panel - first_panel)) * 4);
  if (end_tile - first_tile == 1 && weights->packed != NULL) {
    for (int64_t panel = first_panel; panel < end_panel; panel++)
      run_single_tile(p, block, panel, accumulators + (panel - first_panel) * panel_accumulators);
  } else {
    for (int64_t superblock = 0; superblock < p->superblocks; superblock++) {
      for (int64_t panel = first_panel; panel < end_panel; panel++) {
        const char *at = packed, *next = NULL;
        if (weights->packed != NULL) {
          const char *origin = (const char *)weights->packed + (size_t)superblock * p->superblock_bytes;
          at = origin + (size_t)panel * p->panel_bytes;
          next = panel + 1 < end_panel ? at + p->panel_bytes
                                       : origin + (size_t)first_panel * p->panel_bytes + p->superblock_bytes;
        } else {
          p->row->pack(&weights->source, panel, superblock * MXL_SUPERBLOCK, superblock_k(p->in_dim, superblock),
                       packed);
        }
        run_superblock(p, block, superblock, at, next, accumulators + (panel - first_panel) * panel_accumulators);
      }
    }
  }
  for (int64_t panel = first_panel; panel < end_panel; panel++)
    store(p, accumulators + (panel - first_panel) * panel_accumulators, first, count, panel);
}

static void run_thread(void *context, const mxlk_team *team) {
  plan *p = context;
  if (p->x_direct == NULL) {
    pack_x(p, team);
    mxlk_barrier(team);
  }
  char *scratch = p->scratch + (size_t)team->thread * p->scratch_each;
  int64_t units = p->blocks * p->groups;
  for (;;) {
    int64_t unit = atomic_fetch_add_explicit(&p->next_unit, 1, memory_order_relaxed);
    if (unit >= units) return;
    run_unit(p, unit, (float *)(void *)scratch, scratch + p->accumulator_bytes);
  }
}

/* The threads that the work pays for. In integers: the caller's floating point environment may trap. */
static int32_t useful_threads(const plan *p, int64_t rows, int32_t threads) {
  int64_t weights = p->in_dim * p->out_dim;
  int64_t products;
  if (__builtin_mul_overflow(weights, rows, &products)) products = INT64_MAX;
  int64_t nanoseconds = most(weights / WEIGHTS_READ_PER_NANOSECOND, products / PRODUCTS_PER_NANOSECOND);
  int64_t worth = nanoseconds / NANOSECONDS_PER_THREAD;
  return (int32_t)most(least(least(threads, mxlk_threads()), worth), 1);
}

/* Tiles, blocks and groups of a chunk. */
static void split(plan *p, int32_t threads) {
  p->tiles = divide_up(p->chunk_rows, p->row->tile_rows);
  p->blocks = least(divide_up(p->chunk_rows, BLOCK_ROWS), p->tiles);
  p->groups = divide_up(p->panels, GROUP_PANELS);
  int64_t wanted = threads == 1 ? 1 : (int64_t)threads * UNITS_PER_THREAD;
  if (p->groups * p->blocks < wanted) p->groups = least(divide_up(wanted, p->blocks), p->panels);
  if (p->groups * p->blocks < wanted) p->blocks = least(divide_up(wanted, p->groups), p->tiles);
}

mxl_status mxlk_linear_run(const mxlk_linear_job *job) {
  int64_t rows = mxlk_rows_count(&job->rows);
  if (rows == 0) return MXL_OK;
  const mxlk_linear_weights *weights = job->weights;
  const mxl_kernel_row *row = weights->row;
  plan p = {
      .job = job,
      .row = row,
      .rows = mxlk_rows_collapsed(&job->rows),
      .in_dim = weights->source.in_dim,
      .out_dim = weights->source.out_dim,
      .superblocks = divide_up(weights->source.in_dim, MXL_SUPERBLOCK),
      .panels = mxlk_panel_count(row, weights->source.out_dim),
      .panel_columns = row->panel_columns,
      .panel_bytes = mxlk_panel_bytes(row, weights->source.in_dim),
      .superblock_bytes = row->packed_size(least(weights->source.in_dim, MXL_SUPERBLOCK)),
  };
  int32_t threads = useful_threads(&p, rows, job->threads);

  int64_t most_rows = most(CHUNK_BYTES / 4 / p.in_dim, row->tile_rows);
  int64_t chunks = divide_up(rows, most_rows);
  most_rows = divide_up(rows, chunks);
  int direct = rows == 1 && (uintptr_t)job->x % 4 == 0;
  /* A block has at most BLOCK_ROWS rows and one tile and a row more, a group at most GROUP_PANELS panels. */
  int64_t block_rows = least(most_rows, BLOCK_ROWS + row->tile_rows + 1);
  p.accumulator_bytes = mxlk_align_up((size_t)(block_rows * GROUP_PANELS * p.panel_columns) * 4);
  p.scratch_each = p.accumulator_bytes;
  if (weights->packed == NULL) p.scratch_each += mxlk_align_up(p.superblock_bytes);
  size_t x_bytes = direct ? 0 : mxlk_align_up((size_t)most_rows * (size_t)p.in_dim * 4);
  mxlk_arena arena;
  if (!mxlk_arena_take(x_bytes + p.scratch_each * (size_t)threads, &arena)) return MXL_OUT_OF_MEMORY;

  p.x_packed = (float *)(void *)arena.memory;
  p.scratch = arena.memory + x_bytes;
  if (direct) p.x_direct = job->x;
  for (int64_t chunk = 0; chunk < chunks; chunk++) {
    p.chunk_begin = chunk * rows / chunks;
    p.chunk_rows = (chunk + 1) * rows / chunks - p.chunk_begin;
    split(&p, threads);
    atomic_store_explicit(&p.next_unit, 0, memory_order_relaxed);
    mxlk_parallel(threads, run_thread, &p);
  }
  mxlk_arena_return(&arena);
  return MXL_OK;
}

/* How a call's work is divided: made by plan.c, carried out by linear.c.
 *
 * A call is one job or several over one x. Jobs whose rows read x alike share one packed x; each device's matrix of each job is divided into
 * units, each a block of rows times a group of panels. */
#ifndef MXLK_PLAN_H
#define MXLK_PLAN_H

#include "activation/activation.h"
#include "contract.h"
#include "linear.h"

#include <stdatomic.h>

/* A number of things in consecutive parts whose sizes differ by one at most. */
typedef struct mxlk_even_parts {
  int64_t count, each, more; /* the first `more` parts have each + 1 */
} mxlk_even_parts;

typedef struct mxlk_task mxlk_task;

/* x as the rows of some jobs read it, and how its rows are divided for them. */
typedef struct mxlk_x_form {
  const mxlk_task *task;         /* the first of those jobs: its row packs for all */
  int64_t rows, strip_rows;      /* of the chunk at hand, of a strip */
  mxlk_even_parts tiles, blocks; /* of strips of rows, of tiles */
  int block_by_block;            /* units go through all groups of a block first, else through all blocks of a group */
  int tile_by_tile;              /* blocks have so few tiles that each passes over whole packed panels by itself */
  int64_t row_bytes;             /* of packed x, one row, all superblocks */
  const float *direct;           /* one aligned float32 row, used in place; else NULL */
  char *packed;
  size_t packed_bytes; /* of a chunk */
} mxlk_x_form;

/* One job. */
struct mxlk_task {
  const mxlk_linear_job *job;
  const mxl_kernel_row *row;
  mxlk_rows rows;
  mxlk_x_form *x;
  int64_t panel_columns;
  size_t panel_bytes, superblock_bytes;
  int packs; /* some weights are packed on the way */
};

/* How many of a thread's share of units have been taken, by itself or by those that had ended theirs; alone in its cache line. */
typedef struct mxlk_taken {
  _Alignas(MXLK_ALIGNMENT) _Atomic int64_t units;
} mxlk_taken;

/* One device's matrices of one job, and their units of work. */
typedef struct mxlk_matrix {
  const mxlk_task *task;
  const mxlk_linear_weights *weights, *gate;
  int32_t device, device_count; /* of the job */
  int64_t column;               /* of y, where its outputs begin */
  int64_t out_dim, panels;
  mxlk_even_parts groups; /* of panels */
  mxlk_taken *taken;      /* of each thread's share of the units */
} mxlk_matrix;

/* From so many bytes of packed weights, or of y, in a call on they are taken to come from memory: a model has many such matrices. */
#define MXLK_MEMORY_BYTES (4 << 20)

typedef struct mxlk_plan {
  int64_t in_dim, superblocks;
  int64_t out_dim;                                        /* of all matrices */
  int64_t row_begin, row_count, chunks;                   /* chunks: of rows */
  int64_t chunk_begin, chunk_rows;                        /* the one at hand */
  int64_t products;                                       /* of all matrices, the gates' too */
  size_t weight_bytes;                                    /* likewise, packed */
  uint64_t kernels;                                       /* for pace.c: which rows run */
  size_t accumulator_bytes, packed_bytes, expanded_bytes; /* in a thread's scratch */
  size_t thread_bytes;                                    /* of it */
  char *scratch;                                          /* the threads' */
  int32_t threads, task_count, form_count, matrix_count;  /* threads: the most to use */
  int way;                                                /* which of two, mxlk_plan_choose; -1 where there is one */
  mxlk_task tasks[MXLK_MOST_JOBS];
  mxlk_x_form forms[MXLK_MOST_JOBS];
  mxlk_matrix matrices[MXLK_MOST_MATRICES];
} mxlk_plan;

/* Everything about a call but its scratch. The first job's rows of x, row_begin, row_count and threads stand for all. */
void mxlk_plan_make(mxlk_plan *plan, const mxlk_linear_job *jobs, int32_t count);
/* Lowers plan->threads to what its work pays for now. */
void mxlk_plan_pace(mxlk_plan *plan);
/* Sets plan->way to what has been faster for such calls. Way 1 takes panels side by side, or takes packed weights apart anew for each of more tiles
 * than two, or asks for a block's next superblock of x ahead; way 0 reads panels one by one, expands, and leaves x to the processor. */
void mxlk_plan_choose(mxlk_plan *plan);
/* Bytes of scratch, and the plan's places in it once it is there. */
size_t mxlk_plan_scratch(const mxlk_plan *plan);
void mxlk_plan_place(mxlk_plan *plan, char *scratch);
/* Begins chunk number `chunk` of rows: its tiles, blocks and groups. */
void mxlk_plan_chunk(mxlk_plan *plan, int64_t chunk);

/* Whether of so many rows of x, packed, some are not in the second level cache when their next superblock is wanted. */
static inline int mxlk_x_is_far(const mxlk_x_form *x, int64_t rows) { return rows > (512 << 10) / x->row_bytes; }

static inline int64_t mxlk_least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t mxlk_divide_up(int64_t a, int64_t b) { return a / b + (a % b != 0); }

static inline int64_t mxlk_part_begin(const mxlk_even_parts *parts, int64_t part) {
  return part * parts->each + mxlk_least(part, parts->more);
}

/* Columns of one superblock. */
static inline int64_t mxlk_superblock_k(int64_t in_dim, int64_t superblock) {
  return mxlk_least(in_dim - superblock * MXL_SUPERBLOCK, MXL_SUPERBLOCK);
}

/* What runs whole panels of packed weights; NULL when the row must expand them. */
static inline void (*mxlk_panel_run(const mxl_kernel_row *row))(const mxl_kernel_row *, const mxl_tile *) {
  return row->expand == NULL ? row->run : row->run_packed;
}

#endif

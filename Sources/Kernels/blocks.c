/* Rows of values to rows of blocks and back, in pieces that fit a thread's cache. */
#include "contract.h"
#include "float16.h"
#include "kernels.h"
#include "parallel.h"
#include "trace.h"

#include <stdatomic.h>

/* Values of one piece: a multiple of every block that divides it, see piece_of. */
#define PIECE 4096

/* Values below which another thread is not worth its start. */
#define VALUES_PER_THREAD ((int64_t)1 << 14)

static int64_t value_bytes(int32_t dtype) { return dtype == MXL_FLOAT32 ? 4 : 2; }

/* The most values of a piece: whole blocks. Blocks larger than PIECE do not come here: limits of an encoding. */
static int64_t piece_of(const mxl_encoding *encoding) {
  return PIECE / encoding->elements_per_block * encoding->elements_per_block;
}

static int32_t threads_of(const mxlk_blocks_job *job, int64_t pieces) {
  int64_t worth = job->rows * job->k / VALUES_PER_THREAD + 1;
  if (worth > pieces) worth = pieces;
  return worth < job->threads ? (int32_t)worth : job->threads;
}

/* One piece: values [column, column + count) of a row. */
typedef struct piece {
  char *values;
  char *blocks;
  const float *importance;
  int64_t first, count; /* first counts in C order */
} piece;

static int64_t pieces_of(const mxlk_blocks_job *job) {
  int64_t most = piece_of(job->encoding);
  return job->rows * ((job->k + most - 1) / most);
}

static piece piece_at(const mxlk_blocks_job *job, int64_t index) {
  int64_t most = piece_of(job->encoding), per_row = (job->k + most - 1) / most;
  int64_t column = index % per_row * most;
  piece p = {.first = index / per_row * job->k + column,
             .count = job->k - column < most ? job->k - column : most,
             .importance = job->importance == NULL ? NULL : job->importance + column};
  p.values = (char *)job->values + p.first * value_bytes(job->dtype);
  if (job->blocks != NULL)
    p.blocks = (char *)job->blocks + p.first / job->encoding->elements_per_block * job->encoding->block_size;
  return p;
}

static void quantize_thread(void *context, const mxlk_team *team) {
  const mxlk_blocks_job *job = context;
  int64_t begin, end;
  mxlk_share(team, pieces_of(job), &begin, &end);
  for (; begin < end; begin++) {
    piece p = piece_at(job, begin);
    float values[PIECE];
    const float *from = values;
    if (job->dtype == MXL_FLOAT32 && (uintptr_t)p.values % sizeof(float) == 0)
      from = (const float *)p.values;
    else
      mxlk_convert(job->dtype, p.values, MXL_FLOAT32, values, p.count);
    job->encoding->quantize(from, p.importance, p.count, p.blocks);
  }
}

static void dequantize_thread(void *context, const mxlk_team *team) {
  const mxlk_blocks_job *job = context;
  int64_t begin, end;
  mxlk_share(team, pieces_of(job), &begin, &end);
  for (; begin < end; begin++) {
    piece p = piece_at(job, begin);
    float values[PIECE];
    job->encoding->dequantize(p.blocks, p.count, values);
    mxlk_convert(MXL_FLOAT32, values, job->dtype, p.values, p.count);
  }
}

typedef struct refusal {
  const mxlk_blocks_job *job;
  _Atomic int64_t first; /* INT64_MAX for none */
} refusal;

static void refused_thread(void *context, const mxlk_team *team) {
  refusal *found = context;
  const mxlk_blocks_job *job = found->job;
  uint32_t largest = mxlk_bits_from_float(job->encoding->largest);
  int64_t begin, end;
  mxlk_share(team, pieces_of(job), &begin, &end);
  for (; begin < end; begin++) {
    piece p = piece_at(job, begin);
    float values[PIECE];
    mxlk_convert(job->dtype, p.values, MXL_FLOAT32, values, p.count);
    int refused = 0;
    for (int64_t i = 0; i < p.count; i++) refused |= (mxlk_bits_from_float(values[i]) & 0x7fffffffu) > largest;
    if (!refused) continue;
    int64_t i = 0;
    while ((mxlk_bits_from_float(values[i]) & 0x7fffffffu) <= largest) i++;
    int64_t known = atomic_load(&found->first);
    while (p.first + i < known && !atomic_compare_exchange_weak(&found->first, &known, p.first + i)) {
    }
    return;
  }
}

int64_t mxlk_blocks_refused(const mxlk_blocks_job *job) {
  refusal found = {.job = job, .first = INT64_MAX};
  mxlk_parallel(threads_of(job, pieces_of(job)), refused_thread, &found);
  int64_t first = atomic_load(&found.first);
  return first == INT64_MAX ? -1 : first;
}

static void run_traced(const mxlk_blocks_job *job, mxlk_body body, const char *operation) {
  int64_t begin = mxlk_trace_begin();
  int32_t threads = threads_of(job, pieces_of(job));
  mxlk_parallel(threads, body, (void *)job);
  mxlk_trace_end(begin, operation, job->encoding->name, job->rows, job->k, 0, threads);
}

void mxlk_quantize(const mxlk_blocks_job *job) { run_traced(job, quantize_thread, "quantize"); }

void mxlk_dequantize(const mxlk_blocks_job *job) { run_traced(job, dequantize_thread, "dequantize"); }

/* Packing and unpacking of whole matrices. */
#include "kernels.h"
#include "parallel.h"
#include "stream.h"
#include "trace.h"

#include <stdatomic.h>

typedef struct pack_job {
  const mxl_kernel_row *row;
  const mxl_source *sources;
  void *const *packed;
  int32_t count;
  int unpack;
} pack_job;

/* Superblocks of up to so many bytes are packed in a thread's first level cache, then written. */
#define STAGED_BYTES 16384

static void run_shard(const pack_job *job, int32_t shard, const mxlk_team *team) {
  const mxl_kernel_row *row = job->row;
  const mxl_source *source = &job->sources[shard];
  int64_t in_dim = source->in_dim;
  size_t panel_bytes = mxlk_panel_bytes(row, in_dim), superblock_bytes = row->packed_size(row, MXL_SUPERBLOCK);
  _Alignas(64) char staged[STAGED_BYTES];
  int64_t begin, end;
  mxlk_share(team, mxlk_panel_count(row, source->out_dim), &begin, &end);
  for (int64_t panel = begin; panel < end; panel++) {
    char *packed = (char *)job->packed[shard] + (size_t)panel * panel_bytes;
    for (int64_t k_begin = 0; k_begin < in_dim; k_begin += MXL_SUPERBLOCK) {
      int64_t k = in_dim - k_begin < MXL_SUPERBLOCK ? in_dim - k_begin : MXL_SUPERBLOCK;
      if (job->unpack) {
        row->unpack(row, packed, panel, k_begin, k, source);
      } else if (superblock_bytes <= STAGED_BYTES) {
        row->pack(row, source, panel, k_begin, k, staged);
        mxlk_stream(staged, row->packed_size(row, k), packed);
      } else {
        row->pack(row, source, panel, k_begin, k, packed);
      }
      packed += superblock_bytes;
    }
  }
  /* What went past the caches becomes visible with the rest. */
  atomic_thread_fence(memory_order_seq_cst);
}

static void run_thread(void *context, const mxlk_team *team) {
  const pack_job *job = context;
  mxlk_team part;
  for (int32_t shard = 0; shard < job->count; shard++)
    if (mxlk_serves(team, shard, job->count, &part)) run_shard(job, shard, &part);
}

/* The threads that so much memory pays for: one per 64 Ki weights. In integers: the caller's floating point environment
 * may trap. */
static int32_t useful_threads(const pack_job *job, int32_t threads) {
  int64_t pieces = 0;
  for (int32_t i = 0; i < job->count; i++) pieces += job->sources[i].in_dim * job->sources[i].out_dim >> 16;
  if (pieces < threads) threads = (int32_t)pieces;
  return threads < 1 ? 1 : threads;
}

void mxlk_linear_pack_shards(const mxl_kernel_row *row, const mxl_source *sources, void *const *packed, int32_t count,
                             int32_t threads) {
  pack_job job = {row, sources, packed, count, 0};
  int64_t begin = mxlk_trace_begin();
  threads = useful_threads(&job, threads);
  mxlk_parallel(threads, run_thread, &job);
  int64_t out_dim = 0;
  for (int32_t i = 0; i < count; i++) out_dim += sources[i].out_dim;
  mxlk_trace_end(begin, "pack", row->name, 0, sources->in_dim, out_dim, threads);
}

void mxlk_linear_pack(const mxl_kernel_row *row, const mxl_source *source, void *packed, int32_t threads) {
  mxlk_linear_pack_shards(row, source, &packed, 1, threads);
}

void mxlk_linear_unpack(const mxl_kernel_row *row, const void *packed, const mxl_source *destination, int32_t threads) {
  /* packed is read only when unpack is set. */
  void *from = (void *)(uintptr_t)packed;
  pack_job job = {row, destination, &from, 1, 1};
  mxlk_parallel(useful_threads(&job, threads), run_thread, &job);
}

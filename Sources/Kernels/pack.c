/* Packing and unpacking of whole matrices. */
#include "kernels.h"
#include "parallel.h"

typedef struct pack_job {
  const mxl_kernel_row *row;
  const mxl_source *source;
  char *packed;
  int unpack;
} pack_job;

static void run_thread(void *context, const mxlk_team *team) {
  const pack_job *job = context;
  const mxl_kernel_row *row = job->row;
  int64_t in_dim = job->source->in_dim;
  size_t panel_bytes = mxlk_panel_bytes(row, in_dim), superblock_bytes = row->packed_size(row, MXL_SUPERBLOCK);
  int64_t begin, end;
  mxlk_share(team, mxlk_panel_count(row, job->source->out_dim), &begin, &end);
  for (int64_t panel = begin; panel < end; panel++) {
    char *packed = job->packed + (size_t)panel * panel_bytes;
    for (int64_t k_begin = 0; k_begin < in_dim; k_begin += MXL_SUPERBLOCK) {
      int64_t k = in_dim - k_begin < MXL_SUPERBLOCK ? in_dim - k_begin : MXL_SUPERBLOCK;
      if (job->unpack) {
        row->unpack(row, packed, panel, k_begin, k, job->source);
      } else {
        row->pack(row, job->source, panel, k_begin, k, packed);
      }
      packed += superblock_bytes;
    }
  }
}

/* The threads that so much memory pays for: one per 64 Ki weights. In integers: the caller's floating point environment
 * may trap. */
static int32_t useful_threads(const mxl_source *source, int32_t threads) {
  int64_t pieces = source->in_dim * source->out_dim >> 16;
  if (pieces < threads) threads = (int32_t)pieces;
  return threads < 1 ? 1 : threads;
}

void mxlk_linear_pack(const mxl_kernel_row *row, const mxl_source *source, void *packed, int32_t threads) {
  pack_job job = {row, source, packed, 0};
  mxlk_parallel(useful_threads(source, threads), run_thread, &job);
}

void mxlk_linear_unpack(const mxl_kernel_row *row, const void *packed, const mxl_source *destination, int32_t threads) {
  /* packed is read only when unpack is set. */
  pack_job job = {row, destination, (char *)(uintptr_t)packed, 1};
  mxlk_parallel(useful_threads(destination, threads), run_thread, &job);
}

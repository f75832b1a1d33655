#define _GNU_SOURCE
#include "ceilings.h"
#include "threads.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Work is taken in pieces from a counter, so that a thread which others disturb does less of it, as in the kernels. */
typedef struct computing {
  const ceilings_loop *loop;
  int64_t pieces;
  _Atomic int64_t next;
} computing;

enum { iterations_of_piece = 1 << 14 };

static void compute(void *context, int32_t thread, int32_t threads) {
  (void)thread, (void)threads;
  computing *job = context;
  while (atomic_fetch_add(&job->next, 1) < job->pieces) job->loop->run(iterations_of_piece);
}

double ceilings_compute(const ceilings_loop *loop, int32_t threads, double seconds) {
  computing trial = {loop, 4 * threads, 0};
  double first = ceilings_time(compute, &trial, threads);
  if (first <= 0) return 0;
  double wanted = (double)trial.pieces * seconds / first;
  computing job = {loop, wanted < 4 * threads ? 4 * threads : wanted > 1e12 ? (int64_t)1e12 : (int64_t)wanted, 0};
  double taken = ceilings_time(compute, &job, threads);
  return taken > 0 ? (double)job.pieces * iterations_of_piece * loop->operations / taken : 0;
}

/* Whole pages of 2 MiB, as packed weights have. */
enum { page = 2 << 20 };

static void touch(void *context, int32_t thread, int32_t threads) {
  ceilings_memory memory = *(ceilings_memory *)context;
  int64_t pages = memory.bytes / page, begin = pages * thread / threads * page;
  memset((char *)memory.data + begin, 1, (size_t)(pages * (thread + 1) / threads * page - begin));
}

typedef struct reading {
  ceilings_memory memory;
  _Atomic int64_t next; /* page */
} reading;

typedef long long vector __attribute__((vector_size(32)));

/* Parts of a page are read side by side: memory is faster in several places at once. */
enum { streams = 4, stream = page / streams, ahead = 2048 };

static void read_pages(void *context, int32_t thread, int32_t threads) {
  (void)thread, (void)threads;
  reading *job = context;
  vector sums[2] = {{0}};
  int64_t taken;
  while ((taken = atomic_fetch_add(&job->next, 1)) < job->memory.bytes / page) {
    const char *at = (const char *)job->memory.data + taken * page;
    for (const char *stop = at + stream; at < stop; at += 64)
      for (int s = 0; s < streams; s++) {
        const vector *line = (const vector *)(const void *)(at + s * stream);
        __builtin_prefetch((const char *)line + ahead, 0, 3);
        sums[0] ^= line[0];
        sums[1] ^= line[1];
      }
  }
  vector sum = sums[0] ^ sums[1];
  volatile long long keep = sum[0] ^ sum[1] ^ sum[2] ^ sum[3];
  (void)keep;
}

ceilings_memory ceilings_memory_make(int64_t bytes, int32_t threads) {
  ceilings_memory memory = {NULL, (bytes + page - 1) / page * page};
  memory.data = aligned_alloc(page, (size_t)memory.bytes);
  if (memory.data == NULL) return memory;
#ifdef MADV_HUGEPAGE
  madvise(memory.data, (size_t)memory.bytes, MADV_HUGEPAGE);
#endif
  if (ceilings_time(touch, &memory, threads) <= 0) {
    free(memory.data);
    memory.data = NULL;
  }
  return memory;
}

void ceilings_memory_free(ceilings_memory memory) { free(memory.data); }

double ceilings_read(ceilings_memory memory, int32_t threads) {
  reading job = {memory, 0};
  double seconds = ceilings_time(read_pages, &job, threads);
  return seconds > 0 ? (double)memory.bytes / seconds : 0;
}

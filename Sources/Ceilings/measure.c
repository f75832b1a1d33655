#define _GNU_SOURCE
#include "ceilings.h"
#include "threads.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef struct computing {
  const ceilings_loop *loop;
  int64_t iterations;
} computing;

static void compute(void *context, int32_t thread, int32_t threads) {
  (void)thread, (void)threads;
  computing *job = context;
  job->loop->run(job->iterations);
}

double ceilings_compute(const ceilings_loop *loop, int32_t threads, double seconds) {
  computing job = {loop, 1 << 16};
  double first = ceilings_time(compute, &job, threads);
  if (first <= 0) return 0;
  double wanted = (double)job.iterations * seconds / first;
  job.iterations = wanted < 1 << 16 ? 1 << 16 : wanted > 1e12 ? (int64_t)1e12 : (int64_t)wanted;
  double taken = ceilings_time(compute, &job, threads);
  return taken > 0 ? (double)job.iterations * loop->operations * threads / taken : 0;
}

/* Whole pages of 2 MiB, as packed weights have. */
enum { page = 2 << 20 };

static void part(ceilings_memory memory, int32_t thread, int32_t threads, int64_t *begin, int64_t *end) {
  int64_t pages = memory.bytes / page;
  *begin = pages * thread / threads * page;
  *end = pages * (thread + 1) / threads * page;
}

static void touch(void *context, int32_t thread, int32_t threads) {
  int64_t begin, end;
  part(*(ceilings_memory *)context, thread, threads, &begin, &end);
  memset((char *)((ceilings_memory *)context)->data + begin, 1, (size_t)(end - begin));
}

typedef long long vector __attribute__((vector_size(32)));

static void read_part(void *context, int32_t thread, int32_t threads) {
  int64_t begin, end;
  part(*(ceilings_memory *)context, thread, threads, &begin, &end);
  const vector *at = (const vector *)(const void *)((const char *)((ceilings_memory *)context)->data + begin);
  const vector *stop = at + (end - begin) / (int64_t)sizeof(vector);
  vector sums[4] = {{0}};
  for (; at < stop; at += 4) {
    for (int i = 0; i < 4; i++) sums[i] ^= at[i];
  }
  vector sum = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
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
  double seconds = ceilings_time(read_part, &memory, threads);
  return seconds > 0 ? (double)memory.bytes / seconds : 0;
}

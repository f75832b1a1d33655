/* Threads for the loops of the library: one parallel region at a time per caller, never nested. */
#ifndef MXLK_PARALLEL_H
#define MXLK_PARALLEL_H

#include <stddef.h>
#include <stdint.h>

/* A thread's place in its team. */
typedef struct mxlk_team {
  int32_t thread; /* 0 to count - 1 */
  int32_t count;
  struct mxlk_meeting
      *meeting; /* where the team's threads wait for each other; NULL for one thread or a part of a team */
} mxlk_team;

typedef void (*mxlk_body)(void *context, const mxlk_team *team);

/* Runs body once on each of at most `threads` threads, the caller among them, and returns when all have. The
 * process-wide budget lowers the number, to the caller alone when it is spent. All run with round to nearest,
 * masked exceptions and denormals kept; the caller's control word is restored. */
void mxlk_parallel(int32_t threads, mxlk_body body, void *context);

/* CLOCK_MONOTONIC. */
int64_t mxlk_nanoseconds(void);

/* Waits until all threads of the team have come here. Called by all of them or by none. Spins for a moment, lets others run for a longer one, then sleeps. */
void mxlk_barrier(const mxlk_team *team);

/* Whether another OpenMP runtime of LLVM's family than the one bound here has begun in this process. Ours would then
 * end the process as it begins, unless KMP_DUPLICATE_LIB_OK tells it not to. Before the first region only. */
int mxlk_other_runtime_runs(void);

/* Whether this thread computes shard `shard` of `count`, and its place among those that do. With enough threads each shard has a run of
 * them for itself; with fewer, each thread has a run of shards. */
static inline int mxlk_serves(const mxlk_team *team, int32_t shard, int32_t count, mxlk_team *part) {
  int64_t threads = team->count;
  if (threads < count) {
    *part = (mxlk_team){0, 1, NULL};
    return shard * threads / count == team->thread;
  }
  int32_t first = (int32_t)((shard * threads + count - 1) / count);
  int32_t end = (int32_t)(((shard + 1) * threads + count - 1) / count);
  *part = (mxlk_team){team->thread - first, end - first, NULL};
  return first <= team->thread && team->thread < end;
}

/* [*begin, *end): the share of this thread in count pieces of work, in order, sizes differing by one at most. */
static inline void mxlk_share(const mxlk_team *team, int64_t count, int64_t *begin, int64_t *end) {
  int64_t each = count / team->count, more = count % team->count, thread = team->thread;
  *begin = thread * each + (thread < more ? thread : more);
  *end = *begin + each + (thread < more ? 1 : 0);
}

#endif

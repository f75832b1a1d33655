/* Linux may wake a worker on the CPU of whoever wakes it though another is idle, in virtual machines above all. A call's threads then share one CPU
 * until the load is balanced tens of milliseconds later (docs/PERFORMANCE.md, "In a host process"). */
#define _GNU_SOURCE
#include "seats.h"

#ifdef __linux__
#include <sched.h>
#include <string.h>

/* Whether nobody had. */
static int take(mxlk_seats *seats, int cpu) {
  uint64_t bit = UINT64_C(1) << cpu % 64;
  return (atomic_fetch_or_explicit(&seats->taken[cpu / 64], bit, memory_order_relaxed) & bit) == 0;
}

static int is_known(int cpu) { return cpu >= 0 && cpu < 64 * MXLK_SEATS_WORDS && cpu < CPU_SETSIZE; }

/* The CPUs of a mask that nobody has taken. */
static cpu_set_t left_of(const cpu_set_t *allowed, mxlk_seats *seats) {
  cpu_set_t left = *allowed;
  for (int cpu = 0; cpu < CPU_SETSIZE && is_known(cpu); cpu++) {
    uint64_t taken = atomic_load_explicit(&seats->taken[cpu / 64], memory_order_relaxed);
    if (taken >> cpu % 64 & 1) CPU_CLR(cpu, &left);
  }
  return left;
}

/* A mask that a thread was given outlives changes of its cgroup's CPUs, where one that the cgroup gave follows them: so all CPUs, of which the
 * kernel leaves what the cgroup has, unless that was more than there was before. */
static void give_back(const cpu_set_t *allowed) {
  cpu_set_t mask;
  memset(&mask, 0xff, sizeof mask);
  if (sched_setaffinity(0, sizeof mask, &mask) == 0 && sched_getaffinity(0, sizeof mask, &mask) == 0 &&
      CPU_EQUAL(&mask, allowed))
    return;
  sched_setaffinity(0, sizeof *allowed, allowed);
}

void mxlk_take_seat(mxlk_seats *seats) {
  int cpu = sched_getcpu();
  if (!is_known(cpu) || take(seats, cpu)) return;
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  cpu_set_t left = left_of(&allowed, seats);
  if (CPU_COUNT(&left) == 0 || sched_setaffinity(0, sizeof left, &left) != 0) return;
  cpu = sched_getcpu();
  if (is_known(cpu)) take(seats, cpu);
  give_back(&allowed);
}
#else
void mxlk_take_seat(mxlk_seats *seats) { (void)seats; }
#endif

/* What the kernels know of the machine: limits, memory, CPUs of a team, which of two ways has been faster. */
#define _GNU_SOURCE
#include "contract.h"
#include "limits.h"
#include "pace.h"
#include "seats.h"

#include "kernel_checks.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

int32_t check_cgroup_cpus(const char *root) { return mxlk_cgroup_cpus(root); }
int32_t check_parse_threads(const char *text) { return mxlk_parse_threads(text); }
int32_t check_affinity_cpus(void) { return mxlk_affinity_cpus(); }

int check_allocate(size_t bytes, size_t alignment) {
  volatile char *memory = mxlk_allocate(bytes);
  if (memory == NULL) return 0;
  memory[0] = 1;
  memory[bytes - 1] = 1;
  int aligned = (uintptr_t)memory % alignment == 0;
  mxlk_free((void *)(uintptr_t)memory);
  return aligned;
}

static uint64_t sum_of(const volatile unsigned char *data, size_t bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes; i++) sum = sum * 31 + data[i];
  return sum;
}

int check_release_pages(const char *path) {
  int file = open(path, O_RDONLY);
  struct stat facts;
  if (file < 0) return 0;
  if (fstat(file, &facts) != 0 || facts.st_size < 3) return close(file), 0;
  size_t bytes = (size_t)facts.st_size;
  void *data = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE, file, 0);
  close(file);
  if (data == MAP_FAILED) return 0;
  uint64_t before = sum_of(data, bytes);
  int good = mxlk_resident_bytes(data, bytes) == bytes;
  /* A part that begins and ends within pages counts only its own bytes. */
  good &= mxlk_resident_bytes((char *)data + 1, bytes - 2) == bytes - 2;
  mxlk_release_pages(data, bytes);
  good &= sum_of(data, bytes) == before;
  munmap(data, bytes);
  return good;
}

/* A worker that begins on the CPU of the caller. */
typedef struct seated {
  mxlk_seats *seats;
  cpu_set_t allowed;
  int cpu, good;
} seated;

static void *sit_down(void *context) {
  seated *worker = context;
  cpu_set_t one, after;
  CPU_ZERO(&one);
  CPU_SET((size_t)worker->cpu, &one);
  /* Given one CPU and then more, a thread that does not sleep stays there. */
  int began = sched_setaffinity(0, sizeof one, &one) == 0 &&
              sched_setaffinity(0, sizeof worker->allowed, &worker->allowed) == 0;
  mxlk_take_seat(worker->seats);
  int cpu = sched_getcpu();
  worker->good = began && sched_getaffinity(0, sizeof after, &after) == 0 && CPU_EQUAL(&after, &worker->allowed) &&
                 CPU_ISSET((size_t)cpu, &worker->allowed) && (cpu == worker->cpu) == (CPU_COUNT(&worker->allowed) == 1);
  return NULL;
}

int check_seats(int32_t cpus) {
  cpu_set_t all, caller;
  if (sched_getaffinity(0, sizeof all, &all) != 0 || CPU_COUNT(&all) < cpus) return -1;
  seated worker = {.cpu = sched_getcpu()};
  CPU_ZERO(&worker.allowed);
  CPU_SET((size_t)worker.cpu, &worker.allowed);
  caller = worker.allowed;
  for (size_t cpu = 0; cpu < CPU_SETSIZE && CPU_COUNT(&worker.allowed) < cpus; cpu++)
    if (CPU_ISSET(cpu, &all)) CPU_SET(cpu, &worker.allowed);
  int good = sched_setaffinity(0, sizeof caller, &caller) == 0;
  mxlk_seats seats = {0};
  worker.seats = &seats;
  mxlk_take_seat(&seats);
  pthread_t thread;
  good = good && sched_getcpu() == worker.cpu && pthread_create(&thread, NULL, sit_down, &worker) == 0 &&
         pthread_join(thread, NULL) == 0 && worker.good;
  return sched_setaffinity(0, sizeof all, &all) == 0 && good;
}

/* As many other kernels as there may ever be, slow ones. */
static void crowd(void) {
  enum { others = 1 << 14, products = 1 << 12 };
  for (uint64_t other = 0; other < others; other++)
    for (int32_t rows = 1; rows <= 128; rows *= 2)
      mxlk_pace_learn(UINT64_C(0x0712e5) + 64 * other, rows, products, 1 + (int32_t)other % 2, -1, 1000000);
}

int check_pace_of_threads(int faster) {
  enum { rows = 16, products = 1 << 26, calls = 4096, disturbed = 20 };
  const uint64_t kernels = UINT64_C(0x7ead5) + (uint64_t)faster; /* no row's address */
  int chosen = 0;
  crowd();
  for (int call = 0; call < 2 * calls; call++) {
    int32_t threads = mxlk_pace_threads(kernels, rows, products, 2);
    int64_t nanoseconds = threads == faster ? 1000000 : 1700000;
    if (call >= calls && call < calls + disturbed) nanoseconds *= 5;
    mxlk_pace_learn(kernels, rows, products, threads, -1, nanoseconds);
    chosen += call >= calls && threads == faster;
  }
  /* The other number is tried now and then. */
  return chosen > calls * 9 / 10 && chosen < calls;
}

int check_pace_of_stalls(void) {
  enum { rows = 16, products = 1 << 26, calls = 8192, period = 61 };
  const uint64_t kernels = UINT64_C(0x57a11); /* no row's address */
  int together = 0, alone = 0;
  for (int call = 0; call < 4 * calls; call++) {
    int32_t threads = mxlk_pace_threads(kernels, rows, products, 2);
    int64_t nanoseconds = threads == 1 ? 1700000 : 1000000;
    /* In the first half two threads take 1 ms and one call in 61 takes 61. */
    if (call < 2 * calls && threads == 2 && call % period == 0) nanoseconds *= period;
    mxlk_pace_learn(kernels, rows, products, threads, -1, nanoseconds);
    alone += call >= calls && call < 2 * calls && threads == 1;
    together += call >= 3 * calls && threads == 2;
  }
  return alone > calls / 2 && together > calls * 9 / 10;
}

int check_pace_of_ways(int faster) {
  enum { rows = 1, products = 1 << 26, threads = 2, calls = 4096 };
  const uint64_t kernels = UINT64_C(0x5dee1) + (uint64_t)faster; /* no row's address */
  int chosen = 0;
  crowd();
  for (int call = 0; call < 2 * calls; call++) {
    int way = mxlk_pace_way(kernels, rows, products, threads);
    mxlk_pace_learn(kernels, rows, products, threads, way, way == faster ? 1000000 : 1100000);
    chosen += call >= calls && way == faster;
  }
  /* The other way is tried now and then. */
  return chosen > calls * 9 / 10 && chosen < calls;
}

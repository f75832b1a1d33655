/* The only file with OpenMP. A target attribute does not reach the outlined body of a region, so regions here call
 * functions and do nothing else. docs/PERFORMANCE.md, "In a host process", has the measurements behind the waiting. */
#define _GNU_SOURCE
#include "parallel.h"

#include "kernels.h"
#include "seats.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>
#ifdef __linux__
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

/* From the OpenMP runtime; omp.h is not on every compiler's path, and kmp_ is LLVM's and Intel's alone. */
int omp_get_thread_num(void);
int omp_get_num_threads(void);
int kmp_get_blocktime(void) __attribute__((weak));
void kmp_set_blocktime(int milliseconds) __attribute__((weak));

/* The runtime lets a worker spin for whole milliseconds or not at all. One that spins takes a CPU from the host's own
 * threads; one that sleeps costs the next region 15 to 40 us. So workers spin when the calls of a host thread have come
 * this close together this many times in a row: the layers of a model, with nothing between them that has threads. */
#define CLOSE_NANOSECONDS 30000
#define CLOSE_CALLS 16
/* How long the threads of a region spin for each other; whoever is waited for may need this CPU, so then they let others have it, and sleep in the
 * end: who sleeps is woken late, and perhaps on the CPU of whoever wakes it. */
#define SPIN_NANOSECONDS 20000
#define YIELD_NANOSECONDS 500000

/* The floating point control word of the calling thread. */
#if defined(__x86_64__) || defined(__SSE__)
typedef uint32_t control_word;
#define CONTROL_DEFAULT 0x1F80u /* all exceptions masked, round to nearest, no FTZ, no DAZ */
static inline control_word control_read(void) { return __builtin_ia32_stmxcsr(); }
static inline void control_write(control_word word) { __builtin_ia32_ldmxcsr(word); }
#elif defined(__aarch64__)
typedef uint64_t control_word;
#define CONTROL_DEFAULT 0u
static inline control_word control_read(void) {
  control_word word;
  __asm__ volatile("mrs %0, fpcr" : "=r"(word));
  return word;
}
static inline void control_write(control_word word) { __asm__ volatile("msr fpcr, %0" : : "r"(word)); }
#else
typedef int control_word;
#define CONTROL_DEFAULT 0
static inline control_word control_read(void) { return 0; }
static inline void control_write(control_word word) { (void)word; }
#endif

/* 0 until somebody asked or set it. */
static _Atomic int32_t budget;
/* Threads that run a body now, in the whole process. */
static _Atomic int32_t running;

int32_t mxlk_threads(void) {
  int32_t threads = atomic_load_explicit(&budget, memory_order_relaxed);
  if (threads != 0) return threads;
  threads = mxlk_default_threads();
  int32_t expected = 0;
  return atomic_compare_exchange_strong(&budget, &expected, threads) ? threads : expected;
}

void mxlk_set_threads(int32_t threads) { atomic_store(&budget, threads < 1 ? 1 : threads); }

/* Whether a region may be opened: 0 not yet known, 1 yes, 2 no, it would end the process (runtimes.c). */
static _Atomic int32_t openable;

/* In a child process the threads that were running are gone, and the runtime begins anew. */
static void after_fork(void) {
  atomic_store(&running, 0);
  atomic_store(&openable, 0);
}
static void watch_forks(void) { pthread_atfork(NULL, NULL, after_fork); }

/* Takes up to `wanted` threads from the budget: at least one, the caller's own. */
static int32_t budget_take(int32_t wanted) {
  int32_t limit = mxlk_threads();
  int32_t now = atomic_load_explicit(&running, memory_order_relaxed);
  for (;;) {
    int32_t granted = limit - now < wanted ? limit - now : wanted;
    if (granted < 1) granted = 1;
    if (atomic_compare_exchange_weak_explicit(&running, &now, now + granted, memory_order_relaxed,
                                              memory_order_relaxed))
      return granted;
  }
}

static void budget_return(int32_t granted) { atomic_fetch_sub_explicit(&running, granted, memory_order_relaxed); }

/* Whether this thread runs a body now: a plugin's function may ask for threads inside one, and regions are never nested. */
static _Thread_local int32_t in_body;

/* One thread's part. Not inlined: the compiler must not move the body's arithmetic across the control word. The
 * exception flags that the body raises live in the same word, so they end here, too. */
__attribute__((noinline)) static void run_body(mxlk_body body, void *context, const mxlk_team *team) {
  control_word before = control_read();
  control_write(CONTROL_DEFAULT);
  int32_t outer = in_body;
  in_body = 1;
  body(context, team);
  in_body = outer;
  control_write(before);
}

int64_t mxlk_nanoseconds(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

static inline void relax(void) {
#if defined(__x86_64__)
  for (int i = 0; i < 8; i++) __builtin_ia32_pause();
#elif defined(__aarch64__)
  for (int i = 0; i < 8; i++) __asm__ volatile("yield");
#endif
}

/* A number that threads wait for, alone in its cache line. */
typedef struct counter {
  _Alignas(64) _Atomic int32_t value;
  _Atomic int32_t sleepers;
} counter;

struct mxlk_meeting {
  counter round;           /* how many barriers the team has passed */
  counter workers_done;    /* how many workers have returned from the body */
  _Atomic int32_t arrived; /* threads at the next barrier */
  _Atomic int32_t late;    /* 1: a worker began late */
  int64_t begin;
  mxlk_seats seats;
};

/* Returns when the counter's value is no longer `value`. */
static void wait_while(counter *counter, int32_t value) {
  const int64_t begin = mxlk_nanoseconds();
  for (int64_t waited = 0; waited < YIELD_NANOSECONDS; waited = mxlk_nanoseconds() - begin) {
    if (waited >= SPIN_NANOSECONDS) sched_yield();
    for (int i = 0; i < 4; i++) {
      if (atomic_load_explicit(&counter->value, memory_order_acquire) != value) return;
      relax();
    }
  }
  atomic_fetch_add(&counter->sleepers, 1);
  while (atomic_load(&counter->value) == value) {
#ifdef __linux__
    syscall(SYS_futex, &counter->value, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
#else
    sched_yield();
#endif
  }
  atomic_fetch_sub(&counter->sleepers, 1);
}

/* After a change of its value. The team's region has not ended, so the meeting is there. */
static void wake_sleepers(counter *counter) {
#ifdef __linux__
  if (atomic_load(&counter->sleepers) != 0)
    syscall(SYS_futex, &counter->value, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
#else
  (void)counter;
#endif
}

void mxlk_barrier(const mxlk_team *team) {
  struct mxlk_meeting *meeting = team->meeting;
  if (meeting == NULL) return;
  int32_t round = atomic_load_explicit(&meeting->round.value, memory_order_relaxed);
  if (atomic_fetch_add(&meeting->arrived, 1) + 1 < team->count) {
    wait_while(&meeting->round, round);
    return;
  }
  atomic_store_explicit(&meeting->arrived, 0, memory_order_relaxed);
  atomic_store(&meeting->round.value, round + 1);
  wake_sleepers(&meeting->round);
}

static void set_blocktime(int milliseconds) {
  if (kmp_set_blocktime != NULL) kmp_set_blocktime(milliseconds);
}

/* One thread of a region. The caller's thread waits for the others here and not in the runtime, which without a
 * blocktime would put it to sleep at once, and with one would spin for all of it. */
static void run_member(mxlk_body body, void *context, const mxlk_team *team) {
  struct mxlk_meeting *meeting = team->meeting;
  if (team->thread != 0 && mxlk_nanoseconds() - meeting->begin >= SPIN_NANOSECONDS)
    atomic_store_explicit(&meeting->late, 1, memory_order_relaxed);
  if (team->thread != 0) mxlk_take_seat(&meeting->seats);
  run_body(body, context, team);
  if (team->thread != 0) {
    atomic_fetch_add(&meeting->workers_done.value, 1);
    wake_sleepers(&meeting->workers_done);
    return;
  }
  int32_t done;
  while ((done = atomic_load_explicit(&meeting->workers_done.value, memory_order_acquire)) < team->count - 1)
    wait_while(&meeting->workers_done, done);
  /* The runtime's own meeting at the end of the region is a matter of nanoseconds now. */
  set_blocktime(1);
}

static void run_team(int32_t threads, mxlk_body body, void *context) {
  static _Thread_local int64_t last_end;
  static _Thread_local int32_t close_calls;
  struct mxlk_meeting meeting = {.begin = mxlk_nanoseconds()};
  mxlk_take_seat(&meeting.seats);
  if (meeting.begin - last_end >= CLOSE_NANOSECONDS) close_calls = 0;
  const int spin = close_calls >= CLOSE_CALLS, spinning = close_calls > CLOSE_CALLS;
  /* The host may share the runtime with us: what it has set for its own regions comes back. */
  int before = kmp_get_blocktime != NULL ? kmp_get_blocktime() : 0;
  set_blocktime(spin);
#pragma omp parallel num_threads(threads)
  {
    mxlk_team team = {omp_get_thread_num(), omp_get_num_threads(), &meeting};
    run_member(body, context, &team);
  }
  if (kmp_get_blocktime != NULL) set_blocktime(before);
  /* A worker that the call before left spinning begins at once, unless somebody else, perhaps we, wanted its CPU: it had better sleep. */
  if (!spinning)
    close_calls++;
  else if (atomic_load_explicit(&meeting.late, memory_order_relaxed))
    close_calls = 0;
  last_end = mxlk_nanoseconds();
}

/* Asks once, before the first region of the process. */
static int may_open(void) {
  int32_t known = atomic_load_explicit(&openable, memory_order_relaxed);
  if (known == 0) {
    known = mxlk_other_runtime_runs() ? 2 : 1;
    atomic_store_explicit(&openable, known, memory_order_relaxed);
  }
  return known == 1;
}

void mxlk_parallel(int32_t threads, mxlk_body body, void *context) {
  static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
  if (in_body) {
    body(context, &(mxlk_team){0, 1, NULL});
    return;
  }
  /* Also before calls of one thread, which a fork may find running. */
  pthread_once(&fork_once, watch_forks);
  int32_t granted = budget_take(threads < 2 || may_open() ? threads : 1);
  if (granted > 1) {
    /* The runtime, too, must find nothing that traps. */
    control_word before = control_read();
    control_write(CONTROL_DEFAULT);
    run_team(granted, body, context);
    control_write(before);
  } else {
    mxlk_team alone = {0, 1, NULL};
    run_body(body, context, &alone);
  }
  budget_return(granted);
}

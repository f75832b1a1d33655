/* The only file with OpenMP. A target attribute does not reach the outlined body of a region, so regions here call
 * functions and do nothing else. */
#include "parallel.h"

#include "kernels.h"

#include <pthread.h>
#include <stdatomic.h>

/* From the OpenMP runtime; omp.h is not on every compiler's path, and kmp_ is LLVM's and Intel's alone. */
int omp_get_thread_num(void);
int omp_get_num_threads(void);
void kmp_set_blocktime(int milliseconds) __attribute__((weak));

/* How long a worker spins for the next region before it sleeps, milliseconds. Long enough for the gap between two
 * layers of one model, short enough that the host program's own threads get the CPUs back. */
#define BLOCKTIME 1

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

/* In a child process the threads that were running are gone. */
static void after_fork(void) { atomic_store(&running, 0); }
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
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

/* One thread's part. Not inlined: the compiler must not move the body's arithmetic across the control word. The
 * exception flags that the body raises live in the same word, so they end here, too. */
__attribute__((noinline)) static void run_body(mxlk_body body, void *context, const mxlk_team *team) {
  control_word before = control_read();
  control_write(CONTROL_DEFAULT);
  body(context, team);
  control_write(before);
}

static void run_team(int32_t threads, mxlk_body body, void *context) {
  static _Thread_local int blocktime_set;
  if (!blocktime_set) {
    blocktime_set = 1;
    pthread_once(&fork_once, watch_forks);
    if (kmp_set_blocktime) kmp_set_blocktime(BLOCKTIME);
  }
#pragma omp parallel num_threads(threads)
  {
    mxlk_team team = {omp_get_thread_num(), omp_get_num_threads()};
    run_body(body, context, &team);
  }
}

void mxlk_parallel(int32_t threads, mxlk_body body, void *context) {
  int32_t granted = budget_take(threads);
  if (granted > 1) {
    /* The runtime, too, must find nothing that traps. */
    control_word before = control_read();
    control_write(CONTROL_DEFAULT);
    run_team(granted, body, context);
    control_write(before);
  } else {
    mxlk_team alone = {0, 1};
    run_body(body, context, &alone);
  }
  budget_return(granted);
}

void mxlk_barrier(const mxlk_team *team) {
  /* Alone there may be a region of the host program around us, whose barrier this must not be. */
  if (team->count == 1) return;
#pragma omp barrier
}

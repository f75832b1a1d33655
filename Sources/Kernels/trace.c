/* The one place of the library that writes to where a host program's user looks, and only when that user asks for it. */
#define _GNU_SOURCE
#include "trace.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

_Atomic int32_t mxlk_trace_state;

int mxlk_trace_read(void) {
  const char *value = getenv("MAXLINEAR_VERBOSE");
  int on = value != NULL && value[0] != 0 && !(value[0] == '0' && value[1] == 0);
  atomic_store_explicit(&mxlk_trace_state, on ? 2 : 1, memory_order_relaxed);
  return on;
}

/* Standard error may be a pipe whose reader is gone: that must not end the host. Then nobody wants the lines any more. */
static void write_line(const char *line, size_t length) {
  sigset_t pipe_signal, before;
  sigemptyset(&pipe_signal);
  sigaddset(&pipe_signal, SIGPIPE);
  if (pthread_sigmask(SIG_BLOCK, &pipe_signal, &before) != 0) return;
  if (write(STDERR_FILENO, line, length) < 0 && errno == EPIPE) {
    atomic_store_explicit(&mxlk_trace_state, 1, memory_order_relaxed);
#ifdef __linux__
    /* Takes back the signal of this write; one that the host had blocked stays its own matter. */
    if (!sigismember(&before, SIGPIPE)) sigtimedwait(&pipe_signal, NULL, &(struct timespec){0, 0});
#endif
  }
  pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void mxlk_trace(const char *operation, const char *kernel, int64_t m, int64_t k, int64_t n, int32_t threads,
                int64_t nanoseconds) {
  int host_errno = errno;
  char rows[32] = "", outputs[32] = "", line[640];
  if (m != 0) snprintf(rows, sizeof rows, " M=%lld", (long long)m);
  if (n != 0) snprintf(outputs, sizeof outputs, " N=%lld", (long long)n);
  /* Thousandths in integers: the caller's floating point environment may trap. */
  int length =
      snprintf(line, sizeof line, "maxlinear: %s %s%s K=%lld%s threads=%d us=%lld.%03d\n", operation, kernel, rows,
               (long long)k, outputs, (int)threads, (long long)(nanoseconds / 1000), (int)(nanoseconds % 1000));
  if (length > 0) {
    size_t bytes = (size_t)length < sizeof line ? (size_t)length : sizeof line - 1;
    line[bytes - 1] = '\n';
    write_line(line, bytes);
  }
  errno = host_errno;
}

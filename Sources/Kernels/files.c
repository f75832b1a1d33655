/* The lock of the list of mapped files. A child process finds it free after fork, and the list whole: the thread that forks waits for whoever has it. */
#include "kernels.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void mxlk_files_unlock(void) { pthread_mutex_unlock(&lock); }

static void hold(void) { pthread_mutex_lock(&lock); }
static void watch_forks(void) { pthread_atfork(hold, mxlk_files_unlock, mxlk_files_unlock); }

void mxlk_files_lock(void) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, watch_forks);
  hold();
}

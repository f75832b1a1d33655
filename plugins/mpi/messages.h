/* What ranks send each other, and how they wait for it. For mpi.c alone. */
#ifndef MAXLINEAR_PLUGINS_MPI_MESSAGES_H
#define MAXLINEAR_PLUGINS_MPI_MESSAGES_H

#include <maxlinear/plugin.h>

#include <mpi.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TAG_DATA = 1, TAG_END = 2 };

#define MOST_MESSAGE ((size_t)1 << 30) /* MPI counts in int */
#define SPIN_SECONDS 0.02              /* how long to poll without sleeping */
#define END_SECONDS 1.0                /* how long a rank that ends tries to say so */

/* What a rank that cannot go on sends the others. */
typedef struct last_words {
  char text[504];
} last_words;

typedef struct communicator {
  MPI_Comm comm; /* a duplicate: the host's messages never meet these */
  int rank, size;
  int failed;
  /* Messages go through memory of this communicator, which it keeps after a failure: late ones may still be written to it. */
  char *memory;
  size_t capacity;
  MPI_Request *requests; /* receives from each rank, then sends to each */
  int *indices;
  MPI_Status *statuses;
  last_words words;
} communicator;

/* Whether a communicator of this process has failed. */
static atomic_int any_failed;

/* Communicators are independent, and threads may call several at once, but MPI_THREAD_SERIALIZED takes one thread at a time. Held while MPI is
 * called, not while a rank waits: else two threads would wait for each other's ranks. */
static pthread_mutex_t mpi_lock = PTHREAD_MUTEX_INITIALIZER;
static void hold(void) { pthread_mutex_lock(&mpi_lock); }
static void let_go(void) { pthread_mutex_unlock(&mpi_lock); }

/* Bytes that go to a rank or come from one. */
typedef struct part {
  char *data;
  size_t bytes;
} part;

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static mxl_status fail(mxl_error *error, mxl_status status, const char *text) {
  size_t header = offsetof(mxl_error, message);
  if (error != NULL && error->struct_size > header) {
    error->status = status;
    snprintf(error->message, error->struct_size - header, "mpi: %s", text);
  }
  return status;
}

static mxl_status fail_with(mxl_error *error, const char *call, int code) {
  char reason[MPI_MAX_ERROR_STRING + 1] = "", text[MPI_MAX_ERROR_STRING + 64];
  int length = 0;
  MPI_Error_string(code, reason, &length);
  snprintf(text, sizeof text, "%s: %s", call, reason);
  return fail(error, MXL_COMMUNICATION, text);
}

static mxl_status no_memory(mxl_error *error) { return fail(error, MXL_OUT_OF_MEMORY, "cannot allocate messages"); }

/* Seconds that a rank waits, read anew for each wait. */
static double time_limit(void) {
  const char *text = getenv("MAXLINEAR_MPI_TIMEOUT");
  double seconds = text == NULL ? 0 : strtod(text, NULL);
  return seconds > 0 ? seconds : 120;
}

/* Between two looks at what has come. */
static void pause_since(double start) {
  if (now() - start < SPIN_SECONDS) {
    sched_yield();
  } else {
    nanosleep(&(struct timespec){.tv_nsec = 100000}, NULL);
  }
}

/* The ranks whose messages are missing, as a text. */
static void list_missing(const communicator *c, char *text, size_t capacity) {
  size_t used = 0;
  int listed = 0, missing = 0;
  for (int r = 0; r < c->size; r++) missing += c->requests[r] != MPI_REQUEST_NULL;
  text[0] = 0;
  for (int r = 0; r < c->size && used < capacity && listed < 16; r++) {
    if (c->requests[r] == MPI_REQUEST_NULL) continue;
    int length = snprintf(text + used, capacity - used, "%s%d", listed++ ? ", " : missing > 1 ? "ranks " : "rank ", r);
    used += length > 0 ? (size_t)length : 0;
  }
  if (missing > listed && used < capacity) snprintf(text + used, capacity - used, " and %d more", missing - listed);
}

/* Whether another rank has said that it cannot go on; then why. */
static int has_ended(communicator *c, mxl_error *error, mxl_status *status) {
  int there = 0;
  MPI_Status from;
  if (MPI_Iprobe(MPI_ANY_SOURCE, TAG_END, c->comm, &there, &from) != MPI_SUCCESS || !there) return 0;
  last_words words = {{0}};
  MPI_Recv(&words, (int)sizeof words, MPI_BYTE, from.MPI_SOURCE, TAG_END, c->comm, MPI_STATUS_IGNORE);
  words.text[sizeof words.text - 1] = 0;
  char text[600];
  snprintf(text, sizeof text, "rank %d has ended the communicator: %s", from.MPI_SOURCE, words.text);
  *status = fail(error, MXL_COMMUNICATION, text);
  return 1;
}

/* MPI_Finalize calls this first. With a rank that is gone it would never return: then it is an error of the whole job. */
static int at_finalize(MPI_Comm comm, int key, void *value, void *state) {
  (void)comm, (void)key, (void)value, (void)state;
  return MPI_Abort(MPI_COMM_WORLD, 1);
}

static void expect_no_finalize(void) {
  static int key = MPI_KEYVAL_INVALID;
  if (key == MPI_KEYVAL_INVALID &&
      MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, at_finalize, &key, NULL) == MPI_SUCCESS)
    MPI_Comm_set_attr(MPI_COMM_SELF, key, NULL);
}

/* The error of a request that MPI_Testsome says has failed. */
static mxl_status request_error(communicator *c, const char *call, int code, int done, mxl_error *error) {
  if (code == MPI_ERR_IN_STATUS && done != MPI_UNDEFINED)
    for (int i = 0; i < done; i++)
      if (c->statuses[i].MPI_ERROR != MPI_SUCCESS) {
        char with[64];
        snprintf(with, sizeof with, "%s with rank %d", call, c->indices[i] % c->size);
        return fail_with(error, with, c->statuses[i].MPI_ERROR);
      }
  return fail_with(error, call, code);
}

/* One look at the requests, under the lock. Whether they are complete or will not be; then *status. */
static int look(communicator *c, const char *call, int is_late, double limit, mxl_error *error, mxl_status *status) {
  int done = 0;
  do {
    int code = MPI_Testsome(2 * c->size, c->requests, &done, c->indices, c->statuses);
    if (code != MPI_SUCCESS) {
      *status = request_error(c, call, code, done, error);
      return 1;
    }
    if (done == MPI_UNDEFINED) { /* none is left */
      *status = MXL_OK;
      return 1;
    }
  } while (done > 0);
  if (has_ended(c, error, status)) return 1;
  if (!is_late) return 0;
  char missing[160], text[320];
  expect_no_finalize();
  list_missing(c, missing, sizeof missing);
  snprintf(text, sizeof text, "%s: %s did not come within %g seconds (MAXLINEAR_MPI_TIMEOUT)", call,
           missing[0] ? missing : "a rank that takes this one's message", limit);
  *status = fail(error, MXL_COMMUNICATION, text);
  return 1;
}

/* Completes the requests, or says who has not come. */
static mxl_status complete(communicator *c, const char *call, mxl_error *error) {
  double start = now(), limit = time_limit();
  mxl_status status = MXL_OK;
  for (;;) {
    int is_late = now() - start > limit;
    hold();
    int is_over = look(c, call, is_late, limit, error, &status);
    let_go();
    if (is_over) return status;
    pause_since(start);
  }
}

/* Begins one message from and to each rank at most, under the lock. */
static mxl_status begin_round(communicator *c, const char *call, const part *in, const part *out, size_t from,
                              mxl_error *error) {
  for (int i = 0; i < 2 * c->size; i++) c->requests[i] = MPI_REQUEST_NULL;
  int code = MPI_SUCCESS;
  /* Each begins with another rank, so that they do not all send to one. */
  for (int step = 1; step < 2 * c->size && code == MPI_SUCCESS; step++) {
    int receives = step < c->size, r = (c->rank + step) % c->size;
    if (r == c->rank) continue;
    const part *p = receives ? &in[r] : &out[r];
    if (p->bytes <= from) continue;
    size_t left = p->bytes - from;
    int bytes = (int)(left < MOST_MESSAGE ? left : MOST_MESSAGE);
    code = receives ? MPI_Irecv(p->data + from, bytes, MPI_BYTE, r, TAG_DATA, c->comm, &c->requests[r])
                    : MPI_Isend(p->data + from, bytes, MPI_BYTE, r, TAG_DATA, c->comm, &c->requests[c->size + r]);
  }
  return code == MPI_SUCCESS ? MXL_OK : fail_with(error, call, code);
}

static mxl_status exchange_round(communicator *c, const char *call, const part *in, const part *out, size_t from,
                                 mxl_error *error) {
  hold();
  mxl_status status = begin_round(c, call, in, out, from, error);
  let_go();
  return status == MXL_OK ? complete(c, call, error) : status;
}

/* Whether this thread may call MPI. */
static int is_callable(void) {
  int level = MPI_THREAD_MULTIPLE, is_main = 1;
  MPI_Query_thread(&level);
  if (level < MPI_THREAD_SERIALIZED) MPI_Is_thread_main(&is_main);
  return is_main;
}

static mxl_status check_thread(mxl_error *error) {
  if (!is_callable())
    return fail(error, MXL_UNSUPPORTED,
                "called by another thread than the one that initialized MPI, which needs MPI_THREAD_SERIALIZED");
  return MXL_OK;
}

static mxl_status check_usable(const communicator *c, mxl_error *error) {
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized) return fail(error, MXL_COMMUNICATION, "MPI is finalized");
  if (c->failed) return fail(error, MXL_COMMUNICATION, "an earlier call failed");
  return check_thread(error);
}

static int grow(communicator *c, size_t bytes) {
  if (bytes <= c->capacity) return 1;
  char *memory = realloc(c->memory, bytes);
  if (memory == NULL) return 0;
  c->memory = memory;
  c->capacity = bytes;
  return 1;
}

/* Sends out[r] to each rank r and receives in[r] from it; the own ones are not looked at. */
static mxl_status exchange(communicator *c, const char *call, part *in, part *out, mxl_error *error) {
  size_t most = 0;
  for (int r = 0; r < c->size; r++) {
    if (r == c->rank) continue;
    if (in[r].bytes > most) most = in[r].bytes;
    if (out[r].bytes > most) most = out[r].bytes;
  }
  mxl_status status = MXL_OK;
  for (size_t from = 0; status == MXL_OK && from < most; from += MOST_MESSAGE)
    status = exchange_round(c, call, in, out, from, error);
  if (status != MXL_OK) c->failed = any_failed = 1;
  return status;
}

#endif

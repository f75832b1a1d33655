/* A communicator over MPI. kind "mpi", native: an MPI_Comm *, NULL for MPI_COMM_WORLD.
 *
 * Parts go straight from each rank to each other one, in messages that are polled until a deadline: so it is known who has not come, and nothing
 * waits for ever. MAXLINEAR_MPI_TIMEOUT is the time, in seconds, that a rank waits for the others, read anew for each wait; 120 unless set. MPI is
 * initialized where the host has not, and then finalized when the process ends. Once a rank has not come in time, MPI_Finalize by the host ends
 * the job by MPI_Abort: it would wait for that rank. */
#define _POSIX_C_SOURCE 200809L
#include <maxlinear/plugin.h>

#include <fenv.h>
#include <mpi.h>
#include <sched.h>
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
static int any_failed;

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

/* Completes the requests, or says who has not come. */
static mxl_status complete(communicator *c, const char *call, mxl_error *error) {
  double start = now(), limit = time_limit();
  for (;;) {
    int done = 0;
    int code = MPI_Testsome(2 * c->size, c->requests, &done, c->indices, c->statuses);
    if (code != MPI_SUCCESS) {
      if (code == MPI_ERR_IN_STATUS && done != MPI_UNDEFINED)
        for (int i = 0; i < done; i++)
          if (c->statuses[i].MPI_ERROR != MPI_SUCCESS) {
            char with[64];
            snprintf(with, sizeof with, "%s with rank %d", call, c->indices[i] % c->size);
            return fail_with(error, with, c->statuses[i].MPI_ERROR);
          }
      return fail_with(error, call, code);
    }
    if (done == MPI_UNDEFINED) return MXL_OK; /* none is left */
    if (done > 0) continue;
    mxl_status status;
    if (has_ended(c, error, &status)) return status;
    if (now() - start > limit) {
      char missing[160], text[320];
      expect_no_finalize();
      list_missing(c, missing, sizeof missing);
      snprintf(text, sizeof text, "%s: %s did not come within %g seconds (MAXLINEAR_MPI_TIMEOUT)", call,
               missing[0] ? missing : "a rank that takes this one's message", limit);
      return fail(error, MXL_COMMUNICATION, text);
    }
    pause_since(start);
  }
}

/* One message from and to each rank at most. */
static mxl_status exchange_round(communicator *c, const char *call, const part *in, const part *out, size_t from,
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
  return code == MPI_SUCCESS ? complete(c, call, error) : fail_with(error, call, code);
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

static mxl_status allgather(void *self, const void *data, void *gathered, const size_t *bytes, const size_t *offsets,
                            mxl_error *error) {
  communicator *c = self;
  mxl_status status = check_usable(c, error);
  if (status != MXL_OK) return status;
  char *whole = gathered;
  if (data != NULL && bytes[c->rank] > 0) memcpy(whole + offsets[c->rank], data, bytes[c->rank]);
  size_t total = 0;
  for (int r = 0; r < c->size; r++) total += bytes[r];
  part *parts = malloc(2 * sizeof *parts * (size_t)c->size);
  if (parts == NULL || !grow(c, total)) {
    free(parts);
    return no_memory(error);
  }
  part *in = parts, *out = parts + c->size;
  char *at = c->memory;
  for (int r = 0; r < c->size; at += bytes[r++]) in[r] = (part){at, bytes[r]};
  part own = in[c->rank];
  if (own.bytes > 0) memcpy(own.data, whole + offsets[c->rank], own.bytes);
  for (int r = 0; r < c->size; r++) out[r] = own;
  status = exchange(c, "allgather", in, out, error);
  for (int r = 0; r < c->size && status == MXL_OK; r++)
    if (r != c->rank && bytes[r] > 0) memcpy(whole + offsets[r], in[r].data, bytes[r]);
  free(parts);
  return status;
}

static mxl_status barrier(void *self, mxl_error *error) {
  communicator *c = self;
  mxl_status status = check_usable(c, error);
  if (status != MXL_OK) return status;
  part *parts = malloc(2 * sizeof *parts * (size_t)c->size);
  if (parts == NULL || !grow(c, (size_t)c->size + 1)) {
    free(parts);
    return no_memory(error);
  }
  c->memory[c->size] = 0;
  for (int r = 0; r < c->size; r++) {
    parts[r] = (part){c->memory + r, 1};
    parts[c->size + r] = (part){c->memory + c->size, 1};
  }
  status = exchange(c, "barrier", parts, parts + c->size, error);
  free(parts);
  return status;
}

static mxl_status broadcast(void *self, void *data, size_t bytes, int32_t root, mxl_error *error) {
  communicator *c = self;
  mxl_status status = check_usable(c, error);
  if (status != MXL_OK) return status;
  if (root < 0 || root >= c->size) return fail(error, MXL_INVALID_ARGUMENT, "broadcast: root is no rank");
  if (bytes == 0) return MXL_OK;
  part *parts = calloc(2 * (size_t)c->size, sizeof *parts);
  if (parts == NULL || !grow(c, bytes)) {
    free(parts);
    return no_memory(error);
  }
  if (root == c->rank) {
    memcpy(c->memory, data, bytes);
    for (int r = 0; r < c->size; r++) parts[c->size + r] = (part){c->memory, bytes};
  } else {
    parts[root] = (part){c->memory, bytes};
  }
  status = exchange(c, "broadcast", parts, parts + c->size, error);
  if (status == MXL_OK && root != c->rank) memcpy(data, c->memory, bytes);
  free(parts);
  return status;
}

/* Each rank adds one slice of all ranks' values, in their order, then the slices are gathered. */
static mxl_status allreduce(void *self, int32_t dtype, void *values, size_t count, mxl_error *error) {
  communicator *c = self;
  mxl_status status = check_usable(c, error);
  if (status != MXL_OK) return status;
  if (dtype != MXL_FLOAT32) return fail(error, MXL_UNSUPPORTED, "allreduce: expected float32");
  size_t size = (size_t)c->size, slice = (count + size - 1) / size * sizeof(float), bytes = count * sizeof(float);
  size_t *places = malloc(2 * size * sizeof *places);
  part *parts = malloc(2 * size * sizeof *parts);
  if (places == NULL || parts == NULL || !grow(c, bytes + size * slice)) {
    free(places);
    free(parts);
    return no_memory(error);
  }
  size_t *lengths = places, *offsets = places + size;
  for (size_t r = 0; r < size; r++) {
    offsets[r] = r * slice < bytes ? r * slice : bytes;
    lengths[r] = bytes - offsets[r] < slice ? bytes - offsets[r] : slice;
  }
  char *slices = c->memory + bytes;
  memcpy(c->memory, values, bytes);
  for (size_t r = 0; r < size; r++) {
    parts[r] = (part){slices + r * slice, lengths[c->rank]};
    parts[size + r] = (part){c->memory + offsets[r], lengths[r]};
  }
  status = exchange(c, "allreduce", parts, parts + size, error);
  if (status == MXL_OK) {
    size_t own = lengths[c->rank] / sizeof(float);
    float *sums = (float *)(void *)((char *)values + offsets[c->rank]);
    memcpy(slices + (size_t)c->rank * slice, sums, lengths[c->rank]);
    fenv_t environment;
    fegetenv(&environment);
    fesetenv(FE_DFL_ENV);
    for (size_t i = 0; i < own; i++) {
      float sum, next;
      memcpy(&sum, slices + i * sizeof sum, sizeof sum);
      for (size_t r = 1; r < size; r++) {
        memcpy(&next, slices + r * slice + i * sizeof next, sizeof next);
        sum = sum + next;
      }
      memcpy((char *)sums + i * sizeof sum, &sum, sizeof sum);
    }
    fesetenv(&environment);
    status = allgather(c, NULL, values, lengths, offsets, error);
  }
  free(places);
  free(parts);
  return status;
}

static int32_t rank_of(void *self) { return ((communicator *)self)->rank; }
static int32_t size_of(void *self) { return ((communicator *)self)->size; }

/* Tells the other ranks, which look for this while they wait. MPI_Abort would end their programs without a word from them. */
static void end(void *self, const char *message) {
  communicator *c = self;
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized || c->size == 1) return;
  c->failed = any_failed = 1;
  if (!is_callable()) return; /* the others find out when their time is over */
  snprintf(c->words.text, sizeof c->words.text, "%s", message == NULL ? "" : message);
  for (int i = 0; i < 2 * c->size; i++) c->requests[i] = MPI_REQUEST_NULL;
  for (int r = 0; r < c->size; r++)
    if (r != c->rank)
      MPI_Isend(&c->words, (int)sizeof c->words, MPI_BYTE, r, TAG_END, c->comm, &c->requests[c->size + r]);
  int done = 0;
  for (double start = now(); !done && now() - start < END_SECONDS; pause_since(start))
    if (MPI_Testall(2 * c->size, c->requests, &done, c->statuses) != MPI_SUCCESS) return;
}

/* After a failure the messages and their memory stay: freeing would wait for ranks that are gone. They also stay where this thread may not
 * call MPI. */
static void destroy(void *self) {
  communicator *c = self;
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (c->failed || (!finalized && !is_callable())) return;
  if (!finalized) MPI_Comm_free(&c->comm);
  free(c->requests);
  free(c->indices);
  free(c->statuses);
  free(c->memory);
  free(c);
}

/* Where ranks are gone, finalizing would wait for them. */
static void finalize(void) {
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (!finalized && !any_failed) MPI_Finalize();
}

static mxl_status initialize(mxl_error *error) {
  int initialized = 0, level = 0;
  MPI_Initialized(&initialized);
  if (initialized) return MXL_OK;
  int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &level);
  if (code != MPI_SUCCESS) return fail_with(error, "MPI_Init_thread", code);
  atexit(finalize);
  return MXL_OK;
}

static mxl_status create(const mxl_communicator_kind *kind, const void *native, void **self, mxl_error *error) {
  (void)kind;
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized) return fail(error, MXL_COMMUNICATION, "MPI is finalized");
  mxl_status status = initialize(error);
  if (status == MXL_OK) status = check_thread(error);
  if (status != MXL_OK) return status;
  MPI_Comm parent = native == NULL ? MPI_COMM_WORLD : *(const MPI_Comm *)native;
  if (parent == MPI_COMM_NULL) return fail(error, MXL_INVALID_ARGUMENT, "native: is MPI_COMM_NULL");
  communicator *c = calloc(1, sizeof *c);
  if (c == NULL) return no_memory(error);
  MPI_Comm_rank(parent, &c->rank);
  MPI_Comm_size(parent, &c->size);
  c->requests = malloc(2 * sizeof *c->requests * (size_t)c->size);
  c->indices = malloc(2 * sizeof *c->indices * (size_t)c->size);
  c->statuses = malloc(2 * sizeof *c->statuses * (size_t)c->size);
  if (c->requests == NULL || c->indices == NULL || c->statuses == NULL) {
    c->failed = 1; /* the others wait in vain, until their time is over */
    return no_memory(error);
  }
  MPI_Request request;
  int done = 0, code = MPI_Comm_idup(parent, &c->comm, &request);
  double limit = time_limit();
  for (double start = now(); code == MPI_SUCCESS && !done; pause_since(start)) {
    code = MPI_Test(&request, &done, MPI_STATUS_IGNORE);
    if (code != MPI_SUCCESS || done || now() - start <= limit) continue;
    char text[128];
    snprintf(text, sizeof text, "create: not all of the %d ranks came within %g seconds (MAXLINEAR_MPI_TIMEOUT)",
             c->size, limit);
    any_failed = 1;
    expect_no_finalize();
    return fail(error, MXL_COMMUNICATION, text);
  }
  if (code != MPI_SUCCESS) {
    any_failed = 1;
    return fail_with(error, "MPI_Comm_idup", code);
  }
  MPI_Comm_set_errhandler(c->comm, MPI_ERRORS_RETURN);
  *self = c;
  return MXL_OK;
}

static const mxl_communicator_kind mpi = {
    .struct_size = sizeof(mxl_communicator_kind),
    .name = "mpi",
    .create = create,
    .destroy = destroy,
    .rank = rank_of,
    .size = size_of,
    .barrier = barrier,
    .broadcast = broadcast,
    .allgather = allgather,
    .allreduce = allreduce,
    .abort = end,
};
static const mxl_communicator_kind *const communicators[] = {&mpi};

static const mxl_plugin plugin = {
    .struct_size = sizeof(mxl_plugin),
    .abi_major = MXL_PLUGIN_ABI_MAJOR,
    .abi_minor = MXL_PLUGIN_ABI_MINOR,
    .name = "mpi",
    .communicators = communicators,
    .communicator_count = 1,
};

MXL_PLUGIN_EXPORT const mxl_plugin *mxl_plugin_entry(const mxl_host *host) {
  char library[MPI_MAX_LIBRARY_VERSION_STRING] = "", text[256];
  int length = 0;
  MPI_Get_library_version(library, &length);
  library[strcspn(library, "\n,")] = 0;
  snprintf(text, sizeof text, "%.200s", library);
  host->log(host, MXL_LOG_INFO, text);
  return &plugin;
}

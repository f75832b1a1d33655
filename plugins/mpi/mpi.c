/* A communicator over MPI. kind "mpi", native: an MPI_Comm *, NULL for MPI_COMM_WORLD.
 *
 * Parts go straight from each rank to each other one, in messages that are polled until a deadline: so it is known who has not come, and nothing
 * waits for ever. MAXLINEAR_MPI_TIMEOUT is the time, in seconds, that a rank waits for the others, read anew for each wait; 120 unless set. MPI is
 * initialized where the host has not, and then finalized when the process ends. Once a rank has not come in time, MPI_Finalize by the host ends
 * the job by MPI_Abort: it would wait for that rank. */
#define _POSIX_C_SOURCE 200809L
#include "messages.h"

#include <fenv.h>

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
  hold();
  for (int i = 0; i < 2 * c->size; i++) c->requests[i] = MPI_REQUEST_NULL;
  for (int r = 0; r < c->size; r++)
    if (r != c->rank)
      MPI_Isend(&c->words, (int)sizeof c->words, MPI_BYTE, r, TAG_END, c->comm, &c->requests[c->size + r]);
  let_go();
  int done = 0, code = MPI_SUCCESS;
  for (double start = now(); !done && code == MPI_SUCCESS && now() - start < END_SECONDS; pause_since(start)) {
    hold();
    code = MPI_Testall(2 * c->size, c->requests, &done, c->statuses);
    let_go();
  }
}

/* After a failure the messages and their memory stay: freeing would wait for ranks that are gone. They also stay where this thread may not
 * call MPI. */
static void destroy(void *self) {
  communicator *c = self;
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (c->failed || (!finalized && !is_callable())) return;
  hold();
  if (!finalized) MPI_Comm_free(&c->comm);
  let_go();
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

/* Begins to duplicate a communicator: all but waiting for the other ranks, under the lock. */
static mxl_status begin(const void *native, communicator **self, MPI_Request *request, mxl_error *error) {
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
  int code = MPI_Comm_idup(parent, &c->comm, request);
  if (code != MPI_SUCCESS) {
    any_failed = 1;
    return fail_with(error, "MPI_Comm_idup", code);
  }
  *self = c;
  return MXL_OK;
}

/* One look at whether all ranks have come, under the lock. */
static mxl_status look_at_create(communicator *c, MPI_Request *request, int *done, int is_late, double limit,
                                 mxl_error *error) {
  int code = MPI_Test(request, done, MPI_STATUS_IGNORE);
  if (code != MPI_SUCCESS) {
    any_failed = 1;
    return fail_with(error, "MPI_Comm_idup", code);
  }
  if (*done) {
    MPI_Comm_set_errhandler(c->comm, MPI_ERRORS_RETURN);
  } else if (is_late) {
    char text[128];
    snprintf(text, sizeof text, "create: not all of the %d ranks came within %g seconds (MAXLINEAR_MPI_TIMEOUT)",
             c->size, limit);
    any_failed = 1;
    expect_no_finalize();
    return fail(error, MXL_COMMUNICATION, text);
  }
  return MXL_OK;
}

static mxl_status create(const mxl_communicator_kind *kind, const void *native, void **self, mxl_error *error) {
  (void)kind;
  int finalized = 0, done = 0;
  MPI_Finalized(&finalized);
  if (finalized) return fail(error, MXL_COMMUNICATION, "MPI is finalized");
  communicator *c = NULL;
  MPI_Request request;
  hold();
  mxl_status status = begin(native, &c, &request, error);
  let_go();
  double start = now(), limit = time_limit();
  while (status == MXL_OK && !done) {
    int is_late = now() - start > limit;
    hold();
    status = look_at_create(c, &request, &done, is_late, limit, error);
    let_go();
    if (status == MXL_OK && !done) pause_since(start);
  }
  if (status == MXL_OK) *self = c;
  return status;
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

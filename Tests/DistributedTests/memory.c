/* A communicator for tests: ranks are processes that map one file. native: a text, "file rank size".
 *
 * MEMORY_TIMEOUT: seconds that a rank waits, 20 unless set. MEMORY_TAMPER, "call at value": what this rank sends in its allgather number `call` from 0
 * on has that byte at that place, so that it speaks as a rank of another library or checkpoint would. */
#define _POSIX_C_SOURCE 200809L
#include <maxlinear/plugin.h>

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MOST_RANKS = 16, SLOT = 4 << 20 };

typedef struct shared {
  atomic_long written[MOST_RANKS], read[MOST_RANKS]; /* collectives that the rank has written and read */
  atomic_int ended;                                  /* rank + 1 of one that cannot go on */
  char why[400];
  char slots[MOST_RANKS][SLOT];
} shared;

typedef struct communicator {
  shared *memory;
  int rank, size;
  long calls;
  long tamper_call, tamper_at, tamper_value;
} communicator;

static mxl_status fail(mxl_error *error, const char *text, int rank, const char *more) {
  if (error != NULL) snprintf(error->message, sizeof error->message, text, rank, more);
  return MXL_COMMUNICATION;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

/* Waits until every rank's count has come so far. */
static mxl_status wait_for(communicator *c, atomic_long *counts, long least, mxl_error *error) {
  const char *limit = getenv("MEMORY_TIMEOUT");
  double end = now() + (limit == NULL ? 20 : atof(limit));
  for (int r = 0; r < c->size; r++)
    while (atomic_load(&counts[r]) < least) {
      int ended = atomic_load(&c->memory->ended);
      if (ended != 0) return fail(error, "memory: rank %d has ended: %s", ended - 1, c->memory->why);
      if (now() > end) return fail(error, "memory: rank %d did not come in time%s", r, "");
      nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
    }
  return MXL_OK;
}

static mxl_status allgather(void *self, const void *data, void *gathered, const size_t *bytes, const size_t *offsets,
                            mxl_error *error) {
  communicator *c = self;
  shared *memory = c->memory;
  char *whole = gathered;
  long call = ++c->calls;
  if (bytes[c->rank] > SLOT) return fail(error, "memory: rank %d sends too much%s", c->rank, "");
  mxl_status status = wait_for(c, memory->read, call - 1, error);
  if (status != MXL_OK) return status;
  memcpy(memory->slots[c->rank], data != NULL ? data : whole + offsets[c->rank], bytes[c->rank]);
  if (c->tamper_call == call - 1) memory->slots[c->rank][c->tamper_at] = (char)c->tamper_value;
  atomic_store(&memory->written[c->rank], call);
  status = wait_for(c, memory->written, call, error);
  for (int r = 0; status == MXL_OK && r < c->size; r++) memcpy(whole + offsets[r], memory->slots[r], bytes[r]);
  atomic_store(&memory->read[c->rank], call);
  return status;
}

static mxl_status barrier(void *self, mxl_error *error) {
  size_t zeros[MOST_RANKS] = {0};
  return allgather(self, NULL, NULL, zeros, zeros, error);
}

static mxl_status broadcast(void *self, void *data, size_t bytes, int32_t root, mxl_error *error) {
  size_t parts[MOST_RANKS] = {0}, offsets[MOST_RANKS] = {0};
  parts[root] = bytes;
  return allgather(self, NULL, data, parts, offsets, error);
}

static void end(void *self, const char *message) {
  communicator *c = self;
  snprintf(c->memory->why, sizeof c->memory->why, "%s", message);
  atomic_store(&c->memory->ended, c->rank + 1);
}

static int32_t rank_of(void *self) { return ((communicator *)self)->rank; }
static int32_t size_of(void *self) { return ((communicator *)self)->size; }

static void destroy(void *self) {
  communicator *c = self;
  munmap(c->memory, sizeof *c->memory);
  free(c);
}

static mxl_status create(const mxl_communicator_kind *kind, const void *native, void **self, mxl_error *error) {
  (void)kind;
  char path[256];
  int rank, size;
  if (native == NULL || sscanf(native, "%255s %d %d", path, &rank, &size) != 3)
    return fail(error, "memory: rank %d of what?%s", -1, "");
  int file = open(path, O_RDWR | O_CREAT, 0600);
  if (file < 0 || ftruncate(file, sizeof(shared)) != 0)
    return fail(error, "memory: rank %d cannot open %s", rank, path);
  void *memory = mmap(NULL, sizeof(shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  communicator *c = calloc(1, sizeof *c);
  if (memory == MAP_FAILED || c == NULL) return fail(error, "memory: rank %d cannot map %s", rank, path);
  *c = (communicator){.memory = memory, .rank = rank, .size = size, .tamper_call = -1};
  const char *tamper = getenv("MEMORY_TAMPER");
  if (tamper != NULL) sscanf(tamper, "%ld %ld %ld", &c->tamper_call, &c->tamper_at, &c->tamper_value);
  *self = c;
  return MXL_OK;
}

static const mxl_communicator_kind kind = {
    .struct_size = sizeof(mxl_communicator_kind),
    .name = "memory",
    .create = create,
    .destroy = destroy,
    .rank = rank_of,
    .size = size_of,
    .barrier = barrier,
    .broadcast = broadcast,
    .allgather = allgather,
    .abort = end,
};
static const mxl_communicator_kind *const kinds[] = {&kind};

static const mxl_plugin plugin = {
    .struct_size = sizeof(mxl_plugin),
    .abi_major = MXL_PLUGIN_ABI_MAJOR,
    .abi_minor = MXL_PLUGIN_ABI_MINOR,
    .name = "memory",
    .communicators = kinds,
    .communicator_count = 1,
};

MXL_PLUGIN_EXPORT const mxl_plugin *mxl_plugin_entry(const mxl_host *host) {
  (void)host;
  return &plugin;
}

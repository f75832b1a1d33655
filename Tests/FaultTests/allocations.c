/* Each allocation of the library's fallible allocator fails once, in turn, in each step of each kind of layer: the call must return
 * MXL_OUT_OF_MEMORY and change nothing, and the same call must then succeed. An attempt is a process of its own, so that nothing is kept
 * from the one before it. Prints the number of failures of each step.
 *
 * The allocator is the one caller of posix_memalign in libmaxlinear.so that asks for whole cache lines; what this program defines takes the
 * place of the C library's. */
#define _GNU_SOURCE /* dladdr, memmem, RTLD_NEXT */
#include "layers.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Allocations until one fails; 0 for never. */
static _Atomic long countdown;
static _Atomic int failed;

static int is_the_library(const void *address) {
  Dl_info info;
  return dladdr(address, &info) != 0 && info.dli_fname != NULL && strstr(info.dli_fname, "libmaxlinear") != NULL;
}

int posix_memalign(void **memory, size_t alignment, size_t bytes) {
  typedef int allocator(void **, size_t, size_t);
  static allocator *_Atomic real;
  if (alignment >= 64 && countdown > 0 && is_the_library(__builtin_return_address(0)) && --countdown == 0) {
    failed = 1;
    return ENOMEM;
  }
  if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, "posix_memalign");
  return real(memory, alignment, bytes);
}

#define CHECK(condition)                                                                                          \
  do {                                                                                                            \
    if (!(condition)) {                                                                                           \
      fprintf(stderr, "%s, %s, allocation %ld: not so: %s (%s)\n", kind->name, step_names[step], nth, #condition, \
              error.message);                                                                                     \
      return WRONG;                                                                                               \
    }                                                                                                             \
  } while (0)

typedef enum step { CREATE, LOAD, PREPARE, FORWARD, ADD, REPLACE, READ_BACK, STEPS } step;
static const char *const step_names[] = {"create", "load", "prepare", "forward", "add", "replace", "read back"};
enum { INJECTED = 10, WRONG, NO_MORE };

/* Whether the state has these bytes under that name or, where the layer has parts of a tensor it was made from, anywhere. */
static int has(const state *expected, const mxl_entry *entry) {
  size_t bytes = (size_t)mxl_dtype_bits(entry->tensor.dtype) / 8;
  for (int i = 0; i < entry->tensor.rank; i++) bytes *= (size_t)entry->tensor.shape[i];
  for (size_t i = 0; i < expected->count; i++)
    if (strcmp(expected->entries[i].name, entry->name) == 0)
      return bytes == expected->bytes[i] && memcmp(entry->tensor.data, expected->entries[i].tensor.data, bytes) == 0;
  for (size_t i = 0; i < expected->count; i++)
    if (memmem(expected->entries[i].tensor.data, expected->bytes[i], entry->tensor.data, bytes) != NULL) return 1;
  return 0;
}

/* The state dict is that one, byte for byte; NULL: it has no data. */
static int holds(const mxl_layer *layer, const state *expected) {
  mxl_error error = MXL_ERROR_INIT;
  size_t count = 0;
  int same = mxl_layer_entry_count(layer, &count, &error) == MXL_OK && count > 0;
  size_t filled = 0;
  for (size_t i = 0; i < count && same; i++) {
    mxl_entry entry = {0};
    if (mxl_layer_entry(layer, i, &entry, &error) != MXL_OK) return 0;
    filled += entry.tensor.data != NULL;
    same = entry.tensor.data == NULL || (expected != NULL && has(expected, &entry));
    if (entry.release != NULL) entry.release(entry.owner);
  }
  return same && filled >= (expected == NULL ? 0 : expected->count);
}

static mxl_memory memory_of(const mxl_layer *layer) {
  mxl_memory memory = {.struct_size = sizeof memory};
  mxl_layer_memory(layer, &memory, NULL);
  return memory;
}

static int same_memory(mxl_memory a, mxl_memory b) {
  return a.packed == b.packed && a.source == b.source && a.mapped == b.mapped;
}

/* The step on the layer: of create, into *layer. */
static mxl_status take(step step, const kind *kind, mxl_layer **layer, const state *weights, const state *others,
                       results *ys, mxl_error *error) {
  mxl_entry entry = {0};
  mxl_status status = MXL_OK;
  switch (step) {
    case CREATE: return kind_create(kind, weights, layer, error);
    case LOAD: return kind_load(kind, *layer, weights, error);
    case PREPARE: return mxl_layer_prepare(*layer, NULL, error);
    case FORWARD: return kind_forward(kind, *layer, 2, ys, error);
    case ADD: return kind_add(kind, *layer, 2, ys, error);
    case REPLACE:
      return kind->is_created ? MXL_OK
                              : mxl_layer_load(*layer, others->entries, others->count, MXL_LOAD_REPLACE, error);
    default:
      status = mxl_layer_entry(*layer, 0, &entry, error);
      if (entry.release != NULL) entry.release(entry.owner);
      return status;
  }
}

static int attempt(const kind *kind, step step, long nth) {
  mxl_error error = MXL_ERROR_INIT;
  mxl_layer *const untouched = (mxl_layer *)&error;
  mxl_layer *layer = untouched;
  state weights, others;
  static results ys, unwritten, expected;
  /* Ordinary floats: what is added to a NaN shows nowhere. */
  memset(&ys, 0x3f, sizeof ys);
  memset(&expected, 0x3f, sizeof expected);
  memset(&unwritten, 0x3f, sizeof unwritten);
  state_fill(kind, 1, &weights);
  state_fill(kind, 2, &others);
  for (int before = CREATE; before < (int)step && before < FORWARD; before++)
    CHECK(take(before, kind, &layer, &weights, &others, &ys, &error) == MXL_OK);
  if (step > ADD) CHECK(take(FORWARD, kind, &layer, &weights, &others, &expected, &error) == MXL_OK);
  const mxl_memory before = step > CREATE ? memory_of(layer) : (mxl_memory){0};

  countdown = nth;
  mxl_status status = take(step, kind, &layer, &weights, &others, &ys, &error);
  countdown = 0;
  if (!failed) {
    CHECK(status == MXL_OK);
    return NO_MORE;
  }
  CHECK(status == MXL_OUT_OF_MEMORY && error.status == status && strlen(error.message) > 10);
  CHECK(memcmp(&ys, &unwritten, sizeof ys) == 0);
  if (step == CREATE) {
    CHECK(layer == untouched);
  } else {
    CHECK(same_memory(memory_of(layer), before));
    CHECK(holds(layer, step == LOAD ? NULL : &weights));
  }
  if (step == LOAD) CHECK(mxl_layer_prepare(layer, NULL, &error) == MXL_NOT_LOADED);
  if (step == PREPARE) CHECK(kind_forward(kind, layer, 1, &ys, &error) == MXL_NOT_PREPARED);
  if (step > ADD) {
    CHECK(kind_forward(kind, layer, 1, &ys, &error) == MXL_OK);
    CHECK(memcmp(&ys, &expected, sizeof ys) == 0);
  }

  for (int again = step; again <= (int)(step > FORWARD ? step : FORWARD); again++)
    CHECK(take(again, kind, &layer, &weights, &others, &ys, &error) == MXL_OK);
  CHECK(holds(layer, step == REPLACE ? &others : &weights));
  mxl_layer *twin = kind_make(kind, step == REPLACE ? &others : &weights);
  CHECK(kind_forward(kind, layer, 1, &ys, &error) == MXL_OK &&
        kind_forward(kind, twin, 1, &expected, &error) == MXL_OK);
  CHECK(memcmp(ys.y[0], expected.y[0], sizeof(float) * ROWS * HIDDEN) == 0);
  mxl_layer_destroy(twin);
  mxl_layer_destroy(layer);
  state_free(&weights);
  state_free(&others);
  return INJECTED;
}

int main(void) {
  int wrong = 0;
  for (size_t i = 0; i < kind_count; i++) {
    printf("%s:", kinds[i].name);
    for (int step = 0; step < STEPS; step++) {
      long nth = 0;
      int result = INJECTED;
      while (result == INJECTED) {
        nth++;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0) _exit(attempt(&kinds[i], step, nth));
        int status = 0;
        if (child < 0 || waitpid(child, &status, 0) != child) return perror("fork"), 2;
        result = WIFEXITED(status) ? WEXITSTATUS(status) : WRONG;
        if (WIFSIGNALED(status))
          fprintf(stderr, "%s, %s, allocation %ld: signal %d\n", kinds[i].name, step_names[step], nth,
                  WTERMSIG(status));
      }
      wrong += result != NO_MORE;
      printf(" %s %ld", step_names[step], nth - 1);
    }
    printf("\n");
  }
  return wrong != 0;
}

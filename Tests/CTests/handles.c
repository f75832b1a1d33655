/* Pointers that are no handles, to every function that takes one: MXL_INVALID_HANDLE and a message that says what came, never a look at what the
 * pointer points to. Run as `handles FILE.safetensors`. */
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#include "refusals.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

mxl_error failure;
int checks, failures;

enum { MANY = 3000, THREADS = 4, ROUNDS = 4000 };

static mxl_layer *new_layer(void) {
  mxl_linear_options options = {.struct_size = sizeof options, .dtype = MXL_FLOAT32, .in_dim = 2, .out_dim = 2};
  mxl_layer *layer = NULL;
  return mxl_linear_create(&options, &layer, NULL) == MXL_OK ? layer : NULL;
}

static int is_live(const mxl_layer *layer) {
  size_t count = 0;
  return mxl_layer_entry_count(layer, &count, NULL) == MXL_OK;
}

static void refused(const void *pointer, const char *came_as_layer, const char *came_as_weights) {
  mxl_layer *layer = (mxl_layer *)(uintptr_t)pointer, *made = NULL;
  mxl_weights *weights = (mxl_weights *)(uintptr_t)pointer;
  const mxl_layer *layers[] = {layer};
  size_t count = 0;
  int64_t begin = 0;
  mxl_entry entry = {0};
  const char *kernel = NULL;
  mxl_quantization quantization = {.struct_size = sizeof quantization};
  mxl_memory memory = {.struct_size = sizeof memory};
  float numbers[2] = {0};
  static const int64_t shape[] = {2};
  mxl_tensor x = tensor(numbers, 1, shape), y = x;
  char text[200];
#define SAYS(name, kind, came)                                                             \
  do {                                                                                     \
    snprintf(text, sizeof text, "%s: is %s, expected the handle of %s", name, came, kind); \
    CHECK(strcmp(failure.message, text) == 0);                                             \
  } while (0)
#define NO_LAYER(call) NO_LAYER_NAMED("layer", call)
#define NO_LAYER_NAMED(name, call)        \
  do {                                    \
    REFUSED(MXL_INVALID_HANDLE, call);    \
    SAYS(name, "a layer", came_as_layer); \
  } while (0)
#define NO_WEIGHTS(call)                              \
  do {                                                \
    REFUSED(MXL_INVALID_HANDLE, call);                \
    SAYS("weights", "a checkpoint", came_as_weights); \
  } while (0)
  NO_LAYER(mxl_layer_entry_count(layer, &count, error));
  NO_LAYER(mxl_layer_entry(layer, 0, &entry, error));
  NO_LAYER(mxl_layer_load(layer, &entry, 1, 0, error));
  NO_LAYER(mxl_layer_prepare(layer, NULL, error));
  NO_LAYER(mxl_layer_kernel(layer, &kernel, error));
  NO_LAYER(mxl_layer_forward(layer, NULL, &x, &y, error));
  NO_LAYER_NAMED("layers[0]", mxl_layers_forward(layers, 1, NULL, &x, &y, error));
  NO_LAYER(mxl_layer_forward_devices(layer, NULL, &x, &y, 1, error));
  NO_LAYER(mxl_layer_shard(layer, 0, &count, &begin, &begin, error));
  NO_LAYER(mxl_layer_memory(layer, &memory, error));
  NO_LAYER_NAMED("gate", mxl_mlp_create_from(layer, layer, layer, 0, &made, error));
  NO_WEIGHTS(mxl_weights_count(weights, &count, error));
  NO_WEIGHTS(mxl_weights_entry(weights, 0, &entry, error));
  NO_WEIGHTS(mxl_weights_find(weights, "weight", &entry, error));
  NO_WEIGHTS(mxl_weights_quantization(weights, &quantization, error));
  NO_WEIGHTS(mxl_weights_memory(weights, NULL, NULL, error));
  NO_WEIGHTS(mxl_mlp_create_from_weights(weights, 0, NULL, &made, error));
  mxl_layer *good = new_layer();
  NO_WEIGHTS(mxl_layer_load_weights(good, weights, NULL, 0, error));
  mxl_layer_destroy(good);
  mxl_layer_retain(layer);
  mxl_layer_destroy(layer);
  mxl_weights_destroy(weights);
  CHECK(made == NULL);
}

static void junk(void) {
  static uint64_t memory[64];
  refused(NULL, "NULL", "NULL");
  refused(memory, "no handle", "no handle");
  refused(&failures, "no handle", "no handle");
  refused((void *)(uintptr_t)1, "no handle", "no handle");
  refused((void *)(uintptr_t)-1, "no handle", "no handle");
  refused((void *)(uintptr_t)0xdeadbeefdeadbeef, "no handle", "no handle");
  /* A page that may not be read, and one that is not there. */
  char *page = mmap(NULL, 8192, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  CHECK(page != MAP_FAILED && munmap(page + 4096, 4096) == 0);
  refused(page, "no handle", "no handle");
  refused(page + 4096, "no handle", "no handle");
  munmap(page, 4096);
  /* Every single bit, and a live handle with any bit changed. */
  mxl_layer *layer = new_layer();
  for (int bit = 0; bit < 64; bit++) {
    CHECK(!is_live((mxl_layer *)(uintptr_t)(UINT64_C(1) << bit)));
    CHECK(!is_live((mxl_layer *)((uintptr_t)layer ^ UINT64_C(1) << bit)));
  }
  CHECK(is_live(layer));
  mxl_layer_destroy(layer);
}

static void swapped(const char *path) {
  const char *paths[] = {path};
  mxl_weights *weights = NULL;
  mxl_layer *layer = new_layer();
  ACCEPTED(mxl_weights_open(paths, 1, &weights, error));
  size_t count = 0;
  REFUSED(MXL_INVALID_HANDLE, mxl_layer_entry_count((mxl_layer *)weights, &count, error));
  CHECK(!strcmp(failure.message, "layer: is the handle of a checkpoint, expected the handle of a layer"));
  REFUSED(MXL_INVALID_HANDLE, mxl_weights_count((mxl_weights *)layer, &count, error));
  CHECK(!strcmp(failure.message, "weights: is the handle of a layer, expected the handle of a checkpoint"));
  /* Neither is destroyed by the other's function. */
  mxl_layer_destroy((mxl_layer *)weights);
  mxl_weights_destroy((mxl_weights *)layer);
  ACCEPTED(mxl_weights_count(weights, &count, error));
  CHECK(count == 1 && is_live(layer));
  mxl_weights_destroy(weights);
  mxl_layer_destroy(layer);
  refused(layer, "the handle of a layer that was destroyed", "no handle");
  refused(weights, "no handle", "the handle of a checkpoint that was destroyed");
  mxl_layer_destroy(layer);
  mxl_weights_destroy(weights);
}

/* A destroyed handle stays refused while its place is taken again and again, and no value comes twice. */
static void never_again(void) {
  static mxl_layer *gone[MANY], *live[MANY];
  for (int i = 0; i < MANY; i++) {
    gone[i] = new_layer();
    if (i % 3 == 0) mxl_layer_destroy(gone[i]);
  }
  for (int i = 0; i < MANY; i++)
    if (i % 3 != 0) mxl_layer_destroy(gone[i]);
  for (int i = 0; i < MANY; i++) live[i] = new_layer();
  int old = 0, lost = 0, same = 0;
  for (int i = 0; i < MANY; i++) {
    old += is_live(gone[i]);
    lost += !is_live(live[i]);
    for (int j = 0; j < MANY; j++) same += gone[i] == live[j] || (j > i && (gone[i] == gone[j] || live[i] == live[j]));
  }
  CHECK(old == 0 && lost == 0 && same == 0);
  for (int i = 0; i < MANY; i++) mxl_layer_destroy(live[i]);
}

static void owners(void) {
  mxl_layer *layer = new_layer();
  mxl_layer_retain(layer);
  mxl_layer_destroy(layer);
  CHECK(is_live(layer));
  mxl_layer_destroy(layer);
  CHECK(!is_live(layer));
  mxl_layer_destroy(layer);
  mxl_layer_retain(layer);
  CHECK(!is_live(layer));
}

/* Handles come and go on all threads while all look up one. */
static void *come_and_go(void *shared) {
  intptr_t bad = 0;
  for (int i = 0; i < ROUNDS; i++) {
    mxl_layer *layer = new_layer();
    bad += !is_live(layer) || !is_live(shared) || layer == shared;
    mxl_layer_destroy(layer);
    bad += is_live(layer);
  }
  return (void *)bad;
}

static void threads(void) {
  pthread_t running[THREADS];
  mxl_layer *shared = new_layer();
  for (int i = 0; i < THREADS; i++) CHECK(pthread_create(&running[i], NULL, come_and_go, shared) == 0);
  for (int i = 0; i < THREADS; i++) {
    void *bad = NULL;
    CHECK(pthread_join(running[i], &bad) == 0 && bad == NULL);
  }
  mxl_layer_destroy(shared);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  junk();
  swapped(argv[1]);
  never_again();
  owners();
  threads();
  printf("%d checks, %d failures\n", checks, failures);
  return failures != 0;
}

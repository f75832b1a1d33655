/* Two times that a caller feels: from dlopen to the first result in milliseconds, and one forward of in_dim = out_dim = 64
 * on one row in nanoseconds. Run as `timing LIBRARY`; prints both on one line. */
#define _GNU_SOURCE /* clock_gettime */
#include <maxlinear.h>

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SIZE = 64, ROUNDS = 40, CALLS = 5000 };

static double nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* The function of that name; copied because ISO C has no cast from an object's pointer to a function's. */
#define FUNCTION(name)                                            \
  __typeof__(&mxl_##name) name = NULL;                            \
  do {                                                            \
    void *found = dlsym(library, "mxl_" #name);                   \
    if (found == NULL) return fputs("no " #name "\n", stderr), 1; \
    memcpy(&name, &found, sizeof found);                          \
  } while (0)

int main(int argc, char **argv) {
  static float weight[SIZE * SIZE], x[SIZE], y[SIZE];
  static const int64_t weight_shape[] = {SIZE, SIZE}, row_shape[] = {1, SIZE};
  for (int i = 0; i < SIZE * SIZE; i++) weight[i] = (float)(i % 5);
  for (int i = 0; i < SIZE; i++) x[i] = 1;
  mxl_entry entry = {.name = "weight",
                     .tensor = {.data = weight, .dtype = MXL_FLOAT32, .rank = 2, .shape = weight_shape}};
  mxl_tensor in = {.data = x, .dtype = MXL_FLOAT32, .rank = 2, .shape = row_shape}, out = in;
  out.data = y;
  mxl_linear_options options = {.struct_size = sizeof options, .dtype = MXL_FLOAT32, .in_dim = SIZE, .out_dim = SIZE};
  mxl_layer *layer = NULL;
  mxl_error error = MXL_ERROR_INIT;
  if (argc != 2) return 2;

  double begin = nanoseconds();
  void *library = dlopen(argv[1], RTLD_NOW);
  if (library == NULL) return fprintf(stderr, "%s\n", dlerror()), 1;
  FUNCTION(linear_create);
  FUNCTION(layer_load);
  FUNCTION(layer_prepare);
  FUNCTION(layer_forward);
  if (linear_create(&options, &layer, &error) || layer_load(layer, &entry, 1, 0, &error) ||
      layer_prepare(layer, NULL, &error) || layer_forward(layer, NULL, &in, &out, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  double first = nanoseconds() - begin;
  /* Row n sums (64 n + k) % 5 over k: twelve whole periods of 10, and the first four terms of the next. */
  for (int n = 0; n < SIZE; n++)
    if (y[n] != 120 + (float)((4 * n) % 5 + (4 * n + 1) % 5 + (4 * n + 2) % 5 + (4 * n + 3) % 5)) return 3;

  double best = 1e30;
  for (int round = 0; round < ROUNDS; round++) {
    double start = nanoseconds();
    for (int call = 0; call < CALLS; call++)
      if (layer_forward(layer, NULL, &in, &out, &error)) return 1;
    double each = (nanoseconds() - start) / CALLS;
    if (each < best) best = each;
  }
  printf("%.3f %.0f\n", first * 1e-6, best);
  return 0;
}

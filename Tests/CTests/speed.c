/* speed: milliseconds from dlopen to the first result, then the least nanoseconds a forward of K = N = 64, M = 1. */
#define _POSIX_C_SOURCE 200809L
#include <maxlinear.h>

#include <dlfcn.h>
#include <stdio.h>
#include <time.h>

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* POSIX's way around C's rule that object pointers are no function pointers. */
#define LOAD(name)                      \
  __typeof__(name) *my_##name = NULL;   \
  *(void **)&my_##name = dlsym(library, #name)

int main(int count, char **arguments) {
  static float weight[64 * 64], x[64], y[64];
  const int64_t weight_shape[] = {64, 64}, shape[] = {64};
  double begin = now();
  void *library = dlopen(count == 2 ? arguments[1] : "libmaxlinear.so.0", RTLD_NOW);
  if (library == NULL) return printf("%s\n", dlerror()), 1;
  LOAD(mxl_linear_create);
  LOAD(mxl_layer_load);
  LOAD(mxl_layer_prepare);
  LOAD(mxl_layer_forward);
  mxl_error error = MXL_ERROR_INIT;
  mxl_layer *layer = NULL;
  mxl_linear_options options = {.struct_size = sizeof options, .dtype = MXL_FLOAT32, .in_dim = 64, .out_dim = 64};
  mxl_entry state = {.name = "weight", .tensor = {weight, MXL_FLOAT32, 2, {0, 0}, weight_shape, NULL}};
  mxl_tensor in = {x, MXL_FLOAT32, 1, {0, 0}, shape, NULL}, out = {y, MXL_FLOAT32, 1, {0, 0}, shape, NULL};
  if (my_mxl_linear_create(&options, &layer, &error) || my_mxl_layer_load(layer, &state, 1, 0, &error) ||
      my_mxl_layer_prepare(layer, NULL, &error) || my_mxl_layer_forward(layer, NULL, &in, &out, &error))
    return printf("%s\n", error.message), 1;
  double first = (now() - begin) / 1e6, least = 1e9;
  for (int repeat = 0; repeat < 20; repeat++) {
    begin = now();
    for (int i = 0; i < 10000; i++) my_mxl_layer_forward(layer, NULL, &in, &out, &error);
    double each = (now() - begin) / 10000;
    if (each < least) least = each;
  }
  printf("%.3f %.0f\n", first, least);
  return 0;
}

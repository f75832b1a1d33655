/* The gated MLP of a checkpoint's layer, GGUF, safetensors or GPTQ.  cc mlp.c $(pkg-config --cflags --libs maxlinear)
 *
 * mlp CHECKPOINT LAYER ROWS X Y [THREADS [DEVICES]]: reads ROWS rows of float32 from the file X, writes those of y to the file Y; divided
 * among DEVICES CPU devices, the y of each in turn. */
#include <maxlinear.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_DEVICES = 64 };

static mxl_tensor rows_of(float *values, const int64_t *shape) {
  return (mxl_tensor){.data = values, .dtype = MXL_FLOAT32, .rank = 2, .shape = shape};
}

static int run(char **arguments, FILE *x_file, FILE *y_file, int threads, int devices) {
  const char *checkpoint = arguments[1];
  long number = atol(arguments[2]), rows = atol(arguments[3]);
  mxl_error error = MXL_ERROR_INIT;
  mxl_weights *weights = NULL;
  mxl_layer *layer = NULL;
  mxl_device cpus[MOST_DEVICES];
  for (int i = 0; i < devices; i++) cpus[i] = (mxl_device){MXL_DEVICE_CPU, i};
  mxl_mlp_weights_options what = {
      .struct_size = sizeof what, .devices = cpus, .device_count = (size_t)devices, .distributed = devices > 0};
  if (mxl_weights_open(&checkpoint, 1, &weights, &error) ||
      mxl_mlp_create_from_weights(weights, number, &what, &layer, &error) || mxl_layer_prepare(layer, NULL, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  mxl_weights_destroy(weights);

  size_t results = devices > 0 ? (size_t)devices : 1;
  fseek(x_file, 0, SEEK_END);
  size_t bytes = (size_t)ftell(x_file);
  rewind(x_file);
  float *x = malloc(bytes), *y = malloc(bytes * results);
  if (x == NULL || y == NULL || fread(x, 1, bytes, x_file) != bytes) return fprintf(stderr, "cannot read x\n"), 1;
  int64_t shape[] = {rows, (int64_t)(bytes / sizeof *x) / rows};
  mxl_tensor xs[MOST_DEVICES], ys[MOST_DEVICES];
  for (size_t i = 0; i < results; i++) {
    xs[i] = rows_of(x, shape);
    ys[i] = rows_of(y + bytes / sizeof *y * i, shape);
  }
  mxl_run_options how = {.struct_size = sizeof how, .threads = threads};
  if (devices > 0 ? mxl_layer_forward_devices(layer, &how, xs, ys, results, &error)
                  : mxl_layer_forward(layer, &how, xs, ys, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  size_t written = fwrite(y, 1, bytes * results, y_file);
  mxl_layer_destroy(layer);
  free(x);
  free(y);
  return written != bytes * results;
}

int main(int argc, char **argv) {
  FILE *x = argc >= 6 ? fopen(argv[4], "rb") : NULL, *y = argc >= 6 ? fopen(argv[5], "wb") : NULL;
  int threads = argc > 6 ? atoi(argv[6]) : 0, devices = argc > 7 ? atoi(argv[7]) : 0;
  if (x == NULL || y == NULL || atol(argv[3]) < 1 || devices < 0 || devices > MOST_DEVICES)
    return fprintf(stderr, "usage: mlp CHECKPOINT LAYER ROWS X Y [THREADS [DEVICES]]\n"), 2;
  int failed = run(argv, x, y, threads, devices);
  fclose(x);
  return fclose(y) != 0 || failed;
}

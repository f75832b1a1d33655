/* The gated MLP of a checkpoint's layer, GGUF or safetensors.  cc mlp.c -lmaxlinear
 *
 * mlp CHECKPOINT LAYER ROWS X Y [THREADS]: reads ROWS rows of float32 from the file X, writes those of y to the file Y. */
#include <maxlinear.h>
#include <stdio.h>
#include <stdlib.h>

static int run(const char *checkpoint, long number, long rows, FILE *x_file, FILE *y_file, int threads) {
  mxl_error error = MXL_ERROR_INIT;
  mxl_weights *weights = NULL;
  mxl_layer *layer = NULL;
  if (mxl_weights_open(&checkpoint, 1, &weights, &error) ||
      mxl_mlp_create_from_weights(weights, number, NULL, &layer, &error) || mxl_layer_prepare(layer, NULL, &error))
    return fprintf(stderr, "%s\n", error.message), 1;
  mxl_weights_destroy(weights);

  fseek(x_file, 0, SEEK_END);
  size_t bytes = (size_t)ftell(x_file);
  rewind(x_file);
  float *x = malloc(bytes), *y = malloc(bytes);
  if (x == NULL || y == NULL || fread(x, 1, bytes, x_file) != bytes) return fprintf(stderr, "cannot read x\n"), 1;
  int64_t shape[] = {rows, (int64_t)(bytes / sizeof *x) / rows};
  mxl_tensor in = {.data = x, .dtype = MXL_FLOAT32, .rank = 2, .shape = shape};
  mxl_tensor out = {.data = y, .dtype = MXL_FLOAT32, .rank = 2, .shape = shape};
  mxl_run_options options = {.struct_size = sizeof options, .threads = threads};
  if (mxl_layer_forward(layer, &options, &in, &out, &error)) return fprintf(stderr, "%s\n", error.message), 1;
  size_t written = fwrite(y, 1, bytes, y_file);
  mxl_layer_destroy(layer);
  free(x);
  free(y);
  return written != bytes;
}

int main(int argc, char **argv) {
  FILE *x = argc >= 6 ? fopen(argv[4], "rb") : NULL, *y = argc >= 6 ? fopen(argv[5], "wb") : NULL;
  if (x == NULL || y == NULL || atol(argv[3]) < 1)
    return fprintf(stderr, "usage: mlp CHECKPOINT LAYER ROWS X Y [THREADS]\n"), 2;
  int failed = run(argv[1], atol(argv[2]), atol(argv[3]), x, y, argc > 6 ? atoi(argv[6]) : 0);
  fclose(x);
  return fclose(y) != 0 || failed;
}

/* The gated MLP of a checkpoint's layer, divided among the processes of an MPI program.  cc ranks.c $(pkg-config --cflags --libs maxlinear)
 *
 * mpirun -n 4 ranks CHECKPOINT LAYER ROWS X Y PLUGIN: reads ROWS rows of float32 from the file X; rank 0 writes those of y to the file Y. PLUGIN is
 * plugins/mpi, which initializes MPI: this program needs none of it. */
#include <maxlinear.h>
#include <stdio.h>
#include <stdlib.h>

static int fail(const mxl_error *error) {
  fprintf(stderr, "%s\n", error->message);
  return 1;
}

static float *read_floats(const char *path, long *count) {
  FILE *file = fopen(path, "rb");
  if (file == NULL || fseek(file, 0, SEEK_END) != 0) return NULL;
  *count = ftell(file) / (long)sizeof(float);
  rewind(file);
  float *values = *count > 0 ? malloc((size_t)*count * sizeof(float)) : NULL;
  if (values != NULL && fread(values, sizeof(float), (size_t)*count, file) != (size_t)*count) *count = 0;
  fclose(file);
  return values;
}

int main(int argc, char **argv) {
  if (argc != 7 || atol(argv[3]) < 1)
    return fprintf(stderr, "usage: mpirun -n N ranks CHECKPOINT LAYER ROWS X Y PLUGIN\n"), 2;
  const char *checkpoint = argv[1];
  mxl_error error = MXL_ERROR_INIT;
  mxl_communicator *communicator = NULL;
  mxl_weights *weights = NULL;
  mxl_layer *layer = NULL;
  int32_t rank = 0;
  if (mxl_plugin_load(argv[6], &error) || mxl_communicator_create("mpi", NULL, &communicator, &error) ||
      mxl_communicator_rank(communicator, &rank, NULL, &error))
    return fail(&error);
  mxl_mlp_weights_options options = {.struct_size = sizeof options, .distributed = 1, .communicator = communicator};
  if (mxl_weights_open(&checkpoint, 1, &weights, &error) ||
      mxl_mlp_create_from_weights(weights, atol(argv[2]), &options, &layer, &error)) {
    mxl_communicator_abort(communicator, error.message, NULL); /* or the others would wait for this rank */
    return fail(&error);
  }
  if (mxl_layer_prepare(layer, NULL, &error)) return fail(&error);
  mxl_weights_destroy(weights);

  long count = 0;
  float *x = read_floats(argv[4], &count), *y = malloc((size_t)(count > 0 ? count : 1) * sizeof *y);
  int64_t shape[] = {atol(argv[3]), count / atol(argv[3])};
  mxl_tensor in = {.data = x, .dtype = MXL_FLOAT32, .rank = 2, .shape = shape};
  mxl_tensor out = {.data = y, .dtype = MXL_FLOAT32, .rank = 2, .shape = shape};
  if (mxl_layer_forward(layer, NULL, &in, &out, &error)) return fail(&error);
  FILE *file = rank == 0 ? fopen(argv[5], "wb") : NULL;
  int written = rank != 0 || (file != NULL && fwrite(y, sizeof *y, (size_t)count, file) == (size_t)count);
  if (file != NULL) written &= fclose(file) == 0;
  mxl_layer_destroy(layer);
  mxl_communicator_destroy(communicator);
  free(x);
  free(y);
  return !written;
}

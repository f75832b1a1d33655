/* Three processes that share layers: client_ranks PLUGIN FILE, PLUGIN with a communicator "memory" whose ranks map FILE. */
#include <maxlinear.h>

#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SIZE = 3, HIDDEN = 40, FORWARD = 56, ROWS = 2 };

static float gate[FORWARD * HIDDEN], up[FORWARD * HIDDEN], down[HIDDEN * FORWARD], x[ROWS * HIDDEN];
static float y[ROWS * HIDDEN], expected[ROWS * HIDDEN];
static mxl_error error = MXL_ERROR_INIT;

#define CHECK(condition)                                                                              \
  do {                                                                                                \
    if (!(condition)) return fprintf(stderr, "%d: %s: %s\n", __LINE__, #condition, error.message), 1; \
  } while (0)

static void fill(float *values, int count, int seed) {
  for (int i = 0; i < count; i++) values[i] = (float)((i * 37 + seed * 11) % 64 - 32) / 64;
}

static mxl_tensor matrix(float *data, const int64_t *shape) {
  return (mxl_tensor){.data = data, .dtype = MXL_FLOAT32, .rank = 2, .shape = shape};
}

static int load(mxl_layer *layer) {
  static const int64_t wide[] = {FORWARD, HIDDEN}, tall[] = {HIDDEN, FORWARD};
  const mxl_entry state[] = {{.name = "gate_proj.weight", .tensor = matrix(gate, wide)},
                             {.name = "down_proj.weight", .tensor = matrix(down, tall)},
                             {.name = "up_proj.weight", .tensor = matrix(up, wide)}};
  return mxl_layer_load(layer, state, 3, MXL_LOAD_STRICT, &error) || mxl_layer_prepare(layer, NULL, &error);
}

static int run(const char *plugin, const char *file, int rank) {
  char native[512];
  snprintf(native, sizeof native, "%s %d %d", file, rank, SIZE);
  fill(gate, FORWARD * HIDDEN, 1), fill(up, FORWARD * HIDDEN, 2), fill(down, HIDDEN * FORWARD, 3);
  fill(x, ROWS * HIDDEN, 4);
  mxl_communicator *communicator = NULL;
  int32_t own = -1, size = -1;
  CHECK(mxl_plugin_load(plugin, &error) == MXL_OK);
  CHECK(mxl_communicator_create("memory", native, &communicator, &error) == MXL_OK);
  CHECK(mxl_communicator_rank(communicator, &own, &size, &error) == MXL_OK && own == rank && size == SIZE);
  CHECK(mxl_communicator_rank(communicator, NULL, NULL, &error) == MXL_OK);

  mxl_mlp_options options = {
      .struct_size = sizeof options, .dtype = MXL_FLOAT32, .hidden_dim = HIDDEN, .feed_forward_length = FORWARD};
  mxl_layer *one = NULL, *shared = NULL;
  CHECK(mxl_mlp_create(&options, &one, &error) == MXL_OK && load(one) == 0);
  options.communicator = communicator;
  CHECK(mxl_distributed_mlp_create(&options, &shared, &error) == MXL_OK && load(shared) == 0);
  const int64_t shape[] = {ROWS, HIDDEN};
  mxl_tensor in = matrix(x, shape), out = matrix(y, shape), reference = matrix(expected, shape);
  CHECK(mxl_layer_forward(one, NULL, &in, &reference, &error) == MXL_OK);
  CHECK(mxl_layer_forward(shared, NULL, &in, &out, &error) == MXL_OK);
  CHECK(memcmp(y, expected, sizeof y) == 0);
  memset(y, 0, sizeof y);
  CHECK(mxl_layer_forward_devices(shared, NULL, &in, &out, 1, &error) == MXL_OK);
  CHECK(memcmp(y, expected, sizeof y) == 0);
  mxl_run_options adding = {.struct_size = sizeof adding, .accumulate = 1};
  CHECK(mxl_layer_forward(shared, &adding, &in, &out, &error) == MXL_OK && y[0] == expected[0] + expected[0]);
  size_t count = 0;
  int64_t begin = -1, end = -1;
  CHECK(mxl_layer_shard(shared, (size_t)rank, &count, &begin, &end, &error) == MXL_OK);
  CHECK(count == SIZE && begin >= 0 && end > begin && end <= FORWARD && (rank < SIZE - 1 || end == FORWARD));

  /* One y fewer on one rank: it says what is wrong, the others that this rank cannot, and all go on. */
  out.shape = rank == 1 ? (const int64_t[]){ROWS - 1, HIDDEN} : shape;
  mxl_status status = mxl_layer_forward(shared, NULL, &in, &out, &error);
  CHECK(status == (rank == 1 ? MXL_INVALID_SHAPE : MXL_COMMUNICATION) && y[0] == expected[0] + expected[0]);
  CHECK(rank == 1 || strstr(error.message, "rank 1: y") != NULL);
  out.shape = shape;
  CHECK(mxl_layer_forward(shared, NULL, &in, &out, &error) == MXL_OK && memcmp(y, expected, sizeof y) == 0);

  /* The layer keeps the communicator. */
  if (rank != 2) mxl_communicator_destroy(communicator);
  if (rank == 2) CHECK(mxl_communicator_abort(communicator, "enough", &error) == MXL_OK);
  CHECK(mxl_layer_forward(shared, NULL, &in, &out, &error) == MXL_COMMUNICATION);
  CHECK(strstr(error.message, "rank 2") != NULL && strstr(error.message, "enough") != NULL);
  if (rank == 2) mxl_communicator_destroy(communicator);
  CHECK(mxl_communicator_rank(communicator, &own, &size, &error) == MXL_INVALID_HANDLE);
  mxl_communicator_destroy(NULL);
  mxl_layer_destroy(shared);
  mxl_layer_destroy(one);
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  int failed = 0;
  for (int rank = 0; rank < SIZE; rank++) {
    pid_t child = fork();
    if (child == 0) return run(argv[1], argv[2], rank);
    failed |= child < 0;
  }
  for (int status = 0; wait(&status) > 0;) failed |= status != 0;
  if (!failed) puts("all is well");
  return failed;
}

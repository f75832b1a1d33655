/* A plain C client: every exported function, used and misused. Prints what went wrong and exits 1, or prints "ok".
 *
 * client GOLDEN: the path of linear_v2.safetensors. */
#include <maxlinear.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

#define EXPECT(condition)                                           \
  do {                                                              \
    if (!(condition)) {                                             \
      printf("client.c:%d: %s\n", __LINE__, #condition);            \
      failures++;                                                   \
    }                                                               \
  } while (0)

static mxl_error error = MXL_ERROR_INIT;

/* The call fails with that status, and the message has that part. */
#define EXPECT_ERROR(call, expected, part)                                                       \
  do {                                                                                           \
    memset(error.message, 0, sizeof error.message);                                              \
    mxl_status came = (call);                                                                    \
    if (came != (expected) || error.status != (expected) || !strstr(error.message, part)) {      \
      printf("client.c:%d: %s came, \"%s\"\n", __LINE__, mxl_status_name(came), error.message);  \
      failures++;                                                                                \
    }                                                                                            \
  } while (0)

#define EXPECT_OK(call)                                                                          \
  do {                                                                                           \
    mxl_status came = (call);                                                                    \
    if (came != MXL_OK) {                                                                        \
      printf("client.c:%d: %s: %s\n", __LINE__, mxl_status_name(came), error.message);           \
      failures++;                                                                                \
    }                                                                                            \
  } while (0)

static float weight[] = {1, 2, 3, 4, 5, 6}, bias[] = {10, 20}, x[] = {1, 1, 1, 2, 2, 2};
static const int64_t weight_shape[] = {2, 3}, bias_shape[] = {2}, x_shape[] = {2, 3}, y_shape[] = {2, 2};

static mxl_tensor tensor(void *data, int32_t rank, const int64_t *shape) {
  mxl_tensor result = {.data = data, .dtype = MXL_FLOAT32, .rank = rank, .shape = shape};
  return result;
}

static mxl_entry entry(const char *name, float *data, int32_t rank, const int64_t *shape) {
  mxl_entry result = {.name = name, .tensor = tensor(data, rank, shape)};
  return result;
}

static mxl_linear_options options_of(int64_t in_dim, int64_t out_dim, int32_t has_bias) {
  mxl_linear_options options = {.struct_size = sizeof options, .dtype = MXL_FLOAT32};
  options.in_dim = in_dim;
  options.out_dim = out_dim;
  options.has_bias = has_bias;
  return options;
}

static mxl_layer *prepared_layer(void) {
  mxl_linear_options options = options_of(3, 2, 1);
  mxl_entry state[] = {entry("weight", weight, 2, weight_shape), entry("bias", bias, 1, bias_shape)};
  mxl_layer *layer = NULL;
  EXPECT_OK(mxl_linear_create(&options, &layer, &error));
  EXPECT_OK(mxl_layer_load(layer, state, 2, MXL_LOAD_STRICT, &error));
  EXPECT_OK(mxl_layer_prepare(layer, NULL, &error));
  return layer;
}

static void check_names(void) {
  EXPECT(mxl_version() == (MXL_VERSION_MAJOR << 16 | MXL_VERSION_MINOR << 8 | MXL_VERSION_PATCH));
  EXPECT(mxl_abi_version() == MXL_ABI_VERSION);
  EXPECT(strcmp(mxl_status_name(MXL_INVALID_SHAPE), "MXL_INVALID_SHAPE") == 0);
  EXPECT(strcmp(mxl_status_name((mxl_status)12345), "MXL_UNKNOWN") == 0);
  EXPECT(strcmp(mxl_dtype_name(MXL_BFLOAT16), "bfloat16") == 0 && strcmp(mxl_dtype_name(-1), "unknown") == 0);
  EXPECT(mxl_dtype_bits(MXL_FLOAT32) == 32 && mxl_dtype_bits(MXL_FLOAT4_E2M1) == 4 && mxl_dtype_bits(99) == 0);
}

static void check_forward(void) {
  mxl_layer *layer = prepared_layer();
  float y[4] = {0};
  mxl_tensor in = tensor(x, 2, x_shape), out = tensor(y, 2, y_shape);
  EXPECT_OK(mxl_layer_forward(layer, NULL, &in, &out, &error));
  EXPECT(y[0] == 16 && y[1] == 35 && y[2] == 22 && y[3] == 50);
  mxl_run_options run = {sizeof run, 1, 1};
  EXPECT_OK(mxl_layer_forward(layer, &run, &in, &out, NULL));
  EXPECT(y[0] == 32 && y[3] == 100);
  char bytes[6 * 4 + 1], results[4 * 4 + 1]; /* not aligned to floats */
  memcpy(bytes + 1, x, sizeof x);
  in.data = bytes + 1;
  out.data = results + 1;
  EXPECT_OK(mxl_layer_forward(layer, NULL, &in, &out, &error));
  memcpy(y, results + 1, sizeof y);
  EXPECT(y[0] == 16 && y[3] == 50);
  const char *name = NULL;
  EXPECT_OK(mxl_layer_kernel(layer, &name, &error));
  EXPECT(name != NULL && strstr(name, "mxlk_linear_f32"));
  mxl_memory memory = {.struct_size = sizeof memory};
  EXPECT_OK(mxl_layer_memory(layer, &memory, &error));
  EXPECT(memory.packed >= sizeof weight + sizeof bias);
  mxl_layer_retain(layer);
  mxl_layer_destroy(layer);
  EXPECT_OK(mxl_layer_kernel(layer, &name, &error));
  mxl_layer_destroy(layer);
}

static int released;
static void release(void *owner) { released += *(int *)owner; }

static void check_state_dict(void) {
  int one = 1;
  mxl_linear_options options = options_of(3, 2, 1);
  options.name = "lin";
  mxl_layer *layer = NULL;
  EXPECT_OK(mxl_linear_create(&options, &layer, &error));
  size_t count = 0;
  EXPECT_OK(mxl_layer_entry_count(layer, &count, &error));
  EXPECT(count == 2);
  mxl_entry got;
  EXPECT_OK(mxl_layer_entry(layer, 0, &got, &error));
  EXPECT(strcmp(got.name, "lin.weight") == 0 && got.tensor.data == NULL && got.tensor.shape[1] == 3);
  if (got.release) got.release(got.owner);
  mxl_entry state[] = {entry("lin.weight", weight, 2, weight_shape), entry("lin.bias", bias, 1, bias_shape)};
  state[0].storage = state[1].storage = MXL_STORAGE_BORROW;
  state[0].release = state[1].release = release;
  state[0].owner = state[1].owner = &one;
  EXPECT_ERROR(mxl_layer_load(layer, state, 1, 0, &error), MXL_MISSING_KEY, "lin.bias");
  EXPECT(released == 0);
  EXPECT_OK(mxl_layer_load(layer, state, 2, 0, &error));
  EXPECT(released == 0);
  EXPECT_OK(mxl_layer_prepare(layer, NULL, &error));
  EXPECT(released == 2);
  EXPECT_OK(mxl_layer_entry(layer, 0, &got, &error));
  EXPECT(memcmp(got.tensor.data, weight, sizeof weight) == 0);
  if (got.release) got.release(got.owner);
  EXPECT_ERROR(mxl_layer_entry(layer, 2, &got, &error), MXL_INVALID_ARGUMENT, "index");
  EXPECT_ERROR(mxl_layer_load(layer, state, 2, 0, &error), MXL_ALREADY_PREPARED, "prepare");
  EXPECT(released == 2);
  EXPECT_OK(mxl_layer_load(layer, state, 2, MXL_LOAD_REPLACE, &error));
  EXPECT(released == 4);
  EXPECT_ERROR(mxl_layer_load(layer, state, 2, 64, &error), MXL_INVALID_ARGUMENT, "flags");
  mxl_layer_destroy(layer);
}

static void check_from_tensors(void) {
  mxl_entry w = entry("w", weight, 2, weight_shape), b = entry("b", bias, 1, bias_shape);
  mxl_linear_v1_options options = {.struct_size = sizeof options, .weight = &w, .bias = &b};
  mxl_layer *layer = NULL;
  EXPECT_OK(mxl_linear_v1_create(&options, &layer, &error));
  EXPECT_OK(mxl_layer_prepare(layer, NULL, &error));
  mxl_layer_destroy(layer);
  options.in_features = 3;
  options.out_features = 4;
  EXPECT_ERROR(mxl_linear_v1_create(&options, &layer, &error), MXL_INVALID_SHAPE, "in_features");
  options.in_features = options.out_features = 0;
  options.dtype = MXL_FLOAT16;
  EXPECT_ERROR(mxl_linear_v1_create(&options, &layer, &error), MXL_INVALID_DTYPE, "float16");
}

static void check_weights(const char *path) {
  mxl_weights *weights = NULL;
  EXPECT_OK(mxl_weights_open(&path, 1, &weights, &error));
  size_t count = 0;
  EXPECT_OK(mxl_weights_count(weights, &count, &error));
  EXPECT(count == 3);
  mxl_entry first, found;
  EXPECT_OK(mxl_weights_entry(weights, 0, &first, &error));
  EXPECT_ERROR(mxl_weights_entry(weights, 3, &first, &error), MXL_INVALID_ARGUMENT, "index");
  EXPECT_OK(mxl_weights_find(weights, "weight", &found, &error));
  EXPECT(found.storage == MXL_STORAGE_MAP && found.tensor.dtype == MXL_FLOAT32 && found.tensor.rank == 2);
  EXPECT_ERROR(mxl_weights_find(weights, "wait", &found, &error), MXL_MISSING_KEY, "weight");
  uint64_t mapped = 0, resident = 0;
  EXPECT_OK(mxl_weights_memory(weights, &mapped, &resident, &error));
  EXPECT(mapped > 0 && resident > 0);
  EXPECT_OK(mxl_weights_memory(weights, NULL, NULL, &error));
  int64_t out_dim = found.tensor.shape[0], in_dim = found.tensor.shape[1];
  mxl_linear_options options = options_of(in_dim, out_dim, 0);
  mxl_layer *layer = NULL;
  EXPECT_OK(mxl_linear_create(&options, &layer, &error));
  EXPECT_ERROR(mxl_layer_load_weights(layer, weights, "model.", 0, &error), MXL_MISSING_KEY, "model.weight");
  EXPECT_OK(mxl_layer_load_weights(layer, weights, NULL, 0, &error));
  mxl_entry golden_x, golden_y;
  EXPECT_OK(mxl_weights_find(weights, "x", &golden_x, &error));
  EXPECT_OK(mxl_weights_find(weights, "y", &golden_y, &error));
  EXPECT_OK(mxl_layer_prepare(layer, NULL, &error));
  int64_t shape[] = {golden_x.tensor.shape[0], out_dim};
  float *y = malloc((size_t)(shape[0] * out_dim) * sizeof *y);
  mxl_tensor out = tensor(y, 2, shape);
  EXPECT_OK(mxl_layer_forward(layer, NULL, &golden_x.tensor, &out, &error));
  double difference = 0, norm = 0;
  for (int64_t i = 0; i < shape[0] * out_dim; i++) {
    double expected = ((float *)golden_y.tensor.data)[i];
    difference += (y[i] - expected) * (y[i] - expected);
    norm += expected * expected;
  }
  EXPECT(norm > 0 && sqrt(difference / norm) < 2e-6);
  free(y);
  mxl_weights_destroy(weights);
  mxl_layer_destroy(layer);
  const char *missing = "/nowhere/at/all.safetensors";
  EXPECT_ERROR(mxl_weights_open(&missing, 1, &weights, &error), MXL_IO, missing);
  EXPECT_ERROR(mxl_weights_open(&missing, 0, &weights, &error), MXL_INVALID_ARGUMENT, "");
}

/* Each pointer NULL in turn: a status, never a crash; and NULL for the error. */
static void check_null(const char *path) {
  mxl_layer *layer = prepared_layer(), *made = NULL;
  mxl_weights *weights = NULL;
  EXPECT_OK(mxl_weights_open(&path, 1, &weights, &error));
  mxl_linear_options options = options_of(3, 2, 0);
  mxl_linear_v1_options v1 = {.struct_size = sizeof v1};
  mxl_entry state = entry("weight", weight, 2, weight_shape);
  float y[4];
  mxl_tensor in = tensor(x, 2, x_shape), out = tensor(y, 2, y_shape), none = tensor(NULL, 2, x_shape);
  mxl_tensor shapeless = tensor(x, 2, NULL);
  const char *null_path = NULL;
  size_t count;
  EXPECT_ERROR(mxl_linear_create(NULL, &made, &error), MXL_INVALID_ARGUMENT, "options");
  EXPECT_ERROR(mxl_linear_create(&options, NULL, &error), MXL_INVALID_ARGUMENT, "layer");
  EXPECT_ERROR(mxl_linear_v1_create(NULL, &made, &error), MXL_INVALID_ARGUMENT, "options");
  EXPECT_ERROR(mxl_linear_v1_create(&v1, &made, &error), MXL_INVALID_ARGUMENT, "weight");
  EXPECT_ERROR(mxl_layer_entry_count(NULL, &count, &error), MXL_INVALID_HANDLE, "layer");
  EXPECT_ERROR(mxl_layer_entry_count(layer, NULL, &error), MXL_INVALID_ARGUMENT, "count");
  EXPECT_ERROR(mxl_layer_entry(NULL, 0, &state, &error), MXL_INVALID_HANDLE, "layer");
  EXPECT_ERROR(mxl_layer_entry(layer, 0, NULL, &error), MXL_INVALID_ARGUMENT, "entry");
  EXPECT_ERROR(mxl_layer_load(NULL, &state, 1, 0, &error), MXL_INVALID_HANDLE, "layer");
  EXPECT_ERROR(mxl_layer_load(layer, NULL, 1, MXL_LOAD_REPLACE, &error), MXL_INVALID_ARGUMENT, "entries");
  state.name = NULL;
  EXPECT_ERROR(mxl_layer_load(layer, &state, 1, MXL_LOAD_REPLACE, &error), MXL_INVALID_ARGUMENT, "name");
  EXPECT_ERROR(mxl_layer_load_weights(NULL, weights, NULL, 0, &error), MXL_INVALID_HANDLE, "layer");
  EXPECT_ERROR(mxl_layer_load_weights(layer, NULL, NULL, 0, &error), MXL_INVALID_HANDLE, "weights");
  EXPECT_ERROR(mxl_layer_prepare(NULL, NULL, &error), MXL_INVALID_HANDLE, "layer");
  EXPECT_ERROR(mxl_layer_kernel(layer, NULL, &error), MXL_INVALID_ARGUMENT, "name");
  EXPECT_ERROR(mxl_layer_forward(NULL, NULL, &in, &out, &error), MXL_INVALID_HANDLE, "layer");
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, NULL, &out, &error), MXL_INVALID_ARGUMENT, "x");
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &in, NULL, &error), MXL_INVALID_ARGUMENT, "y");
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &none, &out, &error), MXL_INVALID_ARGUMENT, "x");
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &shapeless, &out, &error), MXL_INVALID_ARGUMENT, "x");
  EXPECT_ERROR(mxl_layer_memory(layer, NULL, &error), MXL_INVALID_ARGUMENT, "memory");
  EXPECT_ERROR(mxl_weights_open(NULL, 1, &weights, &error), MXL_INVALID_ARGUMENT, "paths");
  EXPECT_ERROR(mxl_weights_open(&null_path, 1, &weights, &error), MXL_INVALID_ARGUMENT, "paths");
  EXPECT_ERROR(mxl_weights_open(&path, 1, NULL, &error), MXL_INVALID_ARGUMENT, "weights");
  EXPECT_ERROR(mxl_weights_count(NULL, &count, &error), MXL_INVALID_HANDLE, "weights");
  EXPECT_ERROR(mxl_weights_count(weights, NULL, &error), MXL_INVALID_ARGUMENT, "count");
  EXPECT_ERROR(mxl_weights_entry(weights, 0, NULL, &error), MXL_INVALID_ARGUMENT, "entry");
  EXPECT_ERROR(mxl_weights_find(weights, NULL, &state, &error), MXL_INVALID_ARGUMENT, "name");
  EXPECT_ERROR(mxl_weights_find(weights, "x", NULL, &error), MXL_INVALID_ARGUMENT, "entry");
  EXPECT_ERROR(mxl_weights_memory(NULL, NULL, NULL, &error), MXL_INVALID_HANDLE, "weights");
  EXPECT_ERROR(mxl_info(NULL, 10, &count, &error), MXL_INVALID_ARGUMENT, "text");
  EXPECT(mxl_linear_create(NULL, NULL, NULL) == MXL_INVALID_ARGUMENT);
  EXPECT(mxl_layer_forward(NULL, NULL, NULL, NULL, NULL) == MXL_INVALID_HANDLE);
  mxl_layer_retain(NULL);
  mxl_layer_destroy(NULL);
  mxl_weights_destroy(NULL);
  mxl_weights_destroy(weights);
  mxl_layer_destroy(layer);
}

/* Memory that is readable but no handle of that type. */
static void check_junk_handles(const char *path) {
  static uint64_t junk[8] = {1, 2, 3, 4, 5, 6, 7, 8};
  const char *name;
  EXPECT_ERROR(mxl_layer_kernel((mxl_layer *)(void *)junk, &name, &error), MXL_INVALID_HANDLE, "layer");
  mxl_layer_retain((mxl_layer *)(void *)junk);
  mxl_layer_destroy((mxl_layer *)(void *)junk);
  size_t count;
  EXPECT_ERROR(mxl_weights_count((mxl_weights *)(void *)junk, &count, &error), MXL_INVALID_HANDLE, "weights");
  mxl_weights_destroy((mxl_weights *)(void *)junk);
  mxl_weights *weights = NULL;
  EXPECT_OK(mxl_weights_open(&path, 1, &weights, &error));
  EXPECT_ERROR(mxl_layer_kernel((mxl_layer *)(void *)weights, &name, &error), MXL_INVALID_HANDLE, "layer");
  mxl_weights_destroy(weights);
}

static void check_options(void) {
  mxl_layer *layer = NULL;
  mxl_linear_options good = options_of(3, 2, 0), options = good;
  options.struct_size = 8;
  EXPECT_ERROR(mxl_linear_create(&options, &layer, &error), MXL_INVALID_ARGUMENT, "struct_size");
  struct {
    mxl_linear_options known;
    char tail[64];
  } newer = {good, {1}};
  newer.known.struct_size = sizeof newer;
  EXPECT_OK(mxl_linear_create(&newer.known, &layer, &error));
  mxl_layer_destroy(layer);
  layer = NULL;
  const struct {
    int64_t in_dim, out_dim;
    mxl_status status;
  } shapes[] = {{0, 2, MXL_INVALID_SHAPE},
                {-1, 2, MXL_INVALID_SHAPE},
                {3, 0, MXL_INVALID_SHAPE},
                {INT64_MAX, INT64_MAX, MXL_INVALID_SHAPE},
                {INT64_C(1) << 32, INT64_C(1) << 32, MXL_INVALID_SHAPE}};
  for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
    options = options_of(shapes[i].in_dim, shapes[i].out_dim, 0);
    EXPECT_ERROR(mxl_linear_create(&options, &layer, &error), shapes[i].status, "");
  }
  options = good, options.dtype = 77;
  EXPECT_ERROR(mxl_linear_create(&options, &layer, &error), MXL_INVALID_DTYPE, "dtype");
  options = good, options.dtype = MXL_INT64;
  EXPECT_ERROR(mxl_linear_create(&options, &layer, &error), MXL_UNSUPPORTED, "int64");
  options = good, options.has_bias = 2;
  EXPECT_ERROR(mxl_linear_create(&options, &layer, &error), MXL_INVALID_ARGUMENT, "has_bias");
  options = good, options.device.type = MXL_DEVICE_CUDA;
  EXPECT_ERROR(mxl_linear_create(&options, &layer, &error), MXL_NO_DEVICE, "device");
  options = good, options.encoding = "nonsense";
  EXPECT_ERROR(mxl_linear_create(&options, &layer, &error), MXL_UNSUPPORTED, "nonsense");
  options = good, options.name = "\xff";
  EXPECT_ERROR(mxl_linear_create(&options, &layer, &error), MXL_INVALID_ARGUMENT, "name");
  float clips[] = {0, -1, INFINITY, NAN};
  for (int i = 0; i < 4; i++) {
    options = good, options.clip_weight = &clips[i];
    EXPECT_ERROR(mxl_linear_create(&options, &layer, &error), MXL_INVALID_ARGUMENT, "clip_weight");
  }
  EXPECT(layer == NULL);
}

static void check_tensors(void) {
  mxl_layer *layer = prepared_layer();
  float y[4] = {7, 7, 7, 7};
  mxl_tensor good_x = tensor(x, 2, x_shape), good_y = tensor(y, 2, y_shape), in, out;
  const int64_t wrong[] = {2, 4}, negative[] = {-2, 3}, huge[] = {INT64_MAX / 2, 3}, far[] = {INT64_MAX / 2, 1};
  const int64_t gaps[] = {6, 2}, zero[] = {0, 1};
  in = good_x, in.shape = wrong;
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &in, &good_y, &error), MXL_INVALID_SHAPE,
               "x: last dimension is 4, expected in_dim = 3");
  in = good_x, in.shape = negative;
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &in, &good_y, &error), MXL_INVALID_SHAPE, "x");
  in = good_x, in.shape = huge;
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &in, &good_y, &error), MXL_INVALID_SHAPE, "x");
  in = good_x, in.strides = far;
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &in, &good_y, &error), MXL_INVALID_SHAPE, "x");
  in = good_x, in.strides = gaps;
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &in, &good_y, &error), MXL_INVALID_SHAPE, "stride");
  in = good_x, in.rank = 17;
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &in, &good_y, &error), MXL_INVALID_SHAPE, "rank");
  in = good_x, in.rank = -1;
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &in, &good_y, &error), MXL_INVALID_SHAPE, "rank");
  in = good_x, in.rank = 0;
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &in, &good_y, &error), MXL_INVALID_SHAPE, "rank");
  in = good_x, in.dtype = MXL_INT32;
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &in, &good_y, &error), MXL_INVALID_DTYPE, "int32");
  in = good_x, in.dtype = 1234;
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &in, &good_y, &error), MXL_INVALID_DTYPE, "dtype");
  in = good_x, in.device.type = MXL_DEVICE_CUDA;
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &in, &good_y, &error), MXL_NO_DEVICE, "x");
  out = good_y, out.shape = x_shape;
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &good_x, &out, &error), MXL_INVALID_SHAPE, "y");
  out = good_y, out.strides = zero;
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &good_x, &out, &error), MXL_INVALID_SHAPE, "y");
  out = good_y, out.data = x;
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &good_x, &out, &error), MXL_INVALID_ARGUMENT, "y");
  mxl_run_options run = {sizeof run, -1, 0};
  EXPECT_ERROR(mxl_layer_forward(layer, &run, &good_x, &good_y, &error), MXL_INVALID_ARGUMENT, "threads");
  run.threads = 0, run.accumulate = 2;
  EXPECT_ERROR(mxl_layer_forward(layer, &run, &good_x, &good_y, &error), MXL_INVALID_ARGUMENT, "accumulate");
  run.struct_size = 4;
  EXPECT_ERROR(mxl_layer_forward(layer, &run, &good_x, &good_y, &error), MXL_INVALID_ARGUMENT, "struct_size");
  EXPECT(y[0] == 7 && y[3] == 7);
  mxl_layer_destroy(layer);
}

static void check_prepare(void) {
  mxl_linear_options options = options_of(3, 2, 0);
  mxl_layer *layer = NULL;
  mxl_entry state = entry("weight", weight, 2, weight_shape);
  float y[4];
  mxl_tensor in = tensor(x, 2, x_shape), out = tensor(y, 2, y_shape);
  EXPECT_OK(mxl_linear_create(&options, &layer, &error));
  EXPECT_ERROR(mxl_layer_prepare(layer, NULL, &error), MXL_NOT_LOADED, "weight");
  EXPECT(mxl_layer_forward(layer, NULL, &in, &out, &error) == MXL_NOT_PREPARED);
  EXPECT_OK(mxl_layer_load(layer, &state, 1, 0, &error));
  EXPECT_ERROR(mxl_layer_forward(layer, NULL, &in, &out, &error), MXL_NOT_PREPARED, "prepare");
  mxl_prepare_options prepare = {sizeof prepare, 99, 0, 0};
  EXPECT_ERROR(mxl_layer_prepare(layer, &prepare, &error), MXL_INVALID_ARGUMENT, "compute");
  prepare.compute = MXL_COMPUTE_INT8;
  EXPECT_ERROR(mxl_layer_prepare(layer, &prepare, &error), MXL_UNSUPPORTED, "int8");
  prepare.compute = 0, prepare.pack = 9;
  EXPECT_ERROR(mxl_layer_prepare(layer, &prepare, &error), MXL_INVALID_ARGUMENT, "pack");
  prepare.pack = MXL_PACK_NEVER;
  EXPECT_OK(mxl_layer_prepare(layer, &prepare, &error));
  EXPECT_OK(mxl_layer_prepare(layer, &prepare, &error));
  EXPECT_ERROR(mxl_layer_prepare(layer, NULL, &error), MXL_ALREADY_PREPARED, "prepared");
  EXPECT_OK(mxl_layer_forward(layer, NULL, &in, &out, &error));
  EXPECT(y[0] == 6 && y[3] == 30);
  mxl_layer_destroy(layer);
}

static void check_short_errors(void) {
  struct {
    uint32_t struct_size;
    mxl_status status;
    char message[24];
  } small = {16, MXL_OK, "untouched untouched"};
  mxl_layer *layer = NULL;
  EXPECT(mxl_linear_create(NULL, &layer, (mxl_error *)(void *)&small) == MXL_INVALID_ARGUMENT);
  EXPECT(small.status == MXL_INVALID_ARGUMENT && strlen(small.message) < 8);
  EXPECT(strcmp(small.message + 8, "d untouched") == 0);
  small.struct_size = 4;
  small.status = MXL_OK;
  EXPECT(mxl_linear_create(NULL, &layer, (mxl_error *)(void *)&small) == MXL_INVALID_ARGUMENT);
  EXPECT(small.status == MXL_OK);
}

static void check_threads_and_info(void) {
  int32_t before = mxl_threads();
  EXPECT(before >= 1);
  EXPECT_OK(mxl_set_threads(3, &error));
  EXPECT(mxl_threads() == 3);
  EXPECT_ERROR(mxl_set_threads(0, &error), MXL_INVALID_ARGUMENT, "threads");
  EXPECT_ERROR(mxl_set_threads(1025, &error), MXL_INVALID_ARGUMENT, "threads");
  EXPECT_OK(mxl_set_threads(before, &error));
  size_t length = 0;
  EXPECT_OK(mxl_info(NULL, 0, &length, &error));
  char *text = malloc(length + 1);
  EXPECT_ERROR(mxl_info(text, length, &length, &error), MXL_INVALID_ARGUMENT, "capacity");
  EXPECT_OK(mxl_info(text, length + 1, &length, &error));
  EXPECT(strlen(text) == length && text[0] == '{' && strstr(text, "\"F32\""));
  free(text);
}

int main(int count, char **arguments) {
  if (count != 2) return printf("usage: client GOLDEN\n"), 2;
  check_names();
  check_forward();
  check_state_dict();
  check_from_tensors();
  check_weights(arguments[1]);
  check_null(arguments[1]);
  check_junk_handles(arguments[1]);
  check_options();
  check_tensors();
  check_prepare();
  check_short_errors();
  check_threads_and_info();
  if (failures == 0) printf("ok\n");
  return failures != 0;
}

/* What no caller should pass, to every function that can fail (handles that are none: handles.c): each must come back with the right status and a message,
 * and with everything else as it was. Run as `refusals FILE.safetensors`, a checkpoint with a tensor "weight" (3, 4). */
#include "refusals.h"

mxl_error failure;
int checks, failures;

enum { IN = 4, OUT = 3, ROWS = 2 };

static float weight[OUT * IN] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, bias[OUT + 1] = {1, 2, 3};
static float x[ROWS * IN] = {1, 1, 1, 1, 2, 2, 2, 2}, y[ROWS * OUT];
static int64_t weight_shape[] = {OUT, IN}, bias_shape[] = {OUT}, x_shape[] = {ROWS, IN}, y_shape[] = {ROWS, OUT};

static mxl_linear_options linear_options(void) {
  return (mxl_linear_options){
      .struct_size = sizeof(mxl_linear_options), .dtype = MXL_FLOAT32, .in_dim = IN, .out_dim = OUT};
}

static mxl_layer *new_layer(void) {
  mxl_linear_options options = linear_options();
  mxl_layer *layer = NULL;
  ACCEPTED(mxl_linear_create(&options, &layer, error));
  return layer;
}

static mxl_entry weight_entry(void) { return (mxl_entry){.name = "weight", .tensor = tensor(weight, 2, weight_shape)}; }

static mxl_layer *prepared_layer(void) {
  mxl_layer *layer = new_layer();
  mxl_entry entry = weight_entry();
  ACCEPTED(mxl_layer_load(layer, &entry, 1, 0, error));
  ACCEPTED(mxl_layer_prepare(layer, NULL, error));
  return layer;
}

static void create(void) {
  mxl_linear_options good = linear_options(), options = good;
  mxl_layer *none = (mxl_layer *)16, *layer = none;
  const char *kernel = NULL;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_can_run(NULL, NULL, &kernel, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_linear_create(NULL, &layer, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_linear_create(&options, NULL, error));
#define WITH(expected, change)                                      \
  do {                                                              \
    options = good;                                                 \
    change;                                                         \
    REFUSED(expected, mxl_linear_create(&options, &layer, error));  \
    REFUSED(expected, mxl_can_run(&options, NULL, &kernel, error)); \
    CHECK(layer == none && kernel == NULL);                         \
  } while (0)
  for (uint32_t size = 0; size < sizeof options + 16; size++)
    if (IS_NO_SIZE(size, mxl_linear_options, quantization)) WITH(MXL_INVALID_ARGUMENT, options.struct_size = size);
  WITH(MXL_INVALID_SHAPE, options.in_dim = 0);
  WITH(MXL_INVALID_SHAPE, options.out_dim = -1);
  WITH(MXL_INVALID_SHAPE, options.in_dim = INT64_MIN);
  WITH(MXL_INVALID_SHAPE, (options.in_dim = INT64_MAX, options.out_dim = INT64_MAX));
  WITH(MXL_INVALID_SHAPE, (options.in_dim = INT64_C(1) << 33, options.out_dim = INT64_C(1) << 33));
  WITH(MXL_INVALID_DTYPE, options.dtype = -1);
  WITH(MXL_INVALID_DTYPE, options.dtype = 1000);
  WITH(MXL_UNSUPPORTED, options.dtype = MXL_COMPLEX64);
  WITH(MXL_INVALID_ARGUMENT, options.has_bias = 2);
  WITH(MXL_NO_DEVICE, options.device.type = MXL_DEVICE_CUDA);
  WITH(MXL_NO_DEVICE, (options.device.type = MXL_DEVICE_CPU, options.device.id = 1));
  WITH(MXL_INVALID_ARGUMENT, options.device.id = 1);
  WITH(MXL_INVALID_ARGUMENT, options.device.type = -1);
  WITH(MXL_INVALID_ARGUMENT, options.name = "\xff");
  for (int bad = 0; bad < 4; bad++) {
    float clips[] = {0, -1, INFINITY, NAN};
    WITH(MXL_INVALID_ARGUMENT, options.clip_weight = &clips[bad]);
  }
  options = good;
  options.encoding = "no such encoding";
  layer = none;
  CHECK(mxl_linear_create(&options, &layer, NULL) != MXL_OK && layer == none);
#undef WITH
}

static void create_v1(void) {
  mxl_entry entry = weight_entry(), bias_entry = {.name = "bias", .tensor = tensor(bias, 1, bias_shape)}, bad = entry;
  mxl_linear_v1_options good = {.struct_size = sizeof good, .weight = &entry}, options = good;
  mxl_layer *none = (mxl_layer *)16, *layer = none;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_linear_v1_create(NULL, &layer, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_linear_v1_create(&options, NULL, error));
#define WITH(expected, change)                                        \
  do {                                                                \
    options = good;                                                   \
    bad = entry;                                                      \
    change;                                                           \
    REFUSED(expected, mxl_linear_v1_create(&options, &layer, error)); \
    CHECK(layer == none);                                             \
  } while (0)
  for (uint32_t size = 0; size < sizeof options + 16; size++)
    if (IS_NO_SIZE(size, mxl_linear_v1_options, quantization)) WITH(MXL_INVALID_ARGUMENT, options.struct_size = size);
  int64_t huge[] = {INT64_C(1) << 62, INT64_C(1) << 62}, negative[] = {3, -4}, long_bias[] = {OUT + 1};
  WITH(MXL_INVALID_ARGUMENT, options.weight = NULL);
  WITH(MXL_INVALID_ARGUMENT, (bad.tensor.data = NULL, options.weight = &bad));
  WITH(MXL_INVALID_ARGUMENT, (bad.tensor.shape = NULL, options.weight = &bad));
  WITH(MXL_INVALID_ARGUMENT, options.perm_idx = &entry);
  WITH(MXL_INVALID_ARGUMENT, options.encoding = "GPTQ");
  WITH(MXL_INVALID_ARGUMENT, (bad.encoding = "GPTQ", options.weight = &bad));
  mxl_quantization config = {.struct_size = sizeof config, .bits = 4, .group_size = 32, .sym = 1};
  WITH(MXL_INVALID_ARGUMENT, (options.quantization = &config, options.encoding = "Q4_K"));
  WITH(MXL_INVALID_ARGUMENT, (bad.storage = 77, options.weight = &bad));
  WITH(MXL_INVALID_SHAPE, (bad.tensor.shape = huge, options.weight = &bad));
  WITH(MXL_INVALID_SHAPE, (bad.tensor.shape = negative, options.weight = &bad));
  WITH(MXL_INVALID_SHAPE, (bad.tensor.rank = 1, options.weight = &bad));
  WITH(MXL_INVALID_SHAPE, (bad.tensor.rank = -1, options.weight = &bad));
  WITH(MXL_INVALID_SHAPE, (bad.tensor.rank = INT32_MAX, options.weight = &bad));
  WITH(MXL_INVALID_DTYPE, (bad.tensor.dtype = 99, options.weight = &bad));
  WITH(MXL_INVALID_DTYPE, options.dtype = MXL_INT8);
  WITH(MXL_INVALID_SHAPE, options.in_features = 5);
  WITH(MXL_INVALID_SHAPE, (options.in_features = OUT, options.out_features = INT64_MIN));
  WITH(MXL_INVALID_SHAPE, options.out_features = INT64_MIN);
  WITH(MXL_INVALID_SHAPE, (bad = bias_entry, bad.tensor.shape = long_bias, options.bias = &bad));
#undef WITH
  options = good;
  options.out_features = IN;
  ACCEPTED(mxl_linear_v1_create(&options, &layer, error));
  mxl_layer_destroy(layer);
  ACCEPTED(mxl_linear_v1_create(&good, &layer, error));
  mxl_layer_destroy(layer);
}

static void load(void) {
  mxl_layer *layer = new_layer();
  mxl_entry entry = weight_entry(), two[2] = {entry, entry}, bad = entry;
  int64_t strides[] = {INT64_MAX, INT64_MAX}, transposed[] = {IN, OUT};
  size_t most = (size_t)-1;
  REFUSED(MXL_INVALID_HANDLE, mxl_layer_load(NULL, &entry, 1, 0, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_load(layer, NULL, 1, 0, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_load(layer, &entry, most, 0, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_load(layer, &entry, 1, 8, error));
  REFUSED(MXL_MISSING_KEY, mxl_layer_load(layer, NULL, 0, 0, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_load(layer, two, 2, 0, error));
  two[1].name = "more";
  REFUSED(MXL_UNEXPECTED_KEY, mxl_layer_load(layer, two, 2, MXL_LOAD_STRICT, error));
#define WITH(expected, change)                                      \
  do {                                                              \
    bad = entry;                                                    \
    change;                                                         \
    REFUSED(expected, mxl_layer_load(layer, &bad, 1, 0, error));    \
    REFUSED(MXL_NOT_LOADED, mxl_layer_prepare(layer, NULL, error)); \
  } while (0)
  WITH(MXL_INVALID_ARGUMENT, bad.name = NULL);
  WITH(MXL_INVALID_ARGUMENT, bad.name = "\xc3(");
  WITH(MXL_INVALID_ARGUMENT, bad.tensor.data = NULL);
  WITH(MXL_INVALID_ARGUMENT, bad.tensor.shape = NULL);
  WITH(MXL_INVALID_ARGUMENT, bad.storage = -1);
  WITH(MXL_INVALID_ARGUMENT, bad.encoding = "\xff");
  WITH(MXL_INVALID_SHAPE, bad.tensor.shape = transposed);
  WITH(MXL_INVALID_SHAPE, bad.tensor.strides = strides);
  WITH(MXL_INVALID_SHAPE, bad.tensor.rank = MXL_MAX_RANK + 1);
  WITH(MXL_INVALID_DTYPE, bad.tensor.dtype = MXL_INT32);
  WITH(MXL_MISSING_KEY, bad.name = "wieght");
#undef WITH
  CHECK(strstr(failure.message, "wieght") == NULL); /* the message is prepare's */
  mxl_layer_destroy(layer);
}

static void load_weights(const char *path) {
  const char *paths[] = {path, NULL}, *nowhere[] = {"/no/such/file"}, *folder[] = {"/"};
  mxl_weights *weights = NULL, *none = (mxl_weights *)16, *other = none;
  size_t count = 7;
  mxl_entry entry = {.name = "untouched"};
  ACCEPTED(mxl_weights_open(paths, 1, &weights, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_weights_open(NULL, 1, &other, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_weights_open(paths, 0, &other, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_weights_open(paths, (size_t)-1, &other, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_weights_open(paths, 2, &other, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_weights_open(paths, 1, NULL, error));
  REFUSED(MXL_IO, mxl_weights_open(nowhere, 1, &other, error));
  CHECK(strstr(failure.message, "/no/such/file") != NULL);
  REFUSED(MXL_INVALID_FILE, mxl_weights_open(folder, 1, &other, error));
  CHECK(strstr(failure.message, "the folder has no checkpoint") != NULL);
  CHECK(other == none);

  REFUSED(MXL_INVALID_HANDLE, mxl_weights_count(NULL, &count, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_weights_count(weights, NULL, error));
  REFUSED(MXL_INVALID_HANDLE, mxl_weights_entry(NULL, 0, &entry, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_weights_entry(weights, 0, NULL, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_weights_entry(weights, 1, &entry, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_weights_entry(weights, (size_t)-1, &entry, error));
  REFUSED(MXL_INVALID_HANDLE, mxl_weights_find(NULL, "weight", &entry, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_weights_find(weights, NULL, &entry, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_weights_find(weights, "weight", NULL, error));
  REFUSED(MXL_MISSING_KEY, mxl_weights_find(weights, "weigth", &entry, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_weights_find(weights, "\xff", &entry, error));
  mxl_quantization quantization = {.struct_size = sizeof quantization, .bits = 77};
  REFUSED(MXL_INVALID_HANDLE, mxl_weights_quantization(NULL, &quantization, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_weights_quantization(weights, NULL, error));
  REFUSED(MXL_MISSING_KEY, mxl_weights_quantization(weights, &quantization, error));
  for (quantization.struct_size = 0; quantization.struct_size < sizeof quantization; quantization.struct_size++)
    REFUSED(MXL_INVALID_ARGUMENT, mxl_weights_quantization(weights, &quantization, error));
  CHECK(quantization.bits == 77);
  REFUSED(MXL_INVALID_HANDLE, mxl_weights_memory(NULL, NULL, NULL, error));
  ACCEPTED(mxl_weights_memory(weights, NULL, NULL, error));
  CHECK(count == 7 && strcmp(entry.name, "untouched") == 0);

  mxl_layer *layer = new_layer();
  REFUSED(MXL_INVALID_HANDLE, mxl_layer_load_weights(NULL, weights, NULL, 0, error));
  REFUSED(MXL_INVALID_HANDLE, mxl_layer_load_weights(layer, NULL, NULL, 0, error));
  REFUSED(MXL_INVALID_HANDLE, mxl_layer_load_weights(layer, (const mxl_weights *)layer, NULL, 0, error));
  REFUSED(MXL_INVALID_HANDLE, mxl_layer_load_weights((mxl_layer *)weights, weights, NULL, 0, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_load_weights(layer, weights, NULL, 8, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_load_weights(layer, weights, "\xff", 0, error));
  REFUSED(MXL_MISSING_KEY, mxl_layer_load_weights(layer, weights, "blk.", 0, error));
  ACCEPTED(mxl_layer_load_weights(layer, weights, NULL, 0, error));
  mxl_weights_destroy(weights);
  REFUSED(MXL_INVALID_HANDLE, mxl_weights_count(weights, &count, error));
  mxl_layer_destroy(layer);
}

static void inspect(void) {
  mxl_layer *layer = new_layer();
  size_t count = 7;
  mxl_entry entry = {.name = "untouched"};
  const char *kernel = "untouched";
  mxl_memory memory = {.struct_size = sizeof memory, .packed = 7};
  REFUSED(MXL_INVALID_HANDLE, mxl_layer_entry_count(NULL, &count, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_entry_count(layer, NULL, error));
  REFUSED(MXL_INVALID_HANDLE, mxl_layer_entry(NULL, 0, &entry, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_entry(layer, 0, NULL, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_entry(layer, 1, &entry, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_entry(layer, (size_t)-1, &entry, error));
  REFUSED(MXL_INVALID_HANDLE, mxl_layer_kernel(NULL, &kernel, error));
  REFUSED(MXL_NOT_PREPARED, mxl_layer_kernel(layer, &kernel, error));
  REFUSED(MXL_INVALID_HANDLE, mxl_layer_memory(NULL, &memory, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_memory(layer, NULL, error));
  for (memory.struct_size = 0; memory.struct_size < sizeof memory; memory.struct_size++)
    REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_memory(layer, &memory, error));
  CHECK(count == 7 && strcmp(entry.name, "untouched") == 0 && strcmp(kernel, "untouched") == 0 && memory.packed == 7);
  mxl_layer_destroy(layer);
}

static void prepare(void) {
  mxl_prepare_options good = {.struct_size = sizeof good}, options = good;
  mxl_layer *layer = new_layer();
  mxl_entry entry = weight_entry();
  REFUSED(MXL_INVALID_HANDLE, mxl_layer_prepare(NULL, NULL, error));
  REFUSED(MXL_NOT_LOADED, mxl_layer_prepare(layer, &good, error));
  ACCEPTED(mxl_layer_load(layer, &entry, 1, 0, error));
  for (options.struct_size = 0; options.struct_size < sizeof options; options.struct_size++)
    REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_prepare(layer, &options, error));
#define WITH(expected, change)                                    \
  do {                                                            \
    options = good;                                               \
    change;                                                       \
    REFUSED(expected, mxl_layer_prepare(layer, &options, error)); \
  } while (0)
  WITH(MXL_INVALID_ARGUMENT, options.compute = 99);
  WITH(MXL_INVALID_ARGUMENT, options.compute = MXL_COMPUTE_INT32);
  WITH(MXL_UNSUPPORTED, options.compute = MXL_COMPUTE_INT8);
  WITH(MXL_INVALID_ARGUMENT, options.pack = -1);
  WITH(MXL_INVALID_ARGUMENT, options.threads = -1);
  WITH(MXL_INVALID_ARGUMENT, options.threads = INT32_MAX);
  ACCEPTED(mxl_layer_prepare(layer, &good, error));
  WITH(MXL_ALREADY_PREPARED, options.pack = MXL_PACK_NEVER);
#undef WITH
  REFUSED(MXL_ALREADY_PREPARED, mxl_layer_load(layer, &entry, 1, 0, error));
  mxl_layer_destroy(layer);
}

static void forward(void) {
  mxl_layer *layer = prepared_layer(), *unprepared = new_layer();
  mxl_tensor good_in = tensor(x, 2, x_shape), good_out = tensor(y, 2, y_shape), in = good_in, out = good_out;
  mxl_run_options good = {.struct_size = sizeof good}, options = good;
  memset(y, 0x7f, sizeof y);
  float before[ROWS * OUT];
  memcpy(before, y, sizeof y);
#define WITH(expected, change)                                               \
  do {                                                                       \
    in = good_in;                                                            \
    out = good_out;                                                          \
    options = good;                                                          \
    change;                                                                  \
    REFUSED(expected, mxl_layer_forward(layer, &options, &in, &out, error)); \
    CHECK(memcmp(y, before, sizeof y) == 0);                                 \
  } while (0)
  REFUSED(MXL_INVALID_HANDLE, mxl_layer_forward(NULL, NULL, &in, &out, error));
  REFUSED(MXL_NOT_PREPARED, mxl_layer_forward(unprepared, NULL, &in, &out, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_forward(layer, NULL, NULL, &out, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_forward(layer, NULL, &in, NULL, error));
  for (uint32_t size = 0; size < sizeof options + 8; size++)
    if (size < sizeof options || size % 4 != 0) WITH(MXL_INVALID_ARGUMENT, options.struct_size = size);
  WITH(MXL_INVALID_ARGUMENT, options.threads = -1);
  WITH(MXL_INVALID_ARGUMENT, options.threads = 1025);
  WITH(MXL_INVALID_ARGUMENT, options.accumulate = 2);
  int64_t huge[] = {INT64_C(1) << 62, IN}, huge_out[] = {INT64_C(1) << 62, OUT}, negative[] = {-1, IN};
  int64_t narrow[] = {ROWS, IN - 1}, fewer[] = {1, OUT}, wide[] = {ROWS, OUT + 1};
  int64_t far[] = {INT64_MAX / 2, 1}, back[] = {INT64_MIN, 1}, apart[] = {2 * IN, 2}, onto_itself[] = {0, 1};
  WITH(MXL_INVALID_ARGUMENT, in.data = NULL);
  WITH(MXL_INVALID_ARGUMENT, out.data = NULL);
  WITH(MXL_INVALID_ARGUMENT, in.shape = NULL);
  WITH(MXL_INVALID_ARGUMENT, out.shape = NULL);
  WITH(MXL_INVALID_SHAPE, in.shape = narrow);
  WITH(MXL_INVALID_SHAPE, in.shape = negative);
  WITH(MXL_INVALID_SHAPE, (in.shape = huge, out.shape = huge_out));
  WITH(MXL_INVALID_SHAPE, in.rank = 0);
  WITH(MXL_INVALID_SHAPE, in.rank = -1);
  WITH(MXL_INVALID_SHAPE, in.rank = INT32_MAX);
  WITH(MXL_INVALID_SHAPE, out.rank = 1);
  WITH(MXL_INVALID_SHAPE, out.rank = INT32_MIN);
  WITH(MXL_INVALID_SHAPE, out.shape = fewer);
  WITH(MXL_INVALID_SHAPE, out.shape = wide);
  WITH(MXL_INVALID_SHAPE, in.strides = far);
  WITH(MXL_INVALID_SHAPE, in.strides = back);
  WITH(MXL_INVALID_SHAPE, in.strides = apart);
  WITH(MXL_INVALID_SHAPE, out.strides = far);
  WITH(MXL_INVALID_SHAPE, out.strides = onto_itself);
  WITH(MXL_INVALID_DTYPE, in.dtype = MXL_INT32);
  WITH(MXL_INVALID_DTYPE, in.dtype = -5);
  WITH(MXL_INVALID_DTYPE, out.dtype = MXL_FLOAT64);
  WITH(MXL_NO_DEVICE, in.device.type = MXL_DEVICE_CUDA);
  WITH(MXL_NO_DEVICE, (out.device.type = MXL_DEVICE_CPU, out.device.id = 3));
  WITH(MXL_INVALID_ARGUMENT, out.device.type = 99);
  WITH(MXL_INVALID_ARGUMENT, in.data = y);
#undef WITH

  /* What may look odd and is right: no rows, and data at any address. */
  int64_t no_in[] = {0, IN}, no_out[] = {0, OUT};
  in = tensor(NULL, 2, no_in);
  out = tensor(NULL, 2, no_out);
  ACCEPTED(mxl_layer_forward(layer, NULL, &in, &out, error));
  char bytes[sizeof x + 1], results[sizeof y + 1];
  memcpy(bytes + 1, x, sizeof x);
  in = tensor(bytes + 1, 2, x_shape);
  out = tensor(results + 1, 2, y_shape);
  ACCEPTED(mxl_layer_forward(layer, NULL, &in, &out, error));
  const float expected[ROWS * OUT] = {10, 26, 42, 20, 52, 84};
  CHECK(memcmp(results + 1, expected, sizeof expected) == 0);
  mxl_layer_destroy(unprepared);
  mxl_layer_destroy(layer);
}

/* The message ends with NUL inside the caller's struct, and nothing beyond struct_size is touched. */
static void small_errors(void) {
  struct {
    mxl_error error;
    char beyond[64];
  } guarded;
  for (uint32_t size = 0; size <= sizeof guarded.error; size++) {
    memset(&guarded, 'g', sizeof guarded);
    guarded.error.struct_size = size;
    CHECK(mxl_linear_create(NULL, NULL, &guarded.error) == MXL_INVALID_ARGUMENT);
    const char *bytes = (const char *)&guarded;
    for (size_t i = size < 4 ? 4 : size; i < sizeof guarded; i++) CHECK(bytes[i] == 'g');
    if (size >= 8) CHECK(guarded.error.status == MXL_INVALID_ARGUMENT);
    if (size > 8) CHECK(memchr(guarded.error.message, 0, size - 8) != NULL);
    if (size > 12) CHECK(guarded.error.message[0] != 0);
  }
  /* A message longer than the struct: a file name of 4000 letters, then of 2000 two-byte letters. */
  static char path[4100];
  const char *paths[] = {path};
  mxl_weights *weights = NULL;
  for (int letters = 0; letters < 2; letters++) {
    memset(path, 'p', sizeof path - 1);
    for (int i = 1; letters && i + 1 < 4000; i += 2) memcpy(path + i, "\xc3\xa9", 2);
    failure = (mxl_error)MXL_ERROR_INIT;
    CHECK(mxl_weights_open(paths, 1, &weights, &failure) == MXL_IO);
    size_t length = strlen(failure.message);
    CHECK(length >= 500 && length <= 503);
    CHECK(!letters || (failure.message[length - 1] & 0xc0) == 0x80); /* not cut inside a letter */
  }
}

static void others(void) {
  size_t length = 0, needed = 0;
  char text[4] = "abc";
  REFUSED(MXL_INVALID_ARGUMENT, mxl_info(text, sizeof text, NULL, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_info(NULL, 10, &length, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_info(text, sizeof text, &length, error));
  CHECK(strcmp(text, "abc") == 0);
  ACCEPTED(mxl_info(NULL, 0, &needed, error));
  CHECK(needed == length && needed > 3);
  int32_t threads = mxl_threads(), bad[] = {0, -1, 1025, INT32_MAX, INT32_MIN};
  for (int i = 0; i < 5; i++) REFUSED(MXL_INVALID_ARGUMENT, mxl_set_threads(bad[i], error));
  CHECK(mxl_threads() == threads);
  for (int status = -5; status < 1000; status++) CHECK(mxl_status_name((mxl_status)status) != NULL);
  for (int32_t dtype = -5; dtype < 1000; dtype++)
    CHECK(mxl_dtype_name(dtype) != NULL && mxl_dtype_bits(dtype) >= 0 && mxl_dtype_bits(dtype) <= 64);
}

int main(int argc, char **argv) {
  if (argc != 2) return 2;
  create();
  create_v1();
  refuse_mlps(argv[1]);
  refuse_encodings();
  refuse_float8();
  refuse_distributed();
  refuse_together();
  refuse_communicators();
  load();
  load_weights(argv[1]);
  inspect();
  prepare();
  forward();
  small_errors();
  others();
  printf("%d checks, %d failures\n", checks, failures);
  return failures != 0;
}

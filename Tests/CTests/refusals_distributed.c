#include "refusals.h"

enum { IN = 16, OUT = 8, ROWS = 2 };

static float weight[OUT * IN], x[ROWS * IN], other_x[ROWS * IN], y[ROWS * OUT], other_y[ROWS * OUT];
static const int64_t weight_shape[] = {OUT, IN}, x_shape[] = {ROWS, IN}, y_shape[] = {ROWS, OUT};
static const mxl_device cpus[] = {{MXL_DEVICE_CPU, 0}, {MXL_DEVICE_CPU, 1}};

static mxl_linear_options linear = {.struct_size = sizeof linear, .dtype = MXL_FLOAT32, .in_dim = IN, .out_dim = OUT};

static mxl_parallel_options parallel(void) {
  return (mxl_parallel_options){
      .struct_size = sizeof(mxl_parallel_options), .gather = 1, .linear = &linear, .devices = cpus, .device_count = 2};
}

typedef mxl_status (*create_function)(const mxl_parallel_options *, mxl_layer **, mxl_error *);

static void create(create_function make) {
  const mxl_parallel_options good = parallel();
  mxl_parallel_options options = good;
  mxl_layer *none = (mxl_layer *)16, *layer = none;
  const mxl_device twice[] = {cpus[1], cpus[1]}, gpu[] = {cpus[0], {MXL_DEVICE_CUDA, 0}};
  mxl_device many[OUT + 9];
  for (int i = 0; i < OUT + 9; i++) many[i] = (mxl_device){MXL_DEVICE_CPU, i};
  REFUSED(MXL_INVALID_ARGUMENT, make(NULL, &layer, error));
  REFUSED(MXL_INVALID_ARGUMENT, make(&options, NULL, error));
#define WITH(expected, change)                        \
  do {                                                \
    options = good;                                   \
    change;                                           \
    REFUSED(expected, make(&options, &layer, error)); \
    CHECK(layer == none);                             \
  } while (0)
  for (uint32_t size = 0; size < sizeof options + 16; size++)
    if (IS_NO_SIZE(size, mxl_parallel_options, communicator)) WITH(MXL_INVALID_ARGUMENT, options.struct_size = size);
  WITH(MXL_INVALID_ARGUMENT, options.linear = NULL);
  WITH(MXL_INVALID_ARGUMENT, options.gather = 2);
  WITH(MXL_INVALID_ARGUMENT, options.devices = NULL);
  WITH(MXL_INVALID_ARGUMENT, options.devices = twice);
  WITH(MXL_NO_DEVICE, options.devices = gpu);
  WITH(MXL_INVALID_ARGUMENT, options.device_count = SIZE_MAX);
  WITH(MXL_INVALID_ARGUMENT, (options.devices = many, options.device_count = OUT + 9));
#undef WITH
}

static void create_mlp(void) {
  const mxl_mlp_options good = {.struct_size = sizeof good,
                                .dtype = MXL_FLOAT32,
                                .hidden_dim = IN,
                                .feed_forward_length = OUT,
                                .devices = cpus,
                                .device_count = 2};
  mxl_mlp_options options = good;
  mxl_layer *none = (mxl_layer *)16, *layer = none;
  const mxl_device twice[] = {cpus[1], cpus[1]};
  mxl_device many[OUT + 1];
  for (int i = 0; i <= OUT; i++) many[i] = (mxl_device){MXL_DEVICE_CPU, i};
  REFUSED(MXL_INVALID_ARGUMENT, mxl_distributed_mlp_create(NULL, &layer, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_distributed_mlp_create(&options, NULL, error));
  options.reduce = 2;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_distributed_mlp_create(&options, &layer, error));
  options = good, options.devices = twice;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_distributed_mlp_create(&options, &layer, error));
  options = good, options.devices = many, options.device_count = OUT + 1;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_distributed_mlp_create(&options, &layer, error));
  CHECK(layer == none);
}

static void forward(void) {
  mxl_parallel_options options = parallel();
  mxl_layer *layer = NULL;
  ACCEPTED(mxl_column_parallel_create(&options, &layer, error));
  mxl_tensor xs[] = {tensor(x, 2, x_shape), tensor(x, 2, x_shape)};
  mxl_tensor ys[] = {tensor(y, 2, y_shape), tensor(other_y, 2, y_shape)};
  size_t count = 77;
  int64_t begin = 77, end = 77;
  REFUSED(MXL_NOT_PREPARED, mxl_layer_forward_devices(layer, NULL, xs, ys, 2, error));
  REFUSED(MXL_NOT_PREPARED, mxl_layer_shard(layer, 0, &count, &begin, &end, error));
  mxl_entry entry = {.name = "weight", .tensor = tensor(weight, 2, weight_shape)};
  ACCEPTED(mxl_layer_load(layer, &entry, 1, 0, error));
  ACCEPTED(mxl_layer_prepare(layer, NULL, error));
  y[0] = other_y[0] = 7;
  REFUSED(MXL_INVALID_HANDLE, mxl_layer_forward_devices(NULL, NULL, xs, ys, 2, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_forward_devices(layer, NULL, NULL, ys, 2, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_forward_devices(layer, NULL, xs, NULL, 2, error));
  const size_t counts[] = {0, 1, 3, SIZE_MAX};
  for (int i = 0; i < 4; i++)
    REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_forward_devices(layer, NULL, xs, ys, counts[i], error));
  ys[1].data = y;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_forward_devices(layer, NULL, xs, ys, 2, error));
  ys[1].data = x;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_forward_devices(layer, NULL, xs, ys, 2, error));
  ys[1].data = NULL;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_forward_devices(layer, NULL, xs, ys, 2, error));
  ys[1] = tensor(other_y, 2, x_shape);
  REFUSED(MXL_INVALID_SHAPE, mxl_layer_forward_devices(layer, NULL, xs, ys, 2, error));
  ys[1] = tensor(other_y, 2, y_shape);
  other_x[ROWS * IN - 1] = 1;
  xs[1].data = other_x;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_forward_devices(layer, NULL, xs, ys, 2, error));
  xs[1].dtype = MXL_INT32;
  REFUSED(MXL_INVALID_DTYPE, mxl_layer_forward_devices(layer, NULL, xs, ys, 2, error));
  CHECK(y[0] == 7 && other_y[0] == 7);
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_shard(layer, 2, &count, &begin, &end, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layer_shard(layer, SIZE_MAX, &count, &begin, &end, error));
  CHECK(count == 77 && begin == 77 && end == 77);
  ACCEPTED(mxl_layer_shard(layer, 1, &count, &begin, &end, error));
  CHECK(count == 2 && begin == OUT / 2 && end == OUT);
  mxl_layer_destroy(layer);
}

/* What a quantization may not be, wherever it is passed. */
static void quantizations(void) {
  const mxl_quantization good = {.struct_size = sizeof good, .bits = 4, .group_size = 8};
  mxl_quantization bad = good;
  mxl_linear_options options = linear;
  options.encoding = "GPTQ";
  mxl_layer *none = (mxl_layer *)16, *layer = none;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_linear_create(&options, &layer, error));
  options.quantization = &bad;
#define WITH(expected, change)                                     \
  do {                                                             \
    bad = good;                                                    \
    change;                                                        \
    REFUSED(expected, mxl_linear_create(&options, &layer, error)); \
    CHECK(layer == none);                                          \
  } while (0)
  for (uint32_t size = 0; size < sizeof bad; size++) WITH(MXL_INVALID_ARGUMENT, bad.struct_size = size);
  for (int32_t bits = -1; bits < 40; bits++)
    if (bits != 2 && bits != 3 && bits != 4 && bits != 8) WITH(MXL_UNSUPPORTED, bad.bits = bits);
  WITH(MXL_INVALID_ARGUMENT, bad.group_size = 0);
  WITH(MXL_INVALID_ARGUMENT, bad.group_size = INT32_MIN);
  WITH(MXL_INVALID_ARGUMENT, bad.sym = 2);
  WITH(MXL_INVALID_ARGUMENT, bad.desc_act = -1);
  WITH(MXL_UNSUPPORTED, bad.quant_method = "hqq");
  WITH(MXL_UNSUPPORTED, (bad.quant_method = "awq", bad.bits = 8));
  WITH(MXL_UNSUPPORTED, (bad.quant_method = "awq", bad.desc_act = 1));
  WITH(MXL_UNSUPPORTED, (bad.quant_method = "awq", bad.checkpoint_format = "gemv"));
  WITH(MXL_UNSUPPORTED, bad.checkpoint_format = "marlin");
  WITH(MXL_INVALID_ARGUMENT, bad.checkpoint_format = "\xff");
#undef WITH
  const float clip = 1;
  bad = good, options.clip_weight = &clip;
  REFUSED(MXL_UNSUPPORTED, mxl_linear_create(&options, &layer, error));
  options.clip_weight = NULL;
  const char *others[] = {NULL, "Q8_0"};
  mxl_parallel_options parts = parallel();
  parts.linear = &options;
  for (int i = 0; i < 2; i++) {
    options.encoding = others[i];
    REFUSED(MXL_INVALID_ARGUMENT, mxl_linear_create(&options, &layer, error));
    REFUSED(MXL_INVALID_ARGUMENT, mxl_can_run(&options, NULL, NULL, error));
    REFUSED(MXL_INVALID_ARGUMENT, mxl_row_parallel_create(&parts, &layer, error));
  }
  options.encoding = "GPTQ", options.in_dim = 12;
  REFUSED(MXL_INVALID_SHAPE, mxl_linear_create(&options, &layer, error));
  uint8_t bytes[2] = {0};
  const int64_t shape[] = {1, 2};
  mxl_entry entry = {.tensor = tensor(bytes, 2, shape)};
  entry.tensor.dtype = MXL_UINT8;
  mxl_linear_v1_options v1 = {.struct_size = sizeof v1, .weight = &entry, .quantization = &bad};
  REFUSED(MXL_INVALID_SHAPE, mxl_linear_v1_create(&v1, &layer, error));
  CHECK(layer == none);
}

void refuse_distributed(void) {
  create(mxl_column_parallel_create);
  create(mxl_row_parallel_create);
  create_mlp();
  forward();
  quantizations();
}

/* mxl_column_parallel_create(...) and mxl_row_parallel_create(...) are called through `make` above. */

#include "refusals.h"

enum { IN = 4, OUT = 3, ROWS = 2 };

static float x[ROWS * IN] = {1, 1, 1, 1, 2, 2, 2, 2}, y[ROWS * OUT];
static int64_t weight_shape[] = {OUT, IN}, y_shape[] = {ROWS, OUT};

static void create_mlp(void) {
  mxl_mlp_options good = {
      .struct_size = sizeof good, .dtype = MXL_FLOAT32, .hidden_dim = IN, .feed_forward_length = OUT};
  mxl_mlp_options options = good;
  mxl_layer *none = (mxl_layer *)16, *layer = none;
  mxl_device gpu = {MXL_DEVICE_CUDA, 0};
  REFUSED(MXL_INVALID_ARGUMENT, mxl_mlp_create(NULL, &layer, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_mlp_create(&options, NULL, error));
#define WITH_MLP(expected, change)                              \
  do {                                                          \
    options = good;                                             \
    change;                                                     \
    REFUSED(expected, mxl_mlp_create(&options, &layer, error)); \
    CHECK(layer == none);                                       \
  } while (0)
  for (uint32_t size = 0; size < sizeof options + 16; size++)
    if (IS_NO_SIZE(size, mxl_mlp_options, quantization)) WITH_MLP(MXL_INVALID_ARGUMENT, options.struct_size = size);
  WITH_MLP(MXL_INVALID_SHAPE, options.hidden_dim = 0);
  WITH_MLP(MXL_INVALID_SHAPE, options.feed_forward_length = INT64_MIN);
  WITH_MLP(MXL_INVALID_SHAPE, (options.hidden_dim = INT64_C(1) << 33, options.feed_forward_length = INT64_C(1) << 33));
  WITH_MLP(MXL_INVALID_DTYPE, options.dtype = -1);
  WITH_MLP(MXL_UNSUPPORTED, options.dtype = MXL_UINT8);
  WITH_MLP(MXL_INVALID_ARGUMENT, options.has_bias = 2);
  WITH_MLP(MXL_INVALID_ARGUMENT, options.activation = 6);
  WITH_MLP(MXL_INVALID_ARGUMENT, options.activation = -1);
  WITH_MLP(MXL_UNSUPPORTED, options.encoding = "nonsense");
  WITH_MLP(MXL_INVALID_SHAPE, options.encoding = "Q4_K");
  WITH_MLP(MXL_INVALID_ARGUMENT, options.device_count = 1);
  WITH_MLP(MXL_INVALID_ARGUMENT, (options.devices = &gpu, options.device_count = SIZE_MAX));
  WITH_MLP(MXL_NO_DEVICE, (options.devices = &gpu, options.device_count = 1));
  mxl_quantization config = {.struct_size = sizeof config, .bits = 4, .group_size = 4, .sym = 1};
  WITH_MLP(MXL_INVALID_ARGUMENT, options.quantization = &config);
  WITH_MLP(MXL_INVALID_ARGUMENT, options.reduce = 1);
}

static void gates(void) {
  mxl_tensor gate = tensor(x, 1, y_shape), up = tensor(x + 4, 1, y_shape), hidden = tensor(y, 1, y_shape), other;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_gate(6, &gate, &up, &hidden, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_gate(0, NULL, &up, &hidden, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_gate(0, &gate, NULL, &hidden, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_gate(0, &gate, &up, NULL, error));
  other = tensor(x, 1, weight_shape);
  REFUSED(MXL_INVALID_SHAPE, mxl_gate(0, &gate, &other, &hidden, error));
  other = tensor(NULL, 1, y_shape);
  REFUSED(MXL_INVALID_ARGUMENT, mxl_gate(0, &gate, &other, &hidden, error));
  other = up, other.dtype = MXL_FLOAT16;
  REFUSED(MXL_INVALID_DTYPE, mxl_gate(0, &gate, &other, &hidden, error));
  const int64_t apart[] = {2};
  other = up, other.strides = apart;
  REFUSED(MXL_INVALID_SHAPE, mxl_gate(0, &gate, &other, &hidden, error));
  other = tensor(x + 1, 1, y_shape);
  REFUSED(MXL_INVALID_ARGUMENT, mxl_gate(0, &gate, &up, &other, error));
  ACCEPTED(mxl_gate(0, &gate, &up, &hidden, error));
}

/* A prepared linear layer of zeros. */
static mxl_layer *linear(int64_t in_dim, int64_t out_dim) {
  static float zeros[OUT * IN];
  mxl_linear_options options = {
      .struct_size = sizeof options, .dtype = MXL_FLOAT32, .in_dim = in_dim, .out_dim = out_dim};
  const int64_t shape[] = {out_dim, in_dim};
  mxl_entry entry = {.name = "weight", .tensor = tensor(zeros, 2, shape)};
  mxl_layer *layer = NULL;
  ACCEPTED(mxl_linear_create(&options, &layer, error));
  ACCEPTED(mxl_layer_load(layer, &entry, 1, 0, error));
  ACCEPTED(mxl_layer_prepare(layer, NULL, error));
  return layer;
}

static void create_from(void) {
  mxl_layer *wide = linear(IN, OUT), *narrow = linear(OUT, IN), *none = (mxl_layer *)16, *layer = none, *mlp = NULL;
  uint64_t junk[4] = {0};
  mxl_layer *not_a_layer = (mxl_layer *)junk;
  REFUSED(MXL_INVALID_HANDLE, mxl_mlp_create_from(NULL, narrow, wide, 0, &layer, error));
  REFUSED(MXL_INVALID_HANDLE, mxl_mlp_create_from(wide, NULL, wide, 0, &layer, error));
  CHECK(strstr(failure.message, "down") != NULL || failure.message[0] == 0);
  REFUSED(MXL_INVALID_HANDLE, mxl_mlp_create_from(wide, narrow, not_a_layer, 0, &layer, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_mlp_create_from(wide, narrow, wide, 0, NULL, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_mlp_create_from(wide, narrow, wide, 6, &layer, error));
  REFUSED(MXL_INVALID_SHAPE, mxl_mlp_create_from(wide, wide, wide, 0, &layer, error));
  REFUSED(MXL_INVALID_SHAPE, mxl_mlp_create_from(wide, narrow, narrow, 0, &layer, error));
  CHECK(layer == none);
  ACCEPTED(mxl_mlp_create_from(wide, narrow, wide, 0, &mlp, error));
  REFUSED(MXL_UNSUPPORTED, mxl_mlp_create_from(wide, mlp, wide, 0, &layer, error));
  mxl_layer_destroy(wide);
  mxl_layer_destroy(narrow);
  static const int64_t in_shape[] = {IN};
  float in[IN] = {1, 1, 1, 1}, out[IN] = {7, 7, 7, 7};
  mxl_tensor from = tensor(in, 1, in_shape), to = tensor(out, 1, in_shape);
  REFUSED(MXL_NOT_PREPARED, mxl_layer_forward(mlp, NULL, &from, &to, error));
  ACCEPTED(mxl_layer_prepare(mlp, NULL, error));
  ACCEPTED(mxl_layer_forward(mlp, NULL, &from, &to, error));
  CHECK(out[0] == 0 && out[IN - 1] == 0);
  mxl_layer_destroy(mlp);
}

static void create_from_weights(const char *path) {
  mxl_weights *weights = NULL;
  mxl_layer *none = (mxl_layer *)16, *layer = none;
  ACCEPTED(mxl_weights_open(&path, 1, &weights, error));
  mxl_mlp_weights_options good = {.struct_size = sizeof good}, options = good;
  mxl_device gpu = {MXL_DEVICE_CUDA, 0};
  REFUSED(MXL_INVALID_HANDLE, mxl_mlp_create_from_weights(NULL, 0, NULL, &layer, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_mlp_create_from_weights(weights, 0, NULL, NULL, error));
  REFUSED(MXL_MISSING_KEY, mxl_mlp_create_from_weights(weights, 0, NULL, &layer, error));
  REFUSED(MXL_MISSING_KEY, mxl_mlp_create_from_weights(weights, INT64_MIN, &options, &layer, error));
  for (uint32_t size = 0; size < 32; size++) {
    options.struct_size = size;
    REFUSED(MXL_INVALID_ARGUMENT, mxl_mlp_create_from_weights(weights, 0, &options, &layer, error));
  }
  options = good, options.activation = 9;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_mlp_create_from_weights(weights, 0, &options, &layer, error));
  options = good, options.distributed = 2;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_mlp_create_from_weights(weights, 0, &options, &layer, error));
  options = good, options.reduce = -1;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_mlp_create_from_weights(weights, 0, &options, &layer, error));
  options = good, options.reduce = 1;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_mlp_create_from_weights(weights, 0, &options, &layer, error));
  options = good, options.device_count = 1;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_mlp_create_from_weights(weights, 0, &options, &layer, error));
  options.device_count = SIZE_MAX;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_mlp_create_from_weights(weights, 0, &options, &layer, error));
  options.device_count = 1, options.devices = &gpu;
  REFUSED(MXL_MISSING_KEY, mxl_mlp_create_from_weights(weights, 0, &options, &layer, error));
  CHECK(layer == none);
  mxl_weights_destroy(weights);
}

void refuse_mlps(const char *path) {
  create_from();
  create_from_weights(path);
  create_mlp();
  gates();
}

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
  for (uint32_t size = 0; size < sizeof options; size++) WITH_MLP(MXL_INVALID_ARGUMENT, options.struct_size = size);
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

void refuse_mlps(void) {
  create_mlp();
  gates();
}

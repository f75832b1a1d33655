#include "refusals.h"

enum { IN = 16, OUT = 8, ROWS = 2, MOST = 65 };

static float weight[OUT * IN], x[ROWS * IN], ys[3 * ROWS * OUT];
static const int64_t weight_shape[] = {OUT, IN}, narrow_shape[] = {OUT, IN / 2};
static const int64_t x_shape[] = {ROWS, IN}, y_shape[] = {ROWS, OUT}, wrong_shape[] = {ROWS, OUT - 1};

static mxl_layer *linear(int64_t in_dim, int is_prepared) {
  mxl_linear_options options = {.struct_size = sizeof options, .dtype = MXL_FLOAT32, .in_dim = in_dim, .out_dim = OUT};
  mxl_entry entry = {.name = "weight", .tensor = tensor(weight, 2, in_dim == IN ? weight_shape : narrow_shape)};
  mxl_layer *layer = NULL;
  ACCEPTED(mxl_linear_create(&options, &layer, error));
  ACCEPTED(mxl_layer_load(layer, &entry, 1, MXL_LOAD_STRICT, error));
  if (is_prepared) ACCEPTED(mxl_layer_prepare(layer, NULL, error));
  return layer;
}

static mxl_layer *mlp(void) {
  static float square[IN * IN];
  static const int64_t square_shape[] = {IN, IN};
  mxl_mlp_options options = {
      .struct_size = sizeof options, .dtype = MXL_FLOAT32, .hidden_dim = IN, .feed_forward_length = IN};
  mxl_entry state[] = {{.name = "gate_proj.weight", .tensor = tensor(square, 2, square_shape)},
                       {.name = "down_proj.weight", .tensor = tensor(square, 2, square_shape)},
                       {.name = "up_proj.weight", .tensor = tensor(square, 2, square_shape)}};
  mxl_layer *layer = NULL;
  ACCEPTED(mxl_mlp_create(&options, &layer, error));
  ACCEPTED(mxl_layer_load(layer, state, 3, MXL_LOAD_STRICT, error));
  ACCEPTED(mxl_layer_prepare(layer, NULL, error));
  return layer;
}

/* Every refusal leaves all ys as they were. */
void refuse_together(void) {
  mxl_layer *good = linear(IN, 1), *narrow = linear(IN / 2, 1), *unprepared = linear(IN, 0), *gated = mlp();
  const mxl_layer *layers[MOST];
  mxl_tensor in = tensor(x, 2, x_shape), out[MOST];
  mxl_run_options options = {.struct_size = sizeof options};
  const mxl_layer *junk = (const mxl_layer *)(const void *)weight;
  for (int i = 0; i < 3 * ROWS * OUT; i++) ys[i] = 7;
#define WITH(expected, change)                                                                             \
  do {                                                                                                     \
    for (int i = 0; i < MOST; i++) layers[i] = good, out[i] = tensor(ys + i % 3 * ROWS * OUT, 2, y_shape); \
    size_t count = 2;                                                                                      \
    const mxl_tensor *read = &in;                                                                          \
    options = (mxl_run_options){.struct_size = sizeof options};                                            \
    change;                                                                                                \
    REFUSED(expected, mxl_layers_forward(layers, count, &options, read, out, error));                      \
    for (int i = 0; i < 3 * ROWS * OUT; i++) CHECK(ys[i] == 7);                                            \
  } while (0)
  WITH(MXL_INVALID_ARGUMENT, count = 0);
  WITH(MXL_INVALID_ARGUMENT, count = MOST);
  WITH(MXL_INVALID_ARGUMENT, count = SIZE_MAX);
  WITH(MXL_INVALID_ARGUMENT, read = NULL);
  WITH(MXL_INVALID_HANDLE, layers[1] = NULL);
  CHECK(strncmp(failure.message, "layers[1]: is NULL", 18) == 0);
  WITH(MXL_INVALID_HANDLE, layers[0] = junk);
  WITH(MXL_NOT_PREPARED, layers[1] = unprepared);
  WITH(MXL_UNSUPPORTED, layers[1] = gated);
  WITH(MXL_INVALID_SHAPE, layers[1] = narrow);
  WITH(MXL_INVALID_SHAPE, out[1].shape = wrong_shape);
  WITH(MXL_INVALID_DTYPE, out[1].dtype = MXL_INT32);
  WITH(MXL_INVALID_ARGUMENT, out[1].data = NULL);
  WITH(MXL_INVALID_ARGUMENT, out[1].data = out[0].data);
  WITH(MXL_INVALID_ARGUMENT, out[1].data = x);
  WITH(MXL_INVALID_ARGUMENT, options.threads = -1);
  WITH(MXL_INVALID_ARGUMENT, options.accumulate = 2);
  WITH(MXL_INVALID_ARGUMENT, options.struct_size = 4);
#undef WITH
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layers_forward(NULL, 1, NULL, &in, out, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_layers_forward(layers, 1, NULL, &in, NULL, error));
  ACCEPTED(mxl_layers_forward(layers, 3, NULL, &in, out, error));
  for (int i = 0; i < 3 * ROWS * OUT; i++) CHECK(ys[i] == 0);
  mxl_layer_destroy(good);
  mxl_layer_destroy(narrow);
  mxl_layer_destroy(unprepared);
  mxl_layer_destroy(gated);
}

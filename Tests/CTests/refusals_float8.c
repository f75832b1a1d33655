#include "refusals.h"

enum { K = 4, ROWS = 3 };

static float values[ROWS * K] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, scales[ROWS + 1];
static uint8_t codes[ROWS * K];
static int64_t shape[] = {ROWS, K}, rows[] = {ROWS};

static mxl_tensor float8(void) {
  mxl_tensor view = tensor(codes, 2, shape);
  view.dtype = MXL_FLOAT8_E4M3;
  return view;
}

static void quantize(void) {
  const mxl_tensor good = tensor(values, 2, shape), good_weight = float8(), good_scale = tensor(scales, 1, rows);
  mxl_tensor from = good, weight = good_weight, scale = good_scale;
  mxl_quantize_options options = {.struct_size = sizeof options};
  codes[0] = 0x77;
  scales[0] = 7;
#define WITH(expected, change)                                                       \
  do {                                                                               \
    from = good, weight = good_weight, scale = good_scale;                           \
    change;                                                                          \
    REFUSED(expected, mxl_quantize_float8(&options, &from, &weight, &scale, error)); \
    CHECK(codes[0] == 0x77 && scales[0] == 7);                                       \
    options = (mxl_quantize_options){sizeof options, 0, NULL};                       \
  } while (0)
  REFUSED(MXL_INVALID_ARGUMENT, mxl_quantize_float8(NULL, NULL, &weight, &scale, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_quantize_float8(NULL, &from, NULL, &scale, error));
  for (uint32_t size = 0; size < sizeof options; size++) WITH(MXL_INVALID_ARGUMENT, options.struct_size = size);
  WITH(MXL_INVALID_ARGUMENT, options.threads = -1);
  WITH(MXL_UNSUPPORTED, options.importance = &scale);
  WITH(MXL_INVALID_DTYPE, from.dtype = MXL_FLOAT8_E4M3);
  WITH(MXL_INVALID_DTYPE, from.dtype = 1000);
  WITH(MXL_INVALID_DTYPE, weight.dtype = MXL_UINT8);
  WITH(MXL_INVALID_DTYPE, weight.dtype = MXL_FLOAT8_E8M0);
  WITH(MXL_INVALID_DTYPE, scale.dtype = MXL_FLOAT16);
  WITH(MXL_INVALID_ARGUMENT, from.data = NULL);
  WITH(MXL_INVALID_ARGUMENT, weight.data = NULL);
  WITH(MXL_INVALID_ARGUMENT, scale.data = NULL);
  WITH(MXL_INVALID_SHAPE, from.rank = 0);
  WITH(MXL_INVALID_SHAPE, weight.rank = 1);
  WITH(MXL_INVALID_SHAPE, scale.rank = 17);
  WITH(MXL_INVALID_SHAPE, scale.shape = shape + 1);
  WITH(MXL_NO_DEVICE, from.device.type = MXL_DEVICE_CUDA);
  WITH(MXL_NO_DEVICE, weight.device.type = MXL_DEVICE_CUDA);
  WITH(MXL_NO_DEVICE, scale.device.type = MXL_DEVICE_CUDA);
  WITH(MXL_INVALID_ARGUMENT, weight.data = values);
  WITH(MXL_INVALID_ARGUMENT, scale.data = codes);
  const int64_t huge[] = {INT64_MAX / 2, 32}, negative[] = {-1, K}, apart[] = {2 * K, 1}, two[] = {2};
  WITH(MXL_INVALID_SHAPE, from.shape = huge);
  WITH(MXL_INVALID_SHAPE, from.shape = negative);
  WITH(MXL_INVALID_SHAPE, from.strides = apart);
  WITH(MXL_INVALID_SHAPE, weight.strides = apart);
  WITH(MXL_INVALID_SHAPE, scale.strides = two);
  const int64_t no_rows[] = {0, K}, no_scales[] = {0};
  from = good, weight = good_weight, scale = good_scale;
  from.shape = weight.shape = no_rows, scale.shape = no_scales;
  ACCEPTED(mxl_quantize_float8(&options, &from, &weight, &scale, error));
  CHECK(codes[0] == 0x77 && scales[0] == 7);
  values[5] = INFINITY;
  WITH(MXL_INVALID_ARGUMENT, (void)0);
  CHECK(strstr(failure.message, "row 1, column 1") != NULL);
  values[5] = 6;
#undef WITH
  /* A scale at any address, as one of the tensor. */
  char bytes[8];
  scale = tensor(bytes + 1, 0, NULL);
  ACCEPTED(mxl_quantize_float8(NULL, &from, &weight, &scale, error));
  ACCEPTED(mxl_dequantize_float8(&weight, &scale, &from, error));
}

static void dequantize(void) {
  mxl_tensor to = tensor(values, 2, shape), weight = float8(), scale = tensor(scales, 1, rows);
  REFUSED(MXL_INVALID_ARGUMENT, mxl_dequantize_float8(NULL, &scale, &to, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_dequantize_float8(&weight, &scale, NULL, error));
  weight.dtype = MXL_UINT8;
  REFUSED(MXL_INVALID_DTYPE, mxl_dequantize_float8(&weight, &scale, &to, error));
  weight = float8();
  to.dtype = MXL_INT32;
  REFUSED(MXL_INVALID_DTYPE, mxl_dequantize_float8(&weight, &scale, &to, error));
  to.dtype = MXL_FLOAT32;
  scale.shape = shape + 1;
  REFUSED(MXL_INVALID_SHAPE, mxl_dequantize_float8(&weight, &scale, &to, error));
}

/* A scale that does not fit leaves the caller's memory the caller's. */
static void layers(void) {
  mxl_layer *layer = NULL;
  mxl_entry weight = {.tensor = float8()}, scale = {.tensor = tensor(scales, 1, rows)};
  mxl_linear_v1_options options = {.struct_size = sizeof options, .weight = &weight, .weight_scale = &scale};
  scales[0] = scales[2] = 1;
  scales[1] = NAN;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_linear_v1_create(&options, &layer, error));
  scales[1] = 1;
  scale.tensor.shape = shape + 1;
  REFUSED(MXL_INVALID_SHAPE, mxl_linear_v1_create(&options, &layer, error));
  scale.tensor.shape = rows;
  weight.tensor = tensor(values, 2, shape);
  REFUSED(MXL_UNSUPPORTED, mxl_linear_v1_create(&options, &layer, error));
  CHECK(layer == NULL);
  weight.tensor = float8();
  ACCEPTED(mxl_linear_v1_create(&options, &layer, error));
  mxl_layer_destroy(layer);
}

void refuse_float8(void) {
  quantize();
  dequantize();
  layers();
}

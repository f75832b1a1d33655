#include "refusals.h"

enum { K = 64, BYTES = 36, ROWS = 3 };

static float values[ROWS * K], importance_values[K];
static uint8_t blocks[ROWS * BYTES + 1];
static int64_t values_shape[] = {ROWS, K}, blocks_shape[] = {ROWS, BYTES}, importance_shape[] = {K};

static mxl_tensor bytes(void *data, int32_t rank, const int64_t *shape) {
  mxl_tensor view = tensor(data, rank, shape);
  view.dtype = MXL_UINT8;
  return view;
}

static void quantize(void) {
  const mxl_tensor good = tensor(values, 2, values_shape), good_blocks = bytes(blocks, 2, blocks_shape);
  mxl_tensor from = good, to = good_blocks, importance = tensor(importance_values, 1, importance_shape);
  mxl_quantize_options options = {.struct_size = sizeof options, .importance = &importance};
  for (int i = 0; i < K; i++) importance_values[i] = 1;
  blocks[0] = 0x77;
#define WITH(expected, change)                                            \
  do {                                                                    \
    from = good, to = good_blocks;                                        \
    change;                                                               \
    REFUSED(expected, mxl_quantize("Q4_0", &options, &from, &to, error)); \
    CHECK(blocks[0] == 0x77);                                             \
    options = (mxl_quantize_options){sizeof options, 0, &importance};     \
    importance = tensor(importance_values, 1, importance_shape);          \
  } while (0)
  REFUSED(MXL_INVALID_ARGUMENT, mxl_quantize(NULL, NULL, &from, &to, error));
  REFUSED(MXL_UNSUPPORTED, mxl_quantize("Q4", NULL, &from, &to, error));
  REFUSED(MXL_UNSUPPORTED, mxl_quantize("F32", NULL, &from, &to, error));
  REFUSED(MXL_UNSUPPORTED, mxl_quantize("GPTQ_32", NULL, &from, &to, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_quantize("\xff", NULL, &from, &to, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_quantize("Q4_0", NULL, NULL, &to, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_quantize("Q4_0", NULL, &from, NULL, error));
  REFUSED(MXL_INVALID_SHAPE, mxl_quantize("Q4_K", NULL, &from, &to, error));
  for (uint32_t size = 0; size < sizeof options; size++) WITH(MXL_INVALID_ARGUMENT, options.struct_size = size);
  WITH(MXL_INVALID_ARGUMENT, options.threads = -1);
  WITH(MXL_INVALID_ARGUMENT, options.threads = 1025);
  WITH(MXL_INVALID_DTYPE, from.dtype = MXL_INT32);
  WITH(MXL_INVALID_DTYPE, from.dtype = -1);
  WITH(MXL_INVALID_DTYPE, to.dtype = MXL_INT8);
  WITH(MXL_INVALID_DTYPE, to.dtype = 1000);
  WITH(MXL_INVALID_ARGUMENT, from.data = NULL);
  WITH(MXL_INVALID_ARGUMENT, to.data = NULL);
  WITH(MXL_INVALID_SHAPE, from.rank = 0);
  WITH(MXL_INVALID_SHAPE, from.rank = 1);
  WITH(MXL_INVALID_SHAPE, to.rank = 1);
  WITH(MXL_NO_DEVICE, to.device.type = MXL_DEVICE_CUDA);
  WITH(MXL_NO_DEVICE, from.device.type = MXL_DEVICE_CUDA);
  WITH(MXL_INVALID_ARGUMENT, to.data = values);
  WITH(MXL_INVALID_ARGUMENT, from.data = blocks);
  const int64_t ragged[] = {ROWS, K - 1}, huge[] = {INT64_MAX / 4, 32}, negative[] = {-1, K}, apart[] = {2 * K, 1};
  WITH(MXL_INVALID_SHAPE, from.shape = ragged);
  WITH(MXL_INVALID_SHAPE, from.shape = huge);
  WITH(MXL_INVALID_SHAPE, from.shape = negative);
  WITH(MXL_INVALID_SHAPE, from.strides = apart);
  WITH(MXL_INVALID_SHAPE, to.strides = apart);
  WITH(MXL_INVALID_SHAPE, to.shape = values_shape);
  WITH(MXL_INVALID_SHAPE, importance.shape = blocks_shape);
  WITH(MXL_INVALID_SHAPE, importance.rank = 0);
  WITH(MXL_INVALID_DTYPE, importance.dtype = MXL_FLOAT16);
  WITH(MXL_INVALID_ARGUMENT, importance.data = NULL);
  WITH(MXL_INVALID_ARGUMENT, importance.data = (char *)importance_values + 1);
  const float bad_weights[] = {-1, NAN, INFINITY}, bad_values[] = {NAN, INFINITY, -INFINITY, 6e5f, -6e5f};
  for (int i = 0; i < 3; i++) WITH(MXL_INVALID_ARGUMENT, importance_values[K - 1] = bad_weights[i]);
  importance_values[K - 1] = 0;
  for (int i = 0; i < 5; i++) WITH(MXL_INVALID_ARGUMENT, values[K + 3] = bad_values[i]);
  CHECK(strstr(failure.message, "row 1, column 3") != NULL || failure.message[0] == 0);
  values[K + 3] = 5e5f;
  ACCEPTED(mxl_quantize("Q4_0", &options, &good, &to, error));
#undef WITH
}

static void dequantize(void) {
  const mxl_tensor good = tensor(values, 2, values_shape), good_blocks = bytes(blocks, 2, blocks_shape);
  mxl_tensor from = good_blocks, to = good;
  values[0] = 77;
#define WITH(expected, change)                                    \
  do {                                                            \
    to = good, from = good_blocks;                                \
    change;                                                       \
    REFUSED(expected, mxl_dequantize("Q4_0", &from, &to, error)); \
    CHECK(values[0] == 77);                                       \
  } while (0)
  REFUSED(MXL_INVALID_ARGUMENT, mxl_dequantize(NULL, &from, &to, error));
  REFUSED(MXL_UNSUPPORTED, mxl_dequantize("", &from, &to, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_dequantize("Q4_0", NULL, &to, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_dequantize("Q4_0", &from, NULL, error));
  WITH(MXL_INVALID_DTYPE, from.dtype = MXL_FLOAT32);
  WITH(MXL_INVALID_DTYPE, to.dtype = MXL_FLOAT64);
  WITH(MXL_INVALID_SHAPE, from.shape = values_shape);
  WITH(MXL_INVALID_SHAPE, to.shape = blocks_shape);
  WITH(MXL_INVALID_ARGUMENT, to.data = blocks);
  to = good;
  ACCEPTED(mxl_dequantize("Q4_0", &good_blocks, &to, error));
#undef WITH
}

/* out_dim 3, in_dim 64, groups of 32. */
static void quantize_gptq(void) {
  static int32_t words[8 * 3], zeros[2];
  static float scales[2 * 3];
  static const int64_t words_shape[] = {8, 3}, zeros_shape[] = {2, 1}, scales_shape[] = {2, 3};
  const mxl_tensor good = tensor(values, 2, values_shape), good_scales = tensor(scales, 2, scales_shape);
  mxl_tensor good_words = tensor(words, 2, words_shape), good_zeros = tensor(zeros, 2, zeros_shape);
  good_words.dtype = good_zeros.dtype = MXL_INT32;
  const mxl_quantization good_config = {.struct_size = sizeof good_config, .bits = 4, .group_size = 32};
  const mxl_quantize_options good_options = {.struct_size = sizeof good_options};
  mxl_quantization config = good_config;
  mxl_quantize_options options = good_options;
  mxl_tensor from = good, qweight = good_words, qzeros = good_zeros, scale = good_scales;
  values[0] = 1;
#define QUANTIZE mxl_quantize_gptq(&config, &options, &from, &qweight, &qzeros, &scale, error)
#define WITH(expected, change)                                                      \
  do {                                                                              \
    config = good_config, options = good_options, from = good, scale = good_scales; \
    qweight = good_words, qzeros = good_zeros;                                      \
    words[0] = zeros[0] = 7, scales[0] = 7;                                         \
    change;                                                                         \
    REFUSED(expected, QUANTIZE);                                                    \
    CHECK(words[0] == 7 && zeros[0] == 7 && scales[0] == 7);                        \
  } while (0)
  REFUSED(MXL_INVALID_ARGUMENT, mxl_quantize_gptq(NULL, &options, &from, &qweight, &qzeros, &scale, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_quantize_gptq(&config, NULL, NULL, &qweight, &qzeros, &scale, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_quantize_gptq(&config, NULL, &from, NULL, &qzeros, &scale, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_quantize_gptq(&config, NULL, &from, &qweight, NULL, &scale, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_quantize_gptq(&config, NULL, &from, &qweight, &qzeros, NULL, error));
  for (uint32_t size = 0; size < 20; size++) WITH(MXL_INVALID_ARGUMENT, config.struct_size = size);
  for (uint32_t size = 0; size < sizeof options; size++) WITH(MXL_INVALID_ARGUMENT, options.struct_size = size);
  const int32_t no_bits[] = {INT32_MIN, -4, 0, 1, 5, 6, 7, 16, 32, INT32_MAX};
  for (int i = 0; i < 10; i++) WITH(MXL_UNSUPPORTED, config.bits = no_bits[i]);
  WITH(MXL_INVALID_SHAPE, config.bits = 3);
  WITH(MXL_UNSUPPORTED, config.desc_act = 1);
  WITH(MXL_INVALID_ARGUMENT, config.sym = 2);
  WITH(MXL_UNSUPPORTED, config.quant_method = "hqq");
  WITH(MXL_INVALID_SHAPE, config.quant_method = "awq");
  WITH(MXL_UNSUPPORTED, (config.quant_method = "awq", config.bits = 8));
  WITH(MXL_UNSUPPORTED, (config.quant_method = "awq", config.checkpoint_format = "gemv"));
  WITH(MXL_UNSUPPORTED, config.checkpoint_format = "marlin");
  WITH(MXL_INVALID_ARGUMENT, config.group_size = 0);
  WITH(MXL_INVALID_SHAPE, config.group_size = 16);
  WITH(MXL_INVALID_SHAPE, config.group_size = -1);
  WITH(MXL_UNSUPPORTED, options.importance = &good_scales);
  WITH(MXL_INVALID_ARGUMENT, options.threads = -1);
  WITH(MXL_INVALID_ARGUMENT, options.threads = 1025);
  WITH(MXL_INVALID_DTYPE, from.dtype = MXL_INT32);
  WITH(MXL_INVALID_DTYPE, qweight.dtype = MXL_UINT32);
  WITH(MXL_INVALID_DTYPE, qzeros.dtype = MXL_FLOAT32);
  WITH(MXL_INVALID_DTYPE, scale.dtype = MXL_FLOAT64);
  WITH(MXL_INVALID_SHAPE, from.rank = 1);
  WITH(MXL_INVALID_SHAPE, from.rank = 0);
  WITH(MXL_INVALID_SHAPE, qweight.shape = scales_shape);
  WITH(MXL_INVALID_SHAPE, qzeros.shape = scales_shape);
  WITH(MXL_INVALID_SHAPE, scale.shape = zeros_shape);
  const int64_t ragged[] = {3, 60}, apart[] = {1, 3}, none[] = {0, 64}, huge[] = {INT64_MAX / 8, 64};
  WITH(MXL_INVALID_SHAPE, from.shape = ragged);
  WITH(MXL_INVALID_SHAPE, from.shape = none);
  WITH(MXL_INVALID_SHAPE, from.shape = huge);
  WITH(MXL_INVALID_SHAPE, from.strides = apart);
  WITH(MXL_INVALID_SHAPE, qweight.strides = apart);
  WITH(MXL_INVALID_ARGUMENT, qweight.data = (char *)words + 1);
  WITH(MXL_INVALID_ARGUMENT, qzeros.data = (char *)zeros + 2);
  WITH(MXL_INVALID_ARGUMENT, qweight.data = NULL);
  WITH(MXL_INVALID_ARGUMENT, from.data = NULL);
  WITH(MXL_INVALID_ARGUMENT, scale.data = values);
  WITH(MXL_INVALID_ARGUMENT, qzeros.data = words);
  WITH(MXL_NO_DEVICE, from.device.type = MXL_DEVICE_CUDA);
  WITH(MXL_NO_DEVICE, scale.device.type = MXL_DEVICE_CUDA);
  const float bad[] = {NAN, INFINITY, -INFINITY};
  for (int i = 0; i < 3; i++) WITH(MXL_INVALID_ARGUMENT, values[K + 3] = bad[i]);
  CHECK(strstr(failure.message, "row 1, column 3") != NULL || failure.message[0] == 0);
  values[K + 3] = 1;
  config = good_config, options = good_options, from = good, qweight = good_words, qzeros = good_zeros;
  scale = good_scales;
  ACCEPTED(QUANTIZE);
#undef WITH
#undef QUANTIZE
}

static void block_sizes(void) {
  int64_t elements = 7, size = 7;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_encoding_block(NULL, &elements, &size, error));
  REFUSED(MXL_UNSUPPORTED, mxl_encoding_block("Q4_k", &elements, &size, error));
  CHECK(elements == 7 && size == 7);
  ACCEPTED(mxl_encoding_block("Q4_K", NULL, NULL, error));
  const char *const untouched = "untouched", *chosen = untouched;
  REFUSED(MXL_INVALID_ARGUMENT, mxl_encoding_choose(NULL, NULL, 32, &chosen, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_encoding_choose("Q4_0", NULL, 32, NULL, error));
  REFUSED(MXL_UNSUPPORTED, mxl_encoding_choose("Q4_k", NULL, 32, &chosen, error));
  REFUSED(MXL_UNSUPPORTED, mxl_encoding_choose("Q4_0", "\x01", 32, &chosen, error));
  REFUSED(MXL_UNSUPPORTED, mxl_encoding_choose("Q4_K", "GPTQ", 384, &chosen, error));
  REFUSED(MXL_INVALID_SHAPE, mxl_encoding_choose("Q4_K", NULL, 384, &chosen, error));
  REFUSED(MXL_INVALID_SHAPE, mxl_encoding_choose("Q4_K", "Q8_0", 100, &chosen, error));
  REFUSED(MXL_INVALID_SHAPE, mxl_encoding_choose("Q4_K", "Q8_0", -256, &chosen, error));
  REFUSED(MXL_INVALID_SHAPE, mxl_encoding_choose("Q4_K", "Q8_0", INT64_MIN, &chosen, error));
  CHECK(chosen == untouched);
}

/* What a plugin's file may do wrong, Tests/PluginTests has. */
static void plugins(void) {
  REFUSED(MXL_INVALID_ARGUMENT, mxl_plugin_load(NULL, error));
  REFUSED(MXL_INVALID_ARGUMENT, mxl_plugin_load("\xff", error));
  REFUSED(MXL_IO, mxl_plugin_load("", error));
  REFUSED(MXL_IO, mxl_plugin_load("/nowhere/plugin.so", error));
  REFUSED(MXL_IO, mxl_plugin_load("/", error));
  REFUSED(MXL_IO, mxl_plugin_load("/dev/null", error));
}

void refuse_encodings(void) {
  plugins();
  quantize();
  dequantize();
  quantize_gptq();
  block_sizes();
}

/* A client that calls every function of the interface and checks what comes back. Its numbers are small integers, so
 * every sum is exact and every right answer is the same on any CPU and in any version. */
#define _GNU_SOURCE /* mkstemps */
#include <maxlinear.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CHECK(condition)                                                                        \
  do {                                                                                          \
    if (!(condition)) {                                                                         \
      fprintf(stderr, "client.c:%d: not so: %s (%s)\n", __LINE__, #condition, failure.message); \
      exit(1);                                                                                  \
    }                                                                                           \
  } while (0)
#define CALL(call) CHECK((call) == MXL_OK)

enum { IN = 70, OUT = 37, ROWS = 5 };

static mxl_error failure = MXL_ERROR_INIT;
static float weight[OUT * IN], bias[OUT], x[ROWS * IN], y[ROWS * OUT], expected[ROWS * OUT];
static const int64_t weight_shape[] = {OUT, IN}, bias_shape[] = {OUT}, x_shape[] = {ROWS, IN}, y_shape[] = {ROWS, OUT};
static int released;

static void count_release(void *owner) {
  if (owner == weight) released++;
}

static mxl_tensor tensor(float *data, int32_t rank, const int64_t *shape) {
  mxl_tensor view = {0};
  view.data = data;
  view.dtype = MXL_FLOAT32;
  view.rank = rank;
  view.shape = shape;
  return view;
}

static void fill_in(void) {
  for (int i = 0; i < OUT * IN; i++) weight[i] = (float)(i % 7 - 3);
  for (int n = 0; n < OUT; n++) bias[n] = (float)(n - 18);
  for (int i = 0; i < ROWS * IN; i++) x[i] = (float)(i % 5 - 2);
  for (int m = 0; m < ROWS; m++)
    for (int n = 0; n < OUT; n++) {
      float sum = bias[n];
      for (int k = 0; k < IN; k++) sum += x[m * IN + k] * weight[n * IN + k];
      expected[m * OUT + n] = sum;
    }
}

static void version_and_names(void) {
  CHECK(mxl_version() >= (MXL_VERSION_MAJOR << 16 | MXL_VERSION_MINOR << 8 | MXL_VERSION_PATCH));
  CHECK(mxl_abi_version() == MXL_ABI_VERSION);
  CHECK(strcmp(mxl_status_name(MXL_INVALID_SHAPE), "MXL_INVALID_SHAPE") == 0);
  CHECK(strcmp(mxl_status_name((mxl_status)12345), "MXL_UNKNOWN") == 0);
  CHECK(strcmp(mxl_dtype_name(MXL_BFLOAT16), "bfloat16") == 0);
  CHECK(strcmp(mxl_dtype_name(-1), "unknown") == 0);
  CHECK(mxl_dtype_bits(MXL_FLOAT32) == 32 && mxl_dtype_bits(MXL_FLOAT4_E2M1) == 4 && mxl_dtype_bits(-1) == 0);
}

static void threads_and_info(void) {
  size_t length = 0, again = 0;
  CHECK(mxl_threads() >= 1);
  CALL(mxl_set_threads(2, &failure));
  CHECK(mxl_threads() == 2);
  CALL(mxl_info(NULL, 0, &length, &failure));
  CHECK(length > 2);
  char *text = malloc(length + 1);
  CHECK(text != NULL);
  CHECK(mxl_plugin_load("/nowhere/plugin.so", &failure) == MXL_IO);
  CALL(mxl_info(text, length + 1, &again, &failure));
  CHECK(again == length && strlen(text) == length && text[0] == '{' && text[length - 1] == '}');
  free(text);
}

static void check_forward(const mxl_layer *layer, int has_bias) {
  mxl_tensor in = tensor(x, 2, x_shape), out = tensor(y, 2, y_shape);
  mxl_run_options options = {sizeof options, 2, 0};
  memset(y, 0xff, sizeof y);
  CALL(mxl_layer_forward(layer, NULL, &in, &out, &failure));
  for (int i = 0; i < ROWS * OUT; i++) CHECK(y[i] == expected[i] - (has_bias ? 0 : bias[i % OUT]));
  options.accumulate = 1;
  CALL(mxl_layer_forward(layer, &options, &in, &out, &failure));
  for (int i = 0; i < ROWS * OUT; i++) CHECK(y[i] == 2 * (expected[i] - (has_bias ? 0 : bias[i % OUT])));
}

/* A layer twice, into the columns of one array. */
static void together(const mxl_layer *layer) {
  static const int64_t strides[] = {2 * OUT, 1};
  float both[ROWS * 2 * OUT];
  const mxl_layer *layers[] = {layer, layer};
  mxl_tensor in = tensor(x, 2, x_shape), out[] = {tensor(both, 2, y_shape), tensor(both + OUT, 2, y_shape)};
  out[0].strides = out[1].strides = strides;
  CALL(mxl_layers_forward(layers, 2, NULL, &in, out, &failure));
  for (int i = 0; i < ROWS * 2 * OUT; i++) CHECK(both[i] == expected[i / (2 * OUT) * OUT + i % OUT]);
}

static void linear(void) {
  mxl_linear_options options = {sizeof options, MXL_FLOAT32,   .in_dim = IN,
                                .out_dim = OUT, .has_bias = 1, .name = "lin"};
  mxl_layer *layer = NULL;
  CALL(mxl_linear_create(&options, &layer, &failure));

  size_t count = 0;
  CALL(mxl_layer_entry_count(layer, &count, &failure));
  CHECK(count == 2);
  mxl_entry state[2] = {{0}};
  state[0].name = "lin.weight";
  state[0].tensor = tensor(weight, 2, weight_shape);
  state[0].storage = MXL_STORAGE_BORROW;
  state[0].release = count_release;
  state[0].owner = weight;
  state[1].name = "lin.bias";
  state[1].tensor = tensor(bias, 1, bias_shape);
  CALL(mxl_layer_load(layer, state, 2, MXL_LOAD_STRICT, &failure));
  mxl_prepare_options preparing = {sizeof preparing, .pack = MXL_PACK_ALWAYS};
  const char *kernel = NULL, *foretold = NULL;
  CALL(mxl_can_run(&options, &preparing, &foretold, &failure));
  CALL(mxl_layer_prepare(layer, &preparing, &failure));
  CHECK(released == 1);
  check_forward(layer, 1);
  together(layer);

  CALL(mxl_layer_kernel(layer, &kernel, &failure));
  CHECK(strncmp(kernel, "mxlk_linear_", 12) == 0 && strcmp(kernel, foretold) == 0);
  mxl_memory memory = {0};
  memory.struct_size = sizeof memory;
  CALL(mxl_layer_memory(layer, &memory, &failure));
  CHECK(memory.packed >= sizeof weight && memory.mapped == 0);

  mxl_entry entry = {0};
  CALL(mxl_layer_entry(layer, 0, &entry, &failure));
  CHECK(strcmp(entry.name, "lin.weight") == 0 && entry.tensor.rank == 2 && entry.tensor.shape[1] == IN);
  CHECK(memcmp(entry.tensor.data, weight, sizeof weight) == 0);
  if (entry.release) entry.release(entry.owner);

  CHECK(mxl_layer_load(layer, state, 2, 0, &failure) == MXL_ALREADY_PREPARED && failure.message[0] != 0);
  CALL(mxl_layer_load(layer, state, 2, MXL_LOAD_REPLACE, &failure));
  check_forward(layer, 1);
  mxl_layer_retain(layer);
  mxl_layer_destroy(layer);
  check_forward(layer, 1);
  mxl_layer_destroy(layer);
  CHECK(released == 2);
}

static void linear_v1(void) {
  mxl_entry entry = {0};
  entry.tensor = tensor(weight, 2, weight_shape);
  mxl_linear_v1_options options = {0};
  options.struct_size = sizeof options;
  options.weight = &entry;
  options.in_features = OUT;
  options.out_features = IN;
  mxl_layer *layer = NULL;
  CALL(mxl_linear_v1_create(&options, &layer, &failure));
  CALL(mxl_layer_prepare(layer, NULL, &failure));
  check_forward(layer, 0);
  mxl_layer_destroy(layer);
}

/* A safetensors file: the header's length in 8 bytes, the header, the data. */
static void write_checkpoint(int file) {
  char header[256] = {0};
  unsigned weight_bytes = sizeof weight, all_bytes = sizeof weight + sizeof bias;
  int length = snprintf(header + 8, sizeof header - 8,
                        "{\"a.weight\":{\"dtype\":\"F32\",\"shape\":[%d,%d],\"data_offsets\":[0,%u]},"
                        "\"a.bias\":{\"dtype\":\"F32\",\"shape\":[%d],\"data_offsets\":[%u,%u]}}",
                        OUT, IN, weight_bytes, OUT, weight_bytes, all_bytes);
  for (int byte = 0; byte < 8; byte++)
    header[byte] = (char)((unsigned)length >> (8 * (byte % 4)) & (byte < 4 ? 255 : 0));
  CHECK(write(file, header, (size_t)length + 8) == length + 8);
  CHECK(write(file, weight, sizeof weight) == (ssize_t)sizeof weight);
  CHECK(write(file, bias, sizeof bias) == (ssize_t)sizeof bias);
  CHECK(close(file) == 0);
}

static void checkpoint(void) {
  char path[] = "/tmp/maxlinear-client-XXXXXX.safetensors";
  const char *paths[] = {path};
  int file = mkstemps(path, 12);
  CHECK(file >= 0);
  write_checkpoint(file);
  mxl_weights *weights = NULL;
  mxl_status opened = mxl_weights_open(paths, 1, &weights, &failure);
  unlink(path);
  CALL(opened);
  size_t count = 0;
  mxl_entry entry = {0};
  uint64_t mapped = 0, resident = 0;
  CALL(mxl_weights_count(weights, &count, &failure));
  CHECK(count == 2);
  CALL(mxl_weights_entry(weights, 0, &entry, &failure));
  CHECK(strcmp(entry.name, "a.weight") == 0 && entry.release == NULL && entry.storage == MXL_STORAGE_MAP);
  CALL(mxl_weights_find(weights, "a.bias", &entry, &failure));
  CHECK(memcmp(entry.tensor.data, bias, sizeof bias) == 0);
  CHECK(mxl_weights_find(weights, "b", &entry, &failure) == MXL_MISSING_KEY);
  CALL(mxl_weights_memory(weights, &mapped, &resident, &failure));
  CHECK(mapped >= sizeof weight + sizeof bias && resident <= mapped);
  mxl_quantization config = {.struct_size = sizeof config};
  CHECK(mxl_weights_quantization(weights, &config, &failure) == MXL_MISSING_KEY);

  mxl_linear_options options = {0};
  options.struct_size = sizeof options;
  options.dtype = MXL_FLOAT32;
  options.in_dim = IN;
  options.out_dim = OUT;
  options.has_bias = 1;
  mxl_layer *layer = NULL;
  CALL(mxl_linear_create(&options, &layer, &failure));
  CALL(mxl_layer_load_weights(layer, weights, "a.", 0, &failure));
  mxl_layer *none = NULL;
  CHECK(mxl_mlp_create_from_weights(weights, 0, NULL, &none, &failure) == MXL_MISSING_KEY && none == NULL);
  mxl_weights_destroy(weights);
  CALL(mxl_layer_prepare(layer, NULL, &failure));
  check_forward(layer, 1);
  mxl_layer_destroy(layer);
}

/* relu keeps what is above zero, so that all numbers stay integers. */
static void mlp(void) {
  enum { HIDDEN = 4, LENGTH = 6 };
  float wide[LENGTH * HIDDEN], narrow[HIDDEN * LENGTH], in[HIDDEN] = {1, -2, 3, -4}, out[HIDDEN];
  float hidden[LENGTH], gates[LENGTH];
  static const int64_t wide_shape[] = {LENGTH, HIDDEN}, narrow_shape[] = {HIDDEN, LENGTH};
  static const int64_t hidden_shape[] = {LENGTH}, out_shape[] = {HIDDEN};
  for (int i = 0; i < LENGTH * HIDDEN; i++) wide[i] = (float)(i % 5 - 2), narrow[i] = (float)(i % 3 - 1);
  for (int n = 0; n < LENGTH; n++) {
    hidden[n] = 0;
    for (int k = 0; k < HIDDEN; k++) hidden[n] += in[k] * wide[n * HIDDEN + k];
    gates[n] = hidden[n];
  }
  mxl_tensor gate = tensor(gates, 1, hidden_shape), up = tensor(hidden, 1, hidden_shape);
  CALL(mxl_gate(MXL_ACTIVATION_RELU, &gate, &up, &up, &failure));
  for (int n = 0; n < LENGTH; n++) CHECK(hidden[n] == (gates[n] > 0 ? gates[n] * gates[n] : 0));

  mxl_device cpu = {MXL_DEVICE_CPU, 0};
  mxl_mlp_options options = {0};
  options.struct_size = sizeof options;
  options.dtype = MXL_FLOAT32;
  options.hidden_dim = HIDDEN;
  options.feed_forward_length = LENGTH;
  options.activation = MXL_ACTIVATION_RELU;
  options.devices = &cpu;
  options.device_count = 1;
  mxl_layer *layer = NULL;
  CALL(mxl_mlp_create(&options, &layer, &failure));
  mxl_entry state[3] = {{0}};
  state[0].name = "gate_proj.weight";
  state[0].tensor = tensor(wide, 2, wide_shape);
  state[1].name = "down_proj.weight";
  state[1].tensor = tensor(narrow, 2, narrow_shape);
  state[2].name = "up_proj.weight";
  state[2].tensor = tensor(wide, 2, wide_shape);
  CALL(mxl_layer_load(layer, state, 3, MXL_LOAD_STRICT, &failure));
  CALL(mxl_layer_prepare(layer, NULL, &failure));
  mxl_tensor from = tensor(in, 1, out_shape), to = tensor(out, 1, out_shape);
  CALL(mxl_layer_forward(layer, NULL, &from, &to, &failure));
  for (int n = 0; n < HIDDEN; n++) {
    float sum = 0;
    for (int k = 0; k < LENGTH; k++) sum += hidden[k] * narrow[n * LENGTH + k];
    CHECK(out[n] == sum);
  }
  mxl_layer_destroy(layer);
}

/* Linears of one input and output: y = relu(2 x) (3 x) 5. */
static mxl_layer *factor(float value) {
  static const int64_t one[] = {1, 1};
  mxl_entry entry = {0};
  entry.tensor = tensor(&value, 2, one);
  mxl_linear_v1_options options = {0};
  options.struct_size = sizeof options;
  options.weight = &entry;
  mxl_layer *layer = NULL;
  CALL(mxl_linear_v1_create(&options, &layer, &failure));
  return layer;
}

static void mlp_of_layers(void) {
  static const int64_t shape[] = {1};
  mxl_layer *gate = factor(2), *up = factor(3), *down = factor(5), *mlp = NULL;
  CALL(mxl_mlp_create_from(gate, down, up, MXL_ACTIVATION_RELU, &mlp, &failure));
  mxl_layer_destroy(gate);
  mxl_layer_destroy(up);
  mxl_layer_destroy(down);
  CALL(mxl_layer_prepare(mlp, NULL, &failure));
  float in = 4, out = 0;
  mxl_tensor from = tensor(&in, 1, shape), to = tensor(&out, 1, shape);
  CALL(mxl_layer_forward(mlp, NULL, &from, &to, &failure));
  CHECK(out == 8 * 12 * 5);
  mxl_layer_destroy(mlp);
}

/* Two devices: each has half of the outputs, of the inputs, or of h. */
static void devices(void) {
  static const mxl_device cpus[] = {{MXL_DEVICE_CPU, 0}, {MXL_DEVICE_CPU, 1}};
  static const int64_t square[] = {2, 2}, row[] = {2}, half[] = {1};
  float square_weight[] = {1, 2, 3, 4}, in[] = {5, 7}, copy[] = {5, 7}, outs[2][2] = {{0}};
  mxl_linear_options linear_options = {0};
  linear_options.struct_size = sizeof linear_options;
  linear_options.dtype = MXL_FLOAT32;
  linear_options.in_dim = linear_options.out_dim = 2;
  mxl_parallel_options options = {0};
  options.struct_size = sizeof options;
  options.gather = 1;
  options.linear = &linear_options;
  options.devices = cpus;
  options.device_count = 2;
  mxl_entry entry = {0};
  entry.name = "weight";
  entry.tensor = tensor(square_weight, 2, square);
  mxl_tensor xs[2] = {tensor(in, 1, row), tensor(copy, 1, row)},
             ys[2] = {tensor(outs[0], 1, row), tensor(outs[1], 1, row)};
  mxl_layer *layer = NULL;
  CALL(mxl_column_parallel_create(&options, &layer, &failure));
  CALL(mxl_layer_load(layer, &entry, 1, 0, &failure));
  CALL(mxl_layer_prepare(layer, NULL, &failure));
  CALL(mxl_layer_forward_devices(layer, NULL, xs, ys, 2, &failure));
  for (int device = 0; device < 2; device++) CHECK(outs[device][0] == 19 && outs[device][1] == 43);
  size_t count = 0;
  int64_t begin = 0, end = 0;
  CALL(mxl_layer_shard(layer, 1, &count, &begin, &end, &failure));
  CHECK(count == 2 && begin == 1 && end == 2);
  mxl_layer_destroy(layer);

  CALL(mxl_row_parallel_create(&options, &layer, &failure));
  CALL(mxl_layer_load(layer, &entry, 1, 0, &failure));
  CALL(mxl_layer_prepare(layer, NULL, &failure));
  mxl_tensor parts[2] = {tensor(in, 1, half), tensor(in + 1, 1, half)};
  memset(outs, 0, sizeof outs);
  CALL(mxl_layer_forward_devices(layer, NULL, parts, ys, 2, &failure));
  for (int device = 0; device < 2; device++) CHECK(outs[device][0] == 19 && outs[device][1] == 43);
  mxl_layer_destroy(layer);

  mxl_mlp_options mlp_options = {0};
  mlp_options.struct_size = sizeof mlp_options;
  mlp_options.dtype = MXL_FLOAT32;
  mlp_options.hidden_dim = mlp_options.feed_forward_length = 2;
  mlp_options.activation = MXL_ACTIVATION_RELU;
  mlp_options.devices = cpus;
  mlp_options.device_count = 2;
  mxl_entry state[3] = {entry, entry, entry};
  state[0].name = "gate_proj.weight";
  state[1].name = "down_proj.weight";
  state[2].name = "up_proj.weight";
  CALL(mxl_distributed_mlp_create(&mlp_options, &layer, &failure));
  CALL(mxl_layer_load(layer, state, 3, MXL_LOAD_STRICT, &failure));
  CALL(mxl_layer_prepare(layer, NULL, &failure));
  CALL(mxl_layer_forward_devices(layer, NULL, xs, ys, 2, &failure));
  for (int device = 0; device < 2; device++)
    CHECK(outs[device][0] == 19 * 19 + 2 * 43 * 43 && outs[device][1] == 3 * 19 * 19 + 4 * 43 * 43);
  mxl_layer_destroy(layer);
}

/* GPTQ, eight codes a word: w = scale (code - 8). */
static void gptq(void) {
  static const int64_t word_shape[] = {1, 1}, in_shape[] = {8}, out_shape[] = {1};
  float scale = 0.5f, in[8] = {1, 1, 1, 1, 1, 1, 1, 2}, out = 0;
  uint32_t word = 0xf8888889u;
  mxl_quantization quantization = {0};
  quantization.struct_size = sizeof quantization;
  quantization.bits = 4;
  quantization.group_size = 8;
  quantization.sym = 1;
  mxl_linear_options options = {0};
  options.struct_size = sizeof options;
  options.dtype = MXL_FLOAT32;
  options.in_dim = 8;
  options.out_dim = 1;
  options.encoding = "GPTQ";
  options.quantization = &quantization;
  mxl_entry state[2] = {{0}};
  state[0].name = "qweight";
  state[0].tensor = tensor(&scale, 2, word_shape);
  state[0].tensor.data = &word;
  state[0].tensor.dtype = MXL_INT32;
  state[1].name = "scales";
  state[1].tensor = tensor(&scale, 2, word_shape);
  mxl_layer *layer = NULL;
  CALL(mxl_linear_create(&options, &layer, &failure));
  CALL(mxl_layer_load(layer, state, 2, MXL_LOAD_STRICT, &failure));
  CALL(mxl_layer_prepare(layer, NULL, &failure));
  mxl_tensor from = tensor(in, 1, in_shape), to = tensor(&out, 1, out_shape);
  CALL(mxl_layer_forward(layer, NULL, &from, &to, &failure));
  CHECK(out == 0.5f * 1 + 0.5f * 7 * 2);

  static const int64_t values_shape[] = {1, 8};
  float values[8] = {-7.5f, 7, 3, 0, -1, -2, 5, 1};
  uint32_t zeros = 0;
  mxl_tensor from_values = tensor(values, 2, values_shape), words = state[0].tensor, zero_words = words;
  zero_words.data = &zeros;
  CALL(mxl_quantize_gptq(&quantization, NULL, &from_values, &words, &zero_words, &state[1].tensor, &failure));
  CHECK(scale == 1 && word == 0x9d678bf0u && zeros == 7);
  mxl_layer_destroy(layer);

  /* 8 bits, four codes a word: w = code - 128. */
  static const int64_t two_words[] = {2, 1};
  uint32_t eight[2] = {0};
  values[0] = -127.5f;
  quantization.bits = 8;
  words.shape = two_words;
  words.data = eight;
  CALL(mxl_quantize_gptq(&quantization, NULL, &from_values, &words, &zero_words, &state[1].tensor, &failure));
  CHECK(scale == 1 && eight[0] == 0x80838700u && eight[1] == 0x81857e7fu && zeros == 127);

  /* AWQ, eight outputs a word, in its order: each output is one value from 0 to 15. */
  static const int64_t across[] = {8, 1}, awq_words[] = {1, 1}, awq_scales[] = {1, 8};
  float sevenths[8], awq_scale[8];
  for (int n = 0; n < 8; n++) sevenths[n] = (float)(n + 1);
  from_values = tensor(sevenths, 2, across);
  words.shape = awq_words;
  words.data = &word;
  mxl_tensor scales_across = tensor(awq_scale, 2, awq_scales);
  quantization.bits = 4;
  quantization.sym = 0;
  quantization.quant_method = "awq";
  CALL(mxl_quantize_gptq(&quantization, NULL, &from_values, &words, &zero_words, &scales_across, &failure));
  CHECK(word == 0xffffffffu && zeros == 0 && awq_scale[7] * 15 > 7.99f && awq_scale[7] * 15 < 8.01f);
}

/* Float8 weights with a scale for each output: values that E4M3 holds, of largest magnitude 448 and 224. */
static void float8(void) {
  static const int64_t shape[] = {2, 2}, out_shape[] = {2};
  float values[4] = {448, -2, 112, 224}, again[4] = {0}, scales[2] = {0}, in[2] = {1, 2}, out[2] = {0};
  uint8_t codes[4] = {0};
  mxl_tensor from = tensor(values, 2, shape), to = tensor(again, 2, shape);
  mxl_entry state[2] = {{0}};
  state[0].name = "weight";
  state[0].tensor = tensor(values, 2, shape);
  state[0].tensor.data = codes;
  state[0].tensor.dtype = MXL_FLOAT8_E4M3;
  state[1].name = "weight_scale";
  state[1].tensor = tensor(scales, 1, out_shape);
  CALL(mxl_quantize_float8(NULL, &from, &state[0].tensor, &state[1].tensor, &failure));
  CHECK(scales[0] == 1 && scales[1] == 0.5f && codes[0] == 0x7e && codes[1] == 0xc0);
  CALL(mxl_dequantize_float8(&state[0].tensor, &state[1].tensor, &to, &failure));
  CHECK(memcmp(values, again, sizeof values) == 0);
  mxl_linear_options options = {0};
  options.struct_size = sizeof options;
  options.dtype = MXL_FLOAT8_E4M3;
  options.in_dim = options.out_dim = 2;
  mxl_layer *layer = NULL;
  mxl_tensor x = tensor(in, 1, out_shape), y = tensor(out, 1, out_shape);
  CALL(mxl_linear_create(&options, &layer, &failure));
  CALL(mxl_layer_load(layer, state, 2, MXL_LOAD_STRICT, &failure));
  CALL(mxl_layer_prepare(layer, NULL, &failure));
  CALL(mxl_layer_forward(layer, NULL, &x, &y, &failure));
  CHECK(out[0] == 448 - 2 * 2 && out[1] == 112 + 2 * 224);
  mxl_layer_destroy(layer);
}

/* Every code of a block whose scale is 1: what goes in comes out. */
static void encodings(void) {
  enum { K = 64, BYTES = 36 };
  static const int64_t values_shape[] = {1, K}, blocks_shape[] = {1, BYTES};
  float values[K], again[K];
  uint8_t blocks[BYTES];
  for (int i = 0; i < K; i++) values[i] = (float)(i % 16 - 8);
  int64_t elements = 0, size = 0;
  CALL(mxl_encoding_block("Q4_0", &elements, &size, &failure));
  CHECK(elements == 32 && size == 18);
  mxl_tensor from = tensor(values, 2, values_shape), to = tensor(again, 2, values_shape);
  mxl_tensor encoded = tensor(values, 2, blocks_shape);
  encoded.data = blocks;
  encoded.dtype = MXL_UINT8;
  mxl_quantize_options options = {0};
  options.struct_size = sizeof options;
  options.threads = 1;
  const char *chosen = NULL;
  CALL(mxl_encoding_choose("Q4_K", "Q4_0", K, &chosen, &failure));
  CHECK(strcmp(chosen, "Q4_0") == 0);
  CALL(mxl_encoding_choose("Q4_K", "Q4_0", 256, &chosen, &failure));
  CHECK(strcmp(chosen, "Q4_K") == 0);
  CALL(mxl_encoding_choose("Q4_0", NULL, K, &chosen, &failure));
  CALL(mxl_quantize(chosen, &options, &from, &encoded, &failure));
  CALL(mxl_dequantize("Q4_0", &encoded, &to, &failure));
  CHECK(memcmp(values, again, sizeof values) == 0);
}

int main(void) {
  fill_in();
  version_and_names();
  threads_and_info();
  linear();
  linear_v1();
  mlp();
  mlp_of_layers();
  devices();
  gptq();
  encodings();
  float8();
  checkpoint();
  mxl_layer_retain(NULL);
  mxl_layer_destroy(NULL);
  mxl_weights_destroy(NULL);
  puts("all is well");
  return 0;
}

#include "layers.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void must_fail(const char *file, int line, const char *condition, const char *message) {
  fprintf(stderr, "%s:%d: not so: %s (%s)\n", file, line, condition, message);
  exit(1);
}

/* Options. */

static const mxl_device devices[MOST_DEVICES] = {{MXL_DEVICE_CPU, 0}, {MXL_DEVICE_CPU, 1}};
static const mxl_quantization act_order = {
    .struct_size = sizeof act_order, .bits = 4, .group_size = 128, .desc_act = 1, .sym = 0};
static const mxl_quantization symmetric = {
    .struct_size = sizeof symmetric, .bits = 4, .group_size = 128, .desc_act = 0, .sym = 1};

static const mxl_quantization *quantization(const kind *kind) {
  return kind->encoding != NULL && strcmp(kind->encoding, "GPTQ") == 0 ? &act_order : NULL;
}

static mxl_linear_options linear_options(const kind *kind) {
  mxl_linear_options options = {.struct_size = sizeof options,
                                .dtype = kind->dtype,
                                .in_dim = HIDDEN,
                                .out_dim = FEED_FORWARD,
                                .has_bias = 1,
                                .encoding = kind->encoding,
                                .quantization = quantization(kind)};
  return options;
}

static mxl_status linear(const kind *kind, const state *from, mxl_layer **layer, mxl_error *error) {
  (void)from;
  mxl_linear_options options = linear_options(kind);
  return mxl_linear_create(&options, layer, error);
}

static mxl_status linear_of_tensors(const kind *kind, const state *from, mxl_layer **layer, mxl_error *error) {
  mxl_linear_v1_options options = {
      .struct_size = sizeof options, .weight = &from->entries[0], .encoding = kind->encoding};
  if (from->count > 1) options.bias = &from->entries[1];
  if (quantization(kind) != NULL) {
    options.encoding = NULL;
    options.quantization = &symmetric;
  }
  return mxl_linear_v1_create(&options, layer, error);
}

static mxl_status mlp(const kind *kind, const state *from, mxl_layer **layer, mxl_error *error) {
  (void)from;
  mxl_mlp_options options = {.struct_size = sizeof options,
                             .dtype = kind->dtype,
                             .hidden_dim = HIDDEN,
                             .feed_forward_length = FEED_FORWARD,
                             .has_bias = 1,
                             .encoding = kind->encoding,
                             .devices = kind->devices > 0 ? devices : NULL,
                             .device_count = (size_t)kind->devices,
                             .quantization = quantization(kind),
                             .reduce = kind->reduce};
  return kind->devices > 0 ? mxl_distributed_mlp_create(&options, layer, error)
                           : mxl_mlp_create(&options, layer, error);
}

/* The MLP of three linears made for it: entries are gate's weight and bias, down's, up's. */
static mxl_status mlp_of_linears(const kind *kind, const state *from, mxl_layer **layer, mxl_error *error) {
  (void)kind;
  mxl_layer *linears[3] = {NULL, NULL, NULL};
  mxl_status status = MXL_OK;
  for (int i = 0; i < 3 && status == MXL_OK; i++) {
    mxl_linear_v1_options options = {
        .struct_size = sizeof options, .weight = &from->entries[2 * i], .bias = &from->entries[2 * i + 1]};
    status = mxl_linear_v1_create(&options, &linears[i], error);
  }
  if (status == MXL_OK)
    status = mxl_mlp_create_from(linears[0], linears[1], linears[2], MXL_ACTIVATION_SILU, layer, error);
  for (int i = 0; i < 3; i++) mxl_layer_destroy(linears[i]);
  return status;
}

static mxl_status parallel(const kind *kind, const state *from, mxl_layer **layer, mxl_error *error) {
  (void)from;
  mxl_linear_options one = linear_options(kind);
  mxl_parallel_options options = {.struct_size = sizeof options,
                                  .gather = !kind->reduce && !kind->has_own_outputs,
                                  .linear = &one,
                                  .devices = devices,
                                  .device_count = (size_t)kind->devices};
  return kind->reduce ? mxl_row_parallel_create(&options, layer, error)
                      : mxl_column_parallel_create(&options, layer, error);
}

const kind kinds[] = {
    {"Linear", linear_of_tensors, NULL, MXL_FLOAT32, 0, 0, 1, 0, 0},
    {"LinearV2", linear, NULL, MXL_FLOAT32, 0, 0, 0, 0, 0},
    {"LinearV2 bfloat16", linear, NULL, MXL_BFLOAT16, 0, 0, 0, 0, 0},
    {"LinearV2 float8", linear, NULL, MXL_FLOAT8_E4M3, 0, 0, 0, 0, 0},
    {"LinearV2 Q6_K", linear, "Q6_K", MXL_FLOAT32, 0, 0, 0, 0, 0},
    {"QLinear Q4_0", linear_of_tensors, "Q4_0", MXL_UINT8, 0, 0, 1, 0, 0},
    {"GPTQLinear", linear_of_tensors, "GPTQ", MXL_UINT8, 0, 0, 1, 0, 0},
    {"GPTQLinearV2", linear, "GPTQ", MXL_FLOAT32, 0, 0, 0, 0, 0},
    {"MLP", mlp_of_linears, NULL, MXL_FLOAT32, 0, 0, 1, 1, 0},
    {"MLPV2", mlp, NULL, MXL_FLOAT32, 0, 0, 0, 1, 0},
    {"MLPV2 Q4_K", mlp, "Q4_K", MXL_FLOAT32, 0, 0, 0, 1, 0},
    {"MLPV2 GPTQ", mlp, "GPTQ", MXL_FLOAT32, 0, 0, 0, 1, 0},
    {"DistributedMLP", mlp, NULL, MXL_FLOAT32, 2, 0, 0, 1, 0},
    {"DistributedMLP Q4_K", mlp, "Q4_K", MXL_FLOAT32, 2, 0, 0, 1, 0},
    {"DistributedMLP reduced", mlp, NULL, MXL_FLOAT32, 2, 1, 0, 1, 0},
    {"ColumnParallelLinear", parallel, "Q4_0", MXL_FLOAT32, 2, 0, 0, 0, 0},
    {"ColumnParallelLinear of own outputs", parallel, "Q4_0", MXL_FLOAT32, 2, 0, 0, 0, 1},
    {"RowParallelLinear", parallel, NULL, MXL_FLOAT32, 2, 1, 0, 0, 0},
};
const size_t kind_count = sizeof kinds / sizeof *kinds;

/* Weights. */

static uint32_t next_random(uint32_t *random) { return *random = *random * 1664525u + 1013904223u; }

static float next_float(uint32_t *random) { return ((float)(next_random(random) >> 8) / 8388608.0f - 1) / 16; }

/* Elements of that dtype in a range that every format holds. */
static void fill_values(int32_t dtype, void *data, size_t count, uint32_t *random) {
  for (size_t i = 0; i < count; i++) {
    float value = next_float(random);
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    switch (dtype) {
      case MXL_FLOAT32: ((float *)data)[i] = value; break;
      case MXL_BFLOAT16: ((uint16_t *)data)[i] = (uint16_t)(bits >> 16); break;
      case MXL_FLOAT16: ((uint16_t *)data)[i] = (uint16_t)(0x1c00 | (bits & 0x3ff)); break;
      case MXL_INT32: ((uint32_t *)data)[i] = next_random(random) ^ bits >> 16; break;
      default: ((uint8_t *)data)[i] = (uint8_t)(bits & 0x3f); break; /* no NaN as float8 */
    }
  }
}

static void fill_blocks(const char *encoding, mxl_tensor *blocks, uint32_t *random) {
  mxl_error error = MXL_ERROR_INIT;
  int64_t elements = 0, bytes = 0;
  MUST(mxl_encoding_block(encoding, &elements, &bytes, &error) == MXL_OK);
  const int64_t shape[] = {blocks->shape[0], blocks->shape[1] / bytes * elements};
  float *values = malloc(sizeof(float) * (size_t)(shape[0] * shape[1]));
  MUST(values != NULL);
  fill_values(MXL_FLOAT32, values, (size_t)(shape[0] * shape[1]), random);
  mxl_tensor from = {.data = values, .dtype = MXL_FLOAT32, .rank = 2, .shape = shape};
  MUST(mxl_quantize(encoding, NULL, &from, blocks, &error) == MXL_OK);
  free(values);
}

static void append(state *filled, const mxl_entry *like, uint32_t *random) {
  mxl_error error = MXL_ERROR_INIT;
  size_t index = filled->count++;
  MUST(index < MOST_ENTRIES && like->tensor.rank <= 2);
  mxl_entry *entry = &filled->entries[index];
  *entry = (mxl_entry){.encoding = like->encoding, .tensor = like->tensor};
  entry->name = filled->names[index];
  snprintf(filled->names[index], sizeof filled->names[index], "%s", like->name);
  size_t count = 1;
  for (int i = 0; i < like->tensor.rank; i++) {
    filled->shapes[index][i] = like->tensor.shape[i];
    count *= (size_t)like->tensor.shape[i];
  }
  entry->tensor.shape = filled->shapes[index];
  filled->bytes[index] = count * (size_t)mxl_dtype_bits(like->tensor.dtype) / 8;
  entry->tensor.data = malloc(filled->bytes[index]);
  MUST(entry->tensor.data != NULL);
  if (like->encoding != NULL && strcmp(like->encoding, "GPTQ") != 0) {
    fill_blocks(like->encoding, &entry->tensor, random);
  } else if (strstr(like->name, "g_idx") != NULL) {
    for (size_t i = 0; i < count; i++)
      ((int32_t *)entry->tensor.data)[i] = (int32_t)(i * 7 % count / act_order.group_size);
  } else {
    fill_values(like->tensor.dtype, entry->tensor.data, count, random);
  }
}

/* The layout of GPTQLinear's one tensor: the codes' bytes, then those of float16 scales. */
static void fill_gptq_bytes(state *filled, uint32_t *random) {
  const int64_t rows = HIDDEN / 2, scales = HIDDEN / symmetric.group_size;
  const int64_t shape[] = {rows + 2 * scales, FEED_FORWARD};
  append(filled, &(mxl_entry){.name = "weight", .tensor = {.dtype = MXL_UINT8, .rank = 2, .shape = shape}}, random);
  uint8_t *first = filled->entries[0].tensor.data;
  for (int64_t i = 0; i < scales * FEED_FORWARD; i++)
    memcpy(first + rows * FEED_FORWARD + 2 * i, &(uint16_t){(uint16_t)(0x1c00 + i)}, 2);
}

void state_fill(const kind *kind, unsigned seed, state *filled) {
  mxl_error error = MXL_ERROR_INIT;
  uint32_t random = seed * 2654435761u + 1;
  filled->count = 0;
  if (kind->is_created && quantization(kind) != NULL) {
    fill_gptq_bytes(filled, &random);
    return;
  }
  /* The entries are those of a layer that is made from options. */
  struct kind like = *kind;
  like.create = kind->is_mlp ? mlp : linear;
  like.devices = like.reduce = 0;
  mxl_layer *layer = NULL;
  size_t count = 0;
  MUST(like.create(&like, NULL, &layer, &error) == MXL_OK);
  MUST(mxl_layer_entry_count(layer, &count, &error) == MXL_OK);
  for (size_t i = 0; i < count; i++) {
    mxl_entry entry = {0};
    MUST(mxl_layer_entry(layer, i, &entry, &error) == MXL_OK);
    /* A layer has the one or the other. */
    if (strstr(entry.name, "perm_idx") == NULL) append(filled, &entry, &random);
  }
  for (size_t i = 0; i < filled->count; i++) {
    const char *encoding = filled->entries[i].encoding;
    filled->entries[i].encoding = encoding == NULL ? NULL : kind->encoding;
  }
  mxl_layer_destroy(layer);
}

void state_free(state *filled) {
  for (size_t i = 0; i < filled->count; i++) free(filled->entries[i].tensor.data);
  filled->count = 0;
}

/* Calls. */

mxl_status kind_create(const kind *kind, const state *from, mxl_layer **layer, mxl_error *error) {
  return kind->create(kind, from, layer, error);
}

mxl_status kind_load(const kind *kind, mxl_layer *layer, const state *from, mxl_error *error) {
  return kind->is_created ? MXL_OK : mxl_layer_load(layer, from->entries, from->count, MXL_LOAD_STRICT, error);
}

mxl_layer *kind_make(const kind *kind, const state *from) {
  mxl_error error = MXL_ERROR_INIT;
  mxl_layer *layer = NULL;
  MUST(kind_create(kind, from, &layer, &error) == MXL_OK);
  MUST(kind_load(kind, layer, from, &error) == MXL_OK);
  MUST(mxl_layer_prepare(layer, NULL, &error) == MXL_OK);
  return layer;
}

int64_t kind_columns(const kind *kind) {
  return kind->is_mlp ? HIDDEN : kind->has_own_outputs ? FEED_FORWARD / kind->devices : FEED_FORWARD;
}

static mxl_status call(const kind *kind, const mxl_layer *layer, int32_t accumulate, int32_t threads, results *ys,
                       mxl_error *error) {
  static const float one[] = {0.5f, -1, 0.25f, 2, -0.125f, 1.5f, -3};
  float x[ROWS * HIDDEN];
  for (size_t i = 0; i < ROWS * HIDDEN; i++) x[i] = one[i * 5 % 7];
  const int64_t y_shape[] = {ROWS, kind_columns(kind)};
  /* By inputs, a device's x has its columns alone. */
  const int64_t columns = kind->reduce && !kind->is_mlp ? HIDDEN / kind->devices : HIDDEN;
  const int64_t x_shape[] = {ROWS, columns}, x_strides[] = {HIDDEN, 1};
  mxl_run_options options = {.struct_size = sizeof options, .threads = threads, .accumulate = accumulate};
  mxl_tensor xs[MOST_DEVICES], outs[MOST_DEVICES];
  for (int i = 0; i < MOST_DEVICES; i++) {
    xs[i] = (mxl_tensor){.data = x, .dtype = MXL_FLOAT32, .rank = 2, .shape = x_shape, .strides = x_strides};
    if (columns < HIDDEN) xs[i].data = x + i * columns;
    outs[i] = (mxl_tensor){.data = ys->y[i], .dtype = MXL_FLOAT32, .rank = 2, .shape = y_shape};
  }
  return kind->devices == 0 ? mxl_layer_forward(layer, &options, xs, outs, error)
                            : mxl_layer_forward_devices(layer, &options, xs, outs, (size_t)kind->devices, error);
}

mxl_status kind_forward(const kind *kind, const mxl_layer *layer, int32_t threads, results *ys, mxl_error *error) {
  return call(kind, layer, 0, threads, ys, error);
}

mxl_status kind_add(const kind *kind, const mxl_layer *layer, int32_t threads, results *ys, mxl_error *error) {
  return call(kind, layer, 1, threads, ys, error);
}

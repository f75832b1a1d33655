/* Every status, caused: prints the name of each that a call came back with. Run as `statuses FILE.safetensors JUNK PLUGIN NATIVE`, a checkpoint with a tensor
 * "weight" (3, 4) and a file that is none, PLUGIN and NATIVE, a communicator "memory" of one rank. MXL_INTERNAL is not here: no call may cause it. */
#include "refusals.h"

mxl_error failure;
int checks, failures;

static const char *checkpoint, *junk;
static float weight[3 * 4], x[4], y[3];
static const int64_t weight_shape[] = {3, 4}, in_shape[] = {4}, out_shape[] = {3};
static mxl_layer *fresh, *prepared;
static mxl_linear_options options;
static mxl_communicator *ended;

static mxl_status ok(mxl_error *error) { return mxl_set_threads(mxl_threads(), error); }

static mxl_status invalid_argument(mxl_error *error) { return mxl_set_threads(0, error); }

static mxl_status invalid_shape(mxl_error *error) {
  mxl_tensor in = tensor(x, 1, out_shape), out = tensor(y, 1, out_shape);
  return mxl_layer_forward(prepared, NULL, &in, &out, error);
}

static mxl_status invalid_dtype(mxl_error *error) {
  mxl_tensor in = tensor(x, 1, in_shape), out = tensor(y, 1, out_shape);
  in.dtype = MXL_INT32;
  return mxl_layer_forward(prepared, NULL, &in, &out, error);
}

static mxl_status invalid_handle(mxl_error *error) { return mxl_layer_prepare((mxl_layer *)(void *)x, NULL, error); }

static mxl_status missing_key(mxl_error *error) { return mxl_layer_load(fresh, NULL, 0, 0, error); }

static mxl_status unexpected_key(mxl_error *error) {
  mxl_entry entries[] = {{.name = "weight", .tensor = tensor(weight, 2, weight_shape)},
                         {.name = "other", .tensor = tensor(weight, 2, weight_shape)}};
  return mxl_layer_load(fresh, entries, 2, MXL_LOAD_STRICT, error);
}

static mxl_status not_loaded(mxl_error *error) { return mxl_layer_prepare(fresh, NULL, error); }

static mxl_status not_prepared(mxl_error *error) {
  const char *kernel = NULL;
  return mxl_layer_kernel(fresh, &kernel, error);
}

static mxl_status already_prepared(mxl_error *error) {
  mxl_entry entry = {.name = "weight", .tensor = tensor(weight, 2, weight_shape)};
  return mxl_layer_load(prepared, &entry, 1, 0, error);
}

static mxl_status unsupported(mxl_error *error) { return mxl_encoding_block("no encoding", NULL, NULL, error); }

static mxl_status no_device(mxl_error *error) {
  mxl_linear_options elsewhere = options;
  mxl_layer *none = NULL;
  elsewhere.device.type = MXL_DEVICE_CUDA;
  return mxl_linear_create(&elsewhere, &none, error);
}

static mxl_status open_file(const char *path, mxl_error *error) {
  mxl_weights *none = NULL;
  return mxl_weights_open(&path, 1, &none, error);
}

static mxl_status io(mxl_error *error) { return open_file("/no/such/file", error); }

static mxl_status invalid_file(mxl_error *error) { return open_file(junk, error); }

/* Of a communicator that this rank has ended. */
static mxl_status communication(mxl_error *error) {
  const mxl_parallel_options parallel = {.struct_size = sizeof parallel, .linear = &options, .communicator = ended};
  const mxl_entry entry = {.name = "weight", .tensor = tensor(weight, 2, weight_shape)};
  mxl_layer *layer = NULL;
  mxl_status status = mxl_column_parallel_create(&parallel, &layer, error);
  if (status == MXL_OK) status = mxl_layer_load(layer, &entry, 1, 0, error);
  if (status == MXL_OK) status = mxl_layer_prepare(layer, NULL, error);
  mxl_layer_destroy(layer);
  return status;
}

/* 2^58 bytes, more than any address space has: one row stands for all. */
static mxl_status out_of_memory(mxl_error *error) {
  static const int64_t shape[] = {INT64_C(1) << 54, 4}, strides[] = {0, 1};
  mxl_linear_options huge = options;
  huge.out_dim = shape[0];
  mxl_entry entry = {.name = "weight", .tensor = tensor(weight, 2, shape), .storage = MXL_STORAGE_BORROW};
  entry.tensor.strides = strides;
  mxl_layer *layer = NULL;
  mxl_status status = mxl_linear_create(&huge, &layer, error);
  if (status == MXL_OK) status = mxl_layer_load(layer, &entry, 1, 0, error);
  if (status == MXL_OK) status = mxl_layer_prepare(layer, NULL, error);
  mxl_layer_destroy(layer);
  return status;
}

static const struct {
  mxl_status status;
  mxl_status (*cause)(mxl_error *);
} causes[] = {
    {MXL_OK, ok},
    {MXL_INVALID_ARGUMENT, invalid_argument},
    {MXL_INVALID_SHAPE, invalid_shape},
    {MXL_INVALID_DTYPE, invalid_dtype},
    {MXL_INVALID_HANDLE, invalid_handle},
    {MXL_MISSING_KEY, missing_key},
    {MXL_UNEXPECTED_KEY, unexpected_key},
    {MXL_NOT_LOADED, not_loaded},
    {MXL_NOT_PREPARED, not_prepared},
    {MXL_ALREADY_PREPARED, already_prepared},
    {MXL_UNSUPPORTED, unsupported},
    {MXL_NO_DEVICE, no_device},
    {MXL_IO, io},
    {MXL_INVALID_FILE, invalid_file},
    {MXL_COMMUNICATION, communication},
    {MXL_OUT_OF_MEMORY, out_of_memory},
};

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  checkpoint = argv[1];
  junk = argv[2];
  options = (mxl_linear_options){.struct_size = sizeof options, .dtype = MXL_FLOAT32, .in_dim = 4, .out_dim = 3};
  mxl_weights *weights = NULL;
  ACCEPTED(mxl_linear_create(&options, &fresh, error));
  ACCEPTED(mxl_linear_create(&options, &prepared, error));
  ACCEPTED(mxl_weights_open(&checkpoint, 1, &weights, error));
  ACCEPTED(mxl_layer_load_weights(prepared, weights, NULL, 0, error));
  ACCEPTED(mxl_layer_prepare(prepared, NULL, error));
  ACCEPTED(mxl_plugin_load(argv[3], error));
  ACCEPTED(mxl_communicator_create("memory", argv[4], &ended, error));
  ACCEPTED(mxl_communicator_abort(ended, "no more", error));
  for (size_t i = 0; i < sizeof causes / sizeof *causes; i++) {
    if (causes[i].status == MXL_OK)
      ACCEPTED(causes[i].cause(error));
    else
      REFUSED(causes[i].status, causes[i].cause(error));
    if (!failures) puts(mxl_status_name(causes[i].status));
  }
  mxl_communicator_destroy(ended);
  mxl_weights_destroy(weights);
  mxl_layer_destroy(fresh);
  mxl_layer_destroy(prepared);
  return failures != 0;
}

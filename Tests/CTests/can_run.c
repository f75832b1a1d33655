/* mxl_can_run against what creating, loading and preparing then do: every encoding that mxl_info lists, dense dtypes and GPTQ, with every compute,
 * pack, device and many shapes, sensible or not. Weights are borrowed, a row of zeros for all rows, so that shapes may be huge.
 * Run under the MAXLINEAR_ISA that it is to hold for; prints how many were compared and how many of them run. */
#define _DEFAULT_SOURCE /* setrlimit */
#include <maxlinear.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

enum { MOST_ENTRIES = 8, ZEROS = 1 << 20 };

static uint8_t zeros[ZEROS];
static int64_t compared, running, failures;

/* The layer's own entries, all zeros, the rows of a matrix one row. */
static mxl_status load(mxl_layer *layer, mxl_error *error) {
  static const int64_t columns[] = {0, 1};
  mxl_entry entries[MOST_ENTRIES];
  size_t count = 0, kept = 0;
  mxl_status status = mxl_layer_entry_count(layer, &count, error);
  for (size_t i = 0; i < count && status == MXL_OK; i++) {
    mxl_entry *entry = &entries[kept];
    status = mxl_layer_entry(layer, i, entry, error);
    /* Those that may be absent: groups are then consecutive, zeros in the middle, scales 1. */
    if (!strcmp(entry->name, "g_idx") || !strcmp(entry->name, "perm_idx") || !strcmp(entry->name, "qzeros")) continue;
    if (!strcmp(entry->name, "weight_scale")) continue;
    entry->tensor.data = zeros;
    entry->tensor.strides = entry->tensor.rank == 2 ? columns : NULL;
    entry->storage = MXL_STORAGE_BORROW;
    entry->release = NULL;
    kept++;
  }
  return status == MXL_OK ? mxl_layer_load(layer, entries, kept, MXL_LOAD_STRICT, error) : status;
}

static void forward(mxl_layer *layer, const mxl_linear_options *options) {
  int64_t in_shape[] = {1, options->in_dim}, out_shape[] = {1, options->out_dim};
  mxl_tensor x = {.data = zeros, .dtype = MXL_FLOAT32, .rank = 2, .shape = in_shape}, y = x;
  float *out = malloc((size_t)options->out_dim * sizeof *out);
  y.data = out;
  y.shape = out_shape;
  mxl_error error = MXL_ERROR_INIT;
  if (out == NULL || mxl_layer_forward(layer, NULL, &x, &y, &error) != MXL_OK) {
    fprintf(stderr, "prepared, and does not run: %s\n", error.message);
    failures++;
  }
  free(out);
}

static void compare(const mxl_linear_options *options, const mxl_prepare_options *prepare) {
  const char *untouched = "untouched", *foretold = untouched, *kernel = untouched;
  mxl_error said = MXL_ERROR_INIT, error = MXL_ERROR_INIT;
  mxl_status answer = mxl_can_run(options, prepare, &foretold, &said);
  mxl_layer *layer = NULL;
  mxl_status status = mxl_linear_create(options, &layer, &error);
  if (status == MXL_OK) status = load(layer, &error);
  if (status == MXL_OK) status = mxl_layer_prepare(layer, prepare, &error);
  if (status == MXL_OK) status = mxl_layer_kernel(layer, &kernel, &error);
  compared++;
  running += status == MXL_OK;
  if (answer != status || said.status != error.status || strcmp(said.message, error.message) != 0 ||
      strcmp(foretold, kernel) != 0) {
    fprintf(stderr,
            "%s, dtype %d, (%lld, %lld), compute %d, pack %d, device %d:%d\n  can_run: %s %s %s\n  prepare: %s %s %s\n",
            options->encoding ? options->encoding : "dense", options->dtype, (long long)options->out_dim,
            (long long)options->in_dim, prepare ? prepare->compute : 0, prepare ? prepare->pack : 0,
            options->device.type, options->device.id, mxl_status_name(answer), foretold, said.message,
            mxl_status_name(status), kernel, error.message);
    failures++;
  }
  if (status == MXL_OK && options->in_dim * options->out_dim <= 1 << 20) forward(layer, options);
  mxl_layer_destroy(layer);
}

static void computes_and_packs(const mxl_linear_options *options) {
  mxl_prepare_options prepare = {.struct_size = sizeof prepare};
  compare(options, NULL);
  for (prepare.compute = -1; prepare.compute <= 4; prepare.compute++)
    for (prepare.pack = -1; prepare.pack <= 3; prepare.pack++) compare(options, &prepare);
  prepare = (mxl_prepare_options){.struct_size = sizeof prepare};
  static const int32_t threads[] = {-1, 1, 3, 1024, 1025};
  for (int i = 0; i < 5; i++) {
    prepare.threads = threads[i];
    compare(options, &prepare);
  }
  prepare.struct_size = 3;
  compare(options, &prepare);
}

static void everything(mxl_linear_options options) {
  static const int64_t dims[] = {0, -1, INT64_MIN, INT64_MAX, 1, 3, 17, 31, 32, 33, 64, 96, 255, 256, 320, 512};
  static const int64_t huge[] = {INT64_C(1) << 31, INT64_C(1) << 40, INT64_C(1) << 55,
                                 INT64_C(1) << 57, INT64_C(3) << 57, INT64_C(1) << 60};
  for (size_t i = 0; i < sizeof dims / sizeof *dims; i++) {
    options.in_dim = dims[i];
    options.out_dim = i % 3 == 0 ? 40 : i % 3 == 1 ? 5 : 256;
    computes_and_packs(&options);
    options.out_dim = dims[i];
    options.in_dim = 256;
    compare(&options, NULL);
  }
  for (size_t i = 0; i < sizeof huge / sizeof *huge; i++) {
    mxl_prepare_options in_place = {.struct_size = sizeof in_place, .pack = MXL_PACK_NEVER};
    for (int32_t turned = 0; turned < 2; turned++) {
      options.in_dim = turned ? 256 : huge[i];
      options.out_dim = turned ? huge[i] : 8;
      options.has_bias = 0;
      compare(&options, NULL);
      compare(&options, &in_place);
      options.has_bias = turned;
      if (turned) compare(&options, &in_place);
    }
  }
  options.in_dim = 512;
  options.out_dim = 24;
  for (options.has_bias = -1; options.has_bias <= 2; options.has_bias++) compare(&options, NULL);
  options.has_bias = 0;
  static const mxl_device devices[] = {{0, 0}, {0, 1}, {1, 0}, {1, 1}, {1, -1}, {2, 0}, {2, 7}, {3, 0}, {-1, 0}};
  for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
    options.device = devices[i];
    computes_and_packs(&options);
  }
  options.device = devices[0];
  static const float clips[] = {1, 0, -1};
  for (int i = 0; i < 3; i++) {
    options.clip_weight = &clips[i];
    compare(&options, NULL);
  }
  options.clip_weight = NULL;
  options.name = "lin";
  compare(&options, NULL);
  options.struct_size = 8;
  compare(&options, NULL);
}

static void gptq(mxl_linear_options options) {
  static const char *methods[] = {NULL, "gptq", "awq", "marlin"};
  static const int32_t bits[] = {2, 3, 4, 8, 5}, sizes[] = {-1, 1, 24, 32, 64, 96, 128, 256, 1024, 0, 100};
  options.encoding = "GPTQ";
  options.in_dim = 512;
  options.out_dim = 64;
  compare(&options, NULL); /* without a config */
  for (int method = 0; method < 4; method++)
    for (int b = 0; b < 5; b++)
      for (int size = 0; size < 11; size++) {
        mxl_quantization how = {.struct_size = sizeof how, .bits = bits[b], .group_size = sizes[size], .sym = 1};
        how.quant_method = methods[method];
        options.quantization = &how;
        static const int64_t columns[] = {512, 96, 40, 32};
        for (int i = 0; i < 4; i++) {
          options.in_dim = columns[i];
          if (b == 2 && size == 6 && i == 0)
            everything(options);
          else if (size % 3 == 0)
            computes_and_packs(&options);
          else
            compare(&options, NULL);
        }
      }
}

int main(void) {
  /* Absurd sizes are refused whatever the system would promise. */
  struct rlimit limit = {(rlim_t)2 << 30, (rlim_t)2 << 30};
  if (setrlimit(RLIMIT_AS, &limit) != 0) return 2;
  mxl_linear_options options = {.struct_size = sizeof options, .dtype = MXL_FLOAT32};
  for (options.dtype = -1; options.dtype <= MXL_INT64 + 1; options.dtype++) everything(options);
  static char info[1 << 16];
  size_t length = 0;
  options.dtype = MXL_UINT8;
  if (mxl_info(info, sizeof info, &length, NULL) == MXL_OK) {
    char *end = strstr(info, "\"plugins\"");
    for (char *name = info; (name = strstr(name, "{\"name\": \"")) != NULL && name < end;) {
      name += strlen("{\"name\": \"");
      char *quote = strchr(name, '"');
      *quote = 0;
      options.encoding = name;
      everything(options);
      name = quote + 1;
    }
  }
  options.encoding = "nonsense";
  everything(options);
  gptq(options);
  printf("%lld %lld %lld\n", (long long)compared, (long long)running, (long long)failures);
  return failures != 0;
}

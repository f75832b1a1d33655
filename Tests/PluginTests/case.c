/* A plugin that a test spoils: CHANGE is what its entry does before it hands over. Without a CHANGE it is a good one, which brings an
 * encoding, rows and a communicator. */
#include <maxlinear/plugin.h>
#include <string.h>

#ifndef CHANGE
#define CHANGE
#endif
#ifndef RESULT
#define RESULT &plugin
#endif
#ifndef ENTRY
#define ENTRY mxl_plugin_entry
#endif

static void dequantize(const void *blocks, int64_t elements, float *values) {
  for (int64_t i = 0; i < elements; i++) values[i] = ((const int8_t *)blocks)[i];
}

static void quantize(const float *values, const float *importance, int64_t elements, void *blocks) {
  (void)importance;
  for (int64_t i = 0; i < elements; i++) ((int8_t *)blocks)[i] = (int8_t)values[i];
}

static size_t packed_size(const mxl_kernel_row *row, int64_t k) { return (size_t)(k * row->panel_columns); }
static size_t no_bytes(const mxl_kernel_row *row, int64_t k) { return (void)row, (void)k, 0; }
static size_t odd_bytes(const mxl_kernel_row *row, int64_t k) { return (void)row, (size_t)k + 1; }
static size_t many_bytes(const mxl_kernel_row *row, int64_t k) { return (void)row, (void)k, (size_t)1 << 40; }
static size_t falling_bytes(const mxl_kernel_row *row, int64_t k) { return (void)row, k == 256 ? 64 : 128; }

static void pack(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
                 void *packed) {
  int8_t *to = packed;
  for (int64_t column = 0; column < row->panel_columns; column++)
    for (int64_t i = 0; i < k; i++) {
      int64_t output = panel * row->panel_columns + column;
      const int8_t *from = (const int8_t *)source->data + output * source->row_stride + k_begin;
      to[i * row->panel_columns + column] = output < source->out_dim ? from[i] : 0;
    }
}

/* No fma: its weights and the tests' x are small integers, so every sum is exact. */
static void run(const mxl_kernel_row *row, const mxl_tile *tile) {
  const float *x = tile->x;
  const int8_t *weights = tile->weights;
  for (int64_t i = 0; i < tile->k; i++)
    for (int64_t m = 0; m < tile->rows; m++)
      for (int64_t n = 0; n < row->panel_columns; n++)
        tile->y[m * row->panel_columns + n] += x[i * tile->rows + m] * (float)weights[i * row->panel_columns + n];
}

static void arrange(const mxl_kernel_row *row, const void *from, int64_t k, int64_t index, void *arranged) {
  memcpy((char *)arranged + index * (int64_t)row->arranged_size, from, (size_t)(4 * k));
}
static void touch(const mxl_kernel_row *row) { (void)row; }
static void expand(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded) {
  memcpy(expanded, packed, (size_t)(k * row->panel_columns));
}

static mxl_status create(const mxl_communicator_kind *kind, const void *native, void **self, mxl_error *error) {
  return (void)kind, (void)native, (void)self, (void)error, MXL_UNSUPPORTED;
}
static void destroy(void *self) { (void)self; }
static int32_t zero(void *self) { return (void)self, 0; }
static mxl_status barrier(void *self, mxl_error *error) { return (void)self, (void)error, MXL_UNSUPPORTED; }
static mxl_status broadcast(void *self, void *data, size_t bytes, int32_t root, mxl_error *error) {
  return (void)self, (void)data, (void)bytes, (void)root, (void)error, MXL_UNSUPPORTED;
}
static mxl_status allgather(void *self, const void *data, void *gathered, const size_t *bytes, const size_t *offsets,
                            mxl_error *error) {
  return (void)self, (void)data, (void)gathered, (void)bytes, (void)offsets, (void)error, MXL_UNSUPPORTED;
}
static void stop(void *self, const char *message) { (void)self, (void)message; }

static mxl_encoding encoding = {sizeof encoding, MXL_UINT8, "CASE", 32, 32, dequantize, quantize, 127};
static mxl_encoding other_encoding = {sizeof other_encoding, MXL_UINT8, "CASE_2", 1, 1, dequantize, NULL, 0};
static mxl_kernel_row row = {
    .struct_size = sizeof row,
    .op = MXL_OP_LINEAR,
    .compute = MXL_COMPUTE_FLOAT32,
    .rank = 1,
    .name = "case_linear",
    .encoding = "CASE",
    .tile_rows = 3,
    .panel_columns = 48,
    .packed_size = packed_size,
    .pack = pack,
    .run = run,
};
static mxl_kernel_row other_row;
static mxl_communicator_kind communicator = {
    sizeof communicator, 0, "case_group", create, destroy, zero, zero, barrier, broadcast, allgather, NULL, stop, NULL,
};
static const mxl_encoding *encodings[] = {&encoding, &other_encoding};
static const mxl_kernel_row *rows[] = {&row, &other_row};
static const mxl_communicator_kind *communicators[] = {&communicator, &communicator};

static mxl_plugin plugin = {
    .struct_size = sizeof plugin,
    .abi_major = MXL_PLUGIN_ABI_MAJOR,
    .abi_minor = MXL_PLUGIN_ABI_MINOR,
    .name = "case",
    .encodings = encodings,
    .encoding_count = 2,
    .rows = rows,
    .row_count = 2,
    .communicators = communicators,
    .communicator_count = 1,
};

/* What a CHANGE may need, and not every one does. */
__attribute__((unused)) static const void *const choices[] = {
    (void *)no_bytes, (void *)odd_bytes, (void *)many_bytes, (void *)falling_bytes,
    (void *)expand,   (void *)arrange,   (void *)touch,
};

MXL_PLUGIN_EXPORT const mxl_plugin *ENTRY(const mxl_host *host);
MXL_PLUGIN_EXPORT const mxl_plugin *ENTRY(const mxl_host *host) {
  (void)host;
  other_row = row;
  other_row.name = "case_linear_2";
  other_row.rank = 0;
  CHANGE;
  return RESULT;
}

/* A plugin of a later minor version: its structs have more fields, and one of its rows computes what nobody knows yet. */
#include <maxlinear/plugin.h>

typedef struct newer_encoding {
  mxl_encoding known;
  uint64_t more[5];
} newer_encoding;
typedef struct newer_row {
  mxl_kernel_row known;
  int64_t factor;
} newer_row;
typedef struct newer_plugin {
  mxl_plugin known;
  const void *devices;
  size_t device_count;
} newer_plugin;

static void dequantize(const void *blocks, int64_t elements, float *values) {
  for (int64_t i = 0; i < elements; i++) values[i] = ((const int8_t *)blocks)[i];
}
/* Reads the field that the library does not know, as run does. */
static size_t packed_size(const mxl_kernel_row *row, int64_t k) {
  return (size_t)(k * row->panel_columns) * (size_t)(((const newer_row *)(const void *)row)->factor / 1000);
}
static void pack(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
                 void *packed) {
  (void)panel;
  for (int64_t n = 0; n < row->panel_columns; n++)
    for (int64_t i = 0; i < k; i++)
      ((int8_t *)packed)[i * row->panel_columns + n] =
          n < source->out_dim ? ((const int8_t *)source->data)[n * source->row_stride + k_begin + i] : 0;
}
static void run(const mxl_kernel_row *row, const mxl_tile *tile) {
  float factor = (float)((const newer_row *)(const void *)row)->factor;
  for (int64_t i = 0; i < tile->k; i++)
    for (int64_t m = 0; m < tile->rows; m++)
      for (int64_t n = 0; n < row->panel_columns; n++)
        tile->y[m * row->panel_columns + n] += ((const float *)tile->x)[i * tile->rows + m] *
                                               (float)((const int8_t *)tile->weights)[i * row->panel_columns + n] *
                                               factor;
}

static const newer_encoding encoding = {{sizeof(newer_encoding), MXL_UINT8, "NEWER", 1, 1, dequantize, NULL, 0},
                                        {1, 2, 3, 4, 5}};
#define ROW(op_, compute_, name_)     \
  {{.struct_size = sizeof(newer_row), \
    .op = op_,                        \
    .compute = compute_,              \
    .name = name_,                    \
    .encoding = "NEWER",              \
    .tile_rows = 2,                   \
    .panel_columns = 16,              \
    .packed_size = packed_size,       \
    .pack = pack,                     \
    .run = run},                      \
   1000}
static const newer_row row = ROW(MXL_OP_LINEAR, MXL_COMPUTE_FLOAT32, "newer_linear");
static const newer_row unknown_op = ROW(77, MXL_COMPUTE_FLOAT32, "newer_attention");
static const newer_row unknown_compute = ROW(MXL_OP_LINEAR, 77, "newer_linear_fp4");

static const mxl_encoding *const encodings[] = {&encoding.known};
static const mxl_kernel_row *const rows[] = {&row.known, &unknown_op.known, &unknown_compute.known};
static const newer_plugin plugin = {
    {.struct_size = sizeof(newer_plugin),
     .abi_major = MXL_PLUGIN_ABI_MAJOR,
     .abi_minor = MXL_PLUGIN_ABI_MINOR + 3,
     .name = "newer",
     .encodings = encodings,
     .encoding_count = 1,
     .rows = rows,
     .row_count = 3},
    &plugin,
    1000000,
};

MXL_PLUGIN_EXPORT const mxl_plugin *mxl_plugin_entry(const mxl_host *host) {
  return host->abi_major == MXL_PLUGIN_ABI_MAJOR ? &plugin.known : NULL;
}

/* The rules of plugin.h, held against a plugin before anything of it is registered. Every number that a loop or a buffer's size depends
 * on is bounded here. */
#define _GNU_SOURCE
#include "plugins.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What a struct had in version 1.0, up to and with its last field; no plugin's is shorter. Longer than MOST_SIZE is no struct at all. */
#define SIZE_TO(type, last) (offsetof(type, last) + sizeof(((type *)0)->last))
#define PLUGIN_SIZE SIZE_TO(mxl_plugin, communicator_count)
#define ENCODING_SIZE SIZE_TO(mxl_encoding, largest)
#define ROW_SIZE SIZE_TO(mxl_kernel_row, context)
#define COMMUNICATOR_SIZE SIZE_TO(mxl_communicator_kind, context)
#define MOST_SIZE 4096

#define MOST_ENCODINGS 1024
#define MOST_ROWS 8192
#define MOST_COMMUNICATORS 64
/* Bytes of a stored, packed or expanded weight. */
#define MOST_WEIGHT_BYTES 16

mxl_status mxlk_refuse(mxl_status status, const mxlk_reason *reason, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(reason->text, reason->capacity, format, arguments);
  va_end(arguments);
  return status;
}

#define READ(type, from)                                                               \
  type copy;                                                                           \
  size_t size = (from)->struct_size < sizeof copy ? (from)->struct_size : sizeof copy; \
  memset(&copy, 0, sizeof copy);                                                       \
  memcpy(&copy, from, size);                                                           \
  return copy

mxl_plugin mxlk_plugin_read(const mxl_plugin *plugin) { READ(mxl_plugin, plugin); }
mxl_encoding mxlk_encoding_read(const mxl_encoding *encoding) { READ(mxl_encoding, encoding); }
mxl_kernel_row mxlk_row_read(const mxl_kernel_row *row) { READ(mxl_kernel_row, row); }
mxl_communicator_kind mxlk_communicator_read(const mxl_communicator_kind *kind) { READ(mxl_communicator_kind, kind); }

/* No version of a struct ends amid a field, of which half a pointer would be read. */
static mxl_status check_size(const char *what, uint32_t size, size_t least, const mxlk_reason *reason) {
  if (size >= least && size <= MOST_SIZE && size % _Alignof(mxl_plugin) == 0) return MXL_OK;
  return mxlk_refuse(MXL_INVALID_FILE, reason, "%s: struct_size is %u, expected %zu to %d and a multiple of %zu", what,
                     (unsigned)size, least, MOST_SIZE, _Alignof(mxl_plugin));
}

static int is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.';
}

static mxl_status check_name(const char *what, const char *name, size_t most, const mxlk_reason *reason) {
  if (name == NULL) return mxlk_refuse(MXL_INVALID_FILE, reason, "%s: is NULL, expected a name", what);
  size_t length = strnlen(name, most + 1);
  if (length == 0) return mxlk_refuse(MXL_INVALID_FILE, reason, "%s: is empty, expected a name", what);
  if (length > most)
    return mxlk_refuse(MXL_INVALID_FILE, reason, "%s: is longer, expected at most %zu characters", what, most);
  for (size_t i = 0; i < length; i++)
    if (!is_name_character(name[i]))
      return mxlk_refuse(MXL_INVALID_FILE, reason, "%s: character %zu is another, expected letters, digits and \"_-.\"",
                         what, i);
  return MXL_OK;
}

/* A function that may not be NULL. */
#define REQUIRED(owner, function)                                                                            \
  do {                                                                                                       \
    if ((owner)->function == NULL)                                                                           \
      return mxlk_refuse(MXL_INVALID_FILE, reason, "\"%s\": %s is NULL, expected a function", (owner)->name, \
                         #function);                                                                         \
  } while (0)
/* A number outside its range. */
#define OUTSIDE(owner, value, expected, ...)                                                             \
  mxlk_refuse(MXL_INVALID_FILE, reason, "\"%s\": %s is %lld, expected " expected, (owner)->name, #value, \
              (long long)(owner)->value, __VA_ARGS__)

mxl_status mxlk_encoding_check(const mxl_encoding *encoding, const mxlk_reason *reason) {
  int64_t elements = encoding->elements_per_block;
  if (elements < 1 || elements > MXL_SUPERBLOCK || MXL_SUPERBLOCK % elements != 0)
    return OUTSIDE(encoding, elements_per_block, "a divisor of %d", MXL_SUPERBLOCK);
  if (encoding->block_size < 1 || encoding->block_size > MOST_WEIGHT_BYTES * elements)
    return OUTSIDE(encoding, block_size, "1 to %lld", (long long)(MOST_WEIGHT_BYTES * elements));
  REQUIRED(encoding, dequantize);
  if (encoding->quantize != NULL && !(encoding->largest > 0 && encoding->largest < INFINITY))
    return mxlk_refuse(MXL_INVALID_FILE, reason, "\"%s\": largest is %g, expected a finite number above 0",
                       encoding->name, (double)encoding->largest);
  return MXL_OK;
}

/* What it says of its packed superblocks, for every k that a matrix may end with. self: the row as its functions know it. */
static mxl_status check_packed_sizes(const mxl_kernel_row *row, const mxl_kernel_row *self,
                                     const mxl_encoding *encoding, const mxlk_reason *reason) {
  size_t most = (size_t)row->panel_columns * MXL_SUPERBLOCK * MOST_WEIGHT_BYTES;
  size_t whole = row->packed_size(self, MXL_SUPERBLOCK);
  if (whole == 0 || whole % 32 != 0 || whole > most)
    return mxlk_refuse(MXL_INVALID_FILE, reason,
                       "\"%s\": packed_size(%d) is %zu, expected a multiple of 32, at most %zu", row->name,
                       MXL_SUPERBLOCK, whole, most);
  for (int64_t k = encoding->elements_per_block; k < MXL_SUPERBLOCK; k += encoding->elements_per_block) {
    size_t size = row->packed_size(self, k);
    if (size == 0 || size > whole)
      return mxlk_refuse(MXL_INVALID_FILE, reason,
                         "\"%s\": packed_size(%lld) is %zu, expected 1 to packed_size(%d) = %zu", row->name,
                         (long long)k, size, MXL_SUPERBLOCK, whole);
  }
  return MXL_OK;
}

mxl_status mxlk_row_check(const mxl_kernel_row *row, const mxl_kernel_row *self, const mxl_encoding *encoding,
                          const mxlk_reason *reason) {
  if (row->tile_rows < 1 || row->tile_rows > MXL_MOST_TILE_ROWS)
    return OUTSIDE(row, tile_rows, "1 to %d", MXL_MOST_TILE_ROWS);
  if (row->panel_columns < 16 || row->panel_columns > MXL_MOST_PANEL_COLUMNS || row->panel_columns % 16 != 0)
    return OUTSIDE(row, panel_columns, "a multiple of 16, at most %d", MXL_MOST_PANEL_COLUMNS);
  if (row->rank < 0) return OUTSIDE(row, rank, "%d or more", 0);
  if (row->compute == MXL_COMPUTE_INT8 && encoding->elements_per_block % 32 != 0)
    return mxlk_refuse(MXL_INVALID_FILE, reason,
                       "\"%s\": compute is int8, and \"%s\" has %lld elements a block, expected a multiple of 32",
                       row->name, encoding->name, (long long)encoding->elements_per_block);
  REQUIRED(row, packed_size);
  REQUIRED(row, pack);
  REQUIRED(row, run);
  size_t most = (size_t)row->panel_columns * MXL_SUPERBLOCK * MOST_WEIGHT_BYTES;
  if (row->expanded_size > most || (row->expanded_size == 0) != (row->expand == NULL))
    return mxlk_refuse(MXL_INVALID_FILE, reason, "\"%s\": expanded_size is %zu, expected %s %zu", row->name,
                       row->expanded_size, row->expand == NULL ? "0 where expand is NULL, not" : "1 to",
                       row->expand == NULL ? row->expanded_size : most);
  if (row->run_packed != NULL && row->expand == NULL)
    return mxlk_refuse(MXL_INVALID_FILE, reason, "\"%s\": expand is NULL, expected it beside run_packed", row->name);
  if (row->side_rows < 0 || row->side_rows > MXL_MOST_TILE_ROWS * MXL_MOST_SIDE_PANELS)
    return OUTSIDE(row, side_rows, "0 to %d", MXL_MOST_TILE_ROWS * MXL_MOST_SIDE_PANELS);
  if (row->least_rows < 0) return OUTSIDE(row, least_rows, "%d or more", 0);
  if ((row->arrange == NULL) != (row->arranged_size == 0) || row->arranged_size % 64 != 0 ||
      row->arranged_size > MXL_MOST_ARRANGED)
    return mxlk_refuse(
        MXL_INVALID_FILE, reason,
        "\"%s\": arranged_size is %zu, expected a multiple of 64, at most %d, and 0 where arrange is NULL", row->name,
        row->arranged_size, MXL_MOST_ARRANGED);
  if ((row->enter == NULL) != (row->leave == NULL))
    return mxlk_refuse(MXL_INVALID_FILE, reason, "\"%s\": %s is NULL, expected enter and leave together", row->name,
                       row->enter == NULL ? "enter" : "leave");
  return check_packed_sizes(row, self, encoding, reason);
}

int mxlk_row_is_known(const mxl_kernel_row *row) {
  return row->op == MXL_OP_LINEAR && (row->compute == MXL_COMPUTE_FLOAT32 || row->compute == MXL_COMPUTE_INT8 ||
                                      row->compute == MXL_COMPUTE_BFLOAT16);
}

static mxl_status check_encodings(const mxl_plugin *plugin, const mxlk_reason *reason) {
  for (size_t i = 0; i < plugin->encoding_count; i++) {
    char what[48];
    snprintf(what, sizeof what, "encodings[%zu]", i);
    if (plugin->encodings[i] == NULL)
      return mxlk_refuse(MXL_INVALID_FILE, reason, "%s: is NULL, expected a struct", what);
    mxl_status status = check_size(what, plugin->encodings[i]->struct_size, ENCODING_SIZE, reason);
    if (status != MXL_OK) return status;
    mxl_encoding encoding = mxlk_encoding_read(plugin->encodings[i]);
    snprintf(what, sizeof what, "encodings[%zu].name", i);
    if ((status = check_name(what, encoding.name, MXL_MOST_NAME, reason)) != MXL_OK) return status;
    if (strncmp(encoding.name, "GPTQ", 4) == 0)
      return mxlk_refuse(MXL_INVALID_FILE, reason, "%s: is \"%s\", expected another: \"GPTQ...\" is the library's",
                         what, encoding.name);
    int twice = mxlk_registered_encoding(encoding.name) != NULL;
    for (size_t j = 0; j < i; j++) twice |= strcmp(plugin->encodings[j]->name, encoding.name) == 0;
    if (twice)
      return mxlk_refuse(MXL_INVALID_ARGUMENT, reason, "%s: is \"%s\", expected a name that no encoding has yet", what,
                         encoding.name);
    if (encoding.dtype != MXL_UINT8) return OUTSIDE(&encoding, dtype, "MXL_UINT8 = %d", MXL_UINT8);
    if ((status = mxlk_encoding_check(&encoding, reason)) != MXL_OK) return status;
  }
  return MXL_OK;
}

static const mxl_encoding *encoding_of(const mxl_plugin *plugin, const char *name, int *is_own) {
  for (size_t i = 0; i < plugin->encoding_count; i++) {
    *is_own = 1;
    if (strcmp(plugin->encodings[i]->name, name) == 0) return plugin->encodings[i];
  }
  *is_own = 0;
  return mxlk_registered_encoding(name);
}

/* Whether some row computes the same on any CPU, and of any number of rows of x. */
static int has_plain_row(const mxl_plugin *plugin, const mxl_kernel_row *row, int is_own_encoding) {
  if (is_own_encoding && row->compute == MXL_COMPUTE_FLOAT32) return 1;
  for (size_t i = 0; i < plugin->row_count; i++) {
    mxl_kernel_row other = mxlk_row_read(plugin->rows[i]);
    if (other.op == row->op && other.compute == row->compute && other.cpu_features == 0 && other.least_rows <= 1 &&
        strcmp(other.encoding, row->encoding) == 0)
      return 1;
  }
  return mxlk_registered_plain_row(row->op, row->encoding, row->compute) != NULL;
}

/* The facts that others are compared with: sizes and names of all rows. */
static mxl_status check_row_names(const mxl_plugin *plugin, const mxlk_reason *reason) {
  for (size_t i = 0; i < plugin->row_count; i++) {
    char what[48];
    snprintf(what, sizeof what, "rows[%zu]", i);
    if (plugin->rows[i] == NULL) return mxlk_refuse(MXL_INVALID_FILE, reason, "%s: is NULL, expected a struct", what);
    mxl_status status = check_size(what, plugin->rows[i]->struct_size, ROW_SIZE, reason);
    if (status != MXL_OK) return status;
    const char *name = plugin->rows[i]->name;
    snprintf(what, sizeof what, "rows[%zu].name", i);
    if ((status = check_name(what, name, MXL_MOST_ROW_NAME, reason)) != MXL_OK) return status;
    int twice = mxlk_registered_row(name) != NULL;
    for (size_t j = 0; j < i; j++) twice |= strcmp(plugin->rows[j]->name, name) == 0;
    if (twice)
      return mxlk_refuse(MXL_INVALID_ARGUMENT, reason, "%s: is \"%s\", expected a name that no row has yet", what,
                         name);
    if (strncmp(name, "mxlk_linear_generic_", 20) == 0)
      return mxlk_refuse(MXL_INVALID_FILE, reason,
                         "%s: is \"%s\", expected another: \"mxlk_linear_generic_...\" is the library's", what, name);
    snprintf(what, sizeof what, "rows[%zu].encoding", i);
    if ((status = check_name(what, plugin->rows[i]->encoding, MXL_MOST_NAME, reason)) != MXL_OK) return status;
  }
  return MXL_OK;
}

/* Whether x of bfloat16 finds a row of its own compute where the plugin's row has packed the weights: else it would be computed in float32
 * on the CPUs that run the plugin's row, in bfloat16 on others. */
static int has_bfloat16_row(const mxl_plugin *plugin, const mxl_kernel_row *row) {
  if (row->compute != MXL_COMPUTE_FLOAT32) return 1;
  if (mxlk_registered_plain_row(row->op, row->encoding, MXL_COMPUTE_BFLOAT16) == NULL) return 1;
  for (size_t i = 0; i < plugin->row_count; i++) {
    mxl_kernel_row other = mxlk_row_read(plugin->rows[i]);
    if (other.op == row->op && other.compute == MXL_COMPUTE_BFLOAT16 && strcmp(other.encoding, row->encoding) == 0 &&
        other.pack == row->pack && other.panel_columns == row->panel_columns && other.least_rows <= 1 &&
        (other.cpu_features & ~row->cpu_features) == 0)
      return 1;
  }
  return 0;
}

static mxl_status check_rows(const mxl_plugin *plugin, const mxlk_reason *reason) {
  mxl_status status = check_row_names(plugin, reason);
  for (size_t i = 0; status == MXL_OK && i < plugin->row_count; i++) {
    mxl_kernel_row row = mxlk_row_read(plugin->rows[i]);
    int is_own = 0;
    const mxl_encoding *encoding = encoding_of(plugin, row.encoding, &is_own);
    if (encoding == NULL || strncmp(row.encoding, "GPTQ", 4) == 0)
      return mxlk_refuse(MXL_INVALID_FILE, reason, "\"%s\": encoding is \"%s\", which %s, expected another", row.name,
                         row.encoding, encoding == NULL ? "nothing has registered" : "is the library's alone");
    if (!mxlk_row_is_known(&row)) {
      if (plugin->abi_minor > MXL_PLUGIN_ABI_MINOR) continue;
      return mxlk_refuse(MXL_INVALID_FILE, reason,
                         "\"%s\": op is %d and compute %d, expected those of plugin ABI %u.%u", row.name, (int)row.op,
                         (int)row.compute, MXL_PLUGIN_ABI_MAJOR, MXL_PLUGIN_ABI_MINOR);
    }
    if (!has_plain_row(plugin, &row, is_own))
      return mxlk_refuse(MXL_INVALID_FILE, reason,
                         "\"%s\": needs CPU features, expected another row of its encoding and compute that needs none",
                         row.name);
    if (!has_bfloat16_row(plugin, &row))
      return mxlk_refuse(MXL_INVALID_FILE, reason,
                         "\"%s\": \"%s\" has rows of compute bfloat16, expected one beside it with its pack, "
                         "panel_columns and CPU features",
                         row.name, row.encoding);
    status = mxlk_row_check(&row, plugin->rows[i], encoding, reason);
  }
  return status;
}

static mxl_status check_communicators(const mxl_plugin *plugin, const mxlk_reason *reason) {
  for (size_t i = 0; i < plugin->communicator_count; i++) {
    char what[48];
    snprintf(what, sizeof what, "communicators[%zu]", i);
    if (plugin->communicators[i] == NULL)
      return mxlk_refuse(MXL_INVALID_FILE, reason, "%s: is NULL, expected a struct", what);
    mxl_status status = check_size(what, plugin->communicators[i]->struct_size, COMMUNICATOR_SIZE, reason);
    if (status != MXL_OK) return status;
    mxl_communicator_kind kind = mxlk_communicator_read(plugin->communicators[i]);
    snprintf(what, sizeof what, "communicators[%zu].name", i);
    if ((status = check_name(what, kind.name, MXL_MOST_NAME, reason)) != MXL_OK) return status;
    int twice = mxlk_registered_communicator(kind.name) != NULL;
    for (size_t j = 0; j < i; j++) twice |= strcmp(plugin->communicators[j]->name, kind.name) == 0;
    if (twice)
      return mxlk_refuse(MXL_INVALID_ARGUMENT, reason, "%s: is \"%s\", expected a name that no communicator has yet",
                         what, kind.name);
    REQUIRED(&kind, create);
    REQUIRED(&kind, destroy);
    REQUIRED(&kind, rank);
    REQUIRED(&kind, size);
    REQUIRED(&kind, barrier);
    REQUIRED(&kind, broadcast);
    REQUIRED(&kind, allgather);
    REQUIRED(&kind, abort);
  }
  return MXL_OK;
}

static mxl_status check_array(const char *what, const void *array, size_t count, size_t most,
                              const mxlk_reason *reason) {
  if (count > most)
    return mxlk_refuse(MXL_INVALID_FILE, reason, "%s: are %zu, expected at most %zu", what, count, most);
  if (count > 0 && array == NULL)
    return mxlk_refuse(MXL_INVALID_FILE, reason, "%s: is NULL, expected %zu of them", what, count);
  return MXL_OK;
}

mxl_status mxlk_plugin_header_check(const mxl_plugin *plugin, const mxlk_reason *reason) {
  if (plugin->struct_size < SIZE_TO(mxl_plugin, abi_minor))
    return check_size("mxl_plugin", plugin->struct_size, PLUGIN_SIZE, reason);
  if (plugin->abi_major != MXL_PLUGIN_ABI_MAJOR)
    return mxlk_refuse(MXL_UNSUPPORTED, reason, "plugin ABI is %u.%u, expected %u", (unsigned)plugin->abi_major,
                       (unsigned)plugin->abi_minor, MXL_PLUGIN_ABI_MAJOR);
  return check_size("mxl_plugin", plugin->struct_size, PLUGIN_SIZE, reason);
}

mxl_status mxlk_plugin_check(const mxl_plugin *plugin, const mxlk_reason *reason) {
  mxl_status status = mxlk_plugin_header_check(plugin, reason);
  if (status != MXL_OK) return status;
  mxl_plugin all = mxlk_plugin_read(plugin);
  if ((status = check_name("name", all.name, MXL_MOST_NAME, reason)) != MXL_OK) return status;
  if (mxlk_registered_plugin(all.name, NULL) != NULL)
    return mxlk_refuse(MXL_INVALID_ARGUMENT, reason, "name: is \"%s\", expected a name that no plugin has yet",
                       all.name);
  status = check_array("encodings", all.encodings, all.encoding_count, MOST_ENCODINGS, reason);
  if (status == MXL_OK) status = check_array("rows", all.rows, all.row_count, MOST_ROWS, reason);
  if (status == MXL_OK)
    status = check_array("communicators", all.communicators, all.communicator_count, MOST_COMMUNICATORS, reason);
  if (status == MXL_OK) status = check_encodings(&all, reason);
  if (status == MXL_OK) status = check_rows(&all, reason);
  return status == MXL_OK ? check_communicators(&all, reason) : status;
}

/* What the files of this folder and registry.c share: checking a plugin, and adding it to the registry. */
#ifndef MXLK_PLUGINS_H
#define MXLK_PLUGINS_H

#include "kernels.h"

/* Where a refusal says why. */
typedef struct mxlk_reason {
  char *text; /* ends with NUL */
  size_t capacity;
} mxlk_reason;

/* Writes the reason, cut where it must be, and returns the status. */
mxl_status mxlk_refuse(mxl_status status, const mxlk_reason *reason, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* load.c: loads what MAXLINEAR_PLUGIN_PATH names, once; returns at once to a plugin that is being loaded. */
void mxlk_plugins_first_use(void);

/* file.c: MXL_IO for what is no regular file or cannot be read, MXL_INVALID_FILE for a library that was cut short. */
mxl_status mxlk_plugin_file_check(const char *path, const mxlk_reason *reason);

/* check.c: whole structs, the fields that the plugin's size does not reach zero. MXL_INVALID_FILE for what breaks the
 * rules of plugin.h, MXL_INVALID_ARGUMENT for names that are there already. Changes nothing. */
mxl_status mxlk_plugin_header_check(const mxl_plugin *plugin, const mxlk_reason *reason);
mxl_status mxlk_plugin_check(const mxl_plugin *plugin, const mxlk_reason *reason);
/* The rules that plugin zero keeps, too. */
mxl_status mxlk_encoding_check(const mxl_encoding *encoding, const mxlk_reason *reason);
mxl_status mxlk_row_check(const mxl_kernel_row *row, const mxl_kernel_row *self, const mxl_encoding *encoding,
                          const mxlk_reason *reason);

/* What a plugin's struct says, as far as this library knows it; zeros behind its struct_size. */
mxl_plugin mxlk_plugin_read(const mxl_plugin *plugin);
mxl_encoding mxlk_encoding_read(const mxl_encoding *encoding);
mxl_kernel_row mxlk_row_read(const mxl_kernel_row *row);
mxl_communicator_kind mxlk_communicator_read(const mxl_communicator_kind *kind);

/* Whether this library knows what the row computes; others are left out. */
int mxlk_row_is_known(const mxl_kernel_row *row);

/* generic.c: rows of compute float32 for an encoding that has dequantize, one a CPU variant. */
#define MXLK_GENERIC_ROWS 3
/* Fills rows[0 .. MXLK_GENERIC_ROWS - 1], of which those for this architecture count; returns their number. names: as many texts of
 * MXL_MOST_ROW_NAME + 1 bytes. encoding and names must outlive the rows. */
size_t mxlk_generic_rows(const mxl_encoding *encoding, mxl_kernel_row *rows, char (*names)[MXL_MOST_ROW_NAME + 1]);

/* registry.c: lookups that do not load anything, for use while a plugin is being loaded. */
const mxl_encoding *mxlk_registered_encoding(const char *name);
const mxl_kernel_row *mxlk_registered_row(const char *name);
const mxl_kernel_row *mxlk_registered_plain_row(int32_t op, const char *encoding, int32_t compute);
const mxlk_plugin *mxlk_registered_plugin(const char *name, const char *path);
const mxl_communicator_kind *mxlk_registered_communicator(const char *name);

/* Checks a plugin and publishes all of it at once, with copies of its structs and the generic rows of its encodings. One call at a time.
 * path and host are kept; either may be NULL. Errors: those of mxlk_plugin_check, MXL_OUT_OF_MEMORY. */
mxl_status mxlk_plugin_register(const mxl_plugin *plugin, const char *path, const mxl_host *host,
                                const mxlk_reason *reason);

/* load.c: whether this thread is loading a plugin, also where it runs a body of the plugin's entry for another. */
int mxlk_plugin_is_loading(void);
void mxlk_plugin_set_loading(int loading);

/* host.c */
/* What a plugin is given; never freed, a plugin may keep it. NULL when memory is refused. */
const mxl_host *mxlk_host_create(void);
/* The last message logged; "" when there is none. */
void mxlk_host_last(const mxl_host *host, char *text, size_t capacity);

#endif

/* Plugin zero, and the search among its encodings and rows and those of the plugins loaded since.
 *
 * The registry is a list that only grows at its end. A plugin is published whole, by one store, and never taken back, so readers need no
 * lock and what they have found stays. */
#include "contract.h"
#include "dense/dense.h"
#include "dense/float8.h"
#include "dense/pairs.h"
#include "kernels.h"
#include "panel/rows.h"
#include "plugins/plugins.h"

#include <stdatomic.h>
#include <string.h>

static const mxl_encoding *const encodings[] = {
    &mxlk_encoding_f32,       &mxlk_encoding_f16,       &mxlk_encoding_bf16,      &mxlk_encoding_q4_0,
    &mxlk_encoding_q4_1,      &mxlk_encoding_q5_0,      &mxlk_encoding_q5_1,      &mxlk_encoding_q8_0,
    &mxlk_encoding_q4_k,      &mxlk_encoding_q5_k,      &mxlk_encoding_q6_k,      &mxlk_encoding_iq4_nl,
    &mxlk_encoding_q2_k,      &mxlk_encoding_q3_k,      &mxlk_encoding_iq4_xs,    &mxlk_encoding_mxfp4,
    &mxlk_encodings_gptq[0],  &mxlk_encodings_gptq[1],  &mxlk_encodings_gptq[2],  &mxlk_encodings_gptq[3],
    &mxlk_encodings_gptq[4],  &mxlk_encodings_gptq[5],  &mxlk_encodings_gptq[6],  &mxlk_encodings_gptq[7],
    &mxlk_encodings_gptq2[0], &mxlk_encodings_gptq2[1], &mxlk_encodings_gptq2[2], &mxlk_encodings_gptq2[3],
    &mxlk_encodings_gptq2[4], &mxlk_encodings_gptq2[5], &mxlk_encodings_gptq2[6], &mxlk_encodings_gptq2[7],
    &mxlk_encodings_gptq8[0], &mxlk_encodings_gptq8[1], &mxlk_encodings_gptq8[2], &mxlk_encodings_gptq8[3],
    &mxlk_encodings_gptq8[4], &mxlk_encodings_gptq8[5], &mxlk_encodings_gptq8[6], &mxlk_encodings_gptq8[7],
    &mxlk_encoding_f8_e4m3,   &mxlk_encoding_f8_e5m2,
};

static const mxl_kernel_row *const rows[] = {
    &mxlk_row_dense_f32__scalar,
#ifdef __x86_64__
    &mxlk_row_dense_f32__avx2,
    &mxlk_row_dense_f32__avx512,
#endif
    MXLK_F16_ROWS_OF(mxlk_rows_f16),
    MXLK_BF16_ROWS_OF(mxlk_rows_bf16),
    MXLK_F8_ROWS_OF(mxlk_rows_f8_e4m3),
    MXLK_F8_ROWS_OF(mxlk_rows_f8_e5m2),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q4_0),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q4_1),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q5_0),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q5_1),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q8_0),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q4_k),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q5_k),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q6_k),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_iq4_nl),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q2_k),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_q3_k),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_iq4_xs),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_mxfp4),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq[0]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq[1]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq[2]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq[3]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq[4]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq[5]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq[6]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq[7]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq2[0]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq2[1]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq2[2]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq2[3]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq2[4]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq2[5]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq2[6]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq2[7]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq8[0]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq8[1]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq8[2]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq8[3]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq8[4]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq8[5]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq8[6]),
    MXLK_BLOCK_ROWS_OF(mxlk_rows_gptq8[7]),
};

/* A plugin in the list. */
typedef struct node node;
struct node {
  mxlk_plugin plugin;
  node *_Atomic next;
};

static node first = {
    .plugin = {.name = "maxlinear",
               .abi_major = MXL_PLUGIN_ABI_MAJOR,
               .abi_minor = MXL_PLUGIN_ABI_MINOR,
               .encodings = encodings,
               .encoding_count = sizeof encodings / sizeof *encodings,
               .rows = rows,
               .row_count = sizeof rows / sizeof *rows},
};

static node *after(node *at) { return atomic_load_explicit(&at->next, memory_order_acquire); }

/* All plugins, after those that the environment names have been loaded. */
static node *all(void) {
  mxlk_plugins_first_use();
  return &first;
}

size_t mxlk_plugin_count(void) {
  size_t count = 0;
  for (node *at = all(); at != NULL; at = after(at)) count++;
  return count;
}

const mxlk_plugin *mxlk_plugin_at(size_t index) {
  for (node *at = all(); at != NULL; at = after(at))
    if (index-- == 0) return &at->plugin;
  return NULL;
}

const mxlk_plugin *mxlk_registered_plugin(const char *name, const char *path) {
  for (node *at = &first; at != NULL; at = after(at)) {
    const mxlk_plugin *plugin = &at->plugin;
    if (name != NULL && strcmp(plugin->name, name) == 0) return plugin;
    if (path != NULL && plugin->path != NULL && strcmp(plugin->path, path) == 0) return plugin;
  }
  return NULL;
}

size_t mxlk_encoding_count(void) {
  size_t count = 0;
  for (node *at = all(); at != NULL; at = after(at)) count += at->plugin.encoding_count;
  return count;
}

const mxl_encoding *mxlk_encoding_at(size_t index) {
  for (node *at = all(); at != NULL; at = after(at)) {
    if (index < at->plugin.encoding_count) return at->plugin.encodings[index];
    index -= at->plugin.encoding_count;
  }
  return NULL;
}

const mxl_encoding *mxlk_registered_encoding(const char *name) {
  for (node *at = &first; at != NULL; at = after(at))
    for (size_t i = 0; i < at->plugin.encoding_count; i++)
      if (strcmp(at->plugin.encodings[i]->name, name) == 0) return at->plugin.encodings[i];
  return NULL;
}

const mxl_encoding *mxlk_encoding_find(const char *name) {
  mxlk_plugins_first_use();
  return name == NULL ? NULL : mxlk_registered_encoding(name);
}

const mxl_communicator_kind *mxlk_communicator_find(const char *name) {
  mxlk_plugins_first_use();
  return name == NULL ? NULL : mxlk_registered_communicator(name);
}

size_t mxlk_row_count(void) {
  size_t count = 0;
  for (node *at = all(); at != NULL; at = after(at)) count += at->plugin.row_count;
  return count;
}

const mxl_kernel_row *mxlk_row_at(size_t index) {
  for (node *at = all(); at != NULL; at = after(at)) {
    if (index < at->plugin.row_count) return at->plugin.rows[index];
    index -= at->plugin.row_count;
  }
  return NULL;
}

const mxl_kernel_row *mxlk_registered_row(const char *name) {
  for (node *at = &first; at != NULL; at = after(at))
    for (size_t i = 0; i < at->plugin.row_count; i++)
      if (strcmp(at->plugin.rows[i]->name, name) == 0) return at->plugin.rows[i];
  return NULL;
}

/* Whether a row runs on what the other packs: rows that share functions may tell themselves apart by context. */
static int packs_alike(const mxl_kernel_row *row, const mxl_kernel_row *like) {
  return row->pack == like->pack && row->panel_columns == like->panel_columns &&
         row->packed_size(row, MXL_SUPERBLOCK) == like->packed_size(like, MXL_SUPERBLOCK);
}

/* The best row of op, encoding and compute, for many rows of x or any number; like: NULL, or a row whose packed weights it must take. */
static const mxl_kernel_row *best_row(int32_t op, const char *encoding, int32_t compute, uint64_t features, int many,
                                      const mxl_kernel_row *like) {
  const mxl_kernel_row *best = NULL;
  for (node *at = &first; at != NULL; at = after(at))
    for (size_t i = 0; i < at->plugin.row_count; i++) {
      const mxl_kernel_row *row = at->plugin.rows[i];
      if (row->op != op || row->compute != compute || strcmp(row->encoding, encoding) != 0) continue;
      if ((row->cpu_features & ~features) != 0 || (row->least_rows > 1) != many) continue;
      if (like != NULL && !packs_alike(row, like)) continue;
      if (best == NULL || row->rank > best->rank) best = row;
    }
  return best;
}

const mxl_kernel_row *mxlk_row_find(int32_t op, const char *encoding, int32_t compute, uint64_t features) {
  mxlk_plugins_first_use();
  return encoding == NULL ? NULL : best_row(op, encoding, compute, features, 0, NULL);
}

const mxl_kernel_row *mxlk_registered_plain_row(int32_t op, const char *encoding, int32_t compute) {
  return best_row(op, encoding, compute, 0, 0, NULL);
}

const mxl_kernel_row *mxlk_row_find_compatible(const mxl_kernel_row *row, int32_t compute, uint64_t features) {
  return best_row(row->op, row->encoding, compute, features, 0, row);
}

const mxl_kernel_row *mxlk_row_find_many(const mxl_kernel_row *row, uint64_t features) {
  return row == NULL ? NULL : best_row(row->op, row->encoding, row->compute, features, 1, row);
}

const mxl_communicator_kind *mxlk_registered_communicator(const char *name) {
  for (node *at = &first; at != NULL; at = after(at))
    for (size_t i = 0; i < at->plugin.communicator_count; i++)
      if (strcmp(at->plugin.communicators[i]->name, name) == 0) return at->plugin.communicators[i];
  return NULL;
}

/* Places in one piece of memory: the first time, without memory, only their sizes are added up. */
typedef struct places {
  char *memory;
  size_t used;
} places;

static void *place(places *p, size_t bytes) {
  void *at = p->memory == NULL ? NULL : p->memory + p->used;
  p->used += mxlk_align_up(bytes);
  return at;
}

/* A struct as the plugin has it, longer when the library knows more fields: those are zero. */
static void *place_copy(places *p, const void *from, size_t size, size_t known) {
  char *to = place(p, size > known ? size : known);
  if (to == NULL) return NULL;
  if (size < known) memset(to, 0, known);
  return memcpy(to, from, size);
}

/* The node of a checked plugin; without memory only counts. */
static node *place_node(places *p, const mxl_plugin *from, const char *path, const mxl_host *host) {
  node *to = place(p, sizeof *to);
  size_t path_bytes = path == NULL ? 0 : strlen(path) + 1, most_rows = from->row_count;
  most_rows += MXLK_GENERIC_ROWS * from->encoding_count;
  char *kept_path = place(p, path_bytes);
  const mxl_encoding **kept_encodings = place(p, from->encoding_count * sizeof(void *));
  const mxl_kernel_row **kept_rows = place(p, most_rows * sizeof(void *));
  const mxl_communicator_kind **kinds = place(p, from->communicator_count * sizeof(void *));
  size_t row_count = 0;
  for (size_t i = 0; i < from->encoding_count; i++) {
    const mxl_encoding *copy = place_copy(p, from->encodings[i], from->encodings[i]->struct_size, sizeof(mxl_encoding));
    mxl_kernel_row *generic = place(p, MXLK_GENERIC_ROWS * sizeof(mxl_kernel_row));
    void *names = place(p, (size_t)MXLK_GENERIC_ROWS * (MXL_MOST_ROW_NAME + 1));
    if (to == NULL) continue;
    kept_encodings[i] = copy;
    size_t count = mxlk_generic_rows(copy, generic, names);
    for (size_t j = 0; j < count; j++) kept_rows[row_count++] = &generic[j];
  }
  for (size_t i = 0; i < from->row_count; i++) {
    mxl_kernel_row known = mxlk_row_read(from->rows[i]);
    if (!mxlk_row_is_known(&known)) continue;
    const mxl_kernel_row *copy = place_copy(p, from->rows[i], from->rows[i]->struct_size, sizeof(mxl_kernel_row));
    if (to != NULL) kept_rows[row_count++] = copy;
  }
  for (size_t i = 0; i < from->communicator_count; i++) {
    const mxl_communicator_kind *copy =
        place_copy(p, from->communicators[i], from->communicators[i]->struct_size, sizeof(mxl_communicator_kind));
    if (to != NULL) kinds[i] = copy;
  }
  if (to == NULL) return NULL;
  if (path != NULL) memcpy(kept_path, path, path_bytes);
  to->plugin = (mxlk_plugin){.name = from->name,
                             .path = path == NULL ? NULL : kept_path,
                             .abi_major = from->abi_major,
                             .abi_minor = from->abi_minor,
                             .encodings = kept_encodings,
                             .encoding_count = from->encoding_count,
                             .rows = kept_rows,
                             .row_count = row_count,
                             .communicators = kinds,
                             .communicator_count = from->communicator_count,
                             .host = host};
  atomic_init(&to->next, NULL);
  return to;
}

mxl_status mxlk_plugin_register(const mxl_plugin *plugin, const char *path, const mxl_host *host,
                                const mxlk_reason *reason) {
  mxl_status status = mxlk_plugin_check(plugin, reason);
  if (status != MXL_OK) return status;
  mxl_plugin from = mxlk_plugin_read(plugin);
  places p = {NULL, 0};
  place_node(&p, &from, path, host);
  p = (places){mxlk_allocate(p.used), 0};
  if (p.memory == NULL) return mxlk_refuse(MXL_OUT_OF_MEMORY, reason, "no memory for a plugin's entries");
  node *added = place_node(&p, &from, path, host), *last = &first;
  while (after(last) != NULL) last = after(last);
  atomic_store_explicit(&last->next, added, memory_order_release);
  return MXL_OK;
}

/* Checkpoints: files mapped into memory, and the named tensors in them. */
#ifndef MAXLINEAR_WEIGHTS_H
#define MAXLINEAR_WEIGHTS_H

#include "encodings.h"
#include "status.h"
#include "types.h"

/* How a tensor handed to a layer is kept until the layer is prepared (mxl_entry.storage). */
typedef enum mxl_storage {
  MXL_STORAGE_COPY = 0,   /* the library copies the bytes during the call */
  MXL_STORAGE_BORROW = 1, /* the library keeps the pointer; release(owner) is called once it no longer does */
  MXL_STORAGE_MAP = 2,    /* as BORROW; data lies in a read-only file mapping, whose pages may be given back */
  MXL_STORAGE_INT32 = INT32_MIN
} mxl_storage;

/* A named tensor: an entry of a state dict or of a checkpoint. Frozen: it is passed in arrays.
 *
 * name      UTF-8, NUL-terminated
 * encoding  the weight's encoding, such as "Q4_K"; NULL when the tensor is dense
 * tensor    data and shape; encoded weights are MXL_UINT8 [rows, row_bytes]
 * storage   mxl_storage
 * release   when not NULL, called exactly once with owner when the memory is no longer used, from any thread, with no
 *           lock of the library held.
 *           Given to the library: a call that fails never calls it, the memory is then still the caller's.
 *           Taken from the library: the caller calls it when done with the entry.
 * owner     passed to release */
typedef struct mxl_entry {
  const char *name;
  const char *encoding;
  mxl_tensor tensor;
  int32_t storage;
  void (*release)(void *owner);
  void *owner;
} mxl_entry;

/* An open checkpoint. The pointer is a number that nobody follows, as mxl_layer's is. Immutable: any number of threads may read it at
 * once. Layers filled from it keep the mapping alive, so the handle may be destroyed before them.
 *
 * Its files stay open and mapped as long. They may be removed, replaced by renaming another file over them, and lose their permissions. They must
 * not be written to or truncated: loading, preparing and, of layers that are prepared with MXL_PACK_NEVER, forward look at a file's size and time
 * of modification before they read it, loading and preparing again afterwards, and return MXL_IO when those are no longer what they were when it was
 * opened. A file that is truncated while it is being read, or while the caller reads an entry's data, raises SIGBUS as every mapping does: where
 * others may truncate a file, or its medium may fail, open a copy that is the process's own. A layer prepared with packing reads no file any more. */
typedef struct mxl_weights mxl_weights;

MXL_BEGIN

/* Maps a checkpoint of one or several files: .safetensors or .gguf files, the first of a split GGUF
 * (name-00001-of-00003.gguf), or one model.safetensors.index.json; the files that these name lie beside them. One folder
 * stands for its index, else for all its .safetensors files, else for its one .gguf file or split. Tensor names
 * must be unique over all files. Headers are checked whole; tensor data is not read until used.
 *
 * Errors: MXL_IO when a file cannot be opened or mapped; MXL_INVALID_FILE when it breaks a rule of the
 * format, or is of no known format, and for a folder without a checkpoint or with several; MXL_UNSUPPORTED for what is
 * valid and not served: a big-endian GGUF or one of version 1, a tensor type or dtype that is not known, more than 16
 * dimensions; MXL_INVALID_ARGUMENT for no paths, paths that are not UTF-8, or an index beside other paths. */
mxl_status mxl_weights_open(const char *const *paths, size_t count, mxl_weights **weights, mxl_error *error);

/* The number of tensors. */
mxl_status mxl_weights_count(const mxl_weights *weights, size_t *count, mxl_error *error);

/* Tensor number index, in the order of the files and of the data within them. Everything in the entry is
 * borrowed from the handle and valid until it is destroyed; release is NULL, storage is MXL_STORAGE_MAP. */
mxl_status mxl_weights_entry(const mxl_weights *weights, size_t index, mxl_entry *entry, mxl_error *error);

/* The tensor of that name, as mxl_weights_entry gives it; MXL_MISSING_KEY when there is none. */
mxl_status mxl_weights_find(const mxl_weights *weights, const char *name, mxl_entry *entry, mxl_error *error);

/* How the checkpoint's GPTQ or AWQ tensors are quantized, as quantize_config.json, quant_config.json or config.json's "quantization_config" in the
 * folder of its first file says. Set struct_size beforehand; the result goes into a layer's options as it is. Its texts are valid until the
 * handle is destroyed. mxl_mlp_create_from_weights asks by itself.
 *
 * Errors: MXL_MISSING_KEY when no file says, or one of another method; MXL_INVALID_FILE for a file that is no such JSON; MXL_IO for one that cannot
 * be read; MXL_UNSUPPORTED for numbers beyond int32_t. quantization is untouched then. */
mxl_status mxl_weights_quantization(const mxl_weights *weights, mxl_quantization *quantization, mxl_error *error);

/* Bytes mapped, and how many of those are in memory now (mincore). Either pointer may be NULL. */
mxl_status mxl_weights_memory(const mxl_weights *weights, uint64_t *mapped, uint64_t *resident, mxl_error *error);

/* Ends the handle. Entries taken from it are invalid afterwards. NULL is fine. */
void mxl_weights_destroy(mxl_weights *weights);

MXL_END

#endif

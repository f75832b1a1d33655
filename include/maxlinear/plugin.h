/* Plugins: encodings, kernel rows and communicators from outside the library. The built-in ones come through the same structs.
 *
 * An encoding says how a weight is stored. A kernel row is one tile kernel with its facts: what it computes, what
 * CPU features it needs, its tile, how it packs. When a layer is prepared, the library takes the row of the layer's
 * op, encoding and compute that has the highest rank among those whose features the CPU has (and MAXLINEAR_ISA
 * allows). The library owns all loops, threads and memory; a row owns one tile. A communicator lets processes of one
 * program speak to each other. docs/ADD_PLUGIN.md begins with a working plugin.
 *
 * A plugin is a shared library that exports one function, mxl_plugin_entry, of the type mxl_plugin_entry_function. It
 * includes this header and need not link libmaxlinear. What it hands over is static: a plugin is never unloaded.
 *
 * The rules of growth: structs begin with struct_size and grow at the end, under a new minor version. Whoever fills a
 * struct sets struct_size to the size it was compiled with, whoever reads it takes fields beyond that as zero. Another
 * major version is refused; an older or newer minor works: rows whose op or compute a library does not know are left
 * out, fields that it does not know are not looked at.
 *
 * Functions of encodings and rows may not abort, print, allocate or keep a pointer after they return. They are called
 * from several threads at once, with the floating point environment set to round to nearest, all exceptions masked, no
 * flushing of denormals; only packed_size is called in any environment. */
#ifndef MAXLINEAR_PLUGIN_H
#define MAXLINEAR_PLUGIN_H

#include "layers.h"
#include "status.h"
#include "types.h"
#include "version.h"

#include <stddef.h>
#include <stdint.h>

#define MXL_PLUGIN_ABI_MAJOR 1u
#define MXL_PLUGIN_ABI_MINOR 2u

/* Makes a function visible outside the plugin, under its C name. */
#ifdef __cplusplus
#define MXL_PLUGIN_EXPORT extern "C" __attribute__((visibility("default")))
#else
#define MXL_PLUGIN_EXPORT __attribute__((visibility("default")))
#endif

/* Limits of what a plugin may register. Names are letters, digits and "_-.". */
#define MXL_MOST_NAME 63          /* characters of an encoding's, a communicator's or the plugin's name */
#define MXL_MOST_ROW_NAME 127     /* characters of a row's name */
#define MXL_MOST_TILE_ROWS 64     /* tile_rows */
#define MXL_MOST_SIDE_PANELS 4    /* panels of one mxl_tile */
#define MXL_MOST_ARRANGED 4096    /* arranged_size */
#define MXL_SPARE_ROWS 15         /* of arranged x, behind a tile's own */
#define MXL_MOST_PANEL_COLUMNS 64 /* panel_columns */

/* CPU features, a bit each. A bit is set when the CPU has all that it names and the operating system saves the
 * registers. */
#define MXL_CPU_AVX2 (1ull << 0)        /* AVX, AVX2, FMA, F16C */
#define MXL_CPU_AVX512 (1ull << 1)      /* AVX-512 F, BW, DQ, VL */
#define MXL_CPU_AVX_VNNI (1ull << 2)    /* AVX-VNNI: vpdpbusd on 256 bits without AVX-512 */
#define MXL_CPU_AVX512_VNNI (1ull << 3) /* AVX-512 VNNI */
#define MXL_CPU_AVX512_BF16 (1ull << 4) /* AVX-512 BF16 */
#define MXL_CPU_AMX_INT8 (1ull << 5)    /* AMX-TILE and AMX-INT8 */
#define MXL_CPU_AMX_BF16 (1ull << 6)    /* AMX-TILE and AMX-BF16 */
/* No extension but how the CPU runs AVX-512: shifts, additions, conversions and products share two ports, vpmulld takes two operations (Intel). */
#define MXL_CPU_AVX512_SHARED_PORTS (1ull << 7)

/* Columns of x that one superblock spans. Float accumulation restarts at each: a partial sum over the superblock
 * is added to the output's accumulator, superblocks ascending. */
#define MXL_SUPERBLOCK 256

/* What a row computes. */
typedef enum mxl_op {
  MXL_OP_LINEAR = 1, /* y += x W^T on one tile */
  MXL_OP_INT32 = INT32_MIN
} mxl_op;

/* How a weight is stored: rows of blocks, each of elements_per_block consecutive weights in block_size bytes.
 *
 * A plugin's encodings are blocks (dtype MXL_UINT8), elements_per_block divides MXL_SUPERBLOCK, block_size is at most 16
 * bytes a weight, and names beginning with "GPTQ" are the library's. Each gets rows of the library for compute float32 on
 * every CPU variant, whose ranks are below 0: they run dequantize, so dequantize alone is enough. */
typedef struct mxl_encoding {
  uint32_t struct_size;
  int32_t dtype;              /* of the stored tensor: a float type for dense weights, MXL_UINT8 for blocks */
  const char *name;           /* "F32", "Q4_K": GGUF's name where there is one */
  int64_t elements_per_block; /* 1 for dense weights */
  int64_t block_size;         /* bytes */
  /* Writes the float32 value of `elements` consecutive weights, a multiple of elements_per_block. blocks has any alignment
   * and any bytes, and does not overlap values. */
  void (*dequantize)(const void *blocks, int64_t elements, float *values);
  /* NULL, or: writes the blocks of `elements` values, a multiple of elements_per_block, with a small sum of
   * importance (value - dequantized)^2; the same bytes on every CPU. importance: NULL for 1 each, else as many finite
   * weights >= 0. */
  void (*quantize)(const float *values, const float *importance, int64_t elements, void *blocks);
  float largest; /* quantize is only called with finite values of at most this magnitude, which is finite and above 0 */
} mxl_encoding;

/* Stored weights as a row's pack sees them: (out_dim, in_dim), row r at data + r * row_stride bytes. */
typedef struct mxl_source {
  uint32_t struct_size;
  float clip;       /* weights are clamped to +-clip by compare and select, NaN kept; +infinity for none */
  const void *data; /* any alignment */
  int64_t row_stride;
  int64_t in_dim;
  int64_t out_dim;
} mxl_source;

/* A superblock of a row of x quantized to 8 bits (docs/NUMERICS.md): x is about codes[k] * 2^shifts[k / 32] * alpha. */
typedef struct mxl_int8_activation {
  int8_t codes[MXL_SUPERBLOCK]; /* q, -127 to 127 */
  int16_t lanes16[32];          /* for 16 k, the sum of q over the 8 that are 0 or 1 modulo 4, then over the other 8 */
  int16_t sums16[16];           /* the sum of q over 16 k */
  int16_t sums32[8];            /* (the sum of q over 32 k) << shift: at most 127 * 32 * 8 = 32512 */
  uint8_t shifts[8];            /* 0 to 3 */
  float alpha;                  /* NaN where x is not finite */
  uint32_t reserved;
} mxl_int8_activation;

/* One call of a row's run: `rows` rows of x times one panel of weights, over k columns.
 *
 * x        activations of these rows from the first of the k columns on, in the row's compute format.
 *          MXL_COMPUTE_FLOAT32: float32, column by column, the tile's rows side by side: x[k * rows + row].
 *          Aligned to 4 bytes.
 *          MXL_COMPUTE_INT8: superblock by superblock `rows` mxl_int8_activation, one a row. Aligned to 64 bytes.
 *          MXL_COMPUTE_BFLOAT16: pairs of bfloat16, column 2 p in the low half, the tile's rows side by side:
 *          x[k / 2 * rows + row]; behind an odd k a zero. Aligned to 4 bytes.
 *          Of a row with arrange: superblock by superblock what that wrote of the tile's rows. Aligned to 64 bytes. The bytes of
 *          MXL_SPARE_ROWS rows more, of any content, may be read behind them.
 * weights  packed panel from the same column on: consecutive superblocks as pack wrote them. Aligned to 64 bytes.
 * y        float32 accumulators, read and written: y[row * panel_columns + column]. Aligned to 64 bytes.
 * rows     1 to the row's tile_rows
 * k        >= 1, begins at a multiple of MXL_SUPERBLOCK
 * next     weights that the thread will read after these, and how many bytes of them this call may spread prefetches
 *          over; NULL and 0 for none. Never dereferenced.
 * panels   how many panels this call takes, side by side; 0 stands for 1. Those of each begin weights_apart bytes and y_apart floats behind
 *          those of the one before. Behind each, the thread takes the panel that follows it in memory next, as far as they reach. */
typedef struct mxl_tile {
  uint32_t struct_size;
  int32_t rows;
  const void *x;
  const void *weights;
  float *y;
  int64_t k;
  const void *next;
  int64_t next_bytes;
  int64_t panels, weights_apart, y_apart;
} mxl_tile;

/* One tile kernel and its facts. Each function gets the row it belongs to, a copy that the library keeps, so that several rows may share
 * functions and tell themselves apart by context.
 *
 * A row that needs CPU features stands beside one of its op, encoding and compute that needs none, so that what a layer
 * computes does not depend on the CPU; for compute float32 of a plugin's encoding that is the library's. A layer prepared
 * with MXL_COMPUTE_DEFAULT computes in int8 where its encoding has rows for that, else in float32. Rows of compute int8 are for
 * encodings whose elements_per_block is a multiple of 32. One of compute bfloat16 runs where x is bfloat16, on what the float32 row
 * of the same pack and panel_columns has packed; a float32 row for an encoding that has such rows, "BF16", comes with one. */
typedef struct mxl_kernel_row mxl_kernel_row;
struct mxl_kernel_row {
  uint32_t struct_size;
  int32_t op;            /* mxl_op */
  int32_t compute;       /* mxl_compute */
  int32_t rank;          /* 0 and up; the highest wins, on equal rank the one registered first */
  uint64_t cpu_features; /* MXL_CPU_*, all needed */
  const char *name;      /* mxlk_<op>_<encoding>_<activation>_<rows>x<columns>__<isa> */
  const char *encoding;  /* mxl_encoding.name; of this plugin, the library (but GPTQ), or a plugin loaded before */
  int32_t tile_rows;     /* the most rows of x one run takes */
  int32_t
      panel_columns; /* outputs that one panel holds, a multiple of 16; the last panel of a matrix is padded with zeros */
  /* Bytes of one packed superblock of a panel whose k is `k` (1 to MXL_SUPERBLOCK, whole blocks); a multiple of 32 when k is
   * MXL_SUPERBLOCK, and never more than then. A panel begins at a multiple of 64 bytes, its superblocks follow one another. */
  size_t (*packed_size)(const mxl_kernel_row *row, int64_t k);
  /* Packs weights [panel * panel_columns, ...) x [k_begin, k_begin + k) into packed, aligned to 64 bytes, or to 32
   * where packed_size is no multiple of 64; k_begin is a multiple of MXL_SUPERBLOCK, k at most that. Writes all of packed_size(k) bytes. */
  void (*pack)(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
               void *packed);
  /* NULL, and layers keep their source, or the inverse of pack: writes the stored bytes of those weights into the matrix that destination describes.
   * unpack after pack is the identity when source->clip is infinite. */
  void (*unpack)(const mxl_kernel_row *row, const void *packed, int64_t panel, int64_t k_begin, int64_t k,
                 const mxl_source *destination);
  /* For each row and column of the tile: t = +0, t = fma(x, w, t) over the superblock's columns ascending, y = y + t;
   * superblocks ascending; w is what dequantize says. Other computes put their own arithmetic here; every row of an encoding and compute
   * returns the same bits. */
  void (*run)(const mxl_kernel_row *row, const mxl_tile *tile);
  /* NULL when run reads packed weights. Else the library expands each packed superblock of a panel once into a thread's cache, all
   * tiles of x pass over that, and a call of run gets one superblock of expanded weights. Writes at most expanded_size bytes,
   * aligned to 64. */
  void (*expand)(const mxl_kernel_row *row, const void *packed, int64_t k, void *expanded);
  size_t expanded_size;
  /* NULL, or as run but on packed weights of one or more superblocks: used when a panel meets a single tile of x, where expanding
   * would not pay. */
  void (*run_packed)(const mxl_kernel_row *row, const mxl_tile *tile);
  const void *context; /* the row's own */
  /* What runs packed weights, run_packed or a run without expand, takes up to side_rows / rows whole panels in one call, at most
   * MXL_MOST_SIDE_PANELS, where a single tile of x meets them: few rows wait for memory, which is read faster in several places at once.
   * 0: one. */
  int32_t side_rows;
  /* The fewest rows of x of a call that the row is for. From 2 on the row is never chosen by itself: where it runs on what the row of highest
   * rank has packed, calls of so many rows run it instead; of several such rows the one of highest rank. */
  int32_t least_rows;
  /* NULL, or writes the form of x that run and run_packed read in place of the row's compute format, arranged_size bytes for each row of x and
   * superblock of k columns. arranged: of a whole tile and superblock, whose rows of x are added in turn, index 0 first; one may move those before
   * it. from: MXL_COMPUTE_INT8: an mxl_int8_activation; MXL_COMPUTE_BFLOAT16: k bfloat16, MXL_COMPUTE_FLOAT32: k float32, of any
   * alignment. */
  void (*arrange)(const mxl_kernel_row *row, const void *from, int64_t k, int64_t index, void *arranged);
  size_t arranged_size; /* a multiple of 64, at most MXL_MOST_ARRANGED; 0 where arrange is NULL */
  /* NULL both, or called by each thread of a call ahead of the first expand, run or run_packed of the row and behind the last: state of the
   * thread that they need, such as AMX's tile configuration. */
  void (*enter)(const mxl_kernel_row *row);
  void (*leave)(const mxl_kernel_row *row);
};

/* A way for the processes of one program to speak to each other, such as MPI. `self` is one communicator: a group of `size`
 * processes, each with a rank, 0 to size - 1.
 *
 * barrier, broadcast, allgather and allreduce are collective: all ranks call the same ones in the same order, with arguments
 * that fit. They return when this rank's memory may be used again. A communicator is used by one thread at a time, not
 * always the same one. They return MXL_OK, or a status with a message in error, which may be NULL and has the size that
 * its struct_size says; what they were to write is then undefined, and the communicator is only aborted or destroyed
 * afterwards. Memory has any alignment. Functions may allocate and block, but not for ever: where a rank does not come, they fail in a time that the
 * kind sets, with a message that names it. */
typedef struct mxl_communicator_kind mxl_communicator_kind;
struct mxl_communicator_kind {
  uint32_t struct_size;
  uint32_t reserved;
  const char *name; /* "mpi" */
  /* Makes this process's end of a communicator. native: what the host program gave, as the kind documents it, such as an
   * MPI_Comm *; NULL for the group of all processes. Collective. */
  mxl_status (*create)(const mxl_communicator_kind *kind, const void *native, void **self, mxl_error *error);
  void (*destroy)(void *self); /* collective; frees self */
  int32_t (*rank)(void *self);
  int32_t (*size)(void *self);
  /* Returns when all ranks have come here. */
  mxl_status (*barrier)(void *self, mxl_error *error);
  /* data of rank root becomes that of every rank. */
  mxl_status (*broadcast)(void *self, void *data, size_t bytes, int32_t root, mxl_error *error);
  /* The bytes[r] bytes of each rank r go to gathered + offsets[r] of every rank. bytes and offsets have `size` elements, the
   * same on every rank; the parts do not overlap. data is this rank's part, or NULL when it already lies in its place. */
  mxl_status (*allgather)(void *self, const void *data, void *gathered, const size_t *bytes, const size_t *offsets,
                          mxl_error *error);
  /* Element by element, values becomes the sum over ranks in their order, ((v0 + v1) + v2) + ..., each sum rounded to the
   * dtype: the same bits on every rank and in every run. dtype: MXL_FLOAT32, all others are MXL_UNSUPPORTED so far. NULL:
   * the library gathers and adds. */
  mxl_status (*allreduce)(void *self, int32_t dtype, void *values, size_t count, mxl_error *error);
  /* This rank cannot go on, where the others will wait for it: makes their collectives fail, or ends the processes of the
   * group, as MPI_Abort does. message says why; UTF-8. May return. */
  void (*abort)(void *self, const char *message);
  const void *context; /* the kind's own */
};

/* How much a logged message matters. */
typedef enum mxl_log_level {
  MXL_LOG_ERROR = 1,
  MXL_LOG_WARNING = 2,
  MXL_LOG_INFO = 3,
  MXL_LOG_INT32 = INT32_MIN
} mxl_log_level;

/* What the library offers a plugin, from mxl_plugin_entry on for as long as the process runs. All functions may be called by any thread
 * and get the host they belong to. */
typedef struct mxl_host mxl_host;
struct mxl_host {
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t reserved;
  void *library; /* the library's own */
  /* Memory aligned to 64 bytes, contents undefined; NULL when there is none, or bytes is 0. */
  void *(*allocate)(const mxl_host *host, size_t bytes);
  void (*free)(const mxl_host *host, void *memory); /* NULL is fine */
  /* Keeps the plugin's last few messages, UTF-8, cut at 255 bytes; mxl_info lists them. The library prints nothing. When the entry
   * returns NULL, the last of them is what its caller is told. level: mxl_log_level. */
  void (*log)(const mxl_host *host, int32_t level, const char *message);
  /* Calls body on parts [begin, end) that make up [0, count), on the library's threads and this one, and returns when all
   * are done. On this thread alone inside a function that the library's threads already run. */
  void (*parallel_for)(const mxl_host *host, int64_t count, void (*body)(void *context, int64_t begin, int64_t end),
                       void *context);
};

/* What a plugin brings: arrays of pointers, so that the structs may grow. Static storage. Devices will come behind. */
typedef struct mxl_plugin {
  uint32_t struct_size;
  uint32_t abi_major; /* MXL_PLUGIN_ABI_MAJOR and MINOR of the header it was compiled with */
  uint32_t abi_minor;
  uint32_t reserved;
  const char *name; /* no two plugins of a process have the same */
  const mxl_encoding *const *encodings;
  size_t encoding_count;
  const mxl_kernel_row *const *rows;
  size_t row_count;
  const mxl_communicator_kind *const *communicators;
  size_t communicator_count;
} mxl_plugin;

/* The type of the function mxl_plugin_entry, which a plugin exports:
 *
 *     MXL_PLUGIN_EXPORT const mxl_plugin *mxl_plugin_entry(const mxl_host *host);
 *
 * Called at most once at a time, in the floating point environment of whoever loads the plugin; it may not load plugins. NULL: the
 * plugin cannot work here, after a log that says why. */
typedef const mxl_plugin *mxl_plugin_entry_function(const mxl_host *host);

MXL_BEGIN

/* Loads a plugin and registers all it brings, or nothing when the call fails. Layers, also running ones, are not disturbed; what is prepared
 * afterwards finds the new encodings and rows. A plugin that is already loaded is left as it is: MXL_OK. Any thread. A plugin is code of
 * this process: load none that you do not trust.
 *
 * MAXLINEAR_PLUGIN_PATH, files and folders (all of their *.so, in the order of their names) divided by ":", is loaded before the first use of
 * an encoding. What fails there is left out and listed by mxl_info under "plugin_failures".
 *
 * Errors: MXL_IO (no such file, a directory), MXL_INVALID_FILE (no shared library, no mxl_plugin_entry, structs that break the rules
 * above), MXL_UNSUPPORTED (another major version, an entry that returned NULL), MXL_INVALID_ARGUMENT (NULL, an encoding, row, communicator
 * or plugin of a name that is there already), MXL_OUT_OF_MEMORY. */
mxl_status mxl_plugin_load(const char *path, mxl_error *error);

MXL_END

#endif

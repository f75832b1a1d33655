/* Encodings and kernel rows: the structs through which the built-in ones are registered (plugin zero).
 *
 * An encoding says how a weight is stored. A kernel row is one tile kernel with its facts: what it computes, what
 * CPU features it needs, its tile, how it packs. When a layer is prepared, the library takes the row of the layer's
 * op, encoding and compute that has the highest rank among those whose features the CPU has (and MAXLINEAR_ISA
 * allows). The library owns all loops, threads and memory; a row owns one tile.
 *
 * Nothing here may abort, print, allocate or keep a pointer after it returns. Everything is called from several
 * threads at once, with the floating point environment set to round to nearest, all exceptions masked, no flushing
 * of denormals. Structs begin with struct_size and grow at the end. */
#ifndef MAXLINEAR_PLUGIN_H
#define MAXLINEAR_PLUGIN_H

#include "types.h"
#include "version.h"

#include <stddef.h>
#include <stdint.h>

#define MXL_PLUGIN_ABI_MAJOR 0u
#define MXL_PLUGIN_ABI_MINOR 1u

/* CPU features, a bit each. A bit is set when the CPU has all that it names and the operating system saves the
 * registers. */
#define MXL_CPU_AVX2 (1ull << 0)        /* AVX, AVX2, FMA, F16C */
#define MXL_CPU_AVX512 (1ull << 1)      /* AVX-512 F, BW, DQ, VL */
#define MXL_CPU_AVX_VNNI (1ull << 2)    /* AVX-VNNI: vpdpbusd on 256 bits without AVX-512 */
#define MXL_CPU_AVX512_VNNI (1ull << 3) /* AVX-512 VNNI */
#define MXL_CPU_AVX512_BF16 (1ull << 4) /* AVX-512 BF16 */
#define MXL_CPU_AMX_INT8 (1ull << 5)    /* AMX-TILE and AMX-INT8 */
#define MXL_CPU_AMX_BF16 (1ull << 6)    /* AMX-TILE and AMX-BF16 */

/* Columns of x that one superblock spans. Float accumulation restarts at each: a partial sum over the superblock
 * is added to the output's accumulator, superblocks ascending. */
#define MXL_SUPERBLOCK 256

/* What a row computes. */
typedef enum mxl_op {
  MXL_OP_LINEAR = 1, /* y += x W^T on one tile */
  MXL_OP_INT32 = INT32_MIN
} mxl_op;

/* How a weight is stored: rows of blocks, each of elements_per_block consecutive weights in block_size bytes. */
typedef struct mxl_encoding {
  uint32_t struct_size;
  int32_t dtype;              /* of the stored tensor: a float type for dense weights, MXL_UINT8 for blocks */
  const char *name;           /* "F32", "Q4_K": GGUF's name where there is one */
  int64_t elements_per_block; /* 1 for dense weights */
  int64_t block_size;         /* bytes */
  /* Writes the float32 value of `elements` consecutive weights, a multiple of elements_per_block. */
  void (*dequantize)(const void *blocks, int64_t elements, float *values);
  /* NULL, or: writes the blocks of `elements` values, a multiple of elements_per_block, with a small sum of
   * importance (value - dequantized)^2. importance: NULL for 1 each, else as many finite weights >= 0. */
  void (*quantize)(const float *values, const float *importance, int64_t elements, void *blocks);
  float largest; /* quantize is only called with finite values of at most this magnitude */
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

/* One call of a row's run: `rows` rows of x times one panel of weights, over k columns.
 *
 * x        activations of these rows from the first of the k columns on, in the row's compute format.
 *          MXL_COMPUTE_FLOAT32: float32, column by column, the tile's rows side by side: x[k * rows + row].
 *          Aligned to 4 bytes.
 *          MXL_COMPUTE_INT8: `rows` activation records of 384 bytes, the superblock's codes and their scale (docs/NUMERICS.md).
 *          Aligned to 64 bytes.
 * weights  packed panel from the same column on: consecutive superblocks as pack wrote them. Aligned to 64 bytes.
 * y        float32 accumulators, read and written: y[row * panel_columns + column]. Aligned to 64 bytes.
 * rows     1 to the row's tile_rows
 * k        >= 1, begins at a multiple of MXL_SUPERBLOCK
 * next     weights that the thread will read after these, and how many bytes of them this call may spread prefetches
 *          over; NULL and 0 for none. Never dereferenced. */
typedef struct mxl_tile {
  uint32_t struct_size;
  int32_t rows;
  const void *x;
  const void *weights;
  float *y;
  int64_t k;
  const void *next;
  int64_t next_bytes;
} mxl_tile;

/* One tile kernel and its facts. Each function gets the row it belongs to, so that several rows may share functions and tell
 * themselves apart by context. */
typedef struct mxl_kernel_row mxl_kernel_row;
struct mxl_kernel_row {
  uint32_t struct_size;
  int32_t op;            /* mxl_op */
  int32_t compute;       /* mxl_compute */
  int32_t rank;          /* the highest wins; on equal rank the one registered first */
  uint64_t cpu_features; /* MXL_CPU_*, all needed */
  const char *name;      /* mxlk_<op>_<encoding>_<activation>_<rows>x<columns>__<isa> */
  const char *encoding;  /* mxl_encoding.name */
  int32_t tile_rows;     /* the most rows of x one run takes */
  int32_t panel_columns; /* outputs that one panel holds; the last panel of a matrix is padded with zeros */
  /* Bytes of one packed superblock of a panel whose k is `k` (1 to MXL_SUPERBLOCK); a multiple of 32 when k is
   * MXL_SUPERBLOCK. A panel begins at a multiple of 64 bytes, its superblocks follow one another. */
  size_t (*packed_size)(const mxl_kernel_row *row, int64_t k);
  /* Packs weights [panel * panel_columns, ...) x [k_begin, k_begin + k) into packed, aligned to 64 bytes, or to 32
   * where packed_size is no multiple of 64; k_begin is a multiple of MXL_SUPERBLOCK, k at most that. Writes all of packed_size(k) bytes. */
  void (*pack)(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
               void *packed);
  /* The inverse of pack: writes the stored bytes of those weights into the matrix that destination describes.
   * unpack after pack is the identity when source->clip is infinite. */
  void (*unpack)(const mxl_kernel_row *row, const void *packed, int64_t panel, int64_t k_begin, int64_t k,
                 const mxl_source *destination);
  /* For each row and column of the tile: t = +0, t = fma(x, w, t) over the superblock's columns ascending, y = y + t;
   * superblocks ascending. Other encodings put their own arithmetic here; every row of an encoding and compute
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
};

/* What a plugin brings: arrays of pointers, so that the structs may grow. Static storage. */
typedef struct mxl_plugin {
  uint32_t struct_size;
  uint32_t abi_major;
  uint32_t abi_minor;
  uint32_t reserved;
  const char *name;
  const mxl_encoding *const *encodings;
  size_t encoding_count;
  const mxl_kernel_row *const *rows;
  size_t row_count;
} mxl_plugin;

#endif

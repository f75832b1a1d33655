/* What the Swift core sees of the C kernels. Internal to the library: nothing here is exported.
 *
 * No function aborts, prints or allocates outside mxlk_allocate. Functions that can fail return an mxl_status, and
 * say in their comment which; the Swift core has checked all shapes, pointers and products before it calls. */
#ifndef MXLK_KERNELS_H
#define MXLK_KERNELS_H

#include "maxlinear.h"

/* cpu.c: what the CPU and the operating system can run. */

/* A CPU variant: a name for MAXLINEAR_ISA and the features it allows. Ordered from weakest to strongest. */
typedef struct mxlk_isa {
  const char *name;
  uint64_t features;
} mxlk_isa;

uint64_t mxlk_cpu_features(void);                /* MXL_CPU_* of this machine */
const char *mxlk_cpu_feature_name(uint32_t bit); /* "avx2", ...; NULL past the last bit */
int64_t mxlk_level_two_bytes(void);              /* of a core's second level cache; 512 KiB where that is not known */
const char *mxlk_cpu_model(void);                /* CPUID's brand string; "" where there is none */
size_t mxlk_isa_count(void);
const mxlk_isa *mxlk_isa_at(size_t index); /* NULL past the end */
/* The features that MAXLINEAR_ISA leaves of mxlk_cpu_features(), read anew at each call; all of them when it is
 * unset or empty. False when it names no known variant. */
int mxlk_allowed_features(uint64_t *features);

/* registry.c: plugins, plugin zero first, which is built in; the encodings and rows of all. Lists that only grow: while one is walked
 * another thread may add to its end, and what was found stays. Each function first loads what MAXLINEAR_PLUGIN_PATH names, once. */

typedef struct mxlk_plugin {
  const char *name;
  const char *path; /* NULL for plugin zero */
  uint32_t abi_major, abi_minor;
  const mxl_encoding *const *encodings;
  size_t encoding_count;
  const mxl_kernel_row *const *rows; /* with those that the library adds to its encodings */
  size_t row_count;
  const mxl_communicator_kind *const *communicators;
  size_t communicator_count;
  const mxl_host *host; /* NULL for plugin zero */
} mxlk_plugin;

size_t mxlk_plugin_count(void);
const mxlk_plugin *mxlk_plugin_at(size_t index); /* NULL past the end */

size_t mxlk_encoding_count(void);
const mxl_encoding *mxlk_encoding_at(size_t index);                    /* NULL past the end */
const mxl_encoding *mxlk_encoding_find(const char *name);              /* NULL when unknown */
const mxl_communicator_kind *mxlk_communicator_find(const char *name); /* NULL when unknown */
size_t mxlk_row_count(void);
const mxl_kernel_row *mxlk_row_at(size_t index); /* NULL past the end */
/* The row of highest rank that these features can run, for calls of any number of rows; NULL when there is none. */
const mxl_kernel_row *mxlk_row_find(int32_t op, const char *encoding, int32_t compute, uint64_t features);

/* The row of highest rank with another compute that runs on what `row` packs; NULL when there is none. */
const mxl_kernel_row *mxlk_row_find_compatible(const mxl_kernel_row *row, int32_t compute, uint64_t features);
/* The row of highest rank that runs on what `row` packs, with its compute, from least_rows rows of x on; NULL when row is NULL or there is none. */
const mxl_kernel_row *mxlk_row_find_many(const mxl_kernel_row *row, uint64_t features);

/* plugins/: what is loaded from outside. */

/* Loads a plugin, once: MXL_OK also when it is there already. When it fails, reason says why, nothing is registered. */
mxl_status mxlk_plugin_load(const char *path, char *reason, size_t capacity);

/* A path of MAXLINEAR_PLUGIN_PATH that could not be loaded. */
typedef struct mxlk_plugin_failure {
  const char *path;
  const char *reason;
} mxlk_plugin_failure;
size_t mxlk_plugin_failure_count(void);
const mxlk_plugin_failure *mxlk_plugin_failure_at(size_t index); /* NULL past the end */

/* The number of messages kept of a plugin's host, and of one of them, oldest first, text and level. */
size_t mxlk_plugin_log(const mxl_host *host, size_t index, char *text, size_t capacity, int32_t *level);

/* memory.c: the one fallible allocator. */

/* 64-byte aligned, 2 MiB aligned with huge pages advised from 4 MiB on; contents undefined; NULL when refused or when
 * bytes is 0. */
void *mxlk_allocate(size_t bytes);
void mxlk_free(void *memory); /* NULL is fine */
/* Gives back the whole pages inside a read-only file mapping: the next read faults them in again. */
void mxlk_release_pages(const void *data, size_t bytes);
/* Bytes of the pages of [data, data + bytes) that are in memory now. */
uint64_t mxlk_resident_bytes(const void *data, size_t bytes);

/* Around what is done with the list of mapped files; not nested. Free in a child process after fork, whatever the parent's threads did. */
void mxlk_files_lock(void);
void mxlk_files_unlock(void);

/* parallel.c: threads. */

/* MAXLINEAR_NUM_THREADS, else the affinity mask's CPUs, at most the cgroup's (v1, v2) CPU quota rounded up; >= 1. */
int32_t mxlk_default_threads(void);
int32_t mxlk_threads(void);
void mxlk_set_threads(int32_t threads);

/* linear.c and plan.c: the loops around a row. */

/* Weights ready to run. packed: panels one after the other, each mxlk_panel_bytes(row, in_dim); NULL means that the
 * rows are packed from source superblock by superblock at each call (MXL_PACK_NEVER). */
typedef struct mxlk_linear_weights {
  const mxl_kernel_row *row;
  const mxl_kernel_row *bfloat16_row; /* what runs instead when x is bfloat16, on the same packed weights; or NULL */
  /* What runs in the place of these from its least_rows on, on the same packed weights; or NULL. */
  const mxl_kernel_row *many_row, *bfloat16_many_row;
  mxl_source source; /* in_dim and out_dim always; data only when packed is NULL */
  const void *packed;
  const float *bias; /* out_dim values or NULL, any 4-byte alignment */
  /* NULL, or in_dim numbers: column i of the packed weights meets column columns[i] of x. */
  const int32_t *columns;
  const float
      *scale; /* NULL, or out_dim values that the sums are multiplied with, ahead of the bias; any 4-byte alignment */
} mxlk_linear_weights;

/* The rows of x and y: dimensions with their strides in elements, outermost first, the last dimension left out.
 * The number of rows is the product of shape. */
typedef struct mxlk_rows {
  int32_t rank; /* 0 to MXL_MAX_RANK - 1; 0 is one row */
  int64_t shape[MXL_MAX_RANK];
  int64_t x_strides[MXL_MAX_RANK];
  int64_t y_strides[MXL_MAX_RANK];
} mxlk_rows;

/* The most shards of a job, the most jobs that run together, and the most shards that those have. */
#define MXLK_MOST_SHARDS 64
#define MXLK_MOST_JOBS 64
#define MXLK_MOST_MATRICES 128

typedef struct mxlk_linear_job {
  /* shard_count matrices of one row and in_dim, one device's each, whose outputs lie side by side in y. A device is a part of the
   * threads: those compute its shard, and no others, unless there are fewer threads than devices. The bits are those of one matrix. */
  const mxlk_linear_weights *weights;
  int32_t shard_count; /* 0 means 1 */
  /* NULL, or as many of the same rows and shapes: then y = activation(x G^T + bias_G) (x W^T + bias), the first half of a gated MLP, in one
   * pass over x. */
  const mxlk_linear_weights *gate;
  int32_t activation;       /* mxl_activation, of the gate */
  const void *x;            /* any alignment */
  void *y;                  /* any alignment */
  int32_t x_dtype, y_dtype; /* MXL_FLOAT32, MXL_FLOAT16, MXL_BFLOAT16; all else must not come here */
  mxlk_rows rows;
  int64_t row_begin, row_count; /* the rows to compute, counted in C order; row_count 0 for all */
  int32_t accumulate;           /* y = y + (x W^T + bias) instead of y = x W^T + bias */
  int32_t threads;              /* the most to use, >= 1; the process-wide budget and the amount of work lower it */
} mxlk_linear_job;

/* Converts count contiguous values between MXL_FLOAT32, MXL_FLOAT16 and MXL_BFLOAT16, rounded to nearest even. */
void mxlk_convert(int32_t from_dtype, const void *from, int32_t to_dtype, void *to, int64_t count);

/* blocks.c: between rows of values and rows of blocks. */

typedef struct mxlk_blocks_job {
  const mxl_encoding *encoding;
  void *values;            /* rows of k adjacent MXL_FLOAT32, MXL_FLOAT16 or MXL_BFLOAT16; any alignment */
  int32_t dtype;           /* of values */
  void *blocks;            /* rows of k / elements_per_block adjacent blocks; any alignment */
  const float *importance; /* NULL, or k weights of the columns' squared errors, aligned to 4 bytes */
  int64_t rows, k;         /* k is a multiple of elements_per_block */
  int32_t threads;         /* the most to use, >= 1 */
} mxlk_blocks_job;

/* The place, counted in C order, of the first value that is not finite or beyond the encoding's largest; -1 when there is none. */
int64_t mxlk_blocks_refused(const mxlk_blocks_job *job);
void mxlk_quantize(
    const mxlk_blocks_job *job); /* values to blocks; encoding->quantize is not NULL, no value is refused */
void mxlk_dequantize(const mxlk_blocks_job *job); /* blocks to values */

/* dense/float8_tensors.c: between rows of values and of 8-bit floats. */

typedef struct mxlk_float8_job {
  void *values;         /* rows of k adjacent MXL_FLOAT32, MXL_FLOAT16 or MXL_BFLOAT16; any alignment */
  int32_t dtype;        /* of values */
  int32_t float8;       /* MXL_FLOAT8_E4M3 or MXL_FLOAT8_E5M2 */
  void *codes;          /* as many bytes */
  const float *scales;  /* NULL for 1 */
  int64_t scale_stride; /* 1: one a row; 0: one for all */
  int64_t rows, k;
  int32_t threads; /* the most to use, >= 1 */
} mxlk_float8_job;

/* The scales (one a row, or by scale_stride 0 one) with which the values of largest magnitude become the format's largest: that quotient, at
 * least 2^-126; 1 where all are zeros. Returns the place, in C order, of the first value that is not finite; -1 when there is none. Reads
 * neither codes nor scales of the job. */
int64_t mxlk_float8_scales(const mxlk_float8_job *job, float *scales);
/* code = value / scale, rounded to nearest even; what is beyond the format becomes infinity, with E4M3 NaN. */
void mxlk_float8_quantize(const mxlk_float8_job *job);
void mxlk_float8_dequantize(const mxlk_float8_job *job); /* value = code * scale in float32, then rounded to dtype */

size_t mxlk_panel_bytes(const mxl_kernel_row *row, int64_t in_dim);
int64_t mxlk_panel_count(const mxl_kernel_row *row, int64_t out_dim);
/* Packs all panels of source into packed (panel_count * panel_bytes, from mxlk_allocate). */
void mxlk_linear_pack(const mxl_kernel_row *row, const mxl_source *source, void *packed, int32_t threads);
/* The same for shards: sources[i] into packed[i], each by the threads that compute it, which touch it first. */
void mxlk_linear_pack_shards(const mxl_kernel_row *row, const mxl_source *sources, void *const *packed, int32_t count,
                             int32_t threads);
/* The inverse, into destination's data. */
void mxlk_linear_unpack(const mxl_kernel_row *row, const void *packed, const mxl_source *destination, int32_t threads);
/* MXL_OK or MXL_OUT_OF_MEMORY (scratch); y is untouched when it fails. */
mxl_status mxlk_linear_run(const mxlk_linear_job *job);
/* The same for `count` jobs over one x, each with its own weights, y and activation: x, its dtype, shape and strides, in_dim, and which rows to
 * compute are the same in all; threads is the first's. One parallel region; x is packed once for all jobs that read it alike. The bits are
 * those of the jobs one by one. At most MXLK_MOST_JOBS, with at most MXLK_MOST_MATRICES shards. */
mxl_status mxlk_linear_run_together(const mxlk_linear_job *jobs, int32_t count);

/* sums.c: jobs that are made of several. */
int64_t mxlk_job_rows(const mxlk_linear_job *job);
/* y's strides for rows of `columns` elements without gaps. */
void mxlk_rows_in_c_order(mxlk_rows *rows, int64_t columns);
/* Rows of `columns` floats, in C order, into the job's y: multiplied with scale and added to bias, each where it is not NULL, rounded to y's
 * dtype, added to it where the job accumulates. */
void mxlk_store_rows(const mxlk_linear_job *job, const void *values, int64_t columns, const float *scale,
                     const float *bias);

/* ranks.c: what processes that share a layer send each other. */
/* A checksum of bytes behind `sum`, the same for the same bytes on machines of one byte order and one library version. */
uint64_t mxlk_checksum(uint64_t sum, const void *data, size_t bytes);
/* The same of a few places of 64 bytes each, evenly from the first byte to the last: it reads some 16 pages. */
uint64_t mxlk_checksum_sample(uint64_t sum, const void *data, size_t bytes);
/* The same of the job's x, rows of `columns` elements. */
uint64_t mxlk_checksum_rows(const mxlk_linear_job *job, int64_t columns);
/* `count` parts, one behind the other, each `rows` rows of the columns from the end of the part before to its own, as whole rows. */
void mxlk_rows_from_parts(const void *parts, const int64_t *ends, int32_t count, int64_t rows, void *values);
/* sums[i] = ((part 0 [i] + part 1 [i]) + part 2 [i]) + ..., of parts one behind the other. sums may be part 0. */
void mxlk_sum_parts(const void *parts, int32_t count, int64_t elements, void *sums);

/* mlp.c: y = down(activation(gate x) * (up x)), h in float32 between. */
typedef struct mxlk_mlp_job {
  const mxlk_linear_weights *gate, *up,
      *down; /* job.shard_count each. gate and up of one shape; down's in_dim is their out_dim */
  int32_t activation;
  mxlk_linear_job job; /* x, y, rows, accumulate, threads; the weights in it are not read */
} mxlk_mlp_job;

/* MXL_OK or MXL_OUT_OF_MEMORY; y is untouched when it fails. The bits of the three linears called one by one with float32 between. */
mxl_status mxlk_mlp_run(const mxlk_mlp_job *job);

/* hidden = activation(gate) * up, element by element, contiguous float32 of any alignment; hidden may be gate or up. On at most `threads`. */
void mxlk_gate_run(int32_t activation, const void *gate, const void *up, int64_t count, void *hidden, int32_t threads);

#endif

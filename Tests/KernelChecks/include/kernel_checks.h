/* The loops of the kernel tests, in C so that they are fast in debug builds too. They walk the registry: a row that
 * is added later is checked without a change here.
 *
 * Each function fills a result; a test is passed when failures is 0 and comparisons is not. The buffers are shared,
 * so one check runs at a time. */
#ifndef KERNEL_CHECKS_H
#define KERNEL_CHECKS_H

#include "kernels.h"

typedef struct check_result {
  int64_t comparisons; /* outputs, buffers or facts compared */
  int64_t failures;
  int64_t rows_run;     /* different rows of the registry that were run */
  int64_t rows_skipped; /* different ones that need features this CPU lacks */
  uint64_t seen[16];    /* a bit for each row counted in either */
  char message[512];    /* the first failure */
} check_result;

/* What the numbers in x and in float weights are. */
typedef enum check_values {
  CHECK_PLAIN,      /* within +-1 */
  CHECK_ZEROS,      /* zeros of both signs among plain numbers, rows and columns of nothing else */
  CHECK_DENORMALS,  /* denormals, and numbers whose products are */
  CHECK_TINY,       /* sums that come to the smallest normal number, and large numbers beside zeros */
  CHECK_HUGE,       /* products and sums that overflow, to infinities of both signs and their difference */
  CHECK_NAN_ROW,    /* one row of x holds one NaN */
  CHECK_INFINITIES, /* infinities of both signs here and there in x and in the weights */
  CHECK_ANY_BITS,   /* any bit pattern: all exponents, NaN payloads, signaling NaNs */
  CHECK_VALUES_COUNT,
  /* x of one sign and codes and scales at their ends: sums of sub-blocks about what 16 bits hold. For quantized weights; not among those counted. */
  CHECK_LARGE_SUMS = CHECK_VALUES_COUNT
} check_values;

/* For a test's name. */
const char *check_values_name(check_values values);

/* The floating point environment of the caller. */
typedef enum check_environment {
  CHECK_DEFAULT_ENVIRONMENT,
  CHECK_FLUSH, /* FTZ and DAZ */
  CHECK_ROUND_UP,
  CHECK_UNMASKED, /* every exception traps */
  CHECK_ENVIRONMENT_COUNT
} check_environment;

/* Every row of every encoding and compute with the scalar arithmetic: pack, unpack, run on tiles, and
 * mxlk_linear_run on packed and on unpacked weights, over all sizes of one axis from 1 to two tiles and a bit. */
check_result check_rows_over_rows(check_values values);
check_result check_rows_over_columns(check_values values);
check_result check_rows_over_k(check_values values);
/* The same on `count` random shapes with random strides, alignments, bias, accumulation, clip and threads. */
check_result check_rows_on_random_shapes(check_values values, int count, uint32_t seed);
/* The same from a caller in that environment, which must find it unchanged; on a foreign thread when asked. */
check_result check_rows_in_environment(check_environment environment, int foreign_thread);
/* Row m of a batch with the row alone. */
check_result check_batch_against_single_rows(void);
/* A shape with several blocks of rows and groups of panels on 1 to 8 threads with one thread. */
check_result check_thread_counts(void);
/* `callers` foreign threads at once, each with its own calls. */
check_result check_concurrent_callers(int callers);
/* Every float16 as float32, and back, from a caller in that environment. */
check_result check_conversions_in_environment(check_environment environment);
/* float32 to bfloat16, to nearest even, value by value and many at once. */
check_result check_bfloat16_rounding(void);
/* Calls without rows leave y alone; a call whose scratch cannot be had says so and leaves y alone. */
check_result check_nothing_to_do(void);
check_result check_scratch_refused(void);

/* The fused MLP of every encoding and compute with its three linears called one by one: on 1 to 8 threads, for few and many rows, in that
 * environment, on a foreign thread when asked. */
check_result check_mlps_in_environment(check_environment environment, int foreign_thread);

/* Jobs of random rows, weights, orders of x and dtypes that run together with the same jobs one by one, on 1 to 4 threads, for few and many rows, in that
 * environment. */
check_result check_jobs_together(check_environment environment);

/* Each CPU variant of the search that quantizes a column, for every block encoding. */
check_result check_quantize_variants(void);

/* What the rules for plugins find wrong with the built-in encodings and rows; "" for nothing. */
const char *check_plugin_zero(void);

/* How many threads took part in one call of so many with that budget. */
int32_t check_threads_taking_part(int32_t budget, int32_t threads);
/* The same for a caller that comes while another holds the whole budget of two. */
int32_t check_threads_beside_a_running_call(void);
/* The most threads besides the callers themselves that ran at one time, while so many callers asked for eight each. */
int32_t check_workers_beside_callers(int32_t budget, int callers);

/* From the kernels' inner headers. */
int32_t check_cgroup_cpus(const char *root);
int32_t check_parse_threads(const char *text);
int32_t check_affinity_cpus(void);
/* Allocates, writes both ends, and frees; false when refused or not aligned to `alignment`. */
int check_allocate(size_t bytes, size_t alignment);
/* Maps a file privately, reads it, gives its pages back, reads it again: true when the bytes are the same and
 * residency was seen to rise after each reading. */
int check_release_pages(const char *path);
/* A worker that begins on its caller's CPU and may use so many: true when it then runs on another of them, where there is one, and its affinity mask
 * is what it was; -1 where this process has fewer CPUs. */
int check_seats(int32_t cpus);
/* Calls on one thread or two, of which `faster` takes 0.6 of the time; twenty in a row then take five times as long: true when nine of ten take
 * `faster` all the same, and not all. */
int check_pace_of_threads(int faster);
/* Two threads are faster in most calls, and slower on average as long as one call in 61 is stalled: true when one thread is taken while that is so,
 * and two some time later. */
int check_pace_of_stalls(void);
/* Calls that have two ways, of which one takes a tenth less time: true when it is what nine of ten calls come to take, and not all. */
int check_pace_of_ways(int faster);

#endif

/* What the machine can do at most, measured by loops of one instruction each: no part of the library, only what `maxlinear bench` holds
 * the kernels against. */
#ifndef CEILINGS_H
#define CEILINGS_H

#include <stddef.h>
#include <stdint.h>

typedef struct ceilings_loop {
  const char *kind;         /* "int8", "int8 of 4-bit codes", "bf16", "f32" */
  const char *instructions; /* what it repeats */
  const char *feature;      /* the CPU feature it needs, as `maxlinear info` names it */
  double operations;        /* multiplications and additions of one iteration */
  void (*run)(int64_t iterations);
} ceilings_loop;

size_t ceilings_loop_count(void);
const ceilings_loop *ceilings_loop_at(size_t index); /* NULL past the end */

/* Operations a second of a loop on that many threads at once, for about that many seconds; 0 when the threads cannot be made. */
double ceilings_compute(const ceilings_loop *loop, int32_t threads, double seconds);

/* Memory to read. */
typedef struct ceilings_memory {
  void *data; /* NULL when it cannot be had */
  int64_t bytes;
} ceilings_memory;

ceilings_memory ceilings_memory_make(int64_t bytes, int32_t threads);
void ceilings_memory_free(ceilings_memory memory);
/* Bytes a second of reading all of it once; 0 when the threads cannot be made. */
double ceilings_read(ceilings_memory memory, int32_t threads);

#endif

#include "pace.h"

#include <stdatomic.h>

/* Femtoseconds a product, one number for each kernel row, power of two of x's rows, and power of four of the weights, which lie in a nearer or
 * farther memory. Those that meet in one place spoil each other's estimates and nothing else. */
#define PLACES 256
#define SIZES 8
/* Before the first call: 8 products a nanosecond with one row of x, which reads the weights, up to 32 with many. */
#define FIRST_FEW 125000
#define FIRST_MANY 31250
/* A call weighs an eighth against those before it, and counts for no more than four times what was expected: it may have been disturbed, and
 * the first of a process meet pages that are not there. */
#define WEIGHT 8
#define SLOWEST 4

static _Atomic int32_t paces[PLACES][SIZES];

static int size_of(int64_t rows) {
  int size = 0;
  for (; rows > 1 && size < SIZES - 1; rows >>= 1) size++;
  return size;
}

static _Atomic int32_t *place_of(const mxl_kernel_row *kernel, int64_t rows, int64_t products) {
  uint64_t weights = (uint64_t)products / (uint64_t)(rows > 1 ? rows : 1);
  int magnitude = (64 - __builtin_clzll(weights | 1)) / 2;
  uint64_t key = ((uint64_t)(uintptr_t)kernel + (uint64_t)magnitude) * UINT64_C(0x9e3779b97f4a7c15);
  return &paces[key >> 56][size_of(rows)];
}

static int32_t first_pace(int64_t rows) { return size_of(rows) < 2 ? FIRST_FEW : FIRST_MANY; }

int64_t mxlk_pace_nanoseconds(const mxl_kernel_row *kernel, int64_t rows, int64_t products) {
  int64_t pace = atomic_load_explicit(place_of(kernel, rows, products), memory_order_relaxed), total;
  if (pace == 0) pace = first_pace(rows);
  return __builtin_mul_overflow(products, pace, &total) ? INT64_MAX / 1000000 : total / 1000000;
}

void mxlk_pace_learn(const mxl_kernel_row *kernel, int64_t rows, int64_t products, int64_t thread_nanoseconds) {
  _Atomic int32_t *place = place_of(kernel, rows, products);
  int64_t pace, before = atomic_load_explicit(place, memory_order_relaxed);
  if (products < 1 || __builtin_mul_overflow(thread_nanoseconds, 1000000, &pace)) return;
  if (before == 0) before = first_pace(rows);
  pace /= products;
  if (pace > SLOWEST * before) pace = SLOWEST * before;
  int64_t now = before + (pace - before) / WEIGHT;
  /* Scalar code takes a nanosecond or two a product. */
  atomic_store_explicit(place, (int32_t)(now < 1 ? 1 : now > 100000000 ? 100000000 : now), memory_order_relaxed);
}

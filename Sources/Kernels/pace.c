#include "pace.h"

#include <stdatomic.h>

/* Femtoseconds a product, one number for each kernel row or mixture of them, number of threads, power of two of x's rows, and power of four
 * of the weights, which lie in a nearer or farther memory. A model has some hundreds. Each lies in one of the few places after its first, under 32 bits
 * of its own, so that none is taken for another's; where all of these are others', it takes the first. */
#define PLACE_BITS 12
#define PROBES 8
#define SIZES 8
static _Atomic uint64_t places[1 << PLACE_BITS];

/* Before the first call: 8 products a nanosecond and thread with one row of x, which reads the weights, up to 32 with many. */
#define FIRST_FEW 125000
#define FIRST_MANY 31250
/* What a region costs beside its work until it has been measured, and the work that each of its threads must have, nanoseconds. */
#define FIRST_OPENING 10000
#define LEAST_WORK 3000
/* A call that took less than expected weighs an eighth against those before it, one that took longer a 64th, and counts for no more than twice what was
 * expected: it may have been disturbed, as calls with many threads are more often, and by other runtimes' threads, which spin for milliseconds. Some
 * thirty such calls do not turn a choice that is right by half. */
#define FASTER 8
#define SLOWER 64
#define SLOWEST 2
/* What it took beyond that counts for the choice of threads, on average over so many calls: a worker that shares its CPU with another program's thread
 * stands still for milliseconds, in few calls, and all others of the team with it. */
#define STALLS 256
/* Of so many calls of a host thread the first few have all threads and a few in the middle one, whatever seems faster. Many threads need
 * more tries in a row than it takes for workers to stay awake (parallel.c). */
#define ROUND_CALLS 4096
#define TOGETHER_CALLS 64
#define ALONE_CALLS 8
/* Of those that have two ways one in so many takes the slower, without a period, as a model's layers have one. */
#define WAY_CALLS 16
/* Two ways differ by less than a disturbed call does from others. */
#define WAY_FASTER 2
/* Calls of so many nanoseconds need no workers that stay awake, and as many of them as of short ones would be seconds: a quarter of all this. */
#define LONG_CALL 100000
#define LONG_SHIFT 2

static int size_of(int64_t rows) {
  int size = 0;
  for (; rows > 1 && size < SIZES - 1; rows >>= 1) size++;
  return size;
}

typedef struct mxlk_paced {
  _Atomic uint64_t *place; /* its own, or the one to take */
  int32_t pace;            /* 0: not measured */
  uint32_t tag;
} mxlk_paced;

static mxlk_paced find(uint64_t kernels, int64_t rows, int64_t products, int32_t threads) {
  uint64_t weights = (uint64_t)products / (uint64_t)(rows > 1 ? rows : 1);
  uint64_t magnitude = (uint64_t)(64 - __builtin_clzll(weights | 1)) / 2;
  uint64_t key = kernels + ((uint64_t)size_of(rows) << 45) + (magnitude << 48) + ((uint64_t)threads << 54);
  key *= UINT64_C(0x9e3779b97f4a7c15);
  key = (key ^ key >> 32) * UINT64_C(0x9e3779b97f4a7c15);
  const uint32_t tag = (uint32_t)key, home = (uint32_t)(key >> (64 - PLACE_BITS));
  for (uint32_t probe = 0; probe < PROBES; probe++) {
    _Atomic uint64_t *place = &places[(home + probe) % (1 << PLACE_BITS)];
    uint64_t entry = atomic_load_explicit(place, memory_order_relaxed);
    if (entry == 0) return (mxlk_paced){place, 0, tag};
    if (entry >> 32 == tag) return (mxlk_paced){place, (int32_t)entry, tag};
  }
  return (mxlk_paced){&places[home], 0, tag};
}

static int64_t nanoseconds_of(int64_t pace, int64_t products) {
  int64_t total;
  return __builtin_mul_overflow(products, pace, &total) ? INT64_MAX / 1000000 : total / 1000000;
}

static int64_t first_alone(int64_t rows, int64_t products) {
  return nanoseconds_of(size_of(rows) < 2 ? FIRST_FEW : FIRST_MANY, products);
}

/* Of a call on so many threads. */
static int64_t expected(uint64_t kernels, int64_t rows, int64_t products, int32_t threads) {
  int64_t pace = find(kernels, rows, products, threads).pace;
  if (pace != 0) return nanoseconds_of(pace, products);
  return threads == 1 ? first_alone(rows, products) : expected(kernels, rows, products, 1) / threads + FIRST_OPENING;
}

/* Each way has a pace of its own, beside that of all, and so has what calls were stalled. */
static uint64_t kernels_of(uint64_t kernels, int way) { return kernels + 1 + (uint64_t)way; }
static uint64_t stalls_of(uint64_t kernels) { return kernels + 3; }

/* On average, the stalls too. */
static int64_t average(uint64_t kernels, int64_t rows, int64_t products, int32_t threads) {
  return expected(kernels, rows, products, threads) +
         nanoseconds_of(find(stalls_of(kernels), rows, products, threads).pace, products);
}

int32_t mxlk_pace_threads(uint64_t kernels, int64_t rows, int64_t products, int32_t threads) {
  static _Thread_local uint32_t calls;
  int64_t alone = expected(kernels, rows, products, 1);
  if (alone / LEAST_WORK < threads) threads = (int32_t)(alone / LEAST_WORK);
  if (threads < 2) return 1;
  const int shift = alone < LONG_CALL ? 0 : LONG_SHIFT;
  uint32_t round = ROUND_CALLS >> shift, call = calls++ % round;
  if (call < TOGETHER_CALLS >> shift) return threads;
  if (call - round / 2 < ALONE_CALLS >> shift) return 1;
  return average(kernels, rows, products, threads) < average(kernels, rows, products, 1) ? threads : 1;
}

static int is_measured(uint64_t kernels, int64_t rows, int64_t products, int32_t threads) {
  return find(kernels, rows, products, threads).pace != 0;
}

int mxlk_pace_way(uint64_t kernels, int64_t rows, int64_t products, int32_t threads) {
  static _Thread_local uint32_t calls;
  if (!is_measured(kernels, rows, products, threads)) return -1; /* the first call meets cold caches */
  for (int way = 0; way < 2; way++)
    if (!is_measured(kernels_of(kernels, way), rows, products, threads)) return way;
  int faster = expected(kernels_of(kernels, 1), rows, products, threads) <=
               expected(kernels_of(kernels, 0), rows, products, threads);
  uint32_t scattered = ++calls * UINT32_C(0x9e3779b1);
  return (scattered ^ scattered >> 15) % WAY_CALLS == 0 ? !faster : faster;
}

static void keep(uint64_t kernels, int64_t rows, int64_t products, int32_t threads, int64_t nanoseconds) {
  int64_t pace;
  if (products < 1 || __builtin_mul_overflow(nanoseconds, 1000000, &pace)) return;
  pace /= products;
  /* Scalar code takes a nanosecond or two a product. */
  pace = pace < 1 ? 1 : pace > 100000000 ? 100000000 : pace;
  mxlk_paced found = find(kernels, rows, products, threads);
  atomic_store_explicit(found.place, (uint64_t)found.tag << 32 | (uint64_t)pace, memory_order_relaxed);
}

/* faster, slower: what a call weighs that took less time than expected, or more: one part in so many. */
static void learn(uint64_t kernels, int64_t rows, int64_t products, int32_t threads, int faster, int slower,
                  int64_t nanoseconds) {
  int64_t before = expected(kernels, rows, products, threads);
  if (nanoseconds > SLOWEST * before) nanoseconds = SLOWEST * before;
  const int weight = nanoseconds > before ? slower : faster;
  keep(kernels, rows, products, threads, before + (nanoseconds - before) / weight);
}

static void learn_stall(uint64_t kernels, int64_t rows, int64_t products, int32_t threads, int64_t nanoseconds) {
  int64_t stall = nanoseconds - SLOWEST * expected(kernels, rows, products, threads);
  int64_t before = nanoseconds_of(find(stalls_of(kernels), rows, products, threads).pace, products);
  if (stall < 0) stall = 0;
  if (stall == before) return;
  keep(stalls_of(kernels), rows, products, threads, before + (stall - before) / STALLS);
}

void mxlk_pace_learn(uint64_t kernels, int64_t rows, int64_t products, int32_t threads, int way, int64_t nanoseconds) {
  if (is_measured(kernels, rows, products, threads)) learn_stall(kernels, rows, products, threads, nanoseconds);
  learn(kernels, rows, products, threads, FASTER, SLOWER, nanoseconds);
  if (way < 0) return;
  uint64_t own = kernels_of(kernels, way);
  if (is_measured(own, rows, products, threads))
    learn(own, rows, products, threads, WAY_FASTER, SLOWER, nanoseconds);
  else
    learn(own, rows, products, threads, 1, 1, nanoseconds);
}

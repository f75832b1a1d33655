/* Buffers between inaccessible pages, one per role, and a small random number generator. */
#ifndef CHECK_BUFFERS_H
#define CHECK_BUFFERS_H

#include "kernel_checks.h"

typedef enum role { SOURCE, X, BIAS, SCALE, Y, PACKED, UNPACKED, TILE_X, TILE_Y, EXPANDED, ROLE_COUNT } role;

/* `bytes` bytes of the role's buffer that touch an inaccessible page: the one behind them, or the one before them when
 * at_start is set, but for `slack` bytes. NULL when there is no memory, or more is asked for than the buffer has. */
char *buffer_place(role which, size_t bytes, int at_start, size_t slack);
/* The same for memory that must be aligned to 64 bytes; touches the page behind when bytes is a multiple of 64. */
char *buffer_place_aligned(role which, size_t bytes, int at_start);

uint32_t next_random(uint32_t *state);
/* 0 to limit - 1. */
static inline int64_t below(uint32_t *state, int64_t limit) { return (int64_t)(next_random(state) % (uint64_t)limit); }

/* Counts a failure and keeps the first one's text. */
void fail(check_result *result, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Counts row number `index` of the registry once, as run or, where this CPU lacks its features, as skipped. True when it
 * can run. */
int visit_row(check_result *result, size_t index);

static inline uint32_t bits_of(float value) {
  uint32_t bits;
  __builtin_memcpy(&bits, &value, 4);
  return bits;
}

/* Equal bits, or both NaN. */
static inline int same_float(float a, float b) { return bits_of(a) == bits_of(b) || (a != a && b != b); }

#endif

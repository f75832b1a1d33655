#define _GNU_SOURCE
#include "buffers.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>

#define BUFFER_BYTES ((size_t)16 << 20)
#define GUARD_BYTES ((size_t)64 << 10) /* a whole number of pages wherever we run */

static char *buffers[ROLE_COUNT];

static char *buffer(role which) {
  if (buffers[which] != NULL) return buffers[which];
  char *all = mmap(NULL, BUFFER_BYTES + 2 * GUARD_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (all == MAP_FAILED) return NULL;
  if (mprotect(all + GUARD_BYTES, BUFFER_BYTES, PROT_READ | PROT_WRITE) != 0) return NULL;
  return buffers[which] = all + GUARD_BYTES;
}

char *buffer_place(role which, size_t bytes, int at_start, size_t slack) {
  char *begin = buffer(which);
  if (begin == NULL || bytes + slack > BUFFER_BYTES) return NULL;
  return at_start ? begin + slack : begin + BUFFER_BYTES - bytes - slack;
}

char *buffer_place_aligned(role which, size_t bytes, int at_start) {
  return buffer_place(which, (bytes + 63) / 64 * 64, at_start, 0);
}

/* xorshift. */
uint32_t next_random(uint32_t *state) {
  uint32_t s = *state == 0 ? 2463534242u : *state;
  s ^= s << 13;
  s ^= s >> 17;
  s ^= s << 5;
  return *state = s;
}

void fail(check_result *result, const char *format, ...) {
  if (result->failures++ > 0) return;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(result->message, sizeof result->message, format, arguments);
  va_end(arguments);
}

int visit_row(check_result *result, size_t index) {
  int runs = (mxlk_row_at(index)->cpu_features & ~mxlk_cpu_features()) == 0;
  uint64_t bit = 1ull << (index % 64);
  if (index / 64 >= sizeof result->seen / sizeof *result->seen) {
    fail(result, "more rows than check_result can count");
  } else if ((result->seen[index / 64] & bit) == 0) {
    result->seen[index / 64] |= bit;
    *(runs ? &result->rows_run : &result->rows_skipped) += 1;
  }
  return runs;
}

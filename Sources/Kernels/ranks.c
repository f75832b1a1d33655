/* What processes that share a layer send each other: checksums, and parts that become rows. */
#include "activation/convert.h"
#include "activation/rows.h"
#include "kernels.h"
#include "parallel.h"

#include <string.h>

/* Four lanes of multiply and shift, so that the multiplications overlap. */
#define CHECKSUM_PRIME 0x9e3779b97f4a7c15ull

static uint64_t mix(uint64_t sum, uint64_t word) {
  sum = (sum ^ word) * CHECKSUM_PRIME;
  return sum ^ sum >> 29;
}

uint64_t mxlk_checksum(uint64_t sum, const void *data, size_t bytes) {
  const char *at = data;
  uint64_t lanes[4] = {sum, sum + 1, sum + 2, sum + 3}, words[4];
  size_t left = bytes;
  for (; left >= sizeof words; left -= sizeof words, at += sizeof words) {
    memcpy(words, at, sizeof words);
    for (int i = 0; i < 4; i++) lanes[i] = mix(lanes[i], words[i]);
  }
  memset(words, 0, sizeof words);
  if (left > 0) memcpy(words, at, left);
  for (int i = 0; i < 4; i++) lanes[i] = mix(lanes[i], words[i]);
  return mix(mix(mix(mix(bytes, lanes[0]), lanes[1]), lanes[2]), lanes[3]);
}

uint64_t mxlk_checksum_sample(uint64_t sum, const void *data, size_t bytes) {
  enum { PLACES = 16, EACH = 64 };
  if (bytes <= PLACES * EACH) return mxlk_checksum(sum, data, bytes);
  for (size_t i = 0; i < PLACES; i++) {
    /* Odd places too, as a format's blocks come at even ones. */
    size_t at = (bytes - EACH) / (PLACES - 1) * i;
    sum = mxlk_checksum(sum, (const char *)data + at, EACH);
  }
  return mix(sum, bytes);
}

uint64_t mxlk_checksum_rows(const mxlk_linear_job *job, int64_t columns) {
  uint64_t sum = 0;
  size_t bytes = (size_t)mxlk_element_bytes(job->x_dtype);
  int64_t count = mxlk_job_rows(job);
  for (int64_t row = 0; row < count; row++) {
    int64_t offset = mxlk_rows_offset(&job->rows, job->rows.x_strides, row);
    sum = mxlk_checksum(sum, (const char *)job->x + offset * (int64_t)bytes, (size_t)columns * bytes);
  }
  return sum;
}

void mxlk_rows_from_parts(const void *parts, const int64_t *ends, int32_t count, int64_t rows, void *values) {
  int64_t columns = count > 0 ? ends[count - 1] : 0, begin = 0;
  for (int32_t part = 0; part < count; begin = ends[part++]) {
    int64_t width = ends[part] - begin;
    const float *from = (const float *)parts + rows * begin;
    float *to = (float *)values + begin;
    for (int64_t row = 0; row < rows; row++) memcpy(to + row * columns, from + row * width, (size_t)width * sizeof *to);
  }
}

typedef struct sum_job {
  const float *parts;
  int32_t count;
  int64_t elements;
  float *sums;
} sum_job;

static void sum_thread(void *context, const mxlk_team *team) {
  const sum_job *s = context;
  int64_t begin, end;
  mxlk_share(team, s->elements, &begin, &end);
  for (; begin < end; begin++) {
    float sum = s->parts[begin];
    for (int32_t part = 1; part < s->count; part++) sum = sum + s->parts[part * s->elements + begin];
    s->sums[begin] = sum;
  }
}

void mxlk_sum_parts(const void *parts, int32_t count, int64_t elements, void *sums) {
  sum_job s = {parts, count, elements, sums};
  mxlk_parallel(1, sum_thread, &s); /* for its floating point environment */
}

/* Rows of values to rows of 8-bit floats and back, in pieces that fit a thread's first level cache. */
#include "float8_codes.h"
#include "kernels.h"
#include "parallel.h"

#include <stdatomic.h>

#define PIECE 1024

/* Values below which another thread is not worth its start. */
#define VALUES_PER_THREAD ((int64_t)1 << 16)

static int32_t useful_threads(const mxlk_float8_job *job) {
  int64_t worth = job->rows * job->k / VALUES_PER_THREAD + 1;
  if (worth > job->rows) worth = job->rows;
  return worth < job->threads ? (int32_t)worth : job->threads;
}

static char *at(void *begin, int64_t index, int32_t dtype) {
  return (char *)begin + index * (dtype == MXL_FLOAT32 ? 4 : 2);
}

static int64_t piece_of(int64_t k, int64_t begin) { return k - begin < PIECE ? k - begin : PIECE; }

typedef struct scales_job {
  const mxlk_float8_job *job;
  float *scales;
  _Atomic uint32_t largest; /* the magnitudes' bits, of all rows */
  _Atomic int64_t refused;  /* INT64_MAX for none */
} scales_job;

static float scale_of(int32_t float8, uint32_t largest) {
  if (largest == 0) return 1;
  float scale = mxlk_float_from_bits(largest) / (float8 == MXL_FLOAT8_E4M3 ? 448.0f : 57344.0f);
  return scale < 0x1p-126f ? 0x1p-126f : scale;
}

static void note_refused(scales_job *s, int64_t place) {
  int64_t known = atomic_load(&s->refused);
  while (place < known && !atomic_compare_exchange_weak(&s->refused, &known, place)) {
  }
}

/* The bits of a row's largest magnitude; stops at a value that is not finite. */
static uint32_t largest_of(scales_job *s, int64_t row) {
  const mxlk_float8_job *job = s->job;
  uint32_t largest = 0;
  for (int64_t begin = 0; begin < job->k; begin += PIECE) {
    int64_t count = piece_of(job->k, begin);
    float values[PIECE];
    mxlk_convert(job->dtype, at(job->values, row * job->k + begin, job->dtype), MXL_FLOAT32, values, count);
    for (int64_t i = 0; i < count; i++) {
      uint32_t magnitude = mxlk_bits_from_float(values[i]) & 0x7fffffffu;
      largest = magnitude > largest ? magnitude : largest;
    }
    if (largest < 0x7f800000u) continue;
    for (int64_t i = count - 1; i >= 0; i--)
      if ((mxlk_bits_from_float(values[i]) & 0x7fffffffu) >= 0x7f800000u) note_refused(s, row * job->k + begin + i);
    return largest;
  }
  return largest;
}

static void scales_thread(void *context, const mxlk_team *team) {
  scales_job *s = context;
  int64_t begin, end;
  mxlk_share(team, s->job->rows, &begin, &end);
  for (; begin < end; begin++) {
    uint32_t largest = largest_of(s, begin), known = atomic_load(&s->largest);
    if (s->job->scale_stride != 0) s->scales[begin] = scale_of(s->job->float8, largest);
    while (largest > known && !atomic_compare_exchange_weak(&s->largest, &known, largest)) {
    }
  }
}

static void scale_thread(void *context, const mxlk_team *team) {
  scales_job *s = context;
  if (team->thread == 0) s->scales[0] = scale_of(s->job->float8, atomic_load(&s->largest));
}

int64_t mxlk_float8_scales(const mxlk_float8_job *job, float *scales) {
  scales_job s = {.job = job, .scales = scales, .refused = INT64_MAX};
  mxlk_parallel(useful_threads(job), scales_thread, &s);
  /* Not here, where the caller's rounding may be another. */
  if (job->scale_stride == 0) mxlk_parallel(1, scale_thread, &s);
  int64_t refused = atomic_load(&s.refused);
  return refused == INT64_MAX ? -1 : refused;
}

static void quantize_thread(void *context, const mxlk_team *team) {
  const mxlk_float8_job *job = context;
  int64_t row, end;
  mxlk_share(team, job->rows, &row, &end);
  for (; row < end; row++)
    for (int64_t begin = 0; begin < job->k; begin += PIECE) {
      int64_t count = piece_of(job->k, begin), first = row * job->k + begin;
      float values[PIECE];
      uint8_t *codes = (uint8_t *)job->codes + first;
      mxlk_convert(job->dtype, at(job->values, first, job->dtype), MXL_FLOAT32, values, count);
      if (job->scales != NULL) {
        float scale = job->scales[row * job->scale_stride];
        for (int64_t i = 0; i < count; i++) values[i] = values[i] / scale;
      }
      if (job->float8 == MXL_FLOAT8_E4M3)
        for (int64_t i = 0; i < count; i++) codes[i] = mxlk_e4m3_from_float(values[i]);
      else
        for (int64_t i = 0; i < count; i++) codes[i] = mxlk_e5m2_from_float(values[i]);
    }
}

static void dequantize_thread(void *context, const mxlk_team *team) {
  const mxlk_float8_job *job = context;
  int64_t row, end;
  mxlk_share(team, job->rows, &row, &end);
  for (; row < end; row++)
    for (int64_t begin = 0; begin < job->k; begin += PIECE) {
      int64_t count = piece_of(job->k, begin), first = row * job->k + begin;
      float values[PIECE];
      const uint8_t *codes = (const uint8_t *)job->codes + first;
      if (job->float8 == MXL_FLOAT8_E4M3)
        for (int64_t i = 0; i < count; i++) values[i] = mxlk_float_from_e4m3(codes[i]);
      else
        for (int64_t i = 0; i < count; i++) values[i] = mxlk_float_from_e5m2(codes[i]);
      if (job->scales != NULL) {
        float scale = job->scales[row * job->scale_stride];
        for (int64_t i = 0; i < count; i++) values[i] = values[i] * scale;
      }
      mxlk_convert(MXL_FLOAT32, values, job->dtype, at(job->values, first, job->dtype), count);
    }
}

void mxlk_float8_quantize(const mxlk_float8_job *job) {
  mxlk_parallel(useful_threads(job), quantize_thread, (void *)(uintptr_t)job);
}

void mxlk_float8_dequantize(const mxlk_float8_job *job) {
  mxlk_parallel(useful_threads(job), dequantize_thread, (void *)(uintptr_t)job);
}

/* Rows of float32 on their way into y, for sums that are made of several jobs. */
#include "activation/activation.h"
#include "activation/convert.h"
#include "kernels.h"
#include "parallel.h"

#include <string.h>

int64_t mxlk_job_rows(const mxlk_linear_job *job) { return mxlk_rows_count(&job->rows); }

void mxlk_rows_in_c_order(mxlk_rows *rows, int64_t columns) {
  int64_t stride = columns;
  for (int32_t i = rows->rank - 1; i >= 0; i--) {
    rows->y_strides[i] = stride;
    stride *= rows->shape[i];
  }
}

typedef struct store_job {
  const mxlk_linear_job *job;
  const float *values;
  int64_t columns;
  const float *scale, *bias;
} store_job;

static void store_thread(void *context, const mxlk_team *team) {
  const store_job *s = context;
  const mxlk_linear_job *job = s->job;
  int64_t begin, end;
  mxlk_share(team, mxlk_rows_count(&job->rows), &begin, &end);
  for (; begin < end; begin++) {
    const float *from = s->values + begin * s->columns;
    char *y =
        (char *)job->y + mxlk_rows_offset(&job->rows, job->rows.y_strides, begin) * mxlk_element_bytes(job->y_dtype);
    for (int64_t done = 0; done < s->columns; done += 256) {
      int64_t count = s->columns - done < 256 ? s->columns - done : 256;
      char *at = y + done * mxlk_element_bytes(job->y_dtype);
      float values[256], before[256];
      memcpy(values, from + done, (size_t)count * 4);
      for (int64_t i = 0; s->scale != NULL && i < count; i++) values[i] = values[i] * s->scale[done + i];
      for (int64_t i = 0; s->bias != NULL && i < count; i++) values[i] = values[i] + s->bias[done + i];
      if (job->accumulate) {
        mxlk_floats_load(0, job->y_dtype, at, count, before);
        for (int64_t i = 0; i < count; i++) values[i] = before[i] + values[i];
      }
      mxlk_floats_store(0, job->y_dtype, values, count, at);
    }
  }
}

void mxlk_store_rows(const mxlk_linear_job *job, const void *values, int64_t columns, const float *scale,
                     const float *bias) {
  store_job s = {job, values, columns, scale, bias};
  int64_t worth = mxlk_rows_count(&job->rows) * columns >> 16;
  mxlk_parallel(worth < job->threads ? (worth < 1 ? 1 : (int32_t)worth) : job->threads, store_thread, &s);
}

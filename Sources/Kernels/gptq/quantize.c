/* Round to nearest into GPTQ's tensors. */
#include "float16.h"
#include "gptq_tensors.h"
#include "parallel.h"

#include <string.h>

/* v to the nearest integer in [0, 15], ties to even. */
static int nearest(float v) {
  v = v > 0 ? v : 0;
  v = v < 15 ? v : 15;
  return (int)((v + 0x1.8p23f) - 0x1.8p23f);
}

static float store_scale(const mxlk_gptq_quantize_job *job, int64_t index, float scale) {
  if (job->scales_dtype == MXL_FLOAT32) {
    memcpy((char *)job->scales + 4 * index, &scale, 4);
    return scale;
  }
  uint16_t half = mxlk_half_from_float(scale < 65504 ? scale : 65504);
  memcpy((char *)job->scales + 2 * index, &half, 2);
  return mxlk_float_from_half(half);
}

static void quantize_group(const mxlk_gptq_quantize_job *job, int64_t n, int64_t group) {
  int64_t begin = group * job->group_size;
  int64_t end = job->in_dim - begin < job->group_size ? job->in_dim : begin + job->group_size;
  const float *values = job->values + n * job->in_dim;
  float least = 0, most = 0;
  for (int64_t k = begin; k < end; k++) {
    least = values[k] < least ? values[k] : least;
    most = values[k] > most ? values[k] : most;
  }
  float extreme = -least > most ? -least : most;
  float scale = store_scale(job, group * job->out_dim + n, job->sym ? extreme / 7.5f : (most - least) / 15);
  float inverse = 1 / scale;
  if (!(inverse - inverse == 0)) inverse = 0;
  int zero = job->sym ? 8 : nearest(-least * inverse);
  if (zero < job->zero_offset) zero = job->zero_offset; /* what is stored is never below 0 */
  uint32_t *qzeros = (uint32_t *)job->qzeros + group * (job->out_dim / 8) + n / 8;
  *qzeros |= (uint32_t)(zero - job->zero_offset) << (4 * (n % 8));
  for (int64_t k = begin; k < end; k++) {
    uint32_t *word = (uint32_t *)job->qweight + k / 8 * job->out_dim + n;
    *word |= (uint32_t)nearest(values[k] * inverse + (float)zero) << (4 * (k % 8));
  }
}

/* A thread takes whole words of eight outputs. */
static void quantize_thread(void *context, const mxlk_team *team) {
  const mxlk_gptq_quantize_job *job = context;
  int64_t groups = (job->in_dim + job->group_size - 1) / job->group_size, begin, end;
  mxlk_share(team, job->out_dim / 8, &begin, &end);
  for (int64_t n = 8 * begin; n < 8 * end; n++)
    for (int64_t group = 0; group < groups; group++) quantize_group(job, n, group);
}

void mxlk_gptq_quantize(const mxlk_gptq_quantize_job *job) {
  int64_t groups = (job->in_dim + job->group_size - 1) / job->group_size;
  memset(job->qweight, 0, (size_t)(job->in_dim / 8 * job->out_dim) * 4);
  memset(job->qzeros, 0, (size_t)(groups * (job->out_dim / 8)) * 4);
  mxlk_parallel(job->threads, quantize_thread, (void *)(uintptr_t)job);
}

/* Round to nearest into GPTQ's tensors. */
#include "float16.h"
#include "gptq/places.h"
#include "gptq_tensors.h"
#include "parallel.h"

#include <float.h>
#include <string.h>

/* Values converted at a time. */
#define CHUNK 1024

/* Values below which another thread is not worth its start. */
#define VALUES_PER_THREAD ((int64_t)1 << 15)

/* Outputs whose zeros fill whole words in every format. */
#define OUTPUTS_TOGETHER 32

/* v to the nearest integer in [0, top], ties to even. */
static int nearest(float v, float top) {
  v = v > 0 ? v : 0;
  v = v < top ? v : top;
  return (int)((v + 0x1.8p23f) - 0x1.8p23f);
}

/* Columns [begin, end) of one output. */
typedef struct run {
  const mxlk_gptq_quantize_job *job;
  int64_t n, begin, end;
} run;

static int64_t load(const run *r, int64_t k, float *values) {
  int64_t count = r->end - k < CHUNK ? r->end - k : CHUNK, bytes = r->job->values_dtype == MXL_FLOAT32 ? 4 : 2;
  mxlk_convert(r->job->values_dtype, (const char *)r->job->values + bytes * (r->n * r->job->in_dim + k), MXL_FLOAT32,
               values, count);
  return count;
}

/* Writes the group's scale and returns what the checkpoint then holds: rounded, and finite. */
static float store_scale(const mxlk_gptq_quantize_job *job, int64_t index, float scale) {
  char *at = (char *)job->scales + index * (job->scales_dtype == MXL_FLOAT32 ? 4 : 2);
  if (job->scales_dtype == MXL_FLOAT16 && scale > 65504) scale = 65504;
  mxlk_convert(MXL_FLOAT32, &scale, job->scales_dtype, at, 1);
  mxlk_convert(job->scales_dtype, at, MXL_FLOAT32, &scale, 1);
  return scale;
}

/* The code of column k of output n, into words of zeros. */
static void store_code(const mxlk_gptq_quantize_job *job, int64_t n, int64_t k, uint32_t code) {
  if (job->awq)
    mxlk_add_to_word(job->qweight, k * (job->out_dim / 8) + n / 8, code << mxlk_awq_shifts[n % 8]);
  else
    mxlk_add_to_stream(job->qweight, n, job->out_dim, mxlk_bit_place_of(job->bits, k), code);
}

static void store_zero(const mxlk_gptq_quantize_job *job, int64_t n, int64_t group, uint32_t zero) {
  int64_t first = group * mxlk_gptq_words(job->bits, job->out_dim);
  if (job->awq)
    mxlk_add_to_word(job->qzeros, first + n / 8, zero << mxlk_awq_shifts[n % 8]);
  else
    mxlk_add_to_stream(job->qzeros, first, 1, mxlk_bit_place_of(job->bits, n), zero);
}

static void quantize_group(const mxlk_gptq_quantize_job *job, int64_t n, int64_t group) {
  int64_t begin = group * job->group_size;
  run r = {job, n, begin, job->in_dim - begin < job->group_size ? job->in_dim : begin + job->group_size};
  const float top = (float)((1 << job->bits) - 1);
  float values[CHUNK], least = 0, most = 0;
  for (int64_t k = r.begin, count; k < r.end; k += count) {
    count = load(&r, k, values);
    for (int64_t i = 0; i < count; i++) {
      least = values[i] < least ? values[i] : least;
      most = values[i] > most ? values[i] : most;
    }
  }
  /* Format v1 stores zero - 1, so that a zero of 0 does not exist: then the range begins one step below 0. */
  if (job->zero_offset && -least < most / (top - 1)) least = -most / (top - 1);
  float extreme = -least > most ? -least : most;
  float scale = store_scale(job, group * job->out_dim + n, job->sym ? extreme / (top / 2) : most / top - least / top);
  float inverse = scale > 0 ? 1 / scale : 0;
  if (!(inverse <= FLT_MAX)) inverse = 0;
  int zero = job->sym ? 1 << (job->bits - 1) : nearest(-least * inverse, top);
  if (zero < job->zero_offset) zero = job->zero_offset;
  store_zero(job, n, group, (uint32_t)(zero - job->zero_offset));
  for (int64_t k = r.begin, count; k < r.end; k += count) {
    count = load(&r, k, values);
    for (int64_t i = 0; i < count; i++)
      store_code(job, n, k + i, (uint32_t)nearest(values[i] * inverse + (float)zero, top));
  }
}

static int64_t groups_of(const mxlk_gptq_quantize_job *job) {
  return (job->in_dim + job->group_size - 1) / job->group_size;
}

/* A thread takes outputs that share no word with another's. */
static void quantize_thread(void *context, const mxlk_team *team) {
  const mxlk_gptq_quantize_job *job = context;
  int64_t begin, end;
  mxlk_share(team, (job->out_dim + OUTPUTS_TOGETHER - 1) / OUTPUTS_TOGETHER, &begin, &end);
  end = OUTPUTS_TOGETHER * end < job->out_dim ? OUTPUTS_TOGETHER * end : job->out_dim;
  for (int64_t n = OUTPUTS_TOGETHER * begin; n < end; n++)
    for (int64_t group = 0; group < groups_of(job); group++) quantize_group(job, n, group);
}

void mxlk_gptq_quantize(const mxlk_gptq_quantize_job *job) {
  int64_t shares = (job->out_dim + OUTPUTS_TOGETHER - 1) / OUTPUTS_TOGETHER;
  int64_t worth = job->in_dim * job->out_dim / VALUES_PER_THREAD + 1;
  if (worth > shares) worth = shares;
  /* in_dim * bits / 8 bytes a column where words hold columns of x; AWQ's hold outputs, and in_dim may be odd. */
  int64_t column_bits = job->in_dim * job->bits;
  memset(job->qweight, 0, (size_t)(column_bits / 8 * job->out_dim + column_bits % 8 * job->out_dim / 8));
  memset(job->qzeros, 0, (size_t)(groups_of(job) * mxlk_gptq_words(job->bits, job->out_dim)) * 4);
  mxlk_parallel(worth < job->threads ? (int32_t)worth : job->threads, quantize_thread, (void *)(uintptr_t)job);
}

int64_t mxlk_gptq_refused(const mxlk_gptq_quantize_job *job) {
  const mxl_encoding values = {
      .elements_per_block = 1, .block_size = 1, .largest = mxlk_gptq_largest(job->bits, job->scales_dtype)};
  const mxlk_blocks_job all = {.encoding = &values,
                               .values = (void *)(uintptr_t)job->values,
                               .dtype = job->values_dtype,
                               .rows = job->out_dim,
                               .k = job->in_dim,
                               .threads = job->threads};
  return mxlk_blocks_refused(&all);
}

float mxlk_gptq_largest(int32_t bits, int32_t scales_dtype) {
  return scales_dtype == MXL_FLOAT16 ? (float)((1 << bits) - 1) / 2 * 65504 : 0x1p126f;
}

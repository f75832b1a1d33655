#include "gptq_tensors.h"

#include "contract.h"
#include "float16.h"
#include "panel/rows.h"
#include "parallel.h"

#include <stdatomic.h>
#include <string.h>

const char *mxlk_gptq_encoding(int32_t group, int32_t scales_dtype) {
  int32_t scale_bytes = scales_dtype == MXL_FLOAT16 ? 2 : 4;
  for (int i = 0; i < MXLK_GPTQ_FORMATS; i++) {
    const mxlk_block_format *format = &mxlk_formats_gptq[i];
    if (format->group == group && format->scale_bytes == scale_bytes) return format->encoding->name;
  }
  return NULL;
}

static uint32_t word_at(const void *rows, int64_t stride, int64_t row, int64_t column) {
  uint32_t word;
  memcpy(&word, (const char *)rows + row * stride + 4 * column, 4);
  return word;
}

static int code_at(const mxlk_gptq_tensors *t, int64_t k, int64_t n) {
  return (int)(word_at(t->qweight, t->qweight_stride, k / 8, n) >> (4 * (k % 8)) & 15);
}

static int zero_at(const mxlk_gptq_tensors *t, int64_t group, int64_t n) {
  if (t->qzeros == NULL) return 8;
  return (int)(word_at(t->qzeros, t->qzeros_stride, group, n / 8) >> (4 * (n % 8)) & 15) + t->zero_offset;
}

/* The bits of a scale as the encodings store it: a half as it is, the others as floats. */
static uint32_t scale_bits_at(const mxlk_gptq_tensors *t, int64_t group, int64_t n) {
  const char *row = (const char *)t->scales + group * t->scales_stride;
  if (t->scales_dtype == MXL_FLOAT32) return word_at(row, 0, 0, n);
  uint16_t half;
  memcpy(&half, row + 2 * n, 2);
  return t->scales_dtype == MXL_FLOAT16 ? half : (uint32_t)half << 16;
}

static int64_t column_of(const mxlk_gptq_tensors *t, int64_t place) {
  return t->order == NULL ? place : t->order[place];
}

/* Outputs [first, first + count) as rows of blocks. */
static void to_blocks(const mxlk_gptq_tensors *t, const mxlk_block_format *format, int64_t first, int64_t count,
                      uint8_t *blocks) {
  const int64_t group = format->group, block_bytes = format->encoding->block_size;
  const int64_t row_bytes = t->in_dim / group * block_bytes;
  for (int64_t g = 0; g < t->in_dim / group; g++) {
    int64_t stored = t->group_of[column_of(t, g * group)];
    uint8_t *block = blocks + g * block_bytes;
    for (int64_t n = 0; n < count; n++) {
      mxlk_group_scale_store(format, scale_bits_at(t, stored, first + n), block + n * row_bytes);
      block[n * row_bytes + format->scale_bytes] = (uint8_t)zero_at(t, stored, first + n);
    }
    uint8_t *codes = block + format->scale_bytes + 1;
    for (int64_t i = 0; i < group; i += 2) {
      int64_t low = column_of(t, g * group + i), high = column_of(t, g * group + i + 1);
      for (int64_t n = 0; n < count; n++)
        codes[n * row_bytes + i / 2] = (uint8_t)(code_at(t, high, first + n) << 4 | code_at(t, low, first + n));
    }
  }
}

/* Outputs [first, first + count) of qweight, whose rows are qweight_stride bytes apart, words zeroed before, from rows of blocks. */
static void from_blocks(const mxlk_gptq_tensors *t, const mxlk_block_format *format, int64_t first, int64_t count,
                        const uint8_t *blocks, char *qweight) {
  const int64_t group = format->group, block_bytes = format->encoding->block_size;
  const int64_t row_bytes = t->in_dim / group * block_bytes;
  for (int64_t place = 0; place < t->in_dim; place++) {
    int64_t k = column_of(t, place), i = place % group;
    const uint8_t *codes = blocks + place / group * block_bytes + format->scale_bytes + 1 + i / 2;
    for (int64_t n = 0; n < count; n++) {
      char *at = qweight + k / 8 * t->qweight_stride + 4 * (first + n);
      uint32_t word;
      memcpy(&word, at, 4);
      word |= (uint32_t)(codes[n * row_bytes] >> (4 * (i % 2)) & 15) << (4 * (k % 8));
      memcpy(at, &word, 4);
    }
  }
}

/* Outputs [first, first + count) as rows of values in x's order. */
static void to_values(const mxlk_gptq_tensors *t, int64_t first, int64_t count, float *values) {
  for (int64_t k = 0; k < t->in_dim; k++) {
    int64_t group = t->group_of[k];
    for (int64_t n = 0; n < count; n++) {
      uint32_t bits = scale_bits_at(t, group, first + n);
      float scale = t->scales_dtype == MXL_FLOAT16 ? mxlk_float_from_half((uint16_t)bits) : mxlk_float_from_bits(bits);
      values[n * t->in_dim + k] = scale * (float)(code_at(t, k, first + n) - zero_at(t, group, first + n));
    }
  }
}

typedef struct panels_job {
  const mxl_kernel_row *row;
  const mxlk_gptq_tensors *tensors; /* count of them */
  void *const *packed;
  int32_t count;
  char *qweight; /* NULL, or what to unpack into */
  char *scratch;
  size_t scratch_each, panel_bytes;
} panels_job;

/* The block format of a GPTQ row; NULL for a row of values. */
static const mxlk_block_format *format_of(const mxl_kernel_row *row) {
  return row->pack == mxlk_block_pack ? row->context : NULL;
}

static int64_t row_bytes_of(const mxl_kernel_row *row, int64_t in_dim) {
  const mxlk_block_format *format = format_of(row);
  return format == NULL ? 4 * in_dim : in_dim / format->group * format->encoding->block_size;
}

/* One panel; rows is scratch. */
static void run_panel(const panels_job *job, const mxlk_gptq_tensors *t, int64_t panel, char *at, char *rows) {
  const mxl_kernel_row *row = job->row;
  const mxlk_block_format *format = format_of(row);
  int64_t first = panel * row->panel_columns;
  int64_t count = t->out_dim - first < row->panel_columns ? t->out_dim - first : row->panel_columns;
  mxl_source source = {sizeof source, __builtin_inff(), rows, row_bytes_of(row, t->in_dim), t->in_dim, count};
  if (job->qweight == NULL && format != NULL) to_blocks(t, format, first, count, (uint8_t *)rows);
  if (job->qweight == NULL && format == NULL) to_values(t, first, count, (float *)(void *)rows);
  for (int64_t k_begin = 0; k_begin < t->in_dim; k_begin += MXL_SUPERBLOCK) {
    int64_t k = t->in_dim - k_begin < MXL_SUPERBLOCK ? t->in_dim - k_begin : MXL_SUPERBLOCK;
    if (job->qweight == NULL)
      row->pack(row, &source, 0, k_begin, k, at);
    else
      row->unpack(row, at, 0, k_begin, k, &source);
    at += row->packed_size(row, k);
  }
  if (job->qweight != NULL) from_blocks(t, format, first, count, (const uint8_t *)rows, job->qweight);
}

static void panels_thread(void *context, const mxlk_team *team) {
  const panels_job *job = context;
  char *rows = job->scratch + (size_t)team->thread * job->scratch_each;
  mxlk_team part;
  for (int32_t shard = 0; shard < job->count; shard++) {
    if (!mxlk_serves(team, shard, job->count, &part)) continue;
    int64_t begin, end;
    mxlk_share(&part, mxlk_panel_count(job->row, job->tensors[shard].out_dim), &begin, &end);
    for (int64_t panel = begin; panel < end; panel++)
      run_panel(job, &job->tensors[shard], panel, (char *)job->packed[shard] + (size_t)panel * job->panel_bytes, rows);
  }
}

static mxl_status run_panels(panels_job *job, int32_t threads) {
  const mxl_kernel_row *row = job->row;
  int64_t in_dim = job->tensors->in_dim;
  job->panel_bytes = mxlk_panel_bytes(row, in_dim);
  job->scratch_each = mxlk_align_up((size_t)row_bytes_of(row, in_dim) * (size_t)row->panel_columns);
  job->scratch = mxlk_allocate(job->scratch_each * (size_t)threads);
  if (job->scratch == NULL) return MXL_OUT_OF_MEMORY;
  mxlk_parallel(threads, panels_thread, job);
  mxlk_free(job->scratch);
  return MXL_OK;
}

mxl_status mxlk_gptq_pack(const mxl_kernel_row *row, const mxlk_gptq_tensors *tensors, void *const *packed,
                          int32_t count, int32_t threads) {
  panels_job job = {.row = row, .tensors = tensors, .packed = packed, .count = count};
  return run_panels(&job, threads);
}

mxl_status mxlk_gptq_unpack(const mxl_kernel_row *row, const void *packed, const mxlk_gptq_tensors *tensors,
                            void *qweight, int32_t threads) {
  void *from = (void *)(uintptr_t)packed;
  panels_job job = {.row = row, .tensors = tensors, .packed = &from, .count = 1, .qweight = qweight};
  return run_panels(&job, threads);
}

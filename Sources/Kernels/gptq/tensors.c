#include "gptq_tensors.h"

#include "contract.h"
#include "float16.h"
#include "gptq/codes.h"
#include "panel/rows.h"
#include "parallel.h"
#include "stream.h"

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
  const mxlk_block_format *format;  /* NULL for a row of values */
  const mxlk_gptq_tensors *tensors; /* count of them */
  void *const *packed;
  int32_t count;
  char *qweight; /* NULL, or what to unpack into */
  char *scratch;
  size_t scratch_each, panel_bytes;
  int64_t panels; /* taken together */
} panels_job;

/* Rows of codes for a thread, bytes: those of all columns of x, when they come in another order, and of so many outputs that it stays in the
 * second level cache. */
#define CODES_BYTES ((int64_t)256 << 10)
/* The most outputs taken together: whole lines of qweight, wherever it begins. */
#define MOST_WIDTH 64
/* Rows of qweight asked for ahead: they are far apart. */
#define ROWS_AHEAD 8

/* Outputs [first, first + width) of some columns of x as rows of codes, or back; `count` of the outputs exist, the others are 0. */
typedef struct code_block {
  const mxlk_gptq_tensors *tensors;
  int64_t first, count, width;
  uint8_t *codes;
} code_block;

static void prefetch_words(const char *words, int64_t bytes) {
  for (int64_t i = 0; i < bytes + 64; i += 64) __builtin_prefetch(words + i);
}

/* Columns [begin, begin + k) of x from qweight into rows 0 to k - 1. */
static void load_codes(const code_block *b, int64_t begin, int64_t k) {
  const mxlk_gptq_tensors *t = b->tensors;
  for (int64_t row = 0; row < k / 8; row++) {
    const char *words = (const char *)t->qweight + (begin / 8 + row) * t->qweight_stride + 4 * b->first;
    prefetch_words(words + ROWS_AHEAD * t->qweight_stride, 4 * b->width);
    for (int64_t n = 0; n < b->width; n += 16) {
      uint32_t some[16] = {0};
      const void *from = words + 4 * n;
      if (n + 16 > b->count) {
        if (n < b->count) memcpy(some, from, (size_t)(b->count - n) * 4);
        from = some;
      }
      mxlk_codes_from_words(from, b->width, b->codes + 8 * row * b->width + n);
    }
  }
}

/* The inverse, into qweight's rows at `words`. */
static void store_codes(const code_block *b, int64_t begin, int64_t k, char *qweight) {
  int64_t stride = b->tensors->qweight_stride;
  for (int64_t row = 0; row < k / 8; row++)
    for (int64_t n = 0; n < b->count; n += 16) {
      uint32_t words[16];
      mxlk_words_from_codes(b->codes + 8 * row * b->width + n, b->width, words);
      size_t bytes = b->count - n < 16 ? (size_t)(b->count - n) * 4 : sizeof words;
      memcpy(qweight + (begin / 8 + row) * stride + 4 * (b->first + n), words, bytes);
    }
}

/* The rows of codes of the eight places from `place` on; row 0 is column `begin` of x. */
static void rows_of(const code_block *b, int64_t begin, int64_t place, uint8_t *rows[8]) {
  for (int i = 0; i < 8; i++) rows[i] = b->codes + (column_of(b->tensors, place + i) - begin) * b->width;
}

/* The scales and zeros of `valid` outputs of a panel from `first` on, and 0 for the others. */
static void pack_scales(const mxlk_gptq_tensors *t, const mxlk_block_format *format, int64_t columns, int64_t first,
                        int64_t valid, int64_t k_begin, int64_t k, uint8_t *packed) {
  mxlk_panel_layout layout = mxlk_panel_layout_of(format, columns, k);
  int64_t scale_bytes = format->scale_bytes;
  memset(packed + layout.minima, 0, (size_t)(layout.bytes - layout.minima));
  for (int64_t g = 0; g < mxlk_group_count(format, k); g++) {
    int64_t stored = t->group_of[column_of(t, k_begin + g * format->group)];
    uint8_t *zeros = packed + layout.minima + g * columns, *scales = packed + layout.d + g * columns * scale_bytes;
    for (int64_t n = 0; n < valid; n++) zeros[n] = (uint8_t)zero_at(t, stored, first + n);
    if (t->scales_dtype == MXL_BFLOAT16)
      for (int64_t n = 0; n < valid; n++)
        mxlk_group_scale_store(format, scale_bits_at(t, stored, first + n), scales + n * scale_bytes);
    else
      memcpy(scales, (const char *)t->scales + stored * t->scales_stride + first * scale_bytes,
             (size_t)(valid * scale_bytes));
  }
}

/* One superblock of one panel, whose outputs begin at `offset` of the block. */
static void pack_superblock(const panels_job *job, const code_block *b, int64_t offset, int64_t begin, int64_t k_begin,
                            int64_t k, char *to) {
  int64_t columns = job->row->panel_columns, valid = b->count - offset < columns ? b->count - offset : columns;
  _Alignas(64) uint8_t packed[MXL_SUPERBLOCK * MOST_WIDTH];
  for (int64_t word = 0; word < k / 8; word++) {
    uint8_t *rows[8];
    rows_of(b, begin, k_begin + 8 * word, rows);
    for (int64_t n = 0; n < columns; n += 16)
      mxlk_line_from_codes((const uint8_t *const *)rows, offset + n, packed + 4 * (word * columns + n));
  }
  pack_scales(b->tensors, job->format, columns, b->first + offset, valid, k_begin, k, packed);
  mxlk_stream((const char *)packed, job->row->packed_size(job->row, k), to);
}

static void unpack_superblock(const panels_job *job, const code_block *b, int64_t offset, int64_t begin,
                              int64_t k_begin, int64_t k, const uint8_t *packed) {
  int64_t columns = job->row->panel_columns;
  for (int64_t word = 0; word < k / 8; word++) {
    uint8_t *rows[8];
    rows_of(b, begin, k_begin + 8 * word, rows);
    for (int64_t n = 0; n < columns; n += 16)
      mxlk_codes_from_line(packed + 4 * (word * columns + n), rows, offset + n);
  }
}

/* Panels [panel, end) of blocks, at most job->panels. In x's own order a superblock of rows of codes is enough, in another all of them. */
static void run_blocks(const panels_job *job, const mxlk_gptq_tensors *t, int64_t panel, int64_t end, char *packed,
                       char *scratch) {
  int64_t columns = job->row->panel_columns, first = panel * columns;
  int64_t count = t->out_dim < end * columns ? t->out_dim - first : (end - panel) * columns;
  code_block b = {t, first, count, (end - panel) * columns, (uint8_t *)scratch};
  size_t superblock_bytes = job->row->packed_size(job->row, MXL_SUPERBLOCK);
  int64_t step = t->order == NULL ? MXL_SUPERBLOCK : t->in_dim;
  for (int64_t begin = 0; begin < t->in_dim; begin += step) {
    int64_t rows = t->in_dim - begin < step ? t->in_dim - begin : step;
    if (job->qweight == NULL) load_codes(&b, begin, rows);
    for (int64_t offset = 0; offset < b.width; offset += columns)
      for (int64_t k_begin = begin; k_begin < begin + rows; k_begin += MXL_SUPERBLOCK) {
        int64_t k = t->in_dim - k_begin < MXL_SUPERBLOCK ? t->in_dim - k_begin : MXL_SUPERBLOCK;
        char *at = packed + (size_t)(offset / columns) * job->panel_bytes +
                   (size_t)(k_begin / MXL_SUPERBLOCK) * superblock_bytes;
        if (job->qweight == NULL)
          pack_superblock(job, &b, offset, begin, k_begin, k, at);
        else
          unpack_superblock(job, &b, offset, begin, k_begin, k, (const uint8_t *)at);
      }
    if (job->qweight != NULL) store_codes(&b, begin, rows, job->qweight);
  }
}

/* One panel of values, by way of rows of them. */
static void run_values(const panels_job *job, const mxlk_gptq_tensors *t, int64_t panel, char *packed, char *rows) {
  const mxl_kernel_row *row = job->row;
  int64_t first = panel * row->panel_columns;
  int64_t count = t->out_dim - first < row->panel_columns ? t->out_dim - first : row->panel_columns;
  mxl_source source = {sizeof source, __builtin_inff(), rows, 4 * t->in_dim, t->in_dim, count};
  to_values(t, first, count, (float *)(void *)rows);
  for (int64_t k_begin = 0; k_begin < t->in_dim; k_begin += MXL_SUPERBLOCK) {
    int64_t k = t->in_dim - k_begin < MXL_SUPERBLOCK ? t->in_dim - k_begin : MXL_SUPERBLOCK;
    row->pack(row, &source, 0, k_begin, k, packed);
    packed += row->packed_size(row, k);
  }
}

static void panels_thread(void *context, const mxlk_team *team) {
  const panels_job *job = context;
  char *scratch = job->scratch + (size_t)team->thread * job->scratch_each;
  mxlk_team part;
  for (int32_t shard = 0; shard < job->count; shard++) {
    if (!mxlk_serves(team, shard, job->count, &part)) continue;
    const mxlk_gptq_tensors *t = &job->tensors[shard];
    int64_t begin, end;
    mxlk_share(&part, mxlk_panel_count(job->row, t->out_dim), &begin, &end);
    for (int64_t panel = begin; panel < end; panel += job->panels) {
      char *packed = (char *)job->packed[shard] + (size_t)panel * job->panel_bytes;
      if (job->format == NULL)
        run_values(job, t, panel, packed, scratch);
      else
        run_blocks(job, t, panel, end - panel < job->panels ? end : panel + job->panels, packed, scratch);
    }
  }
  /* What went past the caches becomes visible with the rest. */
  atomic_thread_fence(memory_order_seq_cst);
}

static mxl_status run_panels(panels_job *job, int32_t threads) {
  const mxl_kernel_row *row = job->row;
  int64_t in_dim = job->tensors->in_dim, columns = row->panel_columns, rows = in_dim;
  job->panel_bytes = mxlk_panel_bytes(row, in_dim);
  /* Blocks have a format; values, rows of "F32", have none. */
  job->format = row->pack == mxlk_block_pack ? row->context : NULL;
  job->panels = 1;
  size_t row_bytes = (size_t)columns * 4;
  if (job->format != NULL) {
    if (job->tensors->order == NULL && in_dim > MXL_SUPERBLOCK) rows = MXL_SUPERBLOCK;
    while (2 * job->panels * columns <= MOST_WIDTH && 2 * job->panels * columns * rows <= CODES_BYTES) job->panels *= 2;
    row_bytes = (size_t)(job->panels * columns);
  }
  job->scratch_each = mxlk_align_up((size_t)rows * row_bytes);
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

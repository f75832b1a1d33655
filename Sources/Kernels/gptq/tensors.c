#include "gptq_tensors.h"

#include "contract.h"
#include "float16.h"
#include "gptq/code_rows.h"
#include "gptq/codes.h"
#include "gptq/layout.h"
#include "panel/rows.h"
#include "parallel.h"
#include "stream.h"
#include "trace.h"

#include <stdatomic.h>
#include <string.h>

const char *mxlk_gptq_encoding(int32_t bits, int32_t group, int32_t scales_dtype) {
  int32_t scale_bytes = scales_dtype == MXL_FLOAT16 ? 2 : 4;
  const mxlk_block_format *formats = bits == 2   ? mxlk_formats_gptq2
                                     : bits == 8 ? mxlk_formats_gptq8
                                                 : mxlk_formats_gptq;
  for (int i = 0; i < MXLK_GPTQ_FORMATS; i++) {
    const mxlk_block_format *format = &formats[i];
    if (format->group == group && format->scale_bytes == scale_bytes) return format->encoding->name;
  }
  return NULL;
}

static uint32_t word_at(const void *rows, int64_t stride, int64_t row, int64_t column) {
  uint32_t word;
  memcpy(&word, (const char *)rows + row * stride + 4 * column, 4);
  return word;
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

/* Outputs [first, first + count), at most MXLK_MOST_WIDTH, as rows of values in x's order. */
static void to_values(const mxlk_gptq_tensors *t, int64_t first, int64_t count, float *values) {
  uint8_t codes[MXLK_MOST_WIDTH];
  uint16_t zeros[MXLK_MOST_WIDTH];
  for (int64_t k = 0; k < t->in_dim; k++) {
    int64_t group = t->group_of[k];
    mxlk_gptq_code_row(t, k, first, count, codes);
    if (k == 0 || group != t->group_of[k - 1]) mxlk_gptq_zero_row(t, group, first, count, zeros);
    for (int64_t n = 0; n < count; n++) {
      uint32_t bits = scale_bits_at(t, group, first + n);
      float scale = t->scales_dtype == MXL_FLOAT16 ? mxlk_float_from_half((uint16_t)bits) : mxlk_float_from_bits(bits);
      values[n * t->in_dim + k] = scale * (float)(codes[n] - zeros[n]);
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
  int by_words;   /* 4 bits in AutoGPTQ's packing, by way of codes.h; else by way of code_rows.h */
} panels_job;

/* Where columns of x come in another order, a thread has the codes of all of them as rows of bytes, of as many outputs as fit in so many
 * bytes: the second level cache, or what a thread has of the third. */
#define CODES_BYTES ((int64_t)1 << 20)
/* Rows of qweight asked for ahead: they are far apart, and where their distance is a power of two few of them fit in the cache. */
#define ROWS_AHEAD 4

/* The outputs of some panels: `count` exist, the rest of `width` are zeros. */
typedef struct outputs {
  const mxlk_gptq_tensors *tensors;
  int64_t first, count, width;
  uint8_t *codes; /* rows of bytes (codes.h); NULL where the columns of x come in order */
} outputs;

static void prefetch_words(const char *words, int64_t bytes) {
  for (int64_t i = 0; i < bytes + 64; i += 64) __builtin_prefetch(words + i);
}

/* Sixteen words of a row of qweight from output `n` of these on; the copy when not all exist. */
static const void *words_of(const outputs *o, const char *row, int64_t n, uint32_t copy[16]) {
  const char *words = row + 4 * (o->first + n);
  if (n + 16 <= o->count) return words;
  memset(copy, 0, 64);
  if (n < o->count) memcpy(copy, words, (size_t)(o->count - n) * 4);
  return copy;
}

static void store_words(const outputs *o, const uint32_t words[16], int64_t n, char *row) {
  if (n < o->count) memcpy(row + 4 * (o->first + n), words, o->count - n < 16 ? (size_t)(o->count - n) * 4 : 64);
}

/* All of qweight that these outputs have, as rows of bytes. */
static void load_codes(const outputs *o) {
  const mxlk_gptq_tensors *t = o->tensors;
  for (int64_t word = 0; word < t->in_dim / 8; word++) {
    const char *row = (const char *)t->qweight + word * t->qweight_stride;
    prefetch_words(row + ROWS_AHEAD * t->qweight_stride + 4 * o->first, 4 * o->width);
    for (int64_t n = 0; n < o->width; n += 16) {
      uint32_t copy[16];
      mxlk_rows_from_words(words_of(o, row, n, copy), o->width, o->codes + 4 * word * o->width + n);
    }
  }
}

static void store_codes(const outputs *o, char *qweight) {
  for (int64_t word = 0; word < o->tensors->in_dim / 8; word++)
    for (int64_t n = 0; n < o->count; n += 16) {
      uint32_t words[16];
      mxlk_words_from_rows(o->codes + 4 * word * o->width + n, o->width, words);
      store_words(o, words, n, qweight + word * o->tensors->qweight_stride);
    }
}

/* Where the codes of the eight packed columns from `place` on are. */
static void find_codes(const outputs *o, int64_t place, mxlk_code_places *places) {
  for (int i = 0; i < 8; i++) {
    uint32_t column = (uint32_t)o->tensors->order[place + i];
    places->row[i] = o->codes + (int64_t)(column / 2) * o->width;
    places->shift[i] = 4 * (column % 2);
  }
}

/* Eight zeros of a word of qzeros, a byte each. */
static uint64_t zeros_of(uint32_t word, int32_t offset) {
  uint64_t x = word;
  x = (x | x << 16) & 0x0000ffff0000ffffu;
  x = (x | x << 8) & 0x00ff00ff00ff00ffu;
  x = (x | x << 4) & 0x0f0f0f0f0f0f0f0fu;
  return x + (uint64_t)offset * 0x0101010101010101u;
}

/* Zeros as panels hold them: a byte, of 8 bits two bytes that are added. */
static void store_zeros(const mxlk_gptq_tensors *t, const mxlk_block_format *format, int64_t group, int64_t first,
                        int64_t count, uint8_t *to) {
  uint16_t zeros[MXLK_MOST_WIDTH];
  mxlk_gptq_zero_row(t, group, first, count, zeros);
  for (int64_t n = 0; n < count; n++) {
    if (format->code_bits != 8) {
      to[n] = (uint8_t)zeros[n];
    } else {
      to[2 * n] = (uint8_t)(zeros[n] < 255 ? zeros[n] : 255);
      to[2 * n + 1] = (uint8_t)(zeros[n] - to[2 * n]);
    }
  }
}

/* The scales and zeros of the panel whose outputs begin at `offset` of these, and zeros behind the outputs that exist. */
static void pack_scales(const panels_job *job, const outputs *o, int64_t offset, int64_t k_begin, int64_t k,
                        uint8_t *packed) {
  const mxlk_gptq_tensors *t = o->tensors;
  const mxlk_block_format *format = job->format;
  int64_t columns = job->row->panel_columns, bytes = format->scale_bytes, first = o->first + offset;
  int64_t valid = o->count - offset < columns ? o->count - offset : columns;
  int64_t zero_bytes = MXLK_GPTQ_ZERO_BYTES(format->code_bits);
  mxlk_panel_layout layout = mxlk_panel_layout_of(format, columns, k);
  memset(packed + layout.minima, 0, (size_t)(layout.bytes - layout.minima));
  for (int64_t g = 0; g < mxlk_group_count(format, k); g++) {
    int64_t group = t->group_of[column_of(t, k_begin + g * format->group)];
    uint8_t *zeros = packed + layout.minima + g * columns * zero_bytes,
            *scales = packed + layout.d + g * columns * bytes;
    if (job->by_words)
      for (int64_t n = 0; n < valid; n += 8) {
        uint32_t word = 0x88888888u;
        if (t->qzeros != NULL) word = word_at(t->qzeros, t->qzeros_stride, group, (first + n) / 8);
        uint64_t eight = zeros_of(word, t->qzeros == NULL ? 0 : t->zero_offset);
        memcpy(zeros + n, &eight, valid - n < 8 ? (size_t)(valid - n) : 8);
      }
    else
      store_zeros(t, format, group, first, valid, zeros);
    if (t->scales_dtype == MXL_BFLOAT16)
      for (int64_t n = 0; n < valid; n++)
        mxlk_group_scale_store(format, scale_bits_at(t, group, first + n), scales + n * bytes);
    else
      memcpy(scales, (const char *)t->scales + group * t->scales_stride + first * bytes, (size_t)(valid * bytes));
  }
}

/* One superblock of all panels of these outputs; those of the next panel begin panel_bytes behind. */
static void pack_superblock(const panels_job *job, const outputs *o, int64_t k_begin, int64_t k, char *to) {
  const mxlk_gptq_tensors *t = o->tensors;
  const int64_t columns = job->row->panel_columns, bytes = (int64_t)job->row->packed_size(job->row, k);
  /* A byte for each code, and for each group of 32 a float and two bytes. */
  _Alignas(64) uint8_t packed[(MXL_SUPERBLOCK + 8 * (4 + 2)) * MXLK_MOST_WIDTH];
  if (!job->by_words) {
    mxlk_code_block block = {t, o->first, o->count, o->width, columns, job->format->code_bits};
    mxlk_gptq_pack_codes(&block, k_begin, k, bytes, packed);
  }
  for (int64_t word = 0; job->by_words && word < k / 8; word++) {
    uint8_t *line = packed + 4 * word * columns;
    const char *row = (const char *)t->qweight + (k_begin / 8 + word) * t->qweight_stride;
    mxlk_code_places places;
    if (t->order != NULL) find_codes(o, k_begin + 8 * word, &places);
    if (t->order == NULL) prefetch_words(row + ROWS_AHEAD * t->qweight_stride + 4 * o->first, 4 * o->width);
    for (int64_t offset = 0; offset < o->width; offset += columns, line += bytes)
      for (int64_t n = 0; n < columns; n += 16) {
        uint32_t copy[16];
        if (t->order != NULL)
          mxlk_line_from_rows(&places, offset + n, line + 4 * n);
        else
          mxlk_line_from_words(words_of(o, row, offset + n, copy), line + 4 * n);
      }
  }
  for (int64_t offset = 0; offset < o->width; offset += columns, to += job->panel_bytes) {
    uint8_t *panel = packed + offset / columns * bytes;
    pack_scales(job, o, offset, k_begin, k, panel);
    mxlk_stream((const char *)panel, (size_t)bytes, to);
  }
}

static void unpack_superblock(const panels_job *job, const outputs *o, int64_t k_begin, int64_t k, const char *from) {
  const mxlk_gptq_tensors *t = o->tensors;
  int64_t columns = job->row->panel_columns;
  if (!job->by_words) {
    mxlk_code_block block = {t, o->first, o->count, o->width, columns, job->format->code_bits};
    mxlk_gptq_unpack_codes(&block, k_begin, k, (int64_t)job->panel_bytes, (const uint8_t *)from, job->qweight);
  }
  for (int64_t word = 0; job->by_words && word < k / 8; word++) {
    const char *line = from + 4 * word * columns;
    mxlk_code_places places;
    if (t->order != NULL) find_codes(o, k_begin + 8 * word, &places);
    for (int64_t offset = 0; offset < o->width; offset += columns, line += job->panel_bytes)
      for (int64_t n = 0; n < columns; n += 16) {
        if (t->order != NULL) {
          mxlk_rows_from_line(line + 4 * n, &places, offset + n);
          continue;
        }
        uint32_t words[16];
        mxlk_words_from_line(line + 4 * n, words);
        store_words(o, words, offset + n, job->qweight + (k_begin / 8 + word) * t->qweight_stride);
      }
  }
}

/* Panels [panel, end) of blocks, at most job->panels. */
static void run_blocks(const panels_job *job, const mxlk_gptq_tensors *t, int64_t panel, int64_t end, char *packed,
                       char *scratch) {
  int64_t columns = job->row->panel_columns, first = panel * columns;
  int64_t count = t->out_dim < end * columns ? t->out_dim - first : (end - panel) * columns;
  outputs o = {t, first, count, (end - panel) * columns, (uint8_t *)scratch};
  int unpack = job->qweight != NULL;
  const int codes_apart = job->by_words && t->order != NULL;
  if (codes_apart && !unpack) load_codes(&o);
  if (codes_apart && unpack) memset(o.codes, 0, (size_t)(t->in_dim / 2 * o.width));
  for (int64_t k_begin = 0; k_begin < t->in_dim; k_begin += MXL_SUPERBLOCK) {
    int64_t k = t->in_dim - k_begin < MXL_SUPERBLOCK ? t->in_dim - k_begin : MXL_SUPERBLOCK;
    if (unpack)
      unpack_superblock(job, &o, k_begin, k, packed);
    else
      pack_superblock(job, &o, k_begin, k, packed);
    packed += job->row->packed_size(job->row, k);
  }
  if (codes_apart && unpack) store_codes(&o, job->qweight);
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
  int64_t in_dim = job->tensors->in_dim, columns = row->panel_columns;
  job->by_words = job->tensors->bits == 4 && !job->tensors->awq;
  int whole_lines = job->tensors->order == NULL || !job->by_words;
  job->panel_bytes = mxlk_panel_bytes(row, in_dim);
  /* Blocks have a format; values, rows of "F32", have none. */
  job->format = row->pack == mxlk_block_pack ? row->context : NULL;
  job->panels = 1;
  job->scratch_each = mxlk_align_up((size_t)(4 * in_dim * columns));
  if (job->format != NULL) {
    while (2 * job->panels * columns <= MXLK_MOST_WIDTH &&
           (whole_lines || job->panels * columns * in_dim <= CODES_BYTES))
      job->panels *= 2;
    job->scratch_each = whole_lines ? 0 : mxlk_align_up((size_t)(in_dim / 2 * job->panels * columns));
  }
  if (job->scratch_each > 0) {
    job->scratch = mxlk_allocate(job->scratch_each * (size_t)threads);
    if (job->scratch == NULL) return MXL_OUT_OF_MEMORY;
  }
  mxlk_parallel(threads, panels_thread, job);
  mxlk_free(job->scratch);
  return MXL_OK;
}

mxl_status mxlk_gptq_pack(const mxl_kernel_row *row, const mxlk_gptq_tensors *tensors, void *const *packed,
                          int32_t count, int32_t threads) {
  panels_job job = {.row = row, .tensors = tensors, .packed = packed, .count = count};
  int64_t begin = mxlk_trace_begin();
  mxl_status status = run_panels(&job, threads);
  int64_t out_dim = 0;
  for (int32_t i = 0; i < count; i++) out_dim += tensors[i].out_dim;
  mxlk_trace_end(begin, "pack", row->name, 0, tensors->in_dim, out_dim, threads);
  return status;
}

mxl_status mxlk_gptq_unpack(const mxl_kernel_row *row, const void *packed, const mxlk_gptq_tensors *tensors,
                            void *qweight, int32_t threads) {
  void *from = (void *)(uintptr_t)packed;
  panels_job job = {.row = row, .tensors = tensors, .packed = &from, .count = 1, .qweight = qweight};
  return run_panels(&job, threads);
}

/* Rows of block encodings. What a row of a scheme is differs by CPU variant only.
 * All share pack and unpack; compute float32 expands to the lines of dense/layout.h and runs the dense tiles. */
#ifndef MXLK_PANEL_ROWS_H
#define MXLK_PANEL_ROWS_H

#include "panel/float32.h"
#include "panel/panel.h"
#include "tiles/expanded_row.h"
#include "tiles/int8.h"
#include "tiles/int8_amx.h"
#include "tiles/int8_joined.h"
#include "tiles/int8_pairs.h"
#include "tiles/tiles.h"

size_t mxlk_block_packed_size(const mxl_kernel_row *row, int64_t k);
void mxlk_block_pack(const mxl_kernel_row *row, const mxl_source *source, int64_t panel, int64_t k_begin, int64_t k,
                     void *packed);
void mxlk_block_unpack(const mxl_kernel_row *row, const void *packed, int64_t panel, int64_t k_begin, int64_t k,
                       const mxl_source *destination);

/* Rows of a block encoding: int8 and float32 for each CPU variant. */
#ifdef __x86_64__
#define MXLK_BLOCK_ROWS 9
#define MXLK_BLOCK_ROWS_OF(rows) \
  &rows[0], &rows[1], &rows[2], &rows[3], &rows[4], &rows[5], &rows[6], &rows[7], &rows[8]
#else
#define MXLK_BLOCK_ROWS 2
#define MXLK_BLOCK_ROWS_OF(rows) &rows[0], &rows[1]
#endif

extern const mxl_kernel_row mxlk_rows_q4_0[MXLK_BLOCK_ROWS], mxlk_rows_q5_0[MXLK_BLOCK_ROWS],
    mxlk_rows_q8_0[MXLK_BLOCK_ROWS];
extern const mxl_kernel_row mxlk_rows_q4_1[MXLK_BLOCK_ROWS], mxlk_rows_q5_1[MXLK_BLOCK_ROWS],
    mxlk_rows_iq4_nl[MXLK_BLOCK_ROWS];
extern const mxl_kernel_row mxlk_rows_q4_k[MXLK_BLOCK_ROWS], mxlk_rows_q5_k[MXLK_BLOCK_ROWS],
    mxlk_rows_q6_k[MXLK_BLOCK_ROWS];
extern const mxl_kernel_row mxlk_rows_q2_k[MXLK_BLOCK_ROWS], mxlk_rows_q3_k[MXLK_BLOCK_ROWS];
extern const mxl_kernel_row mxlk_rows_iq4_xs[MXLK_BLOCK_ROWS], mxlk_rows_mxfp4[MXLK_BLOCK_ROWS];
extern const mxl_kernel_row mxlk_rows_gptq[MXLK_GPTQ_FORMATS][MXLK_BLOCK_ROWS];
extern const mxl_kernel_row mxlk_rows_gptq2[MXLK_GPTQ_FORMATS][MXLK_BLOCK_ROWS];
extern const mxl_kernel_row mxlk_rows_gptq8[MXLK_GPTQ_FORMATS][MXLK_BLOCK_ROWS];

#define MXLK_BLOCK_ROW(name, encoding, format, compute, rank, features, rows, columns, expand, size, run, run_packed, \
                       side_rows)                                                                                     \
  MXLK_EXPANDED_ROW(name, encoding, format, compute, rank, features, rows, columns, mxlk_block_packed_size,           \
                    mxlk_block_pack, mxlk_block_unpack, expand, size, run, run_packed, side_rows)

#define MXLK_INT8_SCALAR(name, encoding, format)                                                     \
  MXLK_BLOCK_ROW(name, encoding, format, MXL_COMPUTE_INT8, 0, 0, 4, 16, mxlk_expand_int8_16__scalar, \
                 MXLK_EXPANDED_BYTES(16), mxlk_linear_expanded_int8_4x16__scalar, NULL, 0)
#define MXLK_INT8_AVX2(name, encoding, format, side_rows)                                                           \
  MXLK_BLOCK_ROW(name, encoding, format, MXL_COMPUTE_INT8, 10, MXL_CPU_AVX2, 4, 16, mxlk_expand_int8_16__avx2,      \
                 MXLK_EXPANDED_BYTES(16), mxlk_linear_expanded_int8_4x16__avx2, mxlk_linear_packed_int8_4x16__avx2, \
                 side_rows)
#define MXLK_INT8_AVXVNNI(name, encoding, format, side_rows)                                                  \
  MXLK_BLOCK_ROW(name, encoding, format, MXL_COMPUTE_INT8, 20, MXL_CPU_AVX2 | MXL_CPU_AVX_VNNI, 6, 16,        \
                 mxlk_expand_int8_16__avx2, MXLK_EXPANDED_BYTES(16), mxlk_linear_expanded_int8_6x16__avxvnni, \
                 mxlk_linear_packed_int8_6x16__avxvnni, side_rows)
#define MXLK_JOINED_FIELDS \
  .arrange = mxlk_arrange_int8_joined__avx512vnni, .arranged_size = sizeof(mxlk_joined_activation),
#define MXLK_INT8_AVX512VNNI(name, encoding, format, side_rows)                                                       \
  MXLK_EXPANDED_ROW_AND(MXLK_JOINED_FIELDS, name, encoding, format, MXL_COMPUTE_INT8, 30,                             \
                        MXL_CPU_AVX2 | MXL_CPU_AVX512 | MXL_CPU_AVX512_VNNI, 6, 32, mxlk_block_packed_size,           \
                        mxlk_block_pack, mxlk_block_unpack, mxlk_expand_int8_32__avx512vnni, MXLK_EXPANDED_BYTES(32), \
                        mxlk_linear_expanded_int8_6x32__avx512vnni, mxlk_linear_packed_int8_6x32__avx512vnni,         \
                        side_rows)

/* On what the row above packs, where its shifts and multiplications share the ports of its dots. */
#define MXLK_PAIRS_FIELDS .arrange = mxlk_arrange_int8_pairs__avx512vnni, .arranged_size = sizeof(mxlk_arranged_pairs),
#define MXLK_INT8_PAIRS(name, encoding, format, side_rows)                                                        \
  MXLK_EXPANDED_ROW_AND(MXLK_PAIRS_FIELDS, name, encoding, format, MXL_COMPUTE_INT8, 32,                          \
                        MXL_CPU_AVX2 | MXL_CPU_AVX512 | MXL_CPU_AVX512_VNNI | MXL_CPU_AVX512_SHARED_PORTS, 8, 32, \
                        mxlk_block_packed_size, mxlk_block_pack, mxlk_block_unpack,                               \
                        mxlk_expand_int8_pairs_32__avx512vnni, MXLK_EXPANDED_SHIFTS_BYTES(32),                    \
                        mxlk_linear_expanded_int8_pairs_8x32__avx512vnni,                                         \
                        mxlk_linear_packed_int8_pairs_8x32__avx512vnni, side_rows)

/* Beside the row for AVX-512 VNNI, on what that packs, from so many rows of x on. */
#define MXLK_AMX_FIELDS(many_rows)                                                                    \
  .least_rows = many_rows, .arrange = mxlk_arrange_int8__amx, .arranged_size = sizeof(mxlk_arranged), \
  .enter = mxlk_enter_int8__amx, .leave = mxlk_leave__amx,
#define MXLK_INT8_AMX(name, encoding, format, many_rows)                                                      \
  MXLK_EXPANDED_ROW_AND(MXLK_AMX_FIELDS(many_rows), name, encoding, format, MXL_COMPUTE_INT8, 40,             \
                        MXL_CPU_AVX2 | MXL_CPU_AVX512 | MXL_CPU_AVX512_VNNI | MXL_CPU_AMX_INT8, 64, 32,       \
                        mxlk_block_packed_size, mxlk_block_pack, mxlk_block_unpack, mxlk_expand_int8_32__amx, \
                        MXLK_AMX_EXPANDED_BYTES(32), mxlk_linear_expanded_int8_64x32__amx, NULL, 0)

#define MXLK_FLOAT32_SCALAR(name, encoding, format)                                                        \
  MXLK_BLOCK_ROW(name, encoding, format, MXL_COMPUTE_FLOAT32, 0, 0, 4, 16, mxlk_expand_float32_16__scalar, \
                 MXL_SUPERBLOCK * 16 * 4, mxlk_linear_f32_f32_4x16__scalar, NULL, 0)
#define MXLK_FLOAT32_AVX2(name, encoding, format)                                                                    \
  MXLK_BLOCK_ROW(name, encoding, format, MXL_COMPUTE_FLOAT32, 10, MXL_CPU_AVX2, 6, 16, mxlk_expand_float32_16__avx2, \
                 MXL_SUPERBLOCK * 16 * 4, mxlk_linear_f32_f32_6x16__avx2, NULL, 0)
#define MXLK_FLOAT32_AVX512(name, encoding, format)                                                      \
  MXLK_BLOCK_ROW(name, encoding, format, MXL_COMPUTE_FLOAT32, 20, MXL_CPU_AVX2 | MXL_CPU_AVX512, 14, 32, \
                 mxlk_expand_float32_32__avx512, MXL_SUPERBLOCK * 32 * 4, mxlk_linear_f32_f32_14x32__avx512, NULL, 0)

/* All rows of a format; stem is its part of their names, side_rows that of its row for AVX2: 0 where codes take longer to take apart than to
 * read, those of 2 and 3 bits and IQ4_XS's. many_rows: the rows of x from which AMX is faster (docs/PERFORMANCE.md). */
#define MXLK_SCALAR_ROWS(stem, encoding, format)                                \
  MXLK_INT8_SCALAR("mxlk_linear_" stem "_int8_4x16__scalar", encoding, format), \
      MXLK_FLOAT32_SCALAR("mxlk_linear_" stem "_f32_4x16__scalar", encoding, format)
#ifdef __x86_64__
#define MXLK_BLOCK_ENCODING_ROWS(stem, encoding, format, side_rows, many_rows)                          \
  {                                                                                                     \
      MXLK_SCALAR_ROWS(stem, encoding, format),                                                         \
      MXLK_INT8_AVX2("mxlk_linear_" stem "_int8_4x16__avx2", encoding, format, side_rows),              \
      MXLK_FLOAT32_AVX2("mxlk_linear_" stem "_f32_6x16__avx2", encoding, format),                       \
      MXLK_INT8_AVXVNNI("mxlk_linear_" stem "_int8_6x16__avxvnni", encoding, format, side_rows),        \
      MXLK_INT8_AVX512VNNI("mxlk_linear_" stem "_int8_6x32__avx512vnni", encoding, format, side_rows),  \
      MXLK_INT8_PAIRS("mxlk_linear_" stem "_int8_pairs_8x32__avx512vnni", encoding, format, side_rows), \
      MXLK_FLOAT32_AVX512("mxlk_linear_" stem "_f32_14x32__avx512", encoding, format),                  \
      MXLK_INT8_AMX("mxlk_linear_" stem "_int8_64x32__amx", encoding, format, many_rows),               \
  }
#else
#define MXLK_BLOCK_ENCODING_ROWS(stem, encoding, format, side_rows, many_rows) \
  {MXLK_SCALAR_ROWS(stem, encoding, format)}
#endif

#endif

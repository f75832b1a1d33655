/* A linear row whose weights are expanded before its tile runs, or taken apart by run_packed; every fact is written out. more_: nothing, or further
 * fields. */
#ifndef MXLK_TILES_EXPANDED_ROW_H
#define MXLK_TILES_EXPANDED_ROW_H

#define MXLK_EXPANDED_ROW_AND(more_, name_, encoding_, context_, compute_, rank_, features_, rows_, columns_,       \
                              packed_size_, pack_, unpack_, expand_, expanded_size_, run_, run_packed_, side_rows_) \
  {.struct_size = sizeof(mxl_kernel_row),                                                                           \
   .op = MXL_OP_LINEAR,                                                                                             \
   .compute = compute_,                                                                                             \
   .rank = rank_,                                                                                                   \
   .cpu_features = features_,                                                                                       \
   .name = name_,                                                                                                   \
   .encoding = encoding_,                                                                                           \
   .tile_rows = rows_,                                                                                              \
   .panel_columns = columns_,                                                                                       \
   .packed_size = packed_size_,                                                                                     \
   .pack = pack_,                                                                                                   \
   .unpack = unpack_,                                                                                               \
   .run = run_,                                                                                                     \
   .expand = expand_,                                                                                               \
   .expanded_size = expanded_size_,                                                                                 \
   .run_packed = run_packed_,                                                                                       \
   .context = context_,                                                                                             \
   .side_rows = side_rows_,                                                                                         \
   more_}
#define MXLK_EXPANDED_ROW(...) MXLK_EXPANDED_ROW_AND(, __VA_ARGS__)

#endif

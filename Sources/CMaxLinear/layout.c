/* Holds the public structs to the layout that clients were compiled against, on 64-bit machines. */
#include "maxlinear.h"

#include <assert.h>

#define FIELD(type, field, offset) static_assert(offsetof(type, field) == (offset), #type "." #field " moved")
#define SIZE(type, size) static_assert(sizeof(type) == (size), #type " changed size")

SIZE(mxl_status, 4);
SIZE(mxl_error, 512);
FIELD(mxl_error, status, 4);
FIELD(mxl_error, message, 8);

SIZE(mxl_device, 8);
SIZE(mxl_tensor, 40);
FIELD(mxl_tensor, dtype, 8);
FIELD(mxl_tensor, rank, 12);
FIELD(mxl_tensor, device, 16);
FIELD(mxl_tensor, shape, 24);
FIELD(mxl_tensor, strides, 32);

SIZE(mxl_entry, 80);
FIELD(mxl_entry, encoding, 8);
FIELD(mxl_entry, tensor, 16);
FIELD(mxl_entry, storage, 56);
FIELD(mxl_entry, release, 64);
FIELD(mxl_entry, owner, 72);

FIELD(mxl_linear_options, dtype, 4);
FIELD(mxl_linear_options, in_dim, 8);
FIELD(mxl_linear_options, out_dim, 16);
FIELD(mxl_linear_options, has_bias, 24);
FIELD(mxl_linear_options, device, 28);
FIELD(mxl_linear_options, encoding, 40);
FIELD(mxl_linear_options, name, 48);
FIELD(mxl_linear_options, clip_weight, 56);
FIELD(mxl_linear_options, quantization, 64);

FIELD(mxl_linear_v1_options, dtype, 4);
FIELD(mxl_linear_v1_options, weight, 8);
FIELD(mxl_linear_v1_options, bias, 16);
FIELD(mxl_linear_v1_options, in_features, 24);
FIELD(mxl_linear_v1_options, out_features, 32);
FIELD(mxl_linear_v1_options, encoding, 40);
FIELD(mxl_linear_v1_options, quantization, 48);
FIELD(mxl_linear_v1_options, perm_idx, 56);
FIELD(mxl_linear_v1_options, weight_scale, 64);

FIELD(mxl_quantization, bits, 4);
FIELD(mxl_quantization, group_size, 8);
FIELD(mxl_quantization, desc_act, 12);
FIELD(mxl_quantization, sym, 16);
FIELD(mxl_quantization, quant_method, 24);
FIELD(mxl_quantization, checkpoint_format, 32);

FIELD(mxl_mlp_weights_options, activation, 4);
FIELD(mxl_mlp_weights_options, devices, 8);
FIELD(mxl_mlp_weights_options, device_count, 16);
FIELD(mxl_mlp_weights_options, quantization, 24);
FIELD(mxl_mlp_weights_options, distributed, 32);
FIELD(mxl_mlp_weights_options, reduce, 36);
FIELD(mxl_mlp_weights_options, communicator, 40);
FIELD(mxl_mlp_options, quantization, 56);
FIELD(mxl_mlp_options, reduce, 64);
FIELD(mxl_mlp_options, communicator, 72);

FIELD(mxl_parallel_options, gather, 4);
FIELD(mxl_parallel_options, linear, 8);
FIELD(mxl_parallel_options, devices, 16);
FIELD(mxl_parallel_options, device_count, 24);
FIELD(mxl_parallel_options, communicator, 32);

FIELD(mxl_quantize_options, threads, 4);
FIELD(mxl_quantize_options, importance, 8);

FIELD(mxl_prepare_options, compute, 4);
FIELD(mxl_prepare_options, pack, 8);
FIELD(mxl_prepare_options, threads, 12);
FIELD(mxl_run_options, threads, 4);
FIELD(mxl_run_options, accumulate, 8);

/* plugin.h, version 1.0: what a plugin fills is at least this long. */
FIELD(mxl_encoding, dtype, 4);
FIELD(mxl_encoding, name, 8);
FIELD(mxl_encoding, elements_per_block, 16);
FIELD(mxl_encoding, block_size, 24);
FIELD(mxl_encoding, dequantize, 32);
FIELD(mxl_encoding, quantize, 40);
FIELD(mxl_encoding, largest, 48);

FIELD(mxl_source, clip, 4);
FIELD(mxl_source, data, 8);
FIELD(mxl_source, row_stride, 16);
FIELD(mxl_source, in_dim, 24);
FIELD(mxl_source, out_dim, 32);

SIZE(mxl_int8_activation, 384);
FIELD(mxl_int8_activation, lanes16, 256);
FIELD(mxl_int8_activation, sums16, 320);
FIELD(mxl_int8_activation, sums32, 352);
FIELD(mxl_int8_activation, shifts, 368);
FIELD(mxl_int8_activation, alpha, 376);

FIELD(mxl_tile, rows, 4);
FIELD(mxl_tile, x, 8);
FIELD(mxl_tile, weights, 16);
FIELD(mxl_tile, y, 24);
FIELD(mxl_tile, k, 32);
FIELD(mxl_tile, next, 40);
FIELD(mxl_tile, next_bytes, 48);
FIELD(mxl_tile, panels, 56);
FIELD(mxl_tile, weights_apart, 64);
FIELD(mxl_tile, y_apart, 72);

FIELD(mxl_kernel_row, op, 4);
FIELD(mxl_kernel_row, compute, 8);
FIELD(mxl_kernel_row, rank, 12);
FIELD(mxl_kernel_row, cpu_features, 16);
FIELD(mxl_kernel_row, name, 24);
FIELD(mxl_kernel_row, encoding, 32);
FIELD(mxl_kernel_row, tile_rows, 40);
FIELD(mxl_kernel_row, panel_columns, 44);
FIELD(mxl_kernel_row, packed_size, 48);
FIELD(mxl_kernel_row, pack, 56);
FIELD(mxl_kernel_row, unpack, 64);
FIELD(mxl_kernel_row, run, 72);
FIELD(mxl_kernel_row, expand, 80);
FIELD(mxl_kernel_row, expanded_size, 88);
FIELD(mxl_kernel_row, run_packed, 96);
FIELD(mxl_kernel_row, context, 104);
FIELD(mxl_kernel_row, side_rows, 112);

FIELD(mxl_communicator_kind, name, 8);
FIELD(mxl_communicator_kind, create, 16);
FIELD(mxl_communicator_kind, destroy, 24);
FIELD(mxl_communicator_kind, rank, 32);
FIELD(mxl_communicator_kind, size, 40);
FIELD(mxl_communicator_kind, barrier, 48);
FIELD(mxl_communicator_kind, broadcast, 56);
FIELD(mxl_communicator_kind, allgather, 64);
FIELD(mxl_communicator_kind, allreduce, 72);
FIELD(mxl_communicator_kind, abort, 80);
FIELD(mxl_communicator_kind, context, 88);

FIELD(mxl_host, abi_major, 4);
FIELD(mxl_host, abi_minor, 8);
FIELD(mxl_host, library, 16);
FIELD(mxl_host, allocate, 24);
FIELD(mxl_host, free, 32);
FIELD(mxl_host, log, 40);
FIELD(mxl_host, parallel_for, 48);

FIELD(mxl_plugin, abi_major, 4);
FIELD(mxl_plugin, abi_minor, 8);
FIELD(mxl_plugin, name, 16);
FIELD(mxl_plugin, encodings, 24);
FIELD(mxl_plugin, encoding_count, 32);
FIELD(mxl_plugin, rows, 40);
FIELD(mxl_plugin, row_count, 48);
FIELD(mxl_plugin, communicators, 56);
FIELD(mxl_plugin, communicator_count, 64);

FIELD(mxl_memory, packed, 8);
FIELD(mxl_memory, source, 16);
FIELD(mxl_memory, mapped, 24);

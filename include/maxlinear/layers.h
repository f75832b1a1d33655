/* Layers: created from options, filled from a state dict or a checkpoint, prepared, called. */
#ifndef MAXLINEAR_LAYERS_H
#define MAXLINEAR_LAYERS_H

#include "communicator.h"
#include "encodings.h"
#include "status.h"
#include "types.h"
#include "weights.h"

/* A layer. The pointer is a number that the library looks up and nobody follows: what is no layer's, or no longer, is refused with
 * MXL_INVALID_HANDLE, and a destroyed handle's value never comes again. mxl_layer_forward may be called by any number of threads at once,
 * also while another thread replaces the weights (MXL_LOAD_REPLACE): a running forward finishes on the weights it began with. All
 * other calls on one handle are serialized by the library; destroy must be the last. */
typedef struct mxl_layer mxl_layer;

/* Options of mxl_linear_create. Zero it, set struct_size, then the fields that matter.
 *
 * in_dim, out_dim  K and N, each >= 1
 * dtype            the weight's and the bias's mxl_dtype: MXL_FLOAT32, MXL_FLOAT16, MXL_BFLOAT16; with an encoding also MXL_UINT8,
 *                  which leaves the bias float32; MXL_FLOAT8_E4M3 or MXL_FLOAT8_E5M2, beside which the bias is of any of the three
 * has_bias         0 or 1
 * device           MXL_DEVICE_DEFAULT or the CPU with id 0
 * encoding         NULL for dense weights, a block encoding such as "Q4_K", or "GPTQ"
 * name             prefix of the state dict's keys: "lin" gives lin.weight, lin.bias; NULL for none
 * clip_weight      when not NULL, weights are clamped to +-*clip_weight, which must be finite and > 0
 * quantization     of "GPTQ"; NULL beside another encoding */
typedef struct mxl_linear_options {
  uint32_t struct_size;
  int32_t dtype;
  int64_t in_dim;
  int64_t out_dim;
  int32_t has_bias;
  mxl_device device;
  const char *encoding;
  const char *name;
  const float *clip_weight;
  const mxl_quantization *quantization;
} mxl_linear_options;

/* Options of mxl_linear_v1_create. Zero it, set struct_size and weight, then the fields that matter.
 *
 * weight        required: (out_dim, in_dim), or encoded blocks, MXL_UINT8 (out_dim, row bytes); its name is not used
 * bias          NULL for none; (out_dim), float32, float16 or bfloat16; its name is not used
 * dtype         what a dense weight's dtype must be, or MXL_DTYPE_NONE to take the weight's own
 * encoding      what the weight's encoding must be, or NULL to take the weight's own; "GPTQ" or NULL beside a quantization
 * in_features,  when not 0, the stored weight's two dimensions in either order: MAX's create passes the rows
 * out_features  first, its documentation names the columns first. y = x W^T follows the stored weight.
 * quantization  when not NULL, the weight is GPTQ of 4 bits as MAX builds it: uint8 [in_dim / 2 + 2 groups, out_dim], the bytes of qweight, then
 *               those of float16 scales, with zeros of 8
 * perm_idx      NULL, or int32 (in_dim): the columns in the order of their groups; only beside a quantization
 * weight_scale  NULL for 1, or the scale of a float8 weight, as mxl_linear_create's; its name is not used */
typedef struct mxl_linear_v1_options {
  uint32_t struct_size;
  int32_t dtype;
  const mxl_entry *weight;
  const mxl_entry *bias;
  int64_t in_features;
  int64_t out_features;
  const char *encoding;
  const mxl_quantization *quantization;
  const mxl_entry *perm_idx;
  const mxl_entry *weight_scale;
} mxl_linear_v1_options;

/* Options of mxl_mlp_create. Zero it, set struct_size, then the fields that matter.
 *
 * hidden_dim, feed_forward_length  each >= 1: gate and up are (feed_forward_length, hidden_dim), down is the transpose's shape
 * dtype, encoding, has_bias        of the three linears, as in mxl_linear_options
 * activation                       mxl_activation
 * devices, device_count            the first is used; none means the CPU
 * quantization                     of "GPTQ"; NULL beside another encoding
 * reduce                           of mxl_distributed_mlp_create: 1 splits down by its inputs; 0 for others
 * communicator                     of mxl_distributed_mlp_create: NULL, or the processes that are the devices, beside no `devices` */
typedef struct mxl_mlp_options {
  uint32_t struct_size;
  int32_t dtype;
  int64_t hidden_dim;
  int64_t feed_forward_length;
  int32_t has_bias;
  int32_t activation;
  const char *encoding;
  const mxl_device *devices;
  size_t device_count;
  const mxl_quantization *quantization;
  int32_t reduce;
  const mxl_communicator *communicator;
} mxl_mlp_options;

/* Options of mxl_column_parallel_create and mxl_row_parallel_create. Zero it, set struct_size and linear, then the fields that matter.
 *
 * linear                 required: the undivided layer; its device is not used
 * devices, device_count  CPU devices with different ids, each a part of a call's threads; none means one
 * gather                 of a column-parallel layer: 1 gives each device the whole y, 0 its own outputs
 * communicator           NULL, or the processes that are the devices, beside no `devices` */
typedef struct mxl_parallel_options {
  uint32_t struct_size;
  int32_t gather;
  const mxl_linear_options *linear;
  const mxl_device *devices;
  size_t device_count;
  const mxl_communicator *communicator;
} mxl_parallel_options;

/* Options of mxl_mlp_create_from_weights; fields as in mxl_mlp_options. quantization NULL stands for what the checkpoint's folder says.
 *
 * distributed  1: mxl_distributed_mlp_create's layer, on all devices; 0: mxl_mlp_create's
 * reduce       with distributed: as in mxl_mlp_options; else 0
 * communicator with distributed: as in mxl_mlp_options; else NULL */
typedef struct mxl_mlp_weights_options {
  uint32_t struct_size;
  int32_t activation;
  const mxl_device *devices;
  size_t device_count;
  const mxl_quantization *quantization;
  int32_t distributed;
  int32_t reduce;
  const mxl_communicator *communicator;
} mxl_mlp_weights_options;

/* What kind of arithmetic a prepared layer uses. */
typedef enum mxl_compute {
  MXL_COMPUTE_DEFAULT = 0,  /* float32 for dense weights; int8 for encoded ones that have rows for it, else float32 */
  MXL_COMPUTE_FLOAT32 = 1,  /* float32 activations, float32 accumulation */
  MXL_COMPUTE_INT8 = 2,     /* activations quantized to 8 bits: encoded weights only */
  MXL_COMPUTE_BFLOAT16 = 3, /* bfloat16 weights and activations, float32 accumulation: chosen where both are bfloat16 */
  MXL_COMPUTE_INT32 = INT32_MIN
} mxl_compute;

/* The activation function of an MLP. silu(v) = v / (1 + e^-v); gelu(v) = v (1 + erf(v / sqrt 2)) / 2; gelu_tanh(v) = v (1 + tanh(sqrt(2 / pi)
 * (v + 0.044715 v^3))) / 2; relu(v) = max(v, 0); tanh; sigmoid(v) = 1 / (1 + e^-v). */
typedef enum mxl_activation {
  MXL_ACTIVATION_SILU = 0,
  MXL_ACTIVATION_GELU = 1,
  MXL_ACTIVATION_GELU_TANH = 2,
  MXL_ACTIVATION_RELU = 3,
  MXL_ACTIVATION_TANH = 4,
  MXL_ACTIVATION_SIGMOID = 5,
  MXL_ACTIVATION_INT32 = INT32_MIN
} mxl_activation;

/* Whether preparing reorders the weights for the kernels. */
typedef enum mxl_pack {
  MXL_PACK_DEFAULT = 0, /* as MXL_PACK_ALWAYS */
  MXL_PACK_ALWAYS = 1,  /* a packed copy; the source is given back */
  MXL_PACK_NEVER = 2,   /* the kernels read the source in place: no second copy, slower calls */
  MXL_PACK_INT32 = INT32_MIN
} mxl_pack;

typedef struct mxl_prepare_options {
  uint32_t struct_size;
  int32_t compute; /* mxl_compute */
  int32_t pack;    /* mxl_pack */
  int32_t threads; /* the most threads packing may use; 0 for mxl_threads() */
} mxl_prepare_options;

typedef struct mxl_run_options {
  uint32_t struct_size;
  int32_t threads;    /* the most threads this call may use; 0 for mxl_threads() */
  int32_t accumulate; /* 1: y += the layer's output; 0: y = it */
} mxl_run_options;

/* What a layer holds. Filled up to the struct_size the caller set. */
typedef struct mxl_memory {
  uint32_t struct_size;
  uint32_t reserved;
  uint64_t packed; /* bytes allocated for packed weights and biases */
  uint64_t source; /* bytes of copied or borrowed source weights that the layer still holds */
  uint64_t mapped; /* bytes of file-mapped source weights that the layer refers to; resident only where touched */
} mxl_memory;

/* Flags of mxl_layer_load. STRICT: refuse keys that the layer does not have. REPLACE: accept a prepared layer; the new
 * weights are prepared as the old ones were, then swapped in. OVERRIDE_ENCODING: a weight takes the encoding of an entry that
 * brings its own. */
#define MXL_LOAD_STRICT 1u
#define MXL_LOAD_REPLACE 2u
#define MXL_LOAD_OVERRIDE_ENCODING 4u

MXL_BEGIN

/* LinearV2: y = x clamp(W, +-clip_weight)^T + b, with W (out_dim, in_dim) and b (out_dim) from a state dict.
 * Keys: weight, bias, behind "<name>." when a name is given.
 *
 * With encoding "GPTQ", GPTQLinearV2: w = scale (code - zero), 2, 3, 4 or 8 bits a code. Keys: qweight, int32 [bits in_dim / 32, out_dim], packed
 * along K, least significant first, in_dim whole words, of 3 bits threes of words; scales [groups, out_dim], float16, bfloat16 or float32; qzeros,
 * int32 [groups, bits out_dim / 32 rounded up], packed along N, which may be absent with sym; g_idx, int32 [in_dim], each column's
 * group, or perm_idx, int32 [in_dim], the columns in the order of their groups, which may be absent without desc_act; bias.
 * groups is in_dim / group_size rounded up. Entries that may be absent have no data when they are.
 * Groups that are no multiple of 32 columns compute in float32. With quant_method "awq" too, but for qweight, int32 [in_dim, out_dim / 8], and
 * qzeros, int32 [groups, out_dim / 8]: nibble i of a word, from the lowest up, is that of output 0 2 4 6 1 3 5 7 of its eight.
 *
 * With a float8 dtype, y = (x W^T) scale + b. Key weight_scale, last, which may be absent and then is 1: float32, float16 or bfloat16, finite, of
 * shape [] or [1] one of the tensor, of [out_dim] or [out_dim, 1] one for each output. W may also come as MXL_UINT8. Scales of blocks
 * (weight_scale_inv) are refused.
 *
 * Errors: MXL_INVALID_ARGUMENT, MXL_INVALID_SHAPE, MXL_UNSUPPORTED (dtype, encoding), MXL_NO_DEVICE. */
mxl_status mxl_linear_create(const mxl_linear_options *options, mxl_layer **layer, mxl_error *error);

/* Linear: y = x W^T + b from tensors at hand. The layer is loaded, not yet prepared.
 * Errors as mxl_linear_create's; MXL_INVALID_SHAPE, MXL_INVALID_DTYPE for a tensor that does not fit. */
mxl_status mxl_linear_v1_create(const mxl_linear_v1_options *options, mxl_layer **layer, mxl_error *error);

/* MLPV2: y = down(activation(gate x) * (up x)), each a linear without name; h in float32 between them. Keys: gate_proj.weight,
 * gate_proj.bias, down_proj.weight, ..., up_proj.bias. The bits are those of the three linears called one by one.
 * Errors as mxl_linear_create's. */
mxl_status mxl_mlp_create(const mxl_mlp_options *options, mxl_layer **layer, mxl_error *error);

/* MLP: the same of three linear layers at hand. It shares their weights as they are at this moment, and what is prepared of them:
 * later changes of either side do not reach the other, and the three may be destroyed.
 * Errors: MXL_INVALID_HANDLE, MXL_UNSUPPORTED (a layer that is no linear), MXL_INVALID_SHAPE, MXL_INVALID_ARGUMENT. */
mxl_status mxl_mlp_create_from(const mxl_layer *gate, const mxl_layer *down, const mxl_layer *up, int32_t activation,
                               mxl_layer **layer, mxl_error *error);

/* The MLP of a checkpoint's layer of that number, loaded, mapped without a copy. Its tensors are found by the names of Hugging Face
 * (model.layers.0.mlp.gate_proj.weight) or GGUF (blk.0.ffn_gate.weight), behind any prefix; dense, encoded or GPTQ, each of the
 * three in its own encoding, with the biases it has. options may be NULL.
 * Errors: MXL_MISSING_KEY, MXL_INVALID_ARGUMENT (several prefixes have that layer), MXL_INVALID_SHAPE, MXL_UNSUPPORTED. */
mxl_status mxl_mlp_create_from_weights(const mxl_weights *weights, int64_t number,
                                       const mxl_mlp_weights_options *options, mxl_layer **layer, mxl_error *error);

/* DistributedMLP: mxl_mlp_create's layer on several devices, called with mxl_layer_forward_devices. A device is a CPU device of this process, a
 * part of a call's threads, which pack its shard, touch it first and compute it. All three matrices are split by their outputs, gate and up at
 * multiples of 256 where h is quantized, so the bits are those of mxl_mlp_create's layer for any number of devices. The state dict is the
 * undivided one. With options->reduce, down is split by its inputs and the devices' results are summed in their order.
 *
 * With options->communicator each process of it is a device, with the same bits: every rank creates the layer, loads the same checkpoint and
 * calls mxl_layer_forward with the same x, and each gets the whole y. A rank touches its own shard of the weights, and a few bytes of each, by
 * which the ranks tell that their checkpoints are one; the layer keeps its source, so weights that are not mapped stay in memory whole.
 * mxl_layer_forward_devices takes the one x of this process.
 * Errors as mxl_mlp_create's; MXL_INVALID_ARGUMENT for more devices than units of work or a device that comes twice. */
mxl_status mxl_distributed_mlp_create(const mxl_mlp_options *options, mxl_layer **layer, mxl_error *error);

/* mxl_linear_create's layer with W split among devices by its outputs: x is the same on every device. Where it gathers, the bits are those of
 * the undivided layer. With options->communicator as mxl_distributed_mlp_create's layer; without gather it is mxl_layer_forward_devices that
 * gives a rank its own outputs. Errors as mxl_distributed_mlp_create's. */
mxl_status mxl_column_parallel_create(const mxl_parallel_options *options, mxl_layer **layer, mxl_error *error);

/* mxl_linear_create's layer with W split among devices by its inputs: each device's x has its own columns, each y is the whole sum, taken in
 * the order of the devices in float32, the bias with the first. With options->communicator as mxl_distributed_mlp_create's layer: mxl_layer_forward
 * takes the whole x, mxl_layer_forward_devices this rank's own columns. Errors as mxl_distributed_mlp_create's. */
mxl_status mxl_row_parallel_create(const mxl_parallel_options *options, mxl_layer **layer, mxl_error *error);

/* hidden = activation(gate) * up, element by element: float32, one shape, C order. hidden may be gate or up.
 * Errors: MXL_INVALID_SHAPE, MXL_INVALID_DTYPE, MXL_INVALID_ARGUMENT (overlap, activation). */
mxl_status mxl_gate(int32_t activation, const mxl_tensor *gate, const mxl_tensor *up, mxl_tensor *hidden,
                    mxl_error *error);

/* The number of entries of the state dict, loaded or not. */
mxl_status mxl_layer_entry_count(const mxl_layer *layer, size_t *count, mxl_error *error);

/* Entry number index of the state dict, in the order weight, bias: what was loaded, bit for bit, for reading only.
 * Before a load, tensor.data is NULL; so is, afterwards, that of an entry which the layer does without (g_idx, perm_idx, qzeros, weight_scale):
 * leave it out of what another layer is to load. The caller calls entry->release(entry->owner) when that is not NULL; name and
 * shape are valid until then, or, when it is NULL, until the layer is destroyed. */
mxl_status mxl_layer_entry(const mxl_layer *layer, size_t index, mxl_entry *entry, mxl_error *error);

/* Fills the layer from count entries. All of the layer's keys must be there, with the layer's shapes and
 * dtype; a checkpoint's tensor (MXL_STORAGE_MAP) of another float dtype is converted. Extra entries are ignored unless
 * MXL_LOAD_STRICT. flags: MXL_LOAD_* ored together. When the call fails, nothing has changed. Rows whose elements are not
 * adjacent are copied whatever their storage.
 * Errors: MXL_MISSING_KEY, MXL_UNEXPECTED_KEY, MXL_INVALID_SHAPE, MXL_INVALID_DTYPE, MXL_INVALID_ARGUMENT (a key that
 * comes twice), MXL_ALREADY_PREPARED, MXL_OUT_OF_MEMORY, MXL_IO (a checkpoint's file that has changed, see mxl_weights). */
mxl_status mxl_layer_load(mxl_layer *layer, const mxl_entry *entries, size_t count, uint32_t flags, mxl_error *error);

/* Fills the layer from a checkpoint's tensors named prefix + key, mapped, without a copy; prefix may be NULL
 * for "". flags and errors as mxl_layer_load's; with MXL_LOAD_STRICT, tensors under another prefix are no error. */
mxl_status mxl_layer_load_weights(mxl_layer *layer, const mxl_weights *weights, const char *prefix, uint32_t flags,
                                  mxl_error *error);

/* Picks a kernel row and packs the weights for it. options may be NULL. Preparing twice with the same options
 * does nothing; with others it is MXL_ALREADY_PREPARED. MXL_NOT_LOADED before a load. Errors also: MXL_UNSUPPORTED
 * (a compute that no row has, an unknown MAXLINEAR_ISA), MXL_INVALID_ARGUMENT, MXL_OUT_OF_MEMORY, MXL_IO (a checkpoint's file that has changed). */
mxl_status mxl_layer_prepare(mxl_layer *layer, const mxl_prepare_options *options, mxl_error *error);

/* Whether a layer that mxl_linear_create makes of `options` can be prepared with `prepare` and called, before there are weights. The code of
 * these two runs as far as they do not read what weights hold, so they agree for tensors that fit: MXL_OK, or the status and the message that
 * the first of them to fail would give. Memory for the packed weights is asked for and given back; MAXLINEAR_ISA and plugins are those of
 * this moment. GPTQ's scales are taken to be float16, its groups to have group_size columns, in whatever order. prepare may be NULL.
 * *kernel is the row that would run, as mxl_layer_kernel's; kernel may be NULL, and is untouched when the call fails. Any thread.
 * Errors: those of mxl_linear_create and mxl_layer_prepare. */
mxl_status mxl_can_run(const mxl_linear_options *options, const mxl_prepare_options *prepare, const char **kernel,
                       mxl_error *error);

/* The name of the kernel row the prepared layer runs, such as mxlk_linear_f32_f32_14x32__avx512; of an MLP, the gate's. Static
 * storage. MXL_NOT_PREPARED. */
mxl_status mxl_layer_kernel(const mxl_layer *layer, const char **name, mxl_error *error);

/* y = layer(x). x is (..., in_dim), y is (..., out_dim) with x's leading dimensions; rank 1 and up, zero rows
 * are fine. Each is float32, float16 or bfloat16, with any strides whose last is 1; elements of y must not share memory
 * with one another or with x. options may be NULL. Accumulation is in float32, y is rounded to its dtype once. The
 * bits of a row of y do not depend on the number of rows, on threads, or on the CPU. y is untouched when the call
 * fails. Errors: MXL_NOT_PREPARED, MXL_INVALID_SHAPE, MXL_INVALID_DTYPE, MXL_INVALID_ARGUMENT (NULL data, an option
 * outside its range, y overlapping x), MXL_NO_DEVICE, MXL_OUT_OF_MEMORY, MXL_IO (with MXL_PACK_NEVER, a checkpoint's file that has changed).
 * With a communicator also MXL_COMMUNICATION, and the error of a rank that cannot call. */
mxl_status mxl_layer_forward(const mxl_layer *layer, const mxl_run_options *options, const mxl_tensor *x, mxl_tensor *y,
                             mxl_error *error);

/* ys[i] = layers[i](x) for 1 to 64 prepared linear layers of one in_dim, of any encodings, out_dims and biases: Q, K and V. x is read and
 * quantized once, and all run in one parallel region; the bits are those of mxl_layer_forward for each. options, x and each y as there. No y may
 * share memory with another; columns of one array do not. All ys are untouched when the call fails. Errors also: MXL_INVALID_HANDLE (layers[i]),
 * MXL_UNSUPPORTED (layers[i] is an MLP or split among devices), MXL_INVALID_SHAPE (in_dims that differ), MXL_INVALID_ARGUMENT (count). */
mxl_status mxl_layers_forward(const mxl_layer *const *layers, size_t count, const mxl_run_options *options,
                              const mxl_tensor *x, mxl_tensor *ys, mxl_error *error);

/* y = layer(x) with one x and one y for each of the layer's `count` devices, otherwise as mxl_layer_forward. The xs of an MLP and of a
 * column-parallel layer hold the same values. No y may share memory with another y or with an x; columns of one array do not. Errors also:
 * MXL_INVALID_ARGUMENT (count, xs that differ). */
mxl_status mxl_layer_forward_devices(const mxl_layer *layer, const mxl_run_options *options, const mxl_tensor *xs,
                                     mxl_tensor *ys, size_t count, mxl_error *error);

/* What device number `index` of a prepared layer has, [*begin, *end): outputs of a column-parallel layer, inputs of a row-parallel one, columns
 * of h of a distributed MLP. *count is the number of devices (with a communicator, of ranks), 0 for a layer that is not distributed. Any pointer
 * may be NULL, and with index 0 of such a layer begin and end are untouched. MXL_INVALID_ARGUMENT for an index beyond, MXL_NOT_PREPARED. */
mxl_status mxl_layer_shard(const mxl_layer *layer, size_t index, size_t *count, int64_t *begin, int64_t *end,
                           mxl_error *error);

/* What the layer holds in memory. memory->struct_size is the caller's. */
mxl_status mxl_layer_memory(const mxl_layer *layer, mxl_memory *memory, mxl_error *error);

/* One more owner of the handle; each owner calls mxl_layer_destroy. NULL is fine. */
void mxl_layer_retain(mxl_layer *layer);

/* Ends one ownership; the last frees the layer. NULL is fine. */
void mxl_layer_destroy(mxl_layer *layer);

/* The most threads a call uses unless told otherwise, and the process-wide budget of running threads. Default:
 * MAXLINEAR_NUM_THREADS, else the CPUs of the affinity mask, at most the cgroup's CPU limit rounded up. */
int32_t mxl_threads(void);

/* Sets mxl_threads(), 1 to 1024. Holds for calls that begin afterwards; any thread. */
mxl_status mxl_set_threads(int32_t threads, mxl_error *error);

/* Writes a description of this machine and the rows chosen on it as UTF-8 JSON: version, cpu features, isa,
 * threads, encodings with their rows, plugins and plugin_failures. capacity counts the NUL; *length is the full length without it, also
 * when capacity was too small (then MXL_INVALID_ARGUMENT) or text was NULL with capacity 0 (then MXL_OK).
 * MXL_UNSUPPORTED when MAXLINEAR_ISA names no known CPU variant. */
mxl_status mxl_info(char *text, size_t capacity, size_t *length, mxl_error *error);

MXL_END

#endif

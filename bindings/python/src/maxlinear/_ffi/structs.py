"""The public structs of include/maxlinear, field by field; a test compares them with the headers."""

import ctypes
from ctypes import (
    POINTER,
    Structure,
    c_char,
    c_char_p,
    c_float,
    c_int32,
    c_int64,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)

Release = ctypes.CFUNCTYPE(None, c_void_p)


class Error(Structure):
    """mxl_error"""

    _fields_ = [("struct_size", c_uint32), ("status", c_int32), ("message", c_char * 504)]


class Device(Structure):
    """mxl_device"""

    _fields_ = [("type", c_int32), ("id", c_int32)]


class Tensor(Structure):
    """mxl_tensor"""

    _fields_ = [
        ("data", c_void_p),
        ("dtype", c_int32),
        ("rank", c_int32),
        ("device", Device),
        ("shape", POINTER(c_int64)),
        ("strides", POINTER(c_int64)),
    ]


class Entry(Structure):
    """mxl_entry"""

    _fields_ = [
        ("name", c_char_p),
        ("encoding", c_char_p),
        ("tensor", Tensor),
        ("storage", c_int32),
        ("release", Release),
        ("owner", c_void_p),
    ]


class Quantization(Structure):
    """mxl_quantization"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("bits", c_int32),
        ("group_size", c_int32),
        ("desc_act", c_int32),
        ("sym", c_int32),
        ("quant_method", c_char_p),
        ("checkpoint_format", c_char_p),
    ]


class LinearOptions(Structure):
    """mxl_linear_options"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("dtype", c_int32),
        ("in_dim", c_int64),
        ("out_dim", c_int64),
        ("has_bias", c_int32),
        ("device", Device),
        ("encoding", c_char_p),
        ("name", c_char_p),
        ("clip_weight", POINTER(c_float)),
        ("quantization", POINTER(Quantization)),
    ]


class LinearV1Options(Structure):
    """mxl_linear_v1_options"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("dtype", c_int32),
        ("weight", POINTER(Entry)),
        ("bias", POINTER(Entry)),
        ("in_features", c_int64),
        ("out_features", c_int64),
        ("encoding", c_char_p),
        ("quantization", POINTER(Quantization)),
        ("perm_idx", POINTER(Entry)),
        ("weight_scale", POINTER(Entry)),
    ]


class Communicator(Structure):
    """mxl_communicator, opaque"""


CommunicatorHandle = POINTER(Communicator)


class MLPOptions(Structure):
    """mxl_mlp_options"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("dtype", c_int32),
        ("hidden_dim", c_int64),
        ("feed_forward_length", c_int64),
        ("has_bias", c_int32),
        ("activation", c_int32),
        ("encoding", c_char_p),
        ("devices", POINTER(Device)),
        ("device_count", c_size_t),
        ("quantization", POINTER(Quantization)),
        ("reduce", c_int32),
        ("communicator", CommunicatorHandle),
    ]


class ParallelOptions(Structure):
    """mxl_parallel_options"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("gather", c_int32),
        ("linear", POINTER(LinearOptions)),
        ("devices", POINTER(Device)),
        ("device_count", c_size_t),
        ("communicator", CommunicatorHandle),
    ]


class MLPWeightsOptions(Structure):
    """mxl_mlp_weights_options"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("activation", c_int32),
        ("devices", POINTER(Device)),
        ("device_count", c_size_t),
        ("quantization", POINTER(Quantization)),
        ("distributed", c_int32),
        ("reduce", c_int32),
        ("communicator", CommunicatorHandle),
    ]


class QuantizeOptions(Structure):
    """mxl_quantize_options"""

    _fields_ = [("struct_size", c_uint32), ("threads", c_int32), ("importance", POINTER(Tensor))]


class PrepareOptions(Structure):
    """mxl_prepare_options"""

    _fields_ = [("struct_size", c_uint32), ("compute", c_int32), ("pack", c_int32), ("threads", c_int32)]


class RunOptions(Structure):
    """mxl_run_options"""

    _fields_ = [("struct_size", c_uint32), ("threads", c_int32), ("accumulate", c_int32)]


class Memory(Structure):
    """mxl_memory"""

    _fields_ = [
        ("struct_size", c_uint32),
        ("reserved", c_uint32),
        ("packed", c_uint64),
        ("source", c_uint64),
        ("mapped", c_uint64),
    ]


class Layer(Structure):
    """mxl_layer, opaque"""


class Weights(Structure):
    """mxl_weights, opaque"""


LayerHandle = POINTER(Layer)
WeightsHandle = POINTER(Weights)

_error = POINTER(Error)
_status = c_int32

#: name: (result, arguments) of every exported function.
PROTOTYPES = {
    "mxl_version": (c_uint32, []),
    "mxl_abi_version": (c_uint32, []),
    "mxl_status_name": (c_char_p, [_status]),
    "mxl_dtype_name": (c_char_p, [c_int32]),
    "mxl_dtype_bits": (c_int32, [c_int32]),
    "mxl_communicator_create": (_status, [c_char_p, c_void_p, POINTER(CommunicatorHandle), _error]),
    "mxl_communicator_rank": (_status, [CommunicatorHandle, POINTER(c_int32), POINTER(c_int32), _error]),
    "mxl_communicator_abort": (_status, [CommunicatorHandle, c_char_p, _error]),
    "mxl_communicator_destroy": (None, [CommunicatorHandle]),
    "mxl_encoding_block": (_status, [c_char_p, POINTER(c_int64), POINTER(c_int64), _error]),
    "mxl_encoding_choose": (_status, [c_char_p, c_char_p, c_int64, POINTER(c_char_p), _error]),
    "mxl_quantize": (_status, [c_char_p, POINTER(QuantizeOptions), POINTER(Tensor), POINTER(Tensor), _error]),
    "mxl_dequantize": (_status, [c_char_p, POINTER(Tensor), POINTER(Tensor), _error]),
    "mxl_quantize_gptq": (
        _status,
        [POINTER(Quantization), POINTER(QuantizeOptions), *[POINTER(Tensor)] * 4, _error],
    ),
    "mxl_quantize_float8": (_status, [POINTER(QuantizeOptions), *[POINTER(Tensor)] * 3, _error]),
    "mxl_dequantize_float8": (_status, [*[POINTER(Tensor)] * 3, _error]),
    "mxl_weights_open": (_status, [POINTER(c_char_p), c_size_t, POINTER(WeightsHandle), _error]),
    "mxl_weights_count": (_status, [WeightsHandle, POINTER(c_size_t), _error]),
    "mxl_weights_entry": (_status, [WeightsHandle, c_size_t, POINTER(Entry), _error]),
    "mxl_weights_find": (_status, [WeightsHandle, c_char_p, POINTER(Entry), _error]),
    "mxl_weights_quantization": (_status, [WeightsHandle, POINTER(Quantization), _error]),
    "mxl_weights_memory": (_status, [WeightsHandle, POINTER(c_uint64), POINTER(c_uint64), _error]),
    "mxl_weights_destroy": (None, [WeightsHandle]),
    "mxl_linear_create": (_status, [POINTER(LinearOptions), POINTER(LayerHandle), _error]),
    "mxl_linear_v1_create": (_status, [POINTER(LinearV1Options), POINTER(LayerHandle), _error]),
    "mxl_mlp_create": (_status, [POINTER(MLPOptions), POINTER(LayerHandle), _error]),
    "mxl_mlp_create_from": (_status, [LayerHandle] * 3 + [c_int32, POINTER(LayerHandle), _error]),
    "mxl_mlp_create_from_weights": (
        _status,
        [WeightsHandle, c_int64, POINTER(MLPWeightsOptions), POINTER(LayerHandle), _error],
    ),
    "mxl_distributed_mlp_create": (_status, [POINTER(MLPOptions), POINTER(LayerHandle), _error]),
    "mxl_column_parallel_create": (_status, [POINTER(ParallelOptions), POINTER(LayerHandle), _error]),
    "mxl_row_parallel_create": (_status, [POINTER(ParallelOptions), POINTER(LayerHandle), _error]),
    "mxl_gate": (_status, [c_int32, POINTER(Tensor), POINTER(Tensor), POINTER(Tensor), _error]),
    "mxl_layer_entry_count": (_status, [LayerHandle, POINTER(c_size_t), _error]),
    "mxl_layer_entry": (_status, [LayerHandle, c_size_t, POINTER(Entry), _error]),
    "mxl_layer_load": (_status, [LayerHandle, POINTER(Entry), c_size_t, c_uint32, _error]),
    "mxl_layer_load_weights": (_status, [LayerHandle, WeightsHandle, c_char_p, c_uint32, _error]),
    "mxl_layer_prepare": (_status, [LayerHandle, POINTER(PrepareOptions), _error]),
    "mxl_can_run": (_status, [POINTER(LinearOptions), POINTER(PrepareOptions), POINTER(c_char_p), _error]),
    "mxl_layer_kernel": (_status, [LayerHandle, POINTER(c_char_p), _error]),
    "mxl_layer_forward": (_status, [LayerHandle, POINTER(RunOptions), POINTER(Tensor), POINTER(Tensor), _error]),
    "mxl_layers_forward": (
        _status,
        [POINTER(LayerHandle), c_size_t, POINTER(RunOptions), POINTER(Tensor), POINTER(Tensor), _error],
    ),
    "mxl_layer_forward_devices": (
        _status,
        [LayerHandle, POINTER(RunOptions), POINTER(Tensor), POINTER(Tensor), c_size_t, _error],
    ),
    "mxl_layer_shard": (
        _status,
        [LayerHandle, c_size_t, POINTER(c_size_t), POINTER(c_int64), POINTER(c_int64), _error],
    ),
    "mxl_layer_memory": (_status, [LayerHandle, POINTER(Memory), _error]),
    "mxl_layer_retain": (None, [LayerHandle]),
    "mxl_layer_destroy": (None, [LayerHandle]),
    "mxl_threads": (c_int32, []),
    "mxl_set_threads": (_status, [c_int32, _error]),
    "mxl_plugin_load": (_status, [c_char_p, _error]),
    "mxl_info": (_status, [c_char_p, c_size_t, POINTER(c_size_t), _error]),
}

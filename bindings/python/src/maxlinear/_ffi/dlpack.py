"""Tensors that numpy's from_dlpack does not take: bfloat16 and 8-bit floats, read from the DLPack capsule itself.

The structs are those of dlpack.h (https://github.com/dmlc/dlpack), the unversioned exchange.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from ..dtype import DType

_CPU = 1

#: ml_dtypes' names of DLPack's (code, bits); the 8-bit floats are those of version 1.1.
_NAMES = {(4, 16): "bfloat16", (10, 8): "float8_e4m3fn", (12, 8): "float8_e5m2"}


class _Tensor(ctypes.Structure):
    """DLTensor"""

    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("rank", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


_get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_get_pointer.restype = ctypes.c_void_p
_get_pointer.argtypes = [ctypes.py_object, ctypes.c_char_p]


class _Memory:
    """The tensor's bytes as integers, for numpy. Keeps the capsule, whose destructor gives the tensor back."""

    def __init__(self, capsule: Any, tensor: _Tensor) -> None:
        self.capsule = capsule
        shape = tuple(tensor.shape[axis] for axis in range(tensor.rank))
        strides = None
        if tensor.strides:
            strides = tuple(tensor.bits // 8 * tensor.strides[axis] for axis in range(tensor.rank))
        self.__array_interface__ = {
            "shape": shape,
            "typestr": f"<u{tensor.bits // 8}",
            "data": ((tensor.data or 0) + tensor.byte_offset, True),
            "strides": strides,
            "version": 3,
        }


def extension_from_dlpack(value: Any) -> np.ndarray[Any, Any] | None:
    """A read-only view of a bfloat16 or float8 tensor on the CPU; None for any other. A float8 one is uint8 where ml_dtypes is missing."""
    try:
        capsule = value.__dlpack__()
        pointer = _get_pointer(capsule, b"dltensor")
    except (BufferError, RuntimeError, TypeError, ValueError):  # not to be exported, or another kind of capsule
        return None
    tensor = _Tensor.from_address(pointer)
    name = _NAMES.get((tensor.code, tensor.bits))
    if name is None or (tensor.lanes, tensor.device_type) != (1, _CPU):
        return None
    array: np.ndarray[Any, Any] = np.asarray(_Memory(capsule, tensor)).view(DType[name]._to_array_dtype())
    return array

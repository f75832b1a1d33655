"""Between numpy arrays and mxl_tensor, without copies."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtype import DType
from . import constants
from .dlpack import extension_from_dlpack
from .structs import Tensor


def as_array(value: Any, argument: str) -> np.ndarray[Any, Any]:
    """The value as a numpy array, without a copy where it has memory: numpy, DLPack, the buffer protocol. Nested sequences
    and numbers become float32."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__dlpack__"):
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            narrow = extension_from_dlpack(value)
            if narrow is not None:
                return narrow
            raise TypeError(f"{argument}: DLPack says {error}, expected what it can hand over") from error
    if isinstance(value, (int, float, Sequence)) and not isinstance(value, (str, bytes, bytearray, memoryview)):
        return np.asarray(value, np.float32)
    try:
        return np.asarray(memoryview(value))
    except TypeError:
        raise TypeError(f"{argument}: is a {type(value).__name__}, expected an array") from None


def rows_contiguous(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array, or a copy of it when the elements of its last dimension are not adjacent."""
    size = array.dtype.itemsize
    adjacent = array.ndim == 0 or array.shape[-1] <= 1 or array.strides[-1] == size
    if adjacent and all(stride % size == 0 for stride in array.strides):
        return array
    return np.ascontiguousarray(array)


def address(array: np.ndarray[Any, Any]) -> int:
    """Where the first element is."""
    return int(array.__array_interface__["data"][0])


def tensor_of(array: np.ndarray[Any, Any]) -> Tensor:
    """A view of the array. Whoever uses it keeps the array alive. TypeError for a dtype that is none of the library's."""
    rank = array.ndim
    size = array.dtype.itemsize
    tensor = Tensor(
        data=address(array),
        dtype=DType.from_numpy(array.dtype).value,
        rank=rank,
        shape=(ctypes.c_int64 * max(rank, 1))(*array.shape),
        strides=(ctypes.c_int64 * max(rank, 1))(*(stride // size for stride in array.strides)),
    )
    tensor.device.type = constants.MXL_DEVICE_CPU
    return tensor


def shape_of(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape[axis] for axis in range(tensor.rank))


def array_of(tensor: Tensor, owner: Any) -> np.ndarray[Any, Any]:
    """A read-only view of the tensor's memory, which owner keeps alive. TypeError for a dtype that numpy has not; 8-bit floats are uint8
    where ml_dtypes is missing."""
    dtype = DType(tensor.dtype)._to_array_dtype()
    shape = shape_of(tensor)
    count = int(np.prod(shape, dtype=np.int64))
    if count == 0:
        array = np.empty(shape, dtype)
    else:
        last = (
            sum(tensor.strides[axis] * (shape[axis] - 1) for axis in range(tensor.rank))
            if tensor.strides
            else count - 1
        )
        memory = _Memory(tensor.data, (last + 1) * dtype.itemsize, owner)
        flat = np.asarray(memory).view(dtype)
        strides = [tensor.strides[axis] * dtype.itemsize for axis in range(tensor.rank)] if tensor.strides else None
        array = flat.reshape(shape) if strides is None else np.lib.stride_tricks.as_strided(flat, shape, strides)
    array.flags.writeable = False
    return array


class _Memory:
    """Bytes at an address, for numpy; keeps their owner."""

    def __init__(self, data: int, size: int, owner: Any) -> None:
        self.owner = owner
        self.__array_interface__ = {"shape": (size,), "typestr": "|u1", "data": (data, True), "version": 3}

"""Between numpy arrays and mxl_tensor, without copies."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..dtype import DType
from ..errors import ArgumentError, DTypeError, integer
from . import constants
from .dlpack import extension_from_dlpack
from .structs import Tensor


def as_array(value: Any, argument: str, dtype: Any = np.float32) -> np.ndarray[Any, Any]:
    """The value as a numpy array, without a copy where it has memory: numpy, DLPack, the buffer protocol, a tensor of a checkpoint. Nested
    sequences without memory and numbers become of dtype, float32 where that is for whole numbers and they are not."""
    if isinstance(value, np.ndarray):
        return value
    if hasattr(value, "__dlpack__"):
        try:
            return np.from_dlpack(value)
        except (BufferError, RuntimeError, TypeError, ValueError) as error:
            narrow = extension_from_dlpack(value)
            if narrow is not None:
                return narrow
            message = f"{argument}: DLPack says {error}, expected what it can hand over"
            raise DTypeError("MXL_INVALID_DTYPE", message) from error
    if isinstance(value, (int, float, list, tuple, range)):
        return _numbers(value, argument, dtype)
    try:
        memory = memoryview(value)
    except TypeError:
        from ..graph.weights import WeightData, Weights

        if isinstance(value, (WeightData, Weights)):
            return value.numpy()
        if isinstance(value, Sequence) and not isinstance(value, str):
            return _numbers(value, argument, dtype)
        message = f"{argument}: is a {type(value).__name__}, expected an array"
        raise DTypeError("MXL_INVALID_DTYPE", message) from None
    return np.asarray(memory)


def _numbers(value: Any, argument: str, dtype: Any) -> np.ndarray[Any, Any]:
    """A number or a nested sequence of them as an array of dtype, or float32."""
    try:
        if dtype is not np.float32 and np.asarray(value).dtype.kind not in "iu":
            dtype = np.float32
        return np.asarray(value, dtype)
    except (OverflowError, TypeError, ValueError) as error:
        message = f"{argument}: numpy says {error}, expected numbers in rows of one length"
        raise ArgumentError("MXL_INVALID_ARGUMENT", message) from error


def as_int32(array: np.ndarray[Any, Any], argument: str) -> np.ndarray[Any, Any]:
    """An array of integers as int32; any other as it is. Raises ValueError for numbers that do not fit."""
    if array.dtype.kind not in "iu" or array.dtype == np.int32:
        return array
    if array.size:
        for number in (array.min(), array.max()):
            integer(number, 32, argument)
    return array.astype(np.int32)


def rows_contiguous(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array, or a copy of it when the elements of its last dimension are not adjacent."""
    adjacent = array.ndim == 0 or array.shape[-1] <= 1 or array.strides[-1] == array.itemsize
    return whole_strides(array) if adjacent else np.ascontiguousarray(array)


def whole_strides(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array, or a copy of it when its elements do not lie whole elements apart, as in a field of packed records."""
    return array if _has_whole_strides(array) else np.ascontiguousarray(array)


def _has_whole_strides(array: np.ndarray[Any, Any]) -> bool:
    if array.flags.c_contiguous:
        return True
    size = max(array.itemsize, 1)
    return all(count <= 1 or stride % size == 0 for count, stride in zip(array.shape, array.strides, strict=True))


def rows_of(value: Any, argument: str) -> np.ndarray[Any, Any]:
    """The value as an array in C order of rank 1 or more, which one that is a number has not."""
    array = as_array(value, argument)
    if array.ndim == 0:
        raise ArgumentError("MXL_INVALID_SHAPE", f"{argument}: shape is [], expected one dimension or more")
    return np.ascontiguousarray(array)


def address(array: np.ndarray[Any, Any]) -> int:
    """Where the first element is."""
    return int(array.__array_interface__["data"][0])


def dtype_of(array: np.ndarray[Any, Any], argument: str) -> DType:
    """The array's dtype. TypeError for one that is none of the library's."""
    known = _dtypes.get(array.dtype)
    if known is None:
        known = _dtypes[array.dtype] = DType._of(array.dtype, f"{argument}: dtype is")
    return known


#: Those asked for so far: numpy composes a dtype's name anew each time.
_dtypes: dict[np.dtype[Any], DType] = {}


def tensor_of(array: np.ndarray[Any, Any], argument: str) -> Tensor:
    """A view of the array. Whoever uses it keeps the array alive. TypeError for a dtype that is none of the library's, ValueError for strides
    that are no whole elements, in which the library counts them."""
    dtype = dtype_of(array, argument)
    rank = array.ndim
    size = array.itemsize
    if not _has_whole_strides(array):
        message = f"{argument}: strides are {list(array.strides)} bytes, expected multiples of an element's {size}"
        raise ArgumentError("MXL_INVALID_SHAPE", message)
    tensor = Tensor(
        data=address(array),
        dtype=dtype.value,
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

"""Between arrays and 8-bit floats with their scales."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from ._ffi import structs
from ._ffi.library import library
from ._ffi.tensors import as_array, dtype_of, rows_of, tensor_of
from .dtype import DType
from .errors import ArgumentError, DTypeError, check, integer, new_error

Array = np.ndarray[Any, Any]


def _view(array: Array, dtype: DType) -> structs.Tensor:
    """The array's bytes as elements of dtype."""
    tensor = tensor_of(array.view(np.uint8), "weight")
    tensor.dtype = dtype.value
    return tensor


def quantize_float8(
    array: Any, dtype: DType = DType.float8_e4m3fn, scale: str | None = "row", *, threads: int | None = None
) -> dict[str, Array]:
    """An array rounded to the nearest 8-bit floats, ties to even, the same bytes on every CPU and any number of threads.

    Args:
        array: (..., K) of any rank from 1, float32, float16 or bfloat16: an array, or a tensor of a checkpoint.
        dtype: `DType.float8_e4m3fn` or `DType.float8_e5m2`.
        scale: "row" for one scale a row, "tensor" for one, with which the largest magnitude becomes the format's largest, 448 or 57344
            (1 for zeros); None for none: what is beyond the format becomes an infinity, or, as E4M3 has none, NaN, as ml_dtypes' cast does.
        threads: the most to use.

    Returns:
        What a layer loads and a checkpoint holds: "weight", of the array's shape (uint8 where ml_dtypes is missing), and with a scale
        "weight_scale", float32, (rows, 1) or ().

    Raises:
        maxlinear.Error: a value that is not finite where there is a scale, a shape (ValueError), a dtype (TypeError).
    """
    if scale not in (None, "row", "tensor"):
        message = f"scale: is {scale!r}, expected 'row', 'tensor' or None"
        raise ArgumentError("MXL_INVALID_ARGUMENT", message)
    DType._number(dtype)
    values = rows_of(array, "array")
    state: dict[str, Array] = {
        "weight": np.empty(values.shape, dtype._to_array_dtype() if dtype._is_float8 else np.uint8)
    }
    if scale is not None:
        rows = int(np.prod(values.shape[:-1], dtype=np.int64))
        state["weight_scale"] = np.empty((rows, 1) if scale == "row" else (), np.float32)
    options = structs.QuantizeOptions(
        struct_size=ctypes.sizeof(structs.QuantizeOptions),
        threads=0 if threads is None else integer(threads, 32, "threads"),
    )
    views = [tensor_of(values, "array"), _view(state["weight"], dtype)]
    scales = ctypes.pointer(tensor_of(state["weight_scale"], "weight_scale")) if scale is not None else None
    error = new_error()
    arguments = (ctypes.byref(options), *(ctypes.byref(view) for view in views), scales, error)
    check(library.mxl_quantize_float8(*arguments), error, {"values": "array", "weight: dtype": "dtype:"})
    return state


def dequantize_float8(
    weight: Any, weight_scale: Any = None, dtype: DType = DType.float32, *, float8: DType | None = None
) -> Array:
    """weight · weight_scale in float32, rounded to dtype.

    Args:
        weight: (..., K) of any rank from 1: a float8 array, a checkpoint's tensor, or uint8.
        weight_scale: one number, or one a row, (rows) or (rows, 1); None for 1.
        dtype: of the result: float32, float16 or bfloat16.
        float8: what uint8 elements are.

    Raises:
        maxlinear.Error: shapes that do not fit (ValueError), a dtype (TypeError).
    """
    from .graph.weights import WeightData, Weights

    DType._number(dtype)
    given = float8
    if given is not None:
        DType._number(given, "float8")
    stored, scale = (value.data() if isinstance(value, Weights) else value for value in (weight, weight_scale))
    if float8 is None and isinstance(stored, WeightData):
        float8 = stored.dtype
    codes = rows_of(stored, "weight")
    if float8 is None:
        float8 = dtype_of(codes, "weight")
    scales = None
    if scale is not None:
        narrow = as_array(scale, "weight_scale")
        scales = np.asarray(narrow.astype(np.float32, copy=False), np.float32, order="C")
    if codes.dtype.itemsize != 1:
        raise DTypeError("MXL_INVALID_DTYPE", f"weight: dtype is {codes.dtype}, expected 8-bit floats or uint8")
    values = np.empty(codes.shape, dtype.to_numpy())
    view, result = _view(codes, float8), tensor_of(values, "values")
    factor = None if scales is None else ctypes.pointer(tensor_of(scales, "weight_scale"))
    error = new_error()
    status = library.mxl_dequantize_float8(ctypes.byref(view), factor, ctypes.byref(result), error)
    of_codes = {} if given is None else {"weight: dtype": "float8:"}
    check(status, error, {"values: dtype": "dtype:", "scale": "weight_scale", **of_codes})
    return values


__all__ = ["dequantize_float8", "quantize_float8"]

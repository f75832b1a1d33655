"""Several linear layers over one x."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .._ffi import structs
from .._ffi.library import library
from .._ffi.tensors import as_array, rows_contiguous, tensor_of
from ..dtype import DType
from ..errors import ArgumentError, DTypeError, check, listed, new_error
from ._options import run_options
from .module import Array, Module, _is_plain, check_accumulate, writable

#: mxl_layers_forward with plain addresses, which ctypes passes fastest.
_forward = ctypes.CFUNCTYPE(
    ctypes.c_int32, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p
)(("mxl_layers_forward", library))


class _Call:
    """The C structs of calls of some layers with one shape of x, contiguous float32 in and out, reused by one thread."""

    def __init__(self, layers: Sequence[Module], shape: tuple[int, ...]) -> None:
        self.layers = [weakref.ref(layer) for layer in layers]
        self.out_shapes = [(*shape[:-1], layer._out_dim) for layer in layers]
        self.handles = (structs.LayerHandle * len(layers))(*(layer._handle for layer in layers))
        self.x = structs.Tensor()
        self.ys = (structs.Tensor * len(layers))()
        for tensor, sizes in zip((self.x, *self.ys), (shape, *self.out_shapes), strict=True):
            tensor.dtype = DType.float32.value
            tensor.rank = len(sizes)
            tensor.shape = (ctypes.c_int64 * len(sizes))(*sizes)
        self.error = new_error()
        parts = (self.handles, len(layers), None, self.x, self.ys, self.error)
        self.arguments = [part if part is None or isinstance(part, int) else ctypes.addressof(part) for part in parts]

    @classmethod
    def of(cls, layers: Sequence[Module], shape: tuple[int, ...]) -> _Call | None:
        """The one kept from the last time, else a new one; None for what has to be checked."""
        # An MLP of layers of another class has no calls of its own.
        if not shape or not layers or not isinstance(layers[0], Module) or "_calls" not in layers[0].__dict__:
            return None
        kept: dict[Any, Any] = layers[0]._calls.__dict__
        key = (shape, *map(id, layers))
        call: _Call | None = kept.get(key)
        if call is None or any(known() is not layer for known, layer in zip(call.layers, layers, strict=True)):
            if any(not isinstance(layer, Module) or type(layer).__call__ is not Module.__call__ for layer in layers):
                return None
            if len(kept) > 64:
                kept.clear()
            call = kept[key] = cls(layers, shape)
        return call

    def run(self, x: Array, out: tuple[Array, ...] | None) -> tuple[Array, ...] | None:
        """The layers' ys, or None where something has to be checked, said or prepared."""
        if out is None:
            ys = tuple([np.empty(shape, np.float32) for shape in self.out_shapes])
        else:
            ys = out
            if len(ys) != len(self.out_shapes):
                return None
            for y, shape in zip(ys, self.out_shapes, strict=True):
                if not _is_plain(y) or y.shape != shape or not y.flags.writeable:
                    return None
        self.x.data = x.__array_interface__["data"][0]
        for tensor, y in zip(self.ys, ys, strict=True):
            tensor.data = y.__array_interface__["data"][0]
        return ys if _forward(*self.arguments) == 0 else None


def forward_together(
    layers: Sequence[Module],
    x: Any,
    out: Iterable[Array] | None = None,
    *,
    accumulate: bool = False,
    threads: int | None = None,
) -> tuple[Array, ...]:
    """The layers' ys of one x: Q, K and V. x is read and quantized once, and all layers run in one parallel region.

    Args:
        layers: 1 to 64 linear layers of one in_dim, of any encodings, out_dims and biases; prepared where they are not.
        x: (..., in_dim) of any rank from 1, float32, float16 or bfloat16, as a layer takes it.
        out: one array a layer, (..., out_dim), written in place; columns of one array are fine. New arrays when None.
        accumulate: add to out instead of writing it.
        threads: the most threads this call may use.

    Returns:
        out, or new arrays of x's dtype: the bits of the layers called one by one.

    Raises:
        maxlinear.Error: a number of layers, a shape that does not fit (ValueError), a dtype, an MLP, a layer that is split among devices, one
            whose class has a call of its own, or no layer (TypeError), no weights yet (RuntimeError). No array has changed then.
    """
    layers = listed(layers, "layers")
    out = None if out is None else tuple(listed(out, "out"))
    if threads is None and not accumulate and _is_plain(x):
        call = _Call.of(layers, x.shape)
        done = call.run(x, out) if call is not None else None
        if done is not None:
            return done
    for index, layer in enumerate(layers):
        if not isinstance(layer, Module) or type(layer).__call__ is not Module.__call__:
            message = f"layers[{index}]: is a {type(layer).__name__}, expected a linear layer of maxlinear.nn"
            raise DTypeError("MXL_INVALID_DTYPE", message)
        layer._ensure_prepared()
    source = rows_contiguous(as_array(x, "x"))
    check_accumulate(accumulate, out)
    if out is None:
        ys = tuple(np.empty((*source.shape[:-1], layer._out_dim), source.dtype) for layer in layers)
    else:
        ys = out
        if len(ys) != len(layers):
            raise ArgumentError(
                "MXL_INVALID_ARGUMENT", f"out: there are {len(ys)}, expected one for each of the {len(layers)} layers"
            )
        for index, y in enumerate(ys):
            writable(y, f"out[{index}]")
    handles = (structs.LayerHandle * max(len(layers), 1))(*(layer._handle for layer in layers))
    views = (tensor_of(y, f"out[{index}]") for index, y in enumerate(ys))
    y_tensors = (structs.Tensor * max(len(layers), 1))(*views)
    options = run_options(threads, accumulate)
    x_tensor = tensor_of(source, "x")
    error = new_error()
    arguments = (handles, len(layers), ctypes.byref(options), ctypes.byref(x_tensor), y_tensors, error)
    check(library.mxl_layers_forward(*arguments), error, {"y": "out", "ys": "out"})
    return ys


__all__ = ["forward_together"]

"""Three linear layers at hand, and what is between them: y = down(activation(gate x) · (up x))."""

from __future__ import annotations

import ctypes
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .._ffi import constants
from .._ffi.library import library
from .._ffi.tensors import as_array, dtype_of, tensor_of
from ..dtype import DType
from ..errors import ArgumentError, DTypeError, check, choice, integer, new_error
from ..graph.weight import Weight
from ..graph.weights import Weights
from ._options import new_handle
from .module import Array, Module, check_accumulate, writable

__all__ = ["gate"]

_ACTIVATIONS = {
    "silu": constants.MXL_ACTIVATION_SILU,
    "gelu": constants.MXL_ACTIVATION_GELU,
    "gelu_tanh": constants.MXL_ACTIVATION_GELU_TANH,
    "relu": constants.MXL_ACTIVATION_RELU,
    "tanh": constants.MXL_ACTIVATION_TANH,
    "sigmoid": constants.MXL_ACTIVATION_SIGMOID,
}

#: Of mxl_set_threads.
_MOST_THREADS = 1024

PARTS = ("gate_proj", "down_proj", "up_proj")


def activation_number(name: str) -> int:
    """The library's number of an activation function."""
    return choice(_ACTIVATIONS, name, "activation_function")


def gate(activation_function: str, gate: Array, up: Array) -> Array:
    """activation(gate) · up, element by element.

    Args:
        activation_function: "silu", "gelu", "gelu_tanh", "relu", "tanh" or "sigmoid".
        gate, up: float32, of one shape.

    Returns:
        A new float32 array of that shape.

    Raises:
        maxlinear.Error: shapes that do not fit (ValueError), another dtype (TypeError).
    """
    # Names keep the copies alive: a tensor is a view.
    gates, ups = (np.asarray(as_array(value, name), order="C") for name, value in (("gate", gate), ("up", up)))
    hidden = np.empty(gates.shape, np.float32)
    error = new_error()
    views = (tensor_of(gates, "gate"), tensor_of(ups, "up"), tensor_of(hidden, "hidden"))
    number = activation_number(activation_function)
    check(library.mxl_gate(number, *(ctypes.byref(view) for view in views), error), error)
    return hidden


class _Fused(Module):
    """Three linear layers as they are now, as one."""

    def __init__(self, linears: Sequence[Module], activation: int, out_dim: int) -> None:
        handles = (linear._handle for linear in linears)
        self._own(new_handle(library.mxl_mlp_create_from, *handles, activation))
        self._columns = out_dim

    @property
    def _out_dim(self) -> int:
        return self._columns


class Gated:
    """The three linear layers of an MLP, called as one where nobody has overridden their call."""

    def __init__(self, linears: Sequence[Module], activation_function: str) -> None:
        self.linears = tuple(linears)
        self.activation_function = activation_function
        self._latest: tuple[Any, _Fused] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_latest": None}

    def _fused(self) -> _Fused | None:
        if any(type(linear).__call__ is not Module.__call__ for linear in self.linears):
            return None
        # Read before anything is made of the layers, so that what another thread changes meanwhile is made again.
        key = tuple(linear._changes for linear in self.linears)
        latest = self._latest
        if latest is None or latest[0] != key:
            for linear in self.linears:
                linear._ensure_prepared()
            fused = self._snapshot(self.linears[1]._out_dim)
            fused.prepare()
            latest = self._latest = (key, fused)
        return latest[1]

    def _snapshot(self, out_dim: int = 0) -> _Fused:
        return _Fused(self.linears, activation_number(self.activation_function), out_dim)

    def __call__(self, x: Any, out: Array | None, accumulate: bool, threads: int | None) -> Array:
        fused = self._fused()
        if fused is not None:
            return fused(x, out, accumulate=accumulate, threads=threads)
        source = _floats(as_array(x, "x"), "x")
        check_accumulate(accumulate, out)
        if out is not None:
            _floats(writable(out, "out"), "out")
        _check_threads(threads)
        wide = source.astype(np.float32, copy=False)
        for part, linear in zip(PARTS, self.linears, strict=True):
            if not callable(linear):
                message = f"{part}: is a {type(linear).__name__}, expected a layer"
                raise DTypeError("MXL_INVALID_DTYPE", message)
        gate_proj, down_proj, up_proj = self.linears
        gates, ups = _called(gate_proj, wide, threads), _called(up_proj, wide, threads)
        y = _called(down_proj, gate(self.activation_function, gates, ups), threads)
        if out is None:
            return y.astype(source.dtype, copy=False)
        if out.shape != y.shape:
            message = f"out: shape is {list(out.shape)}, expected {list(y.shape)} as x is {list(source.shape)}"
            raise ArgumentError("MXL_INVALID_SHAPE", message)
        out[...] = (out + y if accumulate else y).astype(out.dtype, copy=False)
        return out

    def weights(self) -> list[Weight]:
        return [
            Weight(f"{part}.{weight.name}", weight.dtype, weight.shape, weight.device, weight.quantization_encoding)
            for part, linear in zip(PARTS, self.linears, strict=True)
            for weight in linear.weights
        ]

    def load_state_dict(self, state_dict: Mapping[str, Any], **options: Any) -> None:
        """Each linear's own entries, once a layer that shares the three has taken all, so that a failed load changes nothing."""
        self._snapshot().load_state_dict(state_dict, **options)
        for part, linear in zip(PARTS, self.linears, strict=True):
            own = {
                key.removeprefix(f"{part}."): value for key, value in state_dict.items() if key.startswith(f"{part}.")
            }
            linear.load_state_dict(own, **options)

    def load_weights(self, weights: Weights, prefix: str, **options: Any) -> None:
        """As `load_state_dict`."""
        self._snapshot().load_weights(weights, prefix, **options)
        for part, linear in zip(PARTS, self.linears, strict=True):
            linear.load_weights(weights, f"{prefix}{part}.", **options)

    def state_dict(self, auto_initialize: bool) -> dict[str, Array]:
        return {
            f"{part}.{key}": value
            for part, linear in zip(PARTS, self.linears, strict=True)
            for key, value in linear.state_dict(auto_initialize).items()
        }

    def prepare(self, compute: str | None, pack: str | None, threads: int | None) -> None:
        for linear in self.linears:
            linear.prepare(compute=compute, pack=pack, threads=threads)

    def memory(self) -> dict[str, int]:
        each = [linear.memory() for linear in self.linears]
        return {kind: sum(memory[kind] for memory in each) for kind in each[0]}


def _called(linear: Module, x: Array, threads: int | None) -> Array:
    """y = linear(x) on at most so many threads, where its call can be told."""
    return linear(x) if threads is None or not _takes_threads(linear) else linear(x, threads=threads)


def _takes_threads(linear: Module) -> bool:
    """Whether the call is the library's, or one of its own that has threads, or keywords that it passes on."""
    if type(linear).__call__ is Module.__call__:
        return True
    try:
        parameters = inspect.signature(linear).parameters
    except (TypeError, ValueError):
        return False
    any_keyword = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    own = parameters.get("threads")
    return any_keyword if own is None else own.kind in (own.KEYWORD_ONLY, own.POSITIONAL_OR_KEYWORD)


def _floats(array: Array, argument: str) -> Array:
    """The array, once it is of a dtype and rank that a library layer takes."""
    dtype = dtype_of(array, argument)
    if dtype not in (DType.float32, DType.float16, DType.bfloat16):
        message = f"{argument}: dtype is {dtype.name}, expected float32, float16 or bfloat16"
        raise DTypeError("MXL_INVALID_DTYPE", message)
    if array.ndim == 0:
        raise ArgumentError("MXL_INVALID_SHAPE", f"{argument}: rank is 0, expected 1 or more")
    return array


def _check_threads(threads: int | None) -> None:
    """Raises ValueError for what no call takes."""
    if threads is not None and not 0 <= integer(threads, 32, "threads") <= _MOST_THREADS:
        message = f"threads: is {threads}, expected 1 to {_MOST_THREADS}, or 0 for the default"
        raise ArgumentError("MXL_INVALID_ARGUMENT", message)

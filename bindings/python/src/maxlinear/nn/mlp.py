"""Gated MLPs: y = down(activation(gate x) · (up x))."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .._ffi import constants, structs
from .._ffi.library import library
from .._ffi.tensors import as_array, tensor_of
from ..dtype import DType
from ..errors import ArgumentError, check, integer, new_error
from ..graph.device import DeviceRef
from ..graph.quantization import QuantizationEncoding
from ..graph.weight import Weight
from .linear import Linear, LinearV2
from .module import Array, Module

__all__ = ["MLP", "MLPV2", "gate"]

_ACTIVATIONS = {
    "silu": constants.MXL_ACTIVATION_SILU,
    "gelu": constants.MXL_ACTIVATION_GELU,
    "gelu_tanh": constants.MXL_ACTIVATION_GELU_TANH,
    "relu": constants.MXL_ACTIVATION_RELU,
    "tanh": constants.MXL_ACTIVATION_TANH,
    "sigmoid": constants.MXL_ACTIVATION_SIGMOID,
}

_PARTS = ("gate_proj", "down_proj", "up_proj")


def _activation(name: str) -> int:
    if name not in _ACTIVATIONS:
        known = ", ".join(_ACTIVATIONS)
        message = f"activation_function: is {name!r}, expected one of {known}"
        raise ArgumentError("MXL_INVALID_ARGUMENT", message)
    return _ACTIVATIONS[name]


def gate(activation_function: str, gate: Array, up: Array) -> Array:
    """activation(gate) · up, element by element: float32 arrays of one shape.

    Raises:
        maxlinear.Error: shapes or strides that do not fit (ValueError), another dtype (TypeError).
    """
    hidden = np.empty(gate.shape, np.float32)
    error = new_error()
    views = (tensor_of(np.ascontiguousarray(gate)), tensor_of(np.ascontiguousarray(up)), tensor_of(hidden))
    number = _activation(activation_function)
    check(library.mxl_gate(number, *(ctypes.byref(view) for view in views), error), error)
    return hidden


def _composed(activation_function: str, x: Any, layers: Sequence[Callable[[Array], Array]]) -> Array:
    """The MLP of three layers called one by one, with float32 between them."""
    source = as_array(x, "x")
    wide = source.astype(np.float32, copy=False)
    hidden = gate(activation_function, layers[0](wide), layers[2](wide))
    return layers[1](hidden).astype(source.dtype, copy=False)


class MLP:
    """y = down(silu(gate x) · (up x)), of three layers at hand.

    Args:
        gate_proj, up_proj: (feed_forward_length, hidden_dim).
        down_proj: (hidden_dim, feed_forward_length).

    The hidden vector is float32. The bits are those of `MLPV2` on the same weights.
    """

    def __init__(self, gate_proj: Linear, down_proj: Linear, up_proj: Linear) -> None:
        self.gate_proj = gate_proj
        self.down_proj = down_proj
        self.up_proj = up_proj

    def __call__(self, x: Any) -> Array:
        """y = mlp(x); x is (..., hidden_dim), float32, float16 or bfloat16, y has its dtype."""
        return _composed("silu", x, (self.gate_proj, self.down_proj, self.up_proj))


class MLPV2(Module):
    """y = down(activation(gate x) · (up x)), with the weights from a state dict.

    Keys: "gate_proj.weight", "gate_proj.bias", "down_proj.weight", ..., "up_proj.bias".

    Args:
        dtype: of weights and biases; with an encoding uint8, or the biases' dtype.
        quantization_encoding: of the three weights; None for dense.
        hidden_dim, feed_forward_length: gate and up are (feed_forward_length, hidden_dim), down is the other way round.
        linear_cls: makes the three linears, called by keyword. Where it is `LinearV2` itself, the MLP runs fused: gate and up in
            one pass over x, with the bits of the three linears called one by one.
        devices: the first is used; none means the CPU.
        activation_function: "silu", "gelu", "gelu_tanh", "relu", "tanh" or "sigmoid".

    Raises:
        maxlinear.Error: an argument that does not fit (ValueError).
    """

    def __init__(
        self,
        dtype: DType,
        quantization_encoding: QuantizationEncoding | None,
        hidden_dim: int,
        feed_forward_length: int,
        linear_cls: Callable[..., LinearV2] = LinearV2,
        devices: Sequence[DeviceRef] = (),
        has_bias: bool = False,
        activation_function: str = "silu",
    ) -> None:
        self.dtype = dtype
        self.quantization_encoding = quantization_encoding
        self.hidden_dim = hidden_dim
        self.feed_forward_length = feed_forward_length
        self.devices = tuple(devices) or (DeviceRef.CPU(),)
        self.has_bias = has_bias
        self.activation_function = activation_function
        number = _activation(activation_function)
        self._linears: dict[str, LinearV2] | None = None
        if linear_cls is LinearV2:
            self._make(number)
            return
        shapes = [
            (hidden_dim, feed_forward_length),
            (feed_forward_length, hidden_dim),
            (hidden_dim, feed_forward_length),
        ]
        self._linears = {
            part: linear_cls(
                in_dim=in_dim,
                out_dim=out_dim,
                dtype=dtype,
                device=self.devices[0],
                quantization_encoding=quantization_encoding,
                has_bias=has_bias,
            )
            for part, (in_dim, out_dim) in zip(_PARTS, shapes, strict=True)
        }

    def _make(self, activation: int) -> None:
        devices = (structs.Device * len(self.devices))(
            *(structs.Device(device._number, integer(device.id, 32, "devices")) for device in self.devices)
        )
        encoding = self.quantization_encoding
        options = structs.MLPOptions(
            struct_size=ctypes.sizeof(structs.MLPOptions),
            dtype=self.dtype.value,
            hidden_dim=integer(self.hidden_dim, 64, "hidden_dim"),
            feed_forward_length=integer(self.feed_forward_length, 64, "feed_forward_length"),
            has_bias=int(self.has_bias),
            activation=activation,
            encoding=None if encoding is None else encoding.name.encode(),
            devices=devices,
            device_count=len(self.devices),
        )
        handle = structs.LayerHandle()
        error = new_error()
        check(library.mxl_mlp_create(ctypes.byref(options), ctypes.byref(handle), error), error)
        self._own(handle)

    @property
    def _out_dim(self) -> int:
        return self.hidden_dim

    @property
    def weights(self) -> list[Weight]:
        """What the state dict holds, in order."""
        if self._linears is None:
            return [self._weight(entry) for entry in self._entries()]
        linears = self._linears.items()
        return [
            Weight(f"{part}.{weight.name}", weight.dtype, weight.shape, weight.device, weight.quantization_encoding)
            for part, linear in linears
            for weight in (linear.weight, linear.bias)
            if weight is not None
        ]

    def load_state_dict(self, state_dict: Mapping[str, Any], *, strict: bool = True, replace: bool = False) -> None:
        if self._linears is None:
            super().load_state_dict(state_dict, strict=strict, replace=replace)
            return
        for part, linear in self._linears.items():
            own = {
                key.removeprefix(f"{part}."): value for key, value in state_dict.items() if key.startswith(f"{part}.")
            }
            linear.load_state_dict(own, strict=strict, replace=replace)

    def state_dict(self) -> dict[str, Array]:
        if self._linears is None:
            return super().state_dict()
        parts = self._linears.items()
        return {f"{part}.{key}": value for part, linear in parts for key, value in linear.state_dict().items()}

    def __call__(
        self, x: Any, out: Array | None = None, *, accumulate: bool = False, threads: int | None = None
    ) -> Array:
        if self._linears is None:
            return super().__call__(x, out, accumulate=accumulate, threads=threads)
        y = _composed(self.activation_function, x, [self._linears[part] for part in _PARTS])
        if out is None:
            return y
        out[...] = out + y if accumulate else y
        return out

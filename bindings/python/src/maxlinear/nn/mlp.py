"""Gated MLPs: y = down(activation(gate x) · (up x))."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._ffi import constants, structs
from .._ffi.library import library
from .._ffi.tensors import as_array, tensor_of
from ..dtype import DType
from ..errors import ArgumentError, check, integer, new_error
from ..graph.device import DeviceRef
from ..graph.quantization import QuantizationConfig, QuantizationEncoding
from ..graph.weight import Weight
from ..graph.weights import Weights
from .linear import GPTQLinearV2, Linear, LinearV2, new_handle
from .module import Array, Module, Stored

if TYPE_CHECKING:
    from typing_extensions import Self

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
    """activation(gate) · up, element by element.

    Args:
        activation_function: "silu", "gelu", "gelu_tanh", "relu", "tanh" or "sigmoid".
        gate, up: float32, of one shape.

    Returns:
        A new float32 array of that shape.

    Raises:
        maxlinear.Error: shapes or strides that do not fit (ValueError), another dtype (TypeError).
    """
    hidden = np.empty(gate.shape, np.float32)
    error = new_error()
    views = (tensor_of(np.ascontiguousarray(gate)), tensor_of(np.ascontiguousarray(up)), tensor_of(hidden))
    number = _activation(activation_function)
    check(library.mxl_gate(number, *(ctypes.byref(view) for view in views), error), error)
    return hidden


def device_array(devices: Sequence[DeviceRef]) -> Any:
    """The devices as C structs."""
    return (structs.Device * len(devices))(
        *(structs.Device(device._number, integer(device.id, 32, "devices")) for device in devices)
    )


class _Fused(Module):
    """Three linear layers as they are now, as one."""

    def __init__(self, linears: Sequence[Module], activation: int, out_dim: int) -> None:
        handles = (linear._handle for linear in linears)
        self._own(new_handle(library.mxl_mlp_create_from, *handles, activation))
        self._columns = out_dim

    @property
    def _out_dim(self) -> int:
        return self._columns


class _Linears:
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
        for linear in self.linears:
            linear._ensure_prepared()
        key = tuple(linear._changes for linear in self.linears)
        latest = self._latest
        if latest is None or latest[0] != key:
            fused = _Fused(self.linears, _activation(self.activation_function), self.linears[1]._out_dim)
            fused.prepare()
            latest = self._latest = (key, fused)
        return latest[1]

    def __call__(self, x: Any, out: Array | None, accumulate: bool, threads: int | None) -> Array:
        fused = self._fused()
        if fused is not None:
            return fused(x, out, accumulate=accumulate, threads=threads)
        source = as_array(x, "x")
        wide = source.astype(np.float32, copy=False)
        gate_proj, down_proj, up_proj = self.linears
        hidden = gate(self.activation_function, gate_proj(wide), up_proj(wide))
        y = down_proj(hidden)
        if out is None:
            return y.astype(source.dtype, copy=False)
        out[...] = (out + y if accumulate else y).astype(out.dtype, copy=False)
        return out

    def weights(self) -> list[Weight]:
        return [
            Weight(f"{part}.{weight.name}", weight.dtype, weight.shape, weight.device, weight.quantization_encoding)
            for part, linear in zip(_PARTS, self.linears, strict=True)
            for weight in linear.weights
        ]

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool, **options: Any) -> None:
        """Each linear's own entries, once a layer that shares the three has taken all, so that a failed load changes nothing."""
        _Fused(self.linears, _activation(self.activation_function), 0).load_state_dict(
            state_dict, strict=strict, **options
        )
        for part, linear in zip(_PARTS, self.linears, strict=True):
            own = {
                key.removeprefix(f"{part}."): value for key, value in state_dict.items() if key.startswith(f"{part}.")
            }
            linear.load_state_dict(own, strict=strict, **options)

    def state_dict(self, auto_initialize: bool) -> dict[str, Array]:
        return {
            f"{part}.{key}": value
            for part, linear in zip(_PARTS, self.linears, strict=True)
            for key, value in linear.state_dict(auto_initialize).items()
        }


class MLP:
    """y = down(silu(gate x) · (up x)), of three layers at hand.

    Args:
        gate_proj, up_proj: (feed_forward_length, hidden_dim).
        down_proj: (hidden_dim, feed_forward_length).

    The hidden vector is float32. The bits are those of `MLPV2` on the same weights. Library layers run fused, gate and up in one pass
    over x; where one overrides `__call__`, it is called.

    Raises:
        maxlinear.Error: when called: shapes that do not fit together (ValueError), layers without weights (RuntimeError).
    """

    def __init__(self, gate_proj: Linear, down_proj: Linear, up_proj: Linear) -> None:
        self.gate_proj = gate_proj
        self.down_proj = down_proj
        self.up_proj = up_proj
        self._linears = _Linears((gate_proj, down_proj, up_proj), "silu")

    def __call__(
        self, x: Any, out: Array | None = None, *, accumulate: bool = False, threads: int | None = None
    ) -> Array:
        """y = mlp(x).

        Args:
            x: (..., hidden_dim), float32, float16 or bfloat16: an array, or anything with `__dlpack__` or the buffer protocol.
            out: (..., hidden_dim), written in place; a new array of x's dtype when None.
            accumulate: add to out instead of writing it.
            threads: the most threads this call may use.

        Returns:
            out, or the new array.

        Raises:
            maxlinear.Error: shapes that do not fit (ValueError), a dtype (TypeError).
        """
        linears = (self.gate_proj, self.down_proj, self.up_proj)
        if self._linears.linears != linears:
            self._linears = _Linears(linears, "silu")
        return self._linears(x, out, accumulate, threads)


def _part(part: str, stored: list[Stored], config: QuantizationConfig | None) -> LinearV2:
    """One of the three linears, of what was loaded."""
    prefix = f"{part}."
    own = [(key[len(prefix) :], encoding, array) for key, encoding, array in stored if key.startswith(prefix)]
    arrays = {key: array for key, _, array in own}
    encodings = {key: encoding for key, encoding, _ in own}
    has_bias = "bias" in arrays
    if "qweight" in arrays:
        words, out_dim = arrays["qweight"].shape
        dtype = DType.from_numpy(arrays["bias"].dtype) if has_bias else DType.uint8
        linear: LinearV2 = GPTQLinearV2(8 * words, out_dim, dtype, None, has_bias, None, config)
    else:
        out_dim, width = arrays["weight"].shape
        name = encodings["weight"]
        encoding = None if name is None else QuantizationEncoding(name)
        in_dim = width if encoding is None else width // encoding.block_size * encoding.elements_per_block
        kind = arrays["bias"] if has_bias and encoding is not None else arrays["weight"]
        linear = LinearV2(in_dim, out_dim, DType.from_numpy(kind.dtype), None, has_bias, encoding)
    linear._load_stored(own)
    return linear


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
        has_bias: whether each of the three has a bias.
        activation_function: "silu", "gelu", "gelu_tanh", "relu", "tanh" or "sigmoid".
        quantization_config: of GPTQ or AWQ weights, with `QuantizationEncoding.GPTQ` and `LinearV2`.

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
        quantization_config: QuantizationConfig | None = None,
    ) -> None:
        self.dtype = dtype
        self.quantization_encoding = quantization_encoding
        self.hidden_dim = hidden_dim
        self.feed_forward_length = feed_forward_length
        self.devices = tuple(devices) or (DeviceRef.CPU(),)
        self.has_bias = has_bias
        self.activation_function = activation_function
        self.quantization_config = quantization_config
        number = _activation(activation_function)
        self._linears: _Linears | None = None
        if linear_cls is LinearV2:
            self._make(number)
            return
        shapes = [
            (hidden_dim, feed_forward_length),
            (feed_forward_length, hidden_dim),
            (hidden_dim, feed_forward_length),
        ]
        linears = [
            linear_cls(
                in_dim=in_dim,
                out_dim=out_dim,
                dtype=dtype,
                device=self.devices[0],
                quantization_encoding=quantization_encoding,
                has_bias=has_bias,
            )
            for in_dim, out_dim in shapes
        ]
        self._linears = _Linears(linears, activation_function)

    @classmethod
    def from_weights(
        cls,
        weights: Weights,
        layer: int = 0,
        *,
        devices: Sequence[DeviceRef] = (),
        activation_function: str = "silu",
        quantization_config: QuantizationConfig | None = None,
    ) -> Self:
        """The MLP of a checkpoint's layer, mapped without a copy.

        Its tensors are found by the names of Hugging Face ("model.layers.0.mlp.gate_proj.weight") or GGUF
        ("blk.0.ffn_gate.weight"), behind any prefix; dense, encoded or GPTQ, each of the three in its own encoding, with the
        biases it has.

        Args:
            weights: the whole checkpoint.
            layer: its number.
            devices, activation_function: as in the constructor.
            quantization_config: of GPTQ or AWQ tensors; None for what quantize_config.json, quant_config.json or config.json in the
                checkpoint's folder says.

        Raises:
            maxlinear.Error: no such layer (KeyError), shapes or encodings that do not fit (ValueError).
        """
        return cls._from_weights(weights, layer, devices, activation_function, quantization_config)

    @classmethod
    def _from_weights(
        cls,
        weights: Weights,
        layer: int,
        devices: Sequence[DeviceRef],
        activation_function: str,
        quantization_config: QuantizationConfig | None,
        **distribution: Any,
    ) -> Self:
        self = cls.__new__(cls)
        self.devices = tuple(devices) or (DeviceRef.CPU(),)
        config = None if quantization_config is None else quantization_config._struct()
        options = structs.MLPWeightsOptions(
            struct_size=ctypes.sizeof(structs.MLPWeightsOptions),
            activation=_activation(activation_function),
            devices=self._device_array(),
            quantization=None if config is None else ctypes.pointer(config),
            **{"device_count": len(self.devices), **distribution},
        )
        number = integer(layer, 64, "layer")
        create = library.mxl_mlp_create_from_weights
        self._own(new_handle(create, weights._checkpoint.handle, number, ctypes.byref(options)))
        self._linears = None
        named = {weight.name: weight for weight in self.weights}
        if "gate_proj.qweight" in named:
            self.dtype, self.quantization_encoding = DType.uint8, QuantizationEncoding.GPTQ
            self.feed_forward_length = named["gate_proj.scales"].shape[1]
            down = named.get("down_proj.scales")
            self.hidden_dim = named["down_proj.weight"].shape[0] if down is None else down.shape[1]
        else:
            gate_weight = named["gate_proj.weight"]
            self.dtype = gate_weight.dtype
            self.quantization_encoding = gate_weight.quantization_encoding
            self.feed_forward_length, self.hidden_dim = gate_weight.shape
        self.has_bias = "gate_proj.bias" in named
        self.quantization_config = quantization_config
        self.activation_function = activation_function
        return self

    def _stored(self) -> list[Stored]:
        stored = super()._stored()
        if any(key.endswith(".qweight") for key, _, _ in stored) and self.quantization_config is None:
            message = "quantization_config: is the checkpoint folder's, expected one given to from_weights, for a layer to be pickled"
            raise ArgumentError("MXL_INVALID_ARGUMENT", message)
        return stored

    def _remake(self, stored: list[Stored]) -> None:
        if self._linears is not None:
            return
        if not self._is_uniform(stored):
            self._join(stored)
            return
        self._make(_activation(self.activation_function))
        self._load_stored(stored)

    def _is_uniform(self, stored: list[Stored]) -> bool:
        """Whether options say it all: weights of one kind, all biases or none. Blocks bring their own encodings."""
        if any(key.endswith(".qweight") for key, _, _ in stored):
            kinds = {"uint8"}
        else:
            kinds = {array.dtype.name for key, _, array in stored if key.endswith(".weight")}
        biases = [array.dtype.name for key, _, array in stored if key.endswith(".bias")]
        bias = "float32" if self.dtype is DType.uint8 else self.dtype.name
        all_or_none = len(biases) == (3 if self.has_bias else 0) or not stored
        return kinds <= {self.dtype.name} and set(biases) <= {bias} and all_or_none

    def _join(self, stored: list[Stored]) -> None:
        """Makes the handle of three linears, each of its own kind."""
        linears = [_part(part, stored, self.quantization_config) for part in _PARTS]
        handles = (linear._handle for linear in linears)
        number = _activation(self.activation_function)
        self._own(new_handle(library.mxl_mlp_create_from, *handles, number))

    def _device_array(self) -> Any:
        return device_array(self.devices)

    def _make(self, activation: int) -> None:
        self._own(new_handle(library.mxl_mlp_create, ctypes.byref(self._options(activation))))

    def _options(self, activation: int) -> structs.MLPOptions:
        encoding, config = self.quantization_encoding, self.quantization_config
        return structs.MLPOptions(
            struct_size=ctypes.sizeof(structs.MLPOptions),
            dtype=self.dtype.value,
            hidden_dim=integer(self.hidden_dim, 64, "hidden_dim"),
            feed_forward_length=integer(self.feed_forward_length, 64, "feed_forward_length"),
            has_bias=int(self.has_bias),
            activation=activation,
            encoding=None if encoding is None else encoding.name.encode(),
            devices=self._device_array(),
            device_count=len(self.devices),
            quantization=None if config is None else ctypes.pointer(config._struct()),
        )

    @property
    def _out_dim(self) -> int:
        return self.hidden_dim

    @property
    def weights(self) -> list[Weight]:
        """What the state dict holds, in order."""
        return super().weights if self._linears is None else self._linears.weights()

    def load_state_dict(self, state_dict: Mapping[str, Any], *, strict: bool = True, **options: Any) -> None:
        """As `Module.load_state_dict`, with its options; of layers that `linear_cls` made, each gets its own."""
        if self._linears is None:
            super().load_state_dict(state_dict, strict=strict, **options)
        else:
            self._linears.load_state_dict(state_dict, strict, **options)

    def state_dict(self, auto_initialize: bool = True) -> dict[str, Array]:
        """As `Module.state_dict`."""
        if self._linears is None:
            return super().state_dict(auto_initialize)
        return self._linears.state_dict(auto_initialize)

    def __call__(
        self, x: Any, out: Array | None = None, *, accumulate: bool = False, threads: int | None = None
    ) -> Array:
        """y = mlp(x): x (..., hidden_dim), y (..., hidden_dim) of x's dtype; otherwise as `Module.__call__`."""
        if self._linears is None:
            return super().__call__(x, out, accumulate=accumulate, threads=threads)
        return self._linears(x, out, accumulate, threads)

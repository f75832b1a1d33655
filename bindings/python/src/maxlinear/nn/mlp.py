"""Gated MLPs: y = down(activation(gate x) · (up x))."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .._ffi import structs
from .._ffi.library import library
from ..dtype import DType
from ..errors import ArgumentError, DTypeError, encoded, flag, integer, listed
from ..graph.device import DeviceRef
from ..graph.quantization import QuantizationConfig, QuantizationEncoding, as_encoding
from ..graph.weight import Weight
from ..graph.weights import Weights, whole_checkpoint
from ._options import DevicesField, EncodingField, new_handle, quantization_of
from .gated import PARTS, Gated, activation_number, gate
from .linear import GPTQLinearV2, Linear, LinearV2
from .module import Array, Module, Stored

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MLP", "MLPV2", "gate"]


def device_array(devices: Sequence[DeviceRef]) -> Any:
    """The devices as C structs."""
    made = (DeviceRef._struct(device, f"devices[{index}]") for index, device in enumerate(devices))
    return (structs.Device * len(devices))(*made)


class MLP:
    """y = down(silu(gate x) · (up x)), of three layers at hand.

    Args:
        gate_proj, up_proj: (feed_forward_length, hidden_dim).
        down_proj: (hidden_dim, feed_forward_length).

    The hidden vector is float32. The bits are those of `MLPV2` on the same weights. Library layers run fused, gate and up in one pass
    over x; where one overrides `__call__`, it is called.

    Raises:
        maxlinear.Error: when called: shapes that do not fit together (ValueError), layers without weights (RuntimeError), what is no layer
            (TypeError).
    """

    def __init__(self, gate_proj: Linear, down_proj: Linear, up_proj: Linear) -> None:
        self.gate_proj = gate_proj
        self.down_proj = down_proj
        self.up_proj = up_proj
        self._linears = Gated((gate_proj, down_proj, up_proj), "silu")

    def __call__(
        self, x: Any, out: Array | None = None, *, accumulate: bool = False, threads: int | None = None
    ) -> Array:
        """y = mlp(x).

        Args:
            x: (..., hidden_dim), float32, float16 or bfloat16: an array, or anything with `__dlpack__` or the buffer protocol.
            out: (..., hidden_dim), written in place; a new array of x's dtype when None.
            accumulate: add to out instead of writing it.
            threads: the most threads this call may use. Where layers override `__call__`, those are passed it whose call has a parameter
                `threads` or takes any keyword, and `gate` between them runs on up to `maxlinear.num_threads()`.

        Returns:
            out, or the new array.

        Raises:
            maxlinear.Error: shapes that do not fit (ValueError), a dtype (TypeError).
        """
        linears = (self.gate_proj, self.down_proj, self.up_proj)
        if self._linears.linears != linears:
            self._linears = Gated(linears, "silu")
        return self._linears(x, out, accumulate, threads)


def _part(part: str, stored: list[Stored], config: QuantizationConfig | None) -> LinearV2:
    """One of the three linears, of what was loaded."""
    prefix = f"{part}."
    own = [(key[len(prefix) :], encoding, array) for key, encoding, array in stored if key.startswith(prefix)]
    arrays = {key: array for key, _, array in own}
    encodings = {key: encoding for key, encoding, _ in own}
    has_bias = "bias" in arrays
    if config is not None and "qweight" in arrays:
        in_dim, out_dim = config._dimensions(arrays["qweight"].shape, f"{part}.qweight")
        dtype = DType.from_numpy(arrays["bias"].dtype) if has_bias else DType.uint8
        linear: LinearV2 = GPTQLinearV2(in_dim, out_dim, dtype, None, has_bias, None, config)
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
        quantization_encoding: of the three weights, or its name; None for dense.
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

    _fields = frozenset(
        (
            "dtype",
            "quantization_encoding",
            "hidden_dim",
            "feed_forward_length",
            "devices",
            "has_bias",
            "activation_function",
            "quantization_config",
        )
    )
    quantization_encoding: EncodingField
    devices: DevicesField
    _linears: Gated | None = None

    def __init__(
        self,
        dtype: DType,
        quantization_encoding: QuantizationEncoding | str | None,
        hidden_dim: int,
        feed_forward_length: int,
        linear_cls: Callable[..., LinearV2] = LinearV2,
        devices: Sequence[DeviceRef] = (),
        has_bias: bool = False,
        activation_function: str = "silu",
        quantization_config: QuantizationConfig | None = None,
    ) -> None:
        self.dtype = dtype
        self.quantization_encoding = as_encoding(quantization_encoding)
        self.hidden_dim = hidden_dim
        self.feed_forward_length = feed_forward_length
        self.devices = tuple(listed(devices, "devices")) or (DeviceRef.CPU(),)
        self.has_bias = has_bias
        self.activation_function = activation_function
        self.quantization_config = quantization_config
        number = activation_number(activation_function)
        if linear_cls is LinearV2:
            self._make(number)
            return
        if not callable(linear_cls):
            message = f"linear_cls: is {linear_cls!r}, expected what makes a layer, such as LinearV2"
            raise DTypeError("MXL_INVALID_DTYPE", message)
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
                quantization_encoding=self.quantization_encoding,
                has_bias=has_bias,
            )
            for in_dim, out_dim in shapes
        ]
        self._linears = Gated(linears, activation_function)

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
            weights: the whole checkpoint, no path into it.
            layer: its number.
            devices, activation_function: as in the constructor.
            quantization_config: of GPTQ or AWQ tensors; None for what quantize_config.json, quant_config.json or config.json in the
                checkpoint's folder says.

        Raises:
            maxlinear.Error: no such layer (KeyError), a path, shapes or encodings that do not fit (ValueError), no checkpoint (TypeError).
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
        checkpoint = whole_checkpoint(weights)
        self = cls.__new__(cls)
        self.devices = tuple(listed(devices, "devices")) or (DeviceRef.CPU(),)
        options = structs.MLPWeightsOptions(
            struct_size=ctypes.sizeof(structs.MLPWeightsOptions),
            activation=activation_number(activation_function),
            devices=self._device_array(),
            quantization=quantization_of(quantization_config),
            **{"device_count": len(self.devices), **distribution},
        )
        number = integer(layer, 64, "layer")
        create = library.mxl_mlp_create_from_weights
        self._own(new_handle(create, checkpoint.handle, number, ctypes.byref(options)))
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
        if quantization_config is None and any(name.endswith(".qweight") for name in named):
            # With the layer wherever it is pickled to, where there may be no folder.
            quantization_config = checkpoint.quantization()
        self.quantization_config = quantization_config
        self.activation_function = activation_function
        return self

    def _remake(self, stored: list[Stored]) -> None:
        if self._linears is not None:
            return
        if not (self._is_uniform(stored) and self._is_of_one_encoding(stored)):
            self._join(stored)
            return
        self._make(activation_number(self.activation_function))
        self._load_stored(stored)

    @property
    def _is_made(self) -> bool:
        return self._linears is not None or super()._is_made

    def _assign(self, name: str, value: Any) -> None:
        if self._linears is None:
            super()._assign(name, value)
            return
        if name != "activation_function":
            message = f"{name}: is assigned where linear_cls makes layers of another class, expected another {type(self).__name__} of it"
            raise ArgumentError("MXL_UNSUPPORTED", message)
        activation_number(value)
        self._linears = Gated(self._linears.linears, value)
        self.__dict__[name] = value

    def _become(self, name: str, value: Any, stored: list[Stored]) -> None:
        if name == "quantization_encoding":
            value = as_encoding(value)
        elif name == "devices":
            value = tuple(listed(value, "devices")) or (DeviceRef.CPU(),)
        self.__dict__[name] = value
        if name == "activation_function":
            self._remake(stored)
        else:
            self._make(activation_number(self.activation_function))
            self._load_stored(stored, override_encoding=name != "quantization_encoding")

    def _is_uniform(self, stored: list[Stored]) -> bool:
        """Whether options say it all: weights of one kind, all biases or none. Blocks bring their own encodings."""
        if any(key.endswith(".qweight") for key, _, _ in stored):
            kinds = {"uint8"}
        else:
            kinds = {array.dtype.name for key, _, array in stored if key.endswith(".weight")}
        biases = [array.dtype.name for key, _, array in stored if key.endswith(".bias")]
        bias = "float32" if self.dtype is DType.uint8 else self.dtype.name
        all_or_none = len(biases) == (3 if self.has_bias else 0) or not stored
        # Where ml_dtypes is missing, float8 weights are stored as bytes.
        own = {self.dtype.name, "uint8"} if self.dtype._is_float8 else {self.dtype.name}
        return kinds <= own and set(biases) <= {bias} and all_or_none

    def _is_of_one_encoding(self, stored: list[Stored]) -> bool:
        """Whether the layer's encoding is that of all three, whose rows another may be unable to hold."""
        own = None if self.quantization_encoding is None else self.quantization_encoding.name
        return {encoding for key, encoding, _ in stored if key.endswith(".weight")} <= {own}

    def _join(self, stored: list[Stored]) -> None:
        """Makes the handle of three linears, each of its own kind."""
        linears = [_part(part, stored, self.quantization_config) for part in PARTS]
        handles = (linear._handle for linear in linears)
        number = activation_number(self.activation_function)
        self._own(new_handle(library.mxl_mlp_create_from, *handles, number))

    def _device_array(self) -> Any:
        return device_array(self.devices)

    def _make(self, activation: int) -> None:
        self._own(new_handle(library.mxl_mlp_create, ctypes.byref(self._options(activation))))

    def _options(self, activation: int) -> structs.MLPOptions:
        encoding = self.quantization_encoding
        return structs.MLPOptions(
            struct_size=ctypes.sizeof(structs.MLPOptions),
            dtype=DType._number(self.dtype),
            hidden_dim=integer(self.hidden_dim, 64, "hidden_dim"),
            feed_forward_length=integer(self.feed_forward_length, 64, "feed_forward_length"),
            has_bias=flag(self.has_bias, "has_bias"),
            activation=activation,
            encoding=None if encoding is None else encoded(encoding.name, "quantization_encoding"),
            devices=self._device_array(),
            device_count=len(self.devices),
            quantization=quantization_of(self.quantization_config),
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
            self._linears.load_state_dict(state_dict, strict=strict, **options)
            if options.get("override_quantization_encoding"):
                self._tell_encoding()

    def load_weights(self, weights: Weights, prefix: str = "", **options: Any) -> None:
        """As `Module.load_weights`, with its options; of layers that `linear_cls` made, each gets its own."""
        if self._linears is None:
            super().load_weights(weights, prefix, **options)
        else:
            self._linears.load_weights(weights, prefix, **options)
            if options.get("override_quantization_encoding"):
                self._tell_encoding()

    def state_dict(self, auto_initialize: bool = True) -> dict[str, Array]:
        """As `Module.state_dict`."""
        if self._linears is None:
            return super().state_dict(auto_initialize)
        return self._linears.state_dict(auto_initialize)

    def prepare(self, *, compute: str | None = None, pack: str | None = None, threads: int | None = None) -> None:
        """As `Module.prepare`; of layers that `linear_cls` made, each of the three."""
        if self._linears is None:
            super().prepare(compute=compute, pack=pack, threads=threads)
        else:
            self._linears.prepare(compute, pack, threads)

    @property
    def kernel(self) -> str:
        """As `Module.kernel`: the gate's."""
        return super().kernel if self._linears is None else self._linears.linears[0].kernel

    def memory(self) -> dict[str, int]:
        """As `Module.memory`; of layers that `linear_cls` made, the sum over the three."""
        return super().memory() if self._linears is None else self._linears.memory()

    def __call__(
        self, x: Any, out: Array | None = None, *, accumulate: bool = False, threads: int | None = None
    ) -> Array:
        """y = mlp(x): x (..., hidden_dim), y (..., hidden_dim) of x's dtype; otherwise as `Module.__call__`, of layers that `linear_cls` made as
        `MLP.__call__`."""
        if self._linears is None:
            return super().__call__(x, out, accumulate=accumulate, threads=threads)
        return self._linears(x, out, accumulate, threads)

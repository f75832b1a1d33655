"""Linear layers: y = x Wᵀ + b."""

from __future__ import annotations

import ctypes
import threading
from typing import TYPE_CHECKING, Any

from .._ffi import constants, structs
from .._ffi.library import library
from .._ffi.tensors import as_array, dtype_of
from ..blocks import Blocks
from ..dtype import DType
from ..errors import ArgumentError, encoded, integer
from ..graph.device import DeviceRef
from ..graph.quantization import QuantizationConfig, QuantizationEncoding, as_encoding
from ..graph.weight import Weight
from ..graph.weights import WeightData, Weights, forgotten_on_failure
from ._options import MADE_OF, WEIGHTS, OptionalWeightField, WeightField, linear_options, new_handle, quantization_of
from .module import Module, Stored

if TYPE_CHECKING:
    from .distributed import MLP, MLPV2, ColumnParallelLinear, DistributedMLP, RowParallelLinear

__all__ = [
    "MLP",
    "MLPV2",
    "ColumnParallelLinear",
    "DistributedMLP",
    "GPTQLinear",
    "GPTQLinearV2",
    "Linear",
    "LinearV2",
    "QLinear",
    "RowParallelLinear",
]


class LinearV2(Module):
    """y = x clamp(W, ±clip_weight)ᵀ + b, with W (out_dim, in_dim) and b (out_dim) from a state dict.

    Keys: "weight" and "bias", behind "<name>." when a name is given.

    Args:
        in_dim, out_dim: each at least 1.
        dtype: of weight and bias; with `DType.float8_e4m3fn` or `DType.float8_e5m2` the bias is of another float dtype, and there is a key
            "weight_scale", which may be absent and then is 1: y = (x Wᵀ) · scale + b, one scale of the tensor ([] or [1]) or one for each
            output ([out_dim] or [out_dim, 1]). W may then also be uint8.
        device: None or `DeviceRef.CPU()`.
        has_bias: whether there is a bias.
        quantization_encoding: of the weight, or its name; None for dense.
        name: prefix of the keys.
        clip_weight: None, or a finite number above 0.

    Raises:
        maxlinear.Error: an argument that does not fit (ValueError).
    """

    _fields = frozenset(
        ("in_dim", "out_dim", "dtype", "device", "name", "clip_weight", "weight", "bias", "weight_scale")
    )
    weight: WeightField
    bias: OptionalWeightField
    weight_scale: OptionalWeightField

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        dtype: DType,
        device: DeviceRef | None = None,
        has_bias: bool = False,
        quantization_encoding: QuantizationEncoding | str | None = None,
        name: str | None = None,
        clip_weight: float | None = None,
    ) -> None:
        self._create(in_dim, out_dim, dtype, device, has_bias, quantization_encoding, name, clip_weight, None)

    def _create(
        self,
        in_dim: int,
        out_dim: int,
        dtype: DType,
        device: DeviceRef | None,
        has_bias: bool,
        quantization_encoding: QuantizationEncoding | str | None,
        name: str | None,
        clip_weight: float | None,
        quantization_config: QuantizationConfig | None,
    ) -> None:
        device = device or DeviceRef.CPU()
        quantization_encoding = as_encoding(quantization_encoding)
        quantization = (quantization_encoding, name, clip_weight, quantization_config)
        self._made_of = (in_dim, out_dim, dtype, device, has_bias, *quantization)
        self._make_handle()
        self.in_dim = in_dim
        self.out_dim = out_dim
        self.dtype = dtype
        self.device = device
        self.name = name
        self.clip_weight = clip_weight
        prefix = f"{name}." if name else ""
        self.weight = Weight(f"{prefix}weight", dtype, (out_dim, in_dim), device, quantization_encoding)
        self.bias = (
            Weight(f"{prefix}bias", DType.float32 if dtype._is_float8 else dtype, (out_dim,), device)
            if has_bias
            else None
        )
        self.weight_scale = (
            Weight(f"{prefix}weight_scale", DType.float32, (out_dim,), device)
            if dtype._is_float8 and quantization_encoding is None
            else None
        )

    def _make_handle(self) -> None:
        options = linear_options(*self._made_of)
        self._own(new_handle(library.mxl_linear_create, ctypes.byref(options)))

    def _remake(self, stored: list[Stored]) -> None:
        self._make_handle()
        self._load_stored(stored)

    def _become(self, name: str, value: Any, stored: list[Stored]) -> None:
        made_of: dict[str, Any] = dict(zip(MADE_OF, self._made_of, strict=True))
        before = f"{self.name}." if self.name else ""
        kept = [(key.removeprefix(before), encoding, array) for key, encoding, array in stored]
        values = {}
        if name in WEIGHTS:
            kept = [own for own in kept if own[0] != name]
            if name == "bias":
                made_of["has_bias"] = value is not None
            if value is not None or name == "weight":
                values[name] = value
        else:
            made_of[name] = value
        for field in self._fields:
            self.__dict__.pop(field, None)
        self._create(**made_of)
        prefix = f"{self.name}." if self.name else ""
        self._load_stored(
            [(prefix + key, encoding, array) for key, encoding, array in kept],
            {prefix + key: given for key, given in values.items()},
        )

    @property
    def _out_dim(self) -> int:
        return self.out_dim


class Linear(Module):
    """y = x Wᵀ + b from values at hand.

    Args:
        weight: (out_dim, in_dim): an array, a tensor of a checkpoint, or nested sequences.
        bias: (out_dim), or None.
        weight_scale: of a float8 weight: one of the tensor ([] or [1]) or one for each output ([out_dim] or [out_dim, 1]), finite; None
            takes the one that a checkpoint holds beside the weight, else 1. y = (x Wᵀ) · weight_scale + bias.

    Raises:
        maxlinear.Error: shapes (ValueError) or dtypes (TypeError) that do not fit.
    """

    _fields = frozenset(("weight", "bias", "weight_scale"))
    weight: WeightField
    bias: OptionalWeightField
    weight_scale: OptionalWeightField

    def __init__(self, weight: Any, bias: Any = None, weight_scale: Any = None) -> None:
        self._make(weight, bias, None, None, 0, 0, weight_scale=weight_scale)

    @classmethod
    def create(
        cls,
        dtype: DType,
        quantization_encoding: QuantizationEncoding | str | None,
        in_features: int,
        out_features: int,
        weights: Any,
        bias: Any = None,
        quantization_config: QuantizationConfig | None = None,
    ) -> Linear:
        """The layer for a stored weight.

        Args:
            dtype: what a dense weight's dtype must be.
            quantization_encoding: what the weight's encoding must be, or its name; None takes its own; `QuantizationEncoding.GPTQ` of GPTQ tensors.
            in_features, out_features: the stored weight's two dimensions, in either order; y = x Wᵀ follows the weight.
            weights: the weight, a tensor of a checkpoint or an array, or the path of which it is ".weight".
            bias: the bias likewise, or the path of which it is ".bias" or ".weight".
            quantization_config: of GPTQ tensors. Without a "qweight" below the path, the layer is dense.

        Raises:
            maxlinear.Error: what does not fit, naming the argument.
        """
        quantization_encoding = as_encoding(quantization_encoding)
        if quantization_config is not None or quantization_encoding == QuantizationEncoding.GPTQ:
            quantization_config = _gptq_config(quantization_config)
            if isinstance(weights, Weights) and weights["qweight"].exists():
                found_bias = None if bias is None else cls._found(bias, "bias", "weight")
                gptq = GPTQLinear(weights, found_bias, quantization_config=quantization_config)
                wanted = sorted((in_features, out_features))
                if sorted(gptq.weight.shape) != wanted:
                    message = f"weight: shape is {list(gptq.weight.shape)}, expected {wanted} in either order"
                    raise ArgumentError("MXL_INVALID_SHAPE", message)
                return gptq
            quantization_encoding = None
        for features, argument in ((in_features, "in_features"), (out_features, "out_features")):
            if integer(features, 64, argument) < 1:
                raise ArgumentError("MXL_INVALID_SHAPE", f"{argument}: is {features}, expected 1 or more")
        weight = cls._found(weights, "weight")
        data = weight.data() if isinstance(weight, Weights) else weight
        own = getattr(data, "quantization_encoding", None)
        encoded = quantization_encoding is not None or own is not None
        layer = Linear.__new__(QLinear if encoded else cls)
        found_bias = None if bias is None else cls._found(bias, "bias", "weight")
        expected = None if encoded else DType(DType._number(dtype))
        encoding = own if quantization_encoding is None and isinstance(data, Blocks) else quantization_encoding
        layer._make(weight, found_bias, expected, encoding, in_features, out_features)
        return layer

    @staticmethod
    def _found(weights: Any, *below: str) -> Any:
        """The tensor itself, or the first of those below it that exists."""
        if not isinstance(weights, Weights) or weights.exists():
            return weights
        return next((weights[part] for part in below if weights[part].exists()), weights)

    def _make(
        self,
        weight: Any,
        bias: Any,
        dtype: DType | None,
        encoding: QuantizationEncoding | None,
        in_features: int,
        out_features: int,
        quantization_config: QuantizationConfig | None = None,
        perm_idx: Any = None,
        weight_scale: Any = None,
    ) -> None:
        if weight_scale is None and isinstance(weight, (Weights, WeightData)):
            path = weight if isinstance(weight, Weights) else Weights(weight._checkpoint, weight.name)
            weight_scale = _scale_beside(path)
        values = {"weight": weight, "bias": bias, "perm_idx": perm_idx, "weight_scale": weight_scale}
        entries, kept = {}, []
        with forgotten_on_failure() as made:
            for name, value in values.items():
                if value is not None:
                    entry, keep = self._incoming(value, name)
                    made.append(entry)
                    if name == "weight" and dtype is not None and dtype._is_float8 and _is_array_of_bytes(entry):
                        entry.tensor.dtype = dtype.value
                    entry.name = name.encode()
                    entries[name] = ctypes.pointer(entry)
                    kept.append(keep)
            options = structs.LinearV1Options(
                struct_size=ctypes.sizeof(structs.LinearV1Options),
                dtype=0 if dtype is None else DType._number(dtype),
                in_features=integer(in_features, 64, "in_features"),
                out_features=integer(out_features, 64, "out_features"),
                encoding=None if encoding is None else encoded(encoding.name, "quantization_encoding"),
                quantization=quantization_of(quantization_config),
                **entries,
            )
            self._own(new_handle(library.mxl_linear_v1_create, ctypes.byref(options)))
        if quantization_config is not None:
            return
        weights = {weight.name: weight for weight in self.weights}
        # Not assigned, which would make the layer of them.
        self.__dict__.update({name: weights.get(name) for name in WEIGHTS})
        self._rows = self.weight.shape[0]

    def _remake(self, stored: list[Stored]) -> None:
        kept = dict(self.__dict__)
        arrays: dict[str, Any] = {name: array for name, _, array in stored}
        encoding = as_encoding({name: encoding for name, encoding, _ in stored}["weight"])
        scale = arrays.get("weight_scale")
        # Where ml_dtypes is missing, a float8 weight is stored as bytes.
        float8 = self.weight.dtype if self.weight is not None and self.weight.dtype._is_float8 else None
        self._make(arrays["weight"], arrays.get("bias"), float8, encoding, 0, 0, weight_scale=scale)
        self.__dict__.update(kept)

    def _become(self, name: str, value: Any, stored: list[Stored]) -> None:
        own = value.data() if isinstance(value, Weights) else value
        values: dict[str, Any] = {**{key: array for key, _, array in stored}, name: own}
        encoding = as_encoding({key: encoding for key, encoding, _ in stored}["weight"])
        if name == "weight":
            encoding = getattr(own, "quantization_encoding", None) or encoding
        float8 = self.weight.dtype if name != "weight" and self.weight.dtype._is_float8 else None
        self._make(
            values["weight"], values.get("bias"), float8, encoding, 0, 0, weight_scale=values.get("weight_scale")
        )

    @property
    def _out_dim(self) -> int:
        return self._rows


class QLinear(Linear):
    """y = x Wᵀ + b from encoded blocks.

    Args:
        weight: uint8 (out_dim, row bytes): an array, or a tensor of a checkpoint with its own encoding.
        bias: (out_dim), or None.
        quantization_encoding: of blocks that do not bring their own, or its name; of those that do, theirs.

    Raises:
        maxlinear.Error: no encoding, two that differ, or shapes that do not fit.
    """

    def __init__(
        self, weight: Any, bias: Any = None, quantization_encoding: QuantizationEncoding | str | None = None
    ) -> None:
        quantization_encoding = as_encoding(quantization_encoding)
        if quantization_encoding == QuantizationEncoding.GPTQ:
            message = "quantization_encoding: is GPTQ, expected one that stores rows of blocks: GPTQLinear is of GPTQ's tensors"
            raise ArgumentError("MXL_INVALID_ARGUMENT", message)
        own = weight.data() if isinstance(weight, Weights) else weight
        if quantization_encoding is None and getattr(own, "quantization_encoding", None) is None:
            raise ArgumentError(
                "MXL_INVALID_ARGUMENT", "quantization_encoding: is None, expected one, as the weight brings none"
            )
        if quantization_encoding is None and isinstance(own, Blocks):
            quantization_encoding = own.quantization_encoding
        self._make(own, bias, None, quantization_encoding, 0, 0)


class GPTQLinearV2(LinearV2):
    """y = x Wᵀ + b from a GPTQ or AWQ checkpoint's tensors, w = scale · (code - zero), from a state dict.

    Keys: "qweight", int32 (bits in_dim / 32, out_dim), of AWQ (in_dim, out_dim / 8); "scales" (groups, out_dim), float16, bfloat16 or
    float32; "qzeros", int32 (groups, bits out_dim / 32 rounded up), which may be absent with sym; "g_idx" or "perm_idx", int32
    (in_dim), which may be absent without desc_act; "bias". Groups that are no multiple of 32 columns compute in float32.

    Args:
        in_dim: whole words of qweight: of 4 bits a multiple of 8, of 2 16, of 3 32, of 8 4. AWQ takes any, and out_dim a multiple of 8.
        out_dim: at least 1.
        dtype: of the bias; `DType.uint8` leaves it float32.
        device: None or `DeviceRef.CPU()`.
        has_bias: whether there is a bias.
        quantization_encoding: None or `QuantizationEncoding.GPTQ`.
        quantization_config: how the checkpoint is quantized.

    Raises:
        maxlinear.Error: an argument that does not fit (ValueError).
    """

    _fields = LinearV2._fields | {"quantization_config"}

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        dtype: DType,
        device: DeviceRef | None = None,
        has_bias: bool = False,
        quantization_encoding: QuantizationEncoding | str | None = None,
        quantization_config: QuantizationConfig | None = None,
    ) -> None:
        _check_gptq(quantization_encoding)
        gptq = QuantizationEncoding.GPTQ
        self._create(in_dim, out_dim, dtype, device, has_bias, gptq, None, None, quantization_config)
        self.quantization_config = quantization_config

    def _become(self, name: str, value: Any, stored: list[Stored]) -> None:
        super()._become(name, value, stored)
        self.quantization_config = self._made_of[-1]


class GPTQLinear(QLinear):
    """y = x Wᵀ + b from GPTQ tensors at hand.

    Args:
        weight: the path of a checkpoint under which "qweight", "scales", "qzeros" and "g_idx" are; or one uint8 array as MAX builds it:
            (in_dim / 2 + 2 groups, out_dim), qweight's bytes, then those of float16 scales, with zeros of 8.
        bias: (out_dim), or None: then a checkpoint's "bias" below the path, where there is one.
        quantization_encoding: None or `QuantizationEncoding.GPTQ`.
        quantization_config: how it is quantized.
        perm_idx: (in_dim): the columns in the order of their groups, for one array, or for a checkpoint that holds none. Where the path has
            "g_idx", it must not contradict it.

    Raises:
        maxlinear.Error: what does not fit (ValueError, TypeError, KeyError).
    """

    _fields = QLinear._fields | {"quantization_config"}

    def __init__(
        self,
        weight: Any,
        bias: Any = None,
        quantization_encoding: QuantizationEncoding | str | None = None,
        quantization_config: QuantizationConfig | None = None,
        perm_idx: Any = None,
    ) -> None:
        _check_gptq(quantization_encoding)
        quantization_config = _gptq_config(quantization_config)
        self.quantization_config = quantization_config
        if isinstance(weight, Weights) and not weight.exists():
            self._from_checkpoint(weight, bias, quantization_config, perm_idx)
        else:
            self._make(weight, bias, None, None, 0, 0, quantization_config, perm_idx)
            shapes = {entry.name: entry.shape for entry in self.weights}
            self._describe(quantization_config, shapes["qweight"])

    def _from_checkpoint(self, weights: Weights, bias: Any, config: QuantizationConfig, perm_idx: Any) -> None:
        tensors = {key: weights[key] for key in ("qweight", "scales", "qzeros", "g_idx", "perm_idx", "bias")}
        state: dict[str, Any] = {key: value for key, value in tensors.items() if value.exists()}
        if bias is not None:
            state["bias"] = bias
        if perm_idx is not None:
            state["perm_idx"] = perm_idx
        shape = weights["qweight"].data().shape
        config._dimensions(shape, f"{weights.name}.qweight")
        self._take(state, shape, config)
        self._describe(config, shape)

    def _take(self, state: dict[str, Any], qweight: tuple[int, ...], config: QuantizationConfig) -> None:
        in_dim, out_dim = config._dimensions(qweight, "qweight")
        dtype = DType.uint8
        if "bias" in state:
            kind = state["bias"].data() if isinstance(state["bias"], Weights) else state["bias"]
            dtype = kind.dtype if isinstance(kind, WeightData) else dtype_of(as_array(kind, "bias"), "bias")
        layer = GPTQLinearV2(in_dim, out_dim, dtype, None, "bias" in state, None, config)
        layer.load_state_dict(state)
        self._handle, self._owner = layer._handle, layer
        self._calls = threading.local()

    def _remake(self, stored: list[Stored]) -> None:
        state = {key: array for key, _, array in stored}
        self._take(state, state["qweight"].shape, self.quantization_config)

    def _become(self, name: str, value: Any, stored: list[Stored]) -> None:
        state = {key: array for key, _, array in stored}
        shape = state["qweight"].shape
        if name == "quantization_config":
            self.__dict__[name] = _gptq_config(value)
        elif name == "bias":
            state = {**state, name: value} if value is not None else {key: state[key] for key in state if key != name}
        else:
            message = f"{name}: is assigned, expected another GPTQLinear of it, as it is several tensors"
            raise ArgumentError("MXL_UNSUPPORTED", message)
        self._take(state, shape, self.quantization_config)
        self._describe(self.quantization_config, shape)

    def _describe(self, config: QuantizationConfig, qweight: tuple[int, ...]) -> None:
        in_dim, self._rows = config._dimensions(qweight, "qweight")
        gptq = QuantizationEncoding.GPTQ
        weight = Weight("weight", DType.uint8, (self._rows, in_dim), quantization_encoding=gptq)
        bias = next((own for own in self.weights if own.name == "bias"), None)
        self.__dict__.update(weight=weight, bias=bias)


def _scale_beside(weight: Weights) -> Weights | None:
    """The scale of a float8 weight of a checkpoint."""
    if not weight.exists() or not weight.data().dtype._is_float8:
        return None
    blocks = Weights(weight._checkpoint, f"{weight.name}_scale_inv")
    if blocks.exists():
        message = (
            f"{blocks.name}: shape is {list(blocks.data().shape)}, expected {weight.name}_scale, one of the whole "
            "tensor or one a row of it: scales of blocks of weights are not supported"
        )
        raise ArgumentError("MXL_UNSUPPORTED", message)
    scale = Weights(weight._checkpoint, f"{weight.name}_scale")
    return scale if scale.exists() else None


def _is_array_of_bytes(entry: structs.Entry) -> bool:
    """Whether it is an array's, not a checkpoint's, whose dtype is known, and not of blocks."""
    is_array = entry.storage == constants.MXL_STORAGE_COPY
    return is_array and not entry.encoding and entry.tensor.dtype == DType.uint8.value


def _check_gptq(encoding: QuantizationEncoding | str | None) -> None:
    encoding = as_encoding(encoding)
    if encoding not in (None, QuantizationEncoding.GPTQ):
        message = f"quantization_encoding: is {encoding.name if encoding else None}, expected GPTQ or None"
        raise ArgumentError("MXL_INVALID_ARGUMENT", message)


def _gptq_config(config: QuantizationConfig | None) -> QuantizationConfig:
    if config is None:
        message = "quantization_config: is None, expected that of the GPTQ checkpoint"
        raise ArgumentError("MXL_INVALID_ARGUMENT", message)
    return QuantizationConfig._checked(config)


# A type checker would take any name for one of this module.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """The MLPs and parallel layers, which MAX keeps in this module."""
        if name in ("MLP", "MLPV2", "DistributedMLP", "ColumnParallelLinear", "RowParallelLinear"):
            from . import distributed

            return getattr(distributed, name)
        raise AttributeError(name)

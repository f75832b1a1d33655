"""Linear layers: y = x Wᵀ + b."""

from __future__ import annotations

import ctypes
from typing import Any

from .._ffi import structs
from .._ffi.library import library
from ..dtype import DType
from ..errors import ArgumentError, check, integer, new_error
from ..graph.device import DeviceRef
from ..graph.quantization import QuantizationConfig, QuantizationEncoding
from ..graph.weight import Weight
from ..graph.weights import WeightData, Weights, forget
from .module import Module

__all__ = ["Linear", "LinearV2", "QLinear"]


class LinearV2(Module):
    """y = x clamp(W, ±clip_weight)ᵀ + b, with W (out_dim, in_dim) and b (out_dim) from a state dict.

    Keys: "weight" and "bias", behind "<name>." when a name is given.

    Args:
        in_dim, out_dim: each at least 1.
        dtype: of weight and bias.
        device: None or `DeviceRef.CPU()`.
        has_bias: whether there is a bias.
        quantization_encoding: of the weight; None for dense.
        name: prefix of the keys.
        clip_weight: None, or a finite number above 0.

    Raises:
        maxlinear.Error: an argument that does not fit (ValueError).
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        dtype: DType,
        device: DeviceRef | None = None,
        has_bias: bool = False,
        quantization_encoding: QuantizationEncoding | None = None,
        name: str | None = None,
        clip_weight: float | None = None,
    ) -> None:
        device = device or DeviceRef.CPU()
        options = structs.LinearOptions(
            struct_size=ctypes.sizeof(structs.LinearOptions),
            dtype=dtype.value,
            in_dim=integer(in_dim, 64, "in_dim"),
            out_dim=integer(out_dim, 64, "out_dim"),
            has_bias=int(has_bias),
            device=structs.Device(device._number, integer(device.id, 32, "device")),
            encoding=None if quantization_encoding is None else quantization_encoding.name.encode(),
            name=None if name is None else name.encode(),
            clip_weight=None if clip_weight is None else ctypes.pointer(ctypes.c_float(clip_weight)),
        )
        handle = structs.LayerHandle()
        error = new_error()
        check(library.mxl_linear_create(ctypes.byref(options), ctypes.byref(handle), error), error)
        self._own(handle)
        self.in_dim = in_dim
        self.out_dim = out_dim
        self.dtype = dtype
        self.device = device
        self.name = name
        self.clip_weight = clip_weight
        prefix = f"{name}." if name else ""
        self.weight = Weight(f"{prefix}weight", dtype, (out_dim, in_dim), device, quantization_encoding)
        self.bias = Weight(f"{prefix}bias", dtype, (out_dim,), device) if has_bias else None

    @property
    def _out_dim(self) -> int:
        return self.out_dim


class Linear(Module):
    """y = x Wᵀ + b from values at hand.

    Args:
        weight: (out_dim, in_dim): an array, a tensor of a checkpoint, or nested sequences.
        bias: (out_dim), or None.

    Raises:
        maxlinear.Error: shapes (ValueError) or dtypes (TypeError) that do not fit.
    """

    def __init__(self, weight: Any, bias: Any = None) -> None:
        self._make(weight, bias, None, None, 0, 0)

    @classmethod
    def create(
        cls,
        dtype: DType,
        quantization_encoding: QuantizationEncoding | None,
        in_features: int,
        out_features: int,
        weights: Weights | WeightData,
        bias: Weights | WeightData | None = None,
        quantization_config: QuantizationConfig | None = None,
    ) -> Linear:
        """The layer for a stored weight.

        Args:
            dtype: what the weight's dtype must be.
            in_features, out_features: the stored weight's two dimensions, in either order; y = x Wᵀ follows the weight.
            weights: the weight, or the path of which it is ".weight".
            bias: the bias, or the path of which it is ".bias" or ".weight".

        Raises:
            maxlinear.Error: what does not fit, naming the argument.
        """
        if quantization_config is not None:
            raise ArgumentError("MXL_UNSUPPORTED", "quantization_config: GPTQ weights are not supported yet")
        for features, argument in ((in_features, "in_features"), (out_features, "out_features")):
            if features < 1:
                raise ArgumentError("MXL_INVALID_SHAPE", f"{argument}: is {features}, expected 1 or more")
        weight = cls._found(weights, "weight")
        data = weight.data() if isinstance(weight, Weights) else weight
        encoded = quantization_encoding is not None or data.quantization_encoding is not None
        layer = Linear.__new__(QLinear if encoded else cls)
        found_bias = None if bias is None else cls._found(bias, "bias", "weight")
        expected = None if encoded else dtype
        layer._make(weight, found_bias, expected, quantization_encoding, in_features, out_features)
        return layer

    @staticmethod
    def _found(weights: Weights | WeightData, *below: str) -> Weights | WeightData:
        """The tensor itself, or the first of those below it that exists."""
        if isinstance(weights, WeightData) or weights.exists():
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
    ) -> None:
        weight_entry, weight_kept = self._incoming(weight, "weight")
        weight_entry.name = b"weight"
        bias_entry, bias_kept = (None, None) if bias is None else self._incoming(bias, "bias")
        if bias_entry is not None:
            bias_entry.name = b"bias"
        options = structs.LinearV1Options(
            struct_size=ctypes.sizeof(structs.LinearV1Options),
            dtype=0 if dtype is None else dtype.value,
            weight=ctypes.pointer(weight_entry),
            bias=None if bias_entry is None else ctypes.pointer(bias_entry),
            in_features=integer(in_features, 64, "in_features"),
            out_features=integer(out_features, 64, "out_features"),
            encoding=None if encoding is None else encoding.name.encode(),
        )
        handle = structs.LayerHandle()
        error = new_error()
        status = library.mxl_linear_v1_create(ctypes.byref(options), ctypes.byref(handle), error)
        if status != 0:
            forget(weight_entry)
            if bias_entry is not None:
                forget(bias_entry)
        check(status, error)
        self._own(handle)
        del weight_kept, bias_kept
        weights = [self._weight(entry) for entry in self._entries()]
        self.weight = weights[0]
        self.bias = weights[1] if len(weights) > 1 else None
        self._rows = self.weight.shape[0]

    @property
    def _out_dim(self) -> int:
        return self._rows


class QLinear(Linear):
    """y = x Wᵀ + b from encoded blocks.

    Args:
        weight: uint8 (out_dim, row bytes): an array, or a tensor of a checkpoint with its own encoding.
        bias: (out_dim), or None.
        quantization_encoding: of blocks that do not bring their own.

    Raises:
        maxlinear.Error: no encoding, two that differ, or shapes that do not fit.
    """

    def __init__(
        self, weight: Any, bias: Any = None, quantization_encoding: QuantizationEncoding | None = None
    ) -> None:
        own = weight.data() if isinstance(weight, Weights) else weight
        if quantization_encoding is None and getattr(own, "quantization_encoding", None) is None:
            raise ArgumentError("MXL_INVALID_ARGUMENT", "quantization_encoding: is None, and the weight brings none")
        self._make(own, bias, None, quantization_encoding, 0, 0)


def __getattr__(name: str) -> Any:
    """MLP and MLPV2, which MAX keeps in this module."""
    if name in ("MLP", "MLPV2"):
        from . import mlp

        return getattr(mlp, name)
    raise AttributeError(name)

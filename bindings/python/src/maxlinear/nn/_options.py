"""The C options of linear layers, and what makes handles of them."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .._ffi import structs
from ..dtype import DType
from ..errors import check, encoded, integer, new_error
from ..graph.device import DeviceRef
from ..graph.quantization import QuantizationConfig, QuantizationEncoding, as_encoding
from ..graph.weight import Weight

Read = TypeVar("Read")
Given = TypeVar("Given")

#: What a LinearV2 is made of, by the parameters' names, and what it may hold values of.
MADE_OF = (
    "in_dim",
    "out_dim",
    "dtype",
    "device",
    "has_bias",
    "quantization_encoding",
    "name",
    "clip_weight",
    "quantization_config",
)
WEIGHTS = ("weight", "bias", "weight_scale")


class Field(Generic[Read, Given]):
    """To a type checker, an attribute of one type that may be assigned values of another, of which the layer is made anew; only annotated, never
    made."""

    if TYPE_CHECKING:

        def __get__(self, layer: object, owner: type) -> Read: ...

        def __set__(self, layer: object, value: Given) -> None: ...


WeightField = Field[Weight, Any]
OptionalWeightField = Field["Weight | None", Any]
EncodingField = Field["QuantizationEncoding | None", "QuantizationEncoding | str | None"]
DevicesField = Field["tuple[DeviceRef, ...]", Sequence[DeviceRef]]


def quantization_of(config: QuantizationConfig | None) -> Any:
    """The C struct of a config, which ctypes keeps, or None."""
    return None if config is None else ctypes.pointer(QuantizationConfig._checked(config)._struct())


def linear_options(
    in_dim: int,
    out_dim: int,
    dtype: DType,
    device: DeviceRef,
    has_bias: bool,
    quantization_encoding: QuantizationEncoding | str | None,
    name: str | None,
    clip_weight: float | None,
    quantization_config: QuantizationConfig | None,
) -> structs.LinearOptions:
    """The C options of a linear layer. ctypes keeps what they point to."""
    encoding = as_encoding(quantization_encoding)
    return structs.LinearOptions(
        struct_size=ctypes.sizeof(structs.LinearOptions),
        dtype=DType._number(dtype),
        in_dim=integer(in_dim, 64, "in_dim"),
        out_dim=integer(out_dim, 64, "out_dim"),
        has_bias=int(has_bias),
        device=DeviceRef._struct(device),
        encoding=None if encoding is None else encoded(encoding.name, "quantization_encoding"),
        name=None if name is None else encoded(name, "name"),
        clip_weight=None if clip_weight is None else ctypes.pointer(ctypes.c_float(clip_weight)),
        quantization=quantization_of(quantization_config),
    )


def new_handle(create: Any, *arguments: Any) -> Any:
    """The layer that a function of the library makes."""
    handle = structs.LayerHandle()
    error = new_error()
    check(create(*arguments, ctypes.byref(handle), error), error)
    return handle

"""The C options of linear layers, of preparing and of calls, and what makes handles."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .._ffi import constants, structs
from ..dtype import DType
from ..errors import check, choice, encoded, flag, float32, integer, new_error
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


_COMPUTE = {
    None: constants.MXL_COMPUTE_DEFAULT,
    "float32": constants.MXL_COMPUTE_FLOAT32,
    "int8": constants.MXL_COMPUTE_INT8,
}
_PACK = {None: constants.MXL_PACK_DEFAULT, "always": constants.MXL_PACK_ALWAYS, "never": constants.MXL_PACK_NEVER}


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
        has_bias=flag(has_bias, "has_bias"),
        device=DeviceRef._struct(device),
        encoding=None if encoding is None else encoded(encoding.name, "quantization_encoding"),
        name=None if name is None else encoded(name, "name"),
        clip_weight=None if clip_weight is None else ctypes.pointer(float32(clip_weight, "clip_weight")),
        quantization=quantization_of(quantization_config),
    )


def prepare_options(compute: str | None, pack: str | None, threads: int | None) -> structs.PrepareOptions:
    """The C options of `Module.prepare`."""
    return structs.PrepareOptions(
        struct_size=ctypes.sizeof(structs.PrepareOptions),
        compute=choice(_COMPUTE, compute, "compute"),
        pack=choice(_PACK, pack, "pack"),
        threads=0 if threads is None else integer(threads, 32, "threads"),
    )


def run_options(threads: int | None, accumulate: bool = False) -> structs.RunOptions:
    """The C options of a call."""
    return structs.RunOptions(
        struct_size=ctypes.sizeof(structs.RunOptions),
        threads=0 if threads is None else integer(threads, 32, "threads"),
        accumulate=flag(accumulate, "accumulate"),
    )


def load_flags(strict: bool, replace: bool, override_encoding: bool) -> int:
    return (
        (constants.MXL_LOAD_STRICT if strict else 0)
        | (constants.MXL_LOAD_REPLACE if replace else 0)
        | (constants.MXL_LOAD_OVERRIDE_ENCODING if override_encoding else 0)
    )


def new_handle(create: Any, *arguments: Any) -> Any:
    """The layer that a function of the library makes."""
    handle = structs.LayerHandle()
    error = new_error()
    check(create(*arguments, ctypes.byref(handle), error), error)
    return handle

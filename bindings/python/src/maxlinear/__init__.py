"""maxlinear: the linear layers of an inference program, on CPU."""

from __future__ import annotations

import ctypes as _ctypes
import json as _json
from typing import Any as _Any

from ._ffi.library import library as _library
from .blocks import Array, dequantize, quantize, quantize_gptq
from .dtype import DType
from .errors import Error
from .errors import check as _check
from .errors import integer as _integer
from .errors import new_error as _new_error

__all__ = [
    "Array",
    "DType",
    "Error",
    "__version__",
    "cpu_info",
    "dequantize",
    "num_threads",
    "quantize",
    "quantize_gptq",
    "set_num_threads",
]

_version: int = _library.mxl_version()
__version__ = f"{_version >> 16}.{_version >> 8 & 255}.{_version & 255}"


def num_threads() -> int:
    """The most threads a call uses, and the budget that all calls of the process share."""
    return int(_library.mxl_threads())


def set_num_threads(threads: int) -> None:
    """Sets `num_threads()`, 1 to 1024, for calls that begin afterwards. Raises ValueError (`maxlinear.Error`)."""
    error = _new_error()
    _check(_library.mxl_set_threads(_integer(threads, 32, "threads"), error), error)


def cpu_info() -> dict[str, _Any]:
    """What this machine has and what the library makes of it: CPU features, kernels per encoding, threads.

    Raises ValueError (`maxlinear.Error`) when MAXLINEAR_ISA names no known CPU variant.
    """
    error = _new_error()
    length = _ctypes.c_size_t()
    _check(_library.mxl_info(None, 0, _ctypes.byref(length), error), error)
    text = _ctypes.create_string_buffer(length.value + 1)
    _check(_library.mxl_info(text, len(text), _ctypes.byref(length), error), error)
    result: dict[str, _Any] = _json.loads(text.value)
    return result

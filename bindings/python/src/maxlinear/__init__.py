"""maxlinear: the linear layers of an inference program, on CPU."""

from __future__ import annotations

import os as _os
from typing import Any as _Any

from ._ffi.info import info as _info
from ._ffi.library import library as _library
from .blocks import Array, dequantize, quantize, quantize_gptq
from .communicator import Communicator
from .dtype import DType
from .errors import Error
from .errors import check as _check
from .errors import encoded_path as _encoded_path
from .errors import integer as _integer
from .errors import new_error as _new_error
from .float8 import dequantize_float8, quantize_float8
from .runnable import CanRun, can_run

__all__ = [
    "Array",
    "CanRun",
    "Communicator",
    "DType",
    "Error",
    "__version__",
    "can_run",
    "cpu_info",
    "dequantize",
    "dequantize_float8",
    "load_plugin",
    "num_threads",
    "quantize",
    "quantize_float8",
    "quantize_gptq",
    "set_num_threads",
]

_version: int = _library.mxl_version()
__version__ = f"{_version >> 16}.{_version >> 8 & 255}.{_version & 255}"


def num_threads() -> int:
    """The most threads a call uses, and the budget that all calls of the process share."""
    return int(_library.mxl_threads())


def set_num_threads(threads: int) -> None:
    """Sets `num_threads()`, 1 to 1024, for calls that begin afterwards. Raises ValueError, or TypeError for what is no integer (`maxlinear.Error`)."""
    error = _new_error()
    _check(_library.mxl_set_threads(_integer(threads, 32, "threads"), error), error)


def load_plugin(path: str | _os.PathLike[str]) -> None:
    """Loads a plugin, a shared library that brings encodings, kernels or communicators (docs/ADD_PLUGIN.md); once, and for as long as the
    process runs. Encodings are then taken by name: `QuantizationEncoding("LOG6")`. `cpu_info()["plugins"]` lists all, and
    "plugin_failures" what the environment variable MAXLINEAR_PLUGIN_PATH names and could not be loaded. A plugin is code: load
    none that you do not trust.

    Raises:
        maxlinear.Error: no such file (OSError), no plugin or one that breaks the rules of maxlinear/plugin.h, another major version, a name
            that is there already (ValueError). Nothing is registered then.
    """
    name = _encoded_path(path, "path")
    error = _new_error()
    _check(_library.mxl_plugin_load(name, error), error)


def cpu_info() -> dict[str, _Any]:
    """What this machine has and what the library makes of it: CPU features, kernels per encoding, threads.

    Raises ValueError (`maxlinear.Error`) when MAXLINEAR_ISA names no known CPU variant.
    """
    return _info()

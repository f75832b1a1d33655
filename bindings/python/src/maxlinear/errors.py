"""Errors: each is a `maxlinear.Error` with a status, and Python's own type where one fits."""

from __future__ import annotations

import ctypes
import operator
import os
import re
from collections.abc import Iterable, Mapping
from numbers import Integral
from typing import Any, TypeVar

import numpy as np

from ._ffi import constants
from ._ffi.library import library
from ._ffi.structs import Error as _Error

Item = TypeVar("Item")

__all__ = [
    "ArgumentError",
    "CommunicationError",
    "DTypeError",
    "Error",
    "FileError",
    "FormatError",
    "OutOfMemory",
    "StateDictError",
    "StateError",
]


class Error(Exception):
    """What a call of the library came to.

    Attributes:
        status: the name of the status code, such as "MXL_INVALID_SHAPE".
        message: names the argument, what came and what was expected.
    """

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message

    def __str__(self) -> str:
        return self.message

    def __reduce__(self) -> tuple[type[Error], tuple[str, str]]:
        return type(self), (self.status, self.message)


class ArgumentError(Error, ValueError):
    """An argument, a shape or an encoding that does not fit."""


class DTypeError(Error, TypeError):
    """A dtype that the operation does not take."""


class StateDictError(Error, KeyError):
    """A key that is missing from a state dict or checkpoint, or that the layer does not have."""


class StateError(Error, RuntimeError):
    """A call at the wrong time: before a load, or a load into a prepared layer."""


class FileError(Error, OSError):
    """A file that cannot be opened, read or mapped."""


class FormatError(Error, ValueError):
    """A file that breaks the rules of its format."""


class CommunicationError(Error, ConnectionError):
    """Processes that share a layer do not agree, or one of them has failed, ended or not come in time."""


class OutOfMemory(Error, MemoryError):
    """Memory or a resource of the operating system ran out."""


_CLASSES: dict[int, type[Error]] = {
    constants.MXL_INVALID_ARGUMENT: ArgumentError,
    constants.MXL_INVALID_SHAPE: ArgumentError,
    constants.MXL_INVALID_DTYPE: DTypeError,
    constants.MXL_INVALID_HANDLE: ArgumentError,
    constants.MXL_MISSING_KEY: StateDictError,
    constants.MXL_UNEXPECTED_KEY: StateDictError,
    constants.MXL_NOT_LOADED: StateError,
    constants.MXL_NOT_PREPARED: StateError,
    constants.MXL_ALREADY_PREPARED: StateError,
    constants.MXL_UNSUPPORTED: ArgumentError,
    constants.MXL_NO_DEVICE: ArgumentError,
    constants.MXL_IO: FileError,
    constants.MXL_INVALID_FILE: FormatError,
    constants.MXL_COMMUNICATION: CommunicationError,
    constants.MXL_OUT_OF_MEMORY: OutOfMemory,
}


def error_of(status: int, message: str) -> Error:
    """The exception for a status code."""
    name: str = library.mxl_status_name(status).decode()
    return _CLASSES.get(status, Error)(name, message)


def new_error() -> _Error:
    """An mxl_error to pass to a call."""
    return _Error(struct_size=ctypes.sizeof(_Error))


def check(status: int, error: _Error, named: Mapping[str, str] | None = None) -> None:
    """Raises what a call reported. named: what Python calls arguments that have another name in C; with what of them is told, such as "values: dtype",
    where it is another argument's."""
    if status != constants.MXL_OK:
        message = error.message.decode()
        for name, own in (named or {}).items():
            message = re.sub(rf"\b{re.escape(name)}(?=[:\[]| is\b)", own, message)
        raise error_of(status, message)


def encoded(text: str | bytes, argument: str) -> bytes:
    """The text for C, which would take it to end at its first NUL character. Raises ValueError for text with one, TypeError for what is none."""
    if not isinstance(text, (str, bytes)):
        raise DTypeError("MXL_INVALID_DTYPE", f"{argument}: is {text!r}, expected text")
    data = text if isinstance(text, bytes) else text.encode()
    if b"\0" in data:
        message = f"{argument}: is {text!r} with a NUL character, expected text without one"
        raise ArgumentError("MXL_INVALID_ARGUMENT", message)
    return data


def encoded_path(path: Any, argument: str) -> bytes:
    """The path for C. Raises as `encoded`."""
    try:
        name = os.fsencode(path)
    except TypeError:
        message = f"{argument}: is {path!r}, expected a path, which is a str, bytes or os.PathLike"
        raise DTypeError("MXL_INVALID_DTYPE", message) from None
    return encoded(name, argument)


def integer(value: int, bits: int, argument: str) -> int:
    """The value, which ctypes would cut silently when it does not fit so many bits. Raises ValueError then, TypeError for what is no integer, as a
    float is none."""
    try:
        number = operator.index(value)
    except TypeError:
        raise DTypeError("MXL_INVALID_DTYPE", f"{argument}: is {value!r}, expected an integer") from None
    if not -(1 << (bits - 1)) <= number < 1 << (bits - 1):
        raise ArgumentError("MXL_INVALID_ARGUMENT", f"{argument}: is {number}, expected a number of {bits} bits")
    return number


def flag(value: bool, argument: str) -> int:
    """The value for C, 0 or 1. Raises TypeError for what is no bool, nor an integer that stands for one."""
    if not isinstance(value, (np.bool_, Integral)):
        raise DTypeError("MXL_INVALID_DTYPE", f"{argument}: is {value!r}, expected True or False")
    return int(bool(value))


def float32(value: float, argument: str) -> ctypes.c_float:
    """The value for C. Raises TypeError for what is no number, ValueError for one that no float holds."""
    try:
        return ctypes.c_float(value)
    except TypeError:
        raise DTypeError("MXL_INVALID_DTYPE", f"{argument}: is {value!r}, expected a number") from None
    except OverflowError:
        message = f"{argument}: is {value!r}, expected a number that a float32 holds"
        raise ArgumentError("MXL_INVALID_ARGUMENT", message) from None


def choice(table: Mapping[Any, int], value: str | None, argument: str) -> int:
    """What the table has for a name. Raises ValueError for what it has nothing for."""
    # Other types may not be hashable.
    if not isinstance(value, (str, type(None))) or value not in table:
        known = ", ".join(repr(key) for key in table)
        raise ArgumentError("MXL_INVALID_ARGUMENT", f"{argument}: is {value!r}, expected one of {known}")
    return table[value]


def listed(values: Iterable[Item], argument: str) -> list[Item]:
    """The values as a list. Raises TypeError for what has none."""
    try:
        return list(values)
    except TypeError:
        raise DTypeError("MXL_INVALID_DTYPE", f"{argument}: is {values!r}, expected a list") from None

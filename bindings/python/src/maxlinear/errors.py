"""Errors: each is a `maxlinear.Error` with a status, and Python's own type where one fits."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Mapping

from ._ffi import constants
from ._ffi.library import library
from ._ffi.structs import Error as _Error

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
    """Raises what a call reported. named: what Python calls arguments that have another name in C."""
    if status != constants.MXL_OK:
        message = error.message.decode()
        for name, own in (named or {}).items():
            message = re.sub(rf"\b{name}(?=[:\[])", own, message)
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


def integer(value: int, bits: int, argument: str) -> int:
    """The value, which ctypes would cut silently when it does not fit so many bits. Raises ValueError then."""
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise ArgumentError("MXL_INVALID_ARGUMENT", f"{argument}: is {value}, expected a number of {bits} bits")
    return value

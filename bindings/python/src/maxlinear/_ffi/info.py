"""What the library says of itself and the machine."""

from __future__ import annotations

import ctypes
import json
from typing import Any

from ..errors import check, new_error
from .library import library


def info() -> dict[str, Any]:
    """mxl_info's JSON, as it is now: plugins add to it."""
    error = new_error()
    length = ctypes.c_size_t()
    check(library.mxl_info(None, 0, ctypes.byref(length), error), error)
    while True:
        text = ctypes.create_string_buffer(length.value + 1)
        status = library.mxl_info(text, len(text), ctypes.byref(length), error)
        if status == 0 or length.value < len(text):
            break
        # A plugin has written to its log meanwhile.
    check(status, error)
    result: dict[str, Any] = json.loads(text.value)
    return result

"""Giving back what the library owns."""

import weakref
from typing import Any


def when_gone(owner: Any, function: Any, *arguments: Any) -> None:
    """Calls the function once nothing refers to the owner. Not as the interpreter ends: handlers at exit and daemon threads may then still use it,
    and the process gives everything back."""
    weakref.finalize(owner, function, *arguments).atexit = False

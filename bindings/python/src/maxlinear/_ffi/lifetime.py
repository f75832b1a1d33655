"""Giving back what the library owns."""

import weakref
from collections.abc import Callable
from typing import Any


def when_gone(owner: Any, function: Any, *arguments: Any) -> Callable[[], object]:
    """Calls the function once nothing refers to the owner, or once what this returns is called. Not as the interpreter ends: handlers at exit and
    daemon threads may then still use it, and the process gives everything back."""
    finalizer = weakref.finalize(owner, function, *arguments)
    finalizer.atexit = False
    return finalizer

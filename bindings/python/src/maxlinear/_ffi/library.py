"""Finds and loads libmaxlinear.so, once."""

import ctypes
import os
from pathlib import Path

from . import constants, structs


def _candidates() -> list[str]:
    """Where the library may be, in the order in which it is looked for."""
    given = os.environ.get("MAXLINEAR_LIBRARY")
    if given:
        return [given]
    package = Path(__file__).resolve().parent.parent
    beside = package / "lib" / "libmaxlinear.so"
    checkout = [parent / "build" / "lib" / "libmaxlinear.so" for parent in package.parents[3:4]]
    return [str(path) for path in (beside, *checkout) if path.exists()] + ["libmaxlinear.so.0"]


def _load() -> ctypes.CDLL:
    tried = []
    for candidate in _candidates():
        try:
            library = ctypes.CDLL(candidate)
        except OSError as error:
            tried.append(f"  {candidate}: {error}")
            continue
        for name, (result, arguments) in structs.PROTOTYPES.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
        version = library.mxl_abi_version()
        if version != constants.ABI_VERSION:
            raise ImportError(f"{candidate} has ABI version {version}, these bindings need {constants.ABI_VERSION}")
        return library
    raise ImportError(
        "libmaxlinear.so cannot be loaded; set MAXLINEAR_LIBRARY to its path. Tried:\n" + "\n".join(tried)
    )


library = _load()

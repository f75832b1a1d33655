"""Finds and loads libmaxlinear.so, once."""

import ctypes
import os
import re
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


class _SymbolInfo(ctypes.Structure):
    """What dladdr tells: Dl_info of dlfcn.h."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


def _loaded_openmp() -> list[str]:
    """The OpenMP runtimes of LLVM's family in this process: LLVM's own and Intel's, whatever their files are called."""
    try:
        maps = Path("/proc/self/maps").read_text(errors="surrogateescape")
    except OSError:
        return []
    paths = dict.fromkeys(re.findall(r"^\S+ \S+ \S+ \S+ \S+ +(/.*/lib[^/]*omp[^/]*\.so[^/\n]*)$", maps, re.MULTILINE))
    dladdr = ctypes.CDLL(None).dladdr
    dladdr.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    found = []
    for path in paths:
        try:
            function = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)["__kmpc_fork_call"]
        except (AttributeError, OSError):
            continue
        # A library that needs a runtime finds the function, too, and is not one.
        info = _SymbolInfo()
        known = dladdr(ctypes.cast(function, ctypes.c_void_p), ctypes.byref(info))
        if known and info.file and os.path.realpath(os.fsdecode(info.file)) == os.path.realpath(path):
            found.append(path)
    return found


def _share_openmp() -> None:
    """Lets libmaxlinear.so bind to an OpenMP runtime that is already here.

    Its own would be a second one of the family, and the second to begin aborts the process (OMP: Error #15). Symbols
    are looked for in what was loaded with RTLD_GLOBAL first; the own runtime is then loaded, and never begins.
    """
    for path in _loaded_openmp()[:1]:
        ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_GLOBAL | os.RTLD_LAZY)


def _load() -> ctypes.CDLL:
    _share_openmp()
    tried = []
    for candidate in _candidates():
        try:
            library = ctypes.CDLL(candidate)
        except OSError as error:
            tried.append(f"  {candidate}: {error}")
            continue
        for name, (result, arguments) in structs.PROTOTYPES.items():
            function = getattr(library, name, None)
            if function is None:
                raise ImportError(f"{candidate} has no {name}: it is of an older version than these bindings")
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

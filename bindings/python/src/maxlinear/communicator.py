"""Communicators: the processes that share a layer, and how they reach each other."""

from __future__ import annotations

import ctypes
from typing import Any, NoReturn

from ._ffi import structs
from ._ffi.library import library
from .errors import ArgumentError, DTypeError, check, encoded, new_error

__all__ = ["Communicator"]


def _address(native: Any) -> int | None:
    """What the kind gets: an address, or that of the MPI_Comm in a communicator of mpi4py."""
    if native is None or isinstance(native, int):
        return native
    if type(native).__module__.split(".")[0] == "mpi4py":
        from mpi4py import MPI  # type: ignore[import-not-found,unused-ignore]

        return int(MPI._addressof(native))
    message = f"native: is a {type(native).__name__}, expected None, an address or a communicator of mpi4py"
    raise ArgumentError("MXL_INVALID_ARGUMENT", message)


class Communicator:
    """This process's end of a group of processes, in which each has a rank, that share layers.

    A layer made with one (`DistributedMLP`, `ColumnParallelLinear`, `RowParallelLinear`) is divided among the ranks: each packs and computes its own
    shard alone. Making a communicator, preparing such a layer and calling it are collective: all ranks do the same ones in the same order. In each the
    ranks first tell each other what they are about to do. Where they disagree, or one cannot, all raise an error that names it, none has
    changed anything, and they may go on. Where one has ended, does not come in the communicator's time or fails later than that, the others raise
    `maxlinear.Error` of status MXL_COMMUNICATION (ConnectionError), and so does every later call.

    Args:
        kind: what a loaded plugin brings (`maxlinear.load_plugin`), such as "mpi" of plugins/mpi.
        native: what the kind documents: for "mpi" a communicator of mpi4py, or the address of an MPI_Comm; None for the group of all processes.

    Attributes:
        kind: as given.
        rank: this process's number, 0 to size - 1.
        size: the number of processes.

    Raises:
        maxlinear.Error: no such kind (ValueError), ranks whose libraries differ (ConnectionError).
    """

    def __init__(self, kind: str, native: Any = None) -> None:
        self.kind = kind
        self._native = native
        handle = structs.CommunicatorHandle()
        error = new_error()
        address = ctypes.c_void_p(_address(native))
        check(library.mxl_communicator_create(encoded(kind, "kind"), address, ctypes.byref(handle), error), error)
        self._handle = handle
        rank, size = ctypes.c_int32(), ctypes.c_int32()
        check(library.mxl_communicator_rank(handle, ctypes.byref(rank), ctypes.byref(size), error), error)
        self.rank = rank.value
        self.size = size.value

    def abort(self, message: str) -> None:
        """Says that this process cannot go on, such as without its checkpoint: the others' next calls raise an error that names this rank and
        has the message, instead of waiting for it. The communicator is of no use afterwards.

        Raises:
            maxlinear.Error: a message with a NUL character (ValueError).
        """
        error = new_error()
        check(library.mxl_communicator_abort(self._handle, encoded(message, "message"), error), error)

    @staticmethod
    def _handle_of(communicator: Communicator) -> Any:
        """The library's handle of a communicator. TypeError (`maxlinear.Error`) for what is none, as one of mpi4py."""
        if not isinstance(communicator, Communicator):
            message = f"communicator: is a {type(communicator).__name__}, expected a maxlinear.Communicator"
            raise DTypeError("MXL_INVALID_DTYPE", message)
        return communicator._handle

    def __del__(self) -> None:
        handle = self.__dict__.pop("_handle", None)
        if handle is not None:
            library.mxl_communicator_destroy(handle)

    def __reduce__(self) -> NoReturn:
        message = "Communicator: cannot be pickled or copied, as it is this process's end of one"
        raise ArgumentError("MXL_UNSUPPORTED", message)

"""Checkpoints: files mapped into memory, and the tensors in them."""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import numpy as np

from .._ffi import constants, structs
from .._ffi.library import library
from .._ffi.lifetime import when_gone
from .._ffi.tensors import array_of, shape_of
from ..dtype import DType
from ..errors import ArgumentError, DTypeError, check, encoded, encoded_path, listed, new_error
from .quantization import QuantizationConfig, QuantizationEncoding

__all__ = ["GGUFWeights", "SafetensorWeights", "WeightData", "Weights", "load_weights"]

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]


class _Checkpoint:
    """An open mxl_weights; tensors and layers made of it keep the mapping alive."""

    def __init__(self, paths: Sequence[Path]) -> None:
        files = [encoded_path(path, "paths") for path in paths]
        handle = structs.WeightsHandle()
        error = new_error()
        names = (ctypes.c_char_p * max(len(files), 1))(*files)
        check(library.mxl_weights_open(names, len(files), ctypes.byref(handle), error), error)
        self.handle = handle
        when_gone(self, library.mxl_weights_destroy, handle)

    def __reduce__(self) -> NoReturn:
        message = (
            "weights: cannot be pickled or deeply copied, as their files are mapped into this process, expected load_weights "
            "of the files where they are needed"
        )
        raise ArgumentError("MXL_UNSUPPORTED", message)

    @functools.cached_property
    def names(self) -> dict[str, None]:
        """In the checkpoint's order. Kept, as a search for a name that is not there costs more in the library, which looks for the nearest."""
        count = ctypes.c_size_t()
        error = new_error()
        check(library.mxl_weights_count(self.handle, ctypes.byref(count), error), error)
        return dict.fromkeys(self.entry(index).name.decode() for index in range(count.value))

    def entry(self, index: int) -> structs.Entry:
        entry = structs.Entry()
        error = new_error()
        check(library.mxl_weights_entry(self.handle, index, ctypes.byref(entry), error), error)
        return entry

    def find(self, name: str) -> structs.Entry:
        entry = structs.Entry()
        error = new_error()
        check(library.mxl_weights_find(self.handle, encoded(name, "name"), ctypes.byref(entry), error), error)
        return entry

    def quantization(self) -> QuantizationConfig | None:
        config = structs.Quantization(struct_size=ctypes.sizeof(structs.Quantization))
        error = new_error()
        status = library.mxl_weights_quantization(self.handle, ctypes.byref(config), error)
        if status == constants.MXL_MISSING_KEY:
            return None
        check(status, error)
        return QuantizationConfig._from(config)

    def memory(self) -> tuple[int, int]:
        mapped, resident = ctypes.c_uint64(), ctypes.c_uint64()
        error = new_error()
        status = library.mxl_weights_memory(self.handle, ctypes.byref(mapped), ctypes.byref(resident), error)
        check(status, error)
        return mapped.value, resident.value


@dataclass(frozen=True)
class WeightData:
    """A named tensor of a checkpoint. Equal to the same tensor of what the same `load_weights` returned, and to no other.

    Attributes:
        name: its whole name.
        dtype: as stored: `DType.uint8` of encoded weights.
        shape: as stored: encoded weights are (rows, row bytes).
        quantization_encoding: None for dense.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    quantization_encoding: QuantizationEncoding | None
    _checkpoint: _Checkpoint  # Before the entry: what copies a tensor comes to the checkpoint's refusal first.
    _entry: structs.Entry = field(compare=False)

    def numpy(self) -> np.ndarray[Any, Any]:
        """The elements as a read-only view of the mapped file, without a copy. TypeError for a dtype that numpy lacks."""
        return array_of(self._entry.tensor, self._checkpoint)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = self.numpy()
        wanted = array.dtype if dtype is None else np.dtype(dtype)
        if copy is False and wanted != array.dtype:
            message = f"copy: is False, expected None or True, as {array.dtype} has to be converted to {wanted}"
            raise ArgumentError("MXL_INVALID_ARGUMENT", message)
        return array.astype(wanted, copy=bool(copy))


class Weights:
    """The tensors of a checkpoint whose names begin with a prefix; of all, when it is empty. Made as `load_weights` returns it.

    `weights.model.layers[0].mlp` and `weights["model.layers.0.mlp"]` are paths into it. Nothing is read until it is used.
    Thread safe. It cannot be pickled or deeply copied, nor can its tensors (ValueError, `maxlinear.Error`): another process maps the files itself.
    """

    def __init__(self, checkpoint: _Checkpoint, prefix: str = "") -> None:
        self._checkpoint = checkpoint
        self._prefix = prefix

    @property
    def name(self) -> str:
        """The prefix: the whole name where the path leads to a tensor."""
        return self._prefix

    def __getattr__(self, part: str) -> Weights:
        if part.startswith("__"):
            raise AttributeError(part)
        return self[part]

    def __getitem__(self, part: str | int) -> Weights:
        return Weights(self._checkpoint, f"{self._prefix}.{part}" if self._prefix else str(part))

    def quantization_config(self) -> QuantizationConfig | None:
        """How the checkpoint's GPTQ or AWQ tensors are quantized, as quantize_config.json, quant_config.json or config.json's "quantization_config" in
        the folder of its first file says; None when none does, or when it is of another method.

        Raises ValueError or OSError (`maxlinear.Error`) for a file that is no such JSON or cannot be read.
        """
        return self._checkpoint.quantization()

    def exists(self) -> bool:
        """Whether there is a tensor of exactly this name."""
        return self._prefix in self._checkpoint.names

    def data(self) -> WeightData:
        """The tensor of exactly this name. Raises KeyError (`maxlinear.Error`) when there is none."""
        entry = self._checkpoint.find(self._prefix)
        return WeightData(
            name=entry.name.decode(),
            dtype=DType(entry.tensor.dtype),
            shape=shape_of(entry.tensor),
            quantization_encoding=QuantizationEncoding(entry.encoding.decode()) if entry.encoding else None,
            _entry=entry,
            _checkpoint=self._checkpoint,
        )

    def numpy(self) -> np.ndarray[Any, Any]:
        """`data().numpy()`."""
        return self.data().numpy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        return self.data().__array__(dtype, copy)

    def allocate(self, dtype: DType | None = None, shape: Sequence[int] | None = None) -> WeightData:
        """The tensor of this name, once it is what it is expected to be.

        Args:
            dtype: as stored, uint8 for encoded weights; None accepts any.
            shape: as stored; None accepts any.

        Raises:
            maxlinear.Error: no such tensor (KeyError), another dtype, or what is no DType (TypeError), another shape (ValueError).
        """
        if dtype is not None:
            DType._number(dtype)
        data = self.data()
        if dtype is not None and data.dtype is not dtype:
            message = f"{self._prefix}: dtype is {data.dtype.name}, expected {dtype.name}"
            raise DTypeError("MXL_INVALID_DTYPE", message)
        if shape is not None and data.shape != tuple(shape):
            message = f"{self._prefix}: shape is {data.shape}, expected {tuple(shape)}"
            raise ArgumentError("MXL_INVALID_SHAPE", message)
        return data

    def items(self) -> Iterator[tuple[str, Weights]]:
        """Names and paths of all tensors at and below this path, in the checkpoint's order."""
        below = f"{self._prefix}."
        for name in self._checkpoint.names:
            if not self._prefix or name == self._prefix or name.startswith(below):
                yield name, Weights(self._checkpoint, name)

    def __iter__(self) -> Iterator[str]:
        """What leads from this path to each tensor below it, in the checkpoint's order: names, of the whole checkpoint."""
        below = f"{self._prefix}." if self._prefix else ""
        return (name[len(below) :] for name in self._checkpoint.names if name.startswith(below))

    def __len__(self) -> int:
        """The number of tensors below this path."""
        return sum(1 for _ in self)

    def __bool__(self) -> bool:
        """True: of a tensor's own path, too, below which there is none."""
        return True

    def __contains__(self, part: object) -> bool:
        """Whether this leads from the path to a tensor."""
        return isinstance(part, (str, int)) and self[part].exists()

    @property
    def mapped_bytes(self) -> int:
        """Bytes of the files."""
        return self._checkpoint.memory()[0]

    @property
    def resident_bytes(self) -> int:
        """How many of the mapped bytes are in memory now."""
        return self._checkpoint.memory()[1]


class GGUFWeights(Weights):
    """The whole of a GGUF checkpoint."""


class SafetensorWeights(Weights):
    """The whole of a safetensors checkpoint."""


def load_weights(paths: Path | Sequence[Path]) -> Weights:
    """Maps a checkpoint: one file, several, the first file of a split GGUF, one `*.safetensors.index.json`, or one folder.

    A folder stands for its index, else for all its safetensors files, else for its one GGUF file or split. A path is a str, bytes or
    `os.PathLike`, and UTF-8.

    Raises OSError or ValueError (`maxlinear.Error`) for a file that cannot be opened or breaks the rules of its format, for a folder
    without a checkpoint or with several, and for a path that is not UTF-8; TypeError for what is no path.

    The files stay open and mapped as long as something refers to them. They may be removed or replaced by renaming, and must not be written to or
    truncated: where a layer would read one that was, that is an OSError, but reading an array of it then ends the process (SIGBUS).
    """
    files: list[Path] = [paths] if isinstance(paths, (str, bytes, os.PathLike)) else listed(paths, "paths")
    checkpoint = _Checkpoint(files)
    first = os.fspath(files[0])
    if os.path.isdir(first):
        names = [os.fsdecode(name) for name in os.listdir(first)]
        # In a folder safetensors come first.
        is_gguf = not any(_is_safetensors(name) for name in names if name[:1] != ".")
    else:
        # By what is in it, as the library does: a file may have any name.
        with open(first, "rb") as file:
            is_gguf = file.read(4) == b"GGUF"
    return GGUFWeights(checkpoint) if is_gguf else SafetensorWeights(checkpoint)


def _is_safetensors(name: str) -> bool:
    return name.endswith((".safetensors", ".safetensors.index.json"))


def checkpoint_of(weights: Weights, argument: str = "weights") -> _Checkpoint:
    """The checkpoint of a path. TypeError (`maxlinear.Error`) for what is none, as a file's name."""
    if not isinstance(weights, Weights):
        message = f"{argument}: is a {type(weights).__name__}, expected what load_weights returned"
        raise DTypeError("MXL_INVALID_DTYPE", message)
    return weights._checkpoint


def whole_checkpoint(weights: Weights) -> _Checkpoint:
    """The checkpoint, once it is no path, which a search for a layer would not keep to."""
    checkpoint = checkpoint_of(weights)
    if weights.name:
        message = (
            f"weights: is the path {weights.name!r}, expected the whole checkpoint; a layer's load_weights takes a path"
        )
        raise ArgumentError("MXL_INVALID_ARGUMENT", message)
    return checkpoint


def entry_of(data: WeightData) -> structs.Entry:
    """The data as an entry that a layer may keep: mapped, the checkpoint held until the layer lets go."""
    entry = structs.Entry()
    ctypes.pointer(entry)[0] = data._entry
    entry.storage = constants.MXL_STORAGE_MAP
    key = id(entry)
    _held[key] = (data._checkpoint, entry)
    entry.owner = key
    entry.release = _release
    return entry


#: Checkpoints that layers hold, by the owner number of their entries.
_held: dict[int, tuple[_Checkpoint, structs.Entry]] = {}


def _let_go(owner: int | None) -> None:
    if owner is not None:
        _held.pop(owner, None)


_release = structs.Release(_let_go)


def forget(entry: structs.Entry) -> None:
    """Lets go of an entry that no layer took."""
    _held.pop(entry.owner or 0, None)


@contextmanager
def forgotten_on_failure() -> Iterator[list[structs.Entry]]:
    """A list for entries, of which no layer keeps one when something raises."""
    entries: list[structs.Entry] = []
    try:
        yield entries
    except BaseException:
        for entry in entries:
            forget(entry)
        raise

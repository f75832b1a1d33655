"""What all layers share: the handle, the state dict, preparing, calling."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np

from .._ffi import constants, structs
from .._ffi.library import library
from .._ffi.lifetime import when_gone
from .._ffi.tensors import array_of, as_array, as_int32, rows_contiguous, shape_of, tensor_of, whole_strides
from ..blocks import Blocks
from ..dtype import DType
from ..errors import ArgumentError, DTypeError, StateError, check, encoded, integer, new_error
from ..graph.quantization import QuantizationEncoding
from ..graph.weight import Weight
from ..graph.weights import WeightData, Weights, checkpoint_of, entry_of, forgotten_on_failure
from ._options import load_flags, prepare_options, run_options

Array = np.ndarray[Any, Any]
#: A weight as it was loaded: its key, its encoding, its elements or blocks.
Stored = tuple[str, "str | None", Array]

#: The keys of GPTQ's int32 tensors, and those of them that are numbers of columns or groups, which other integers say as well.
_WHOLE_NUMBERS = ("qweight", "qzeros", "g_idx", "perm_idx")
_INDICES = ("g_idx", "perm_idx")

#: The value of a key that is ignored.
_NOTHING = np.empty(0, np.float32)

#: Attributes of a layer that mean nothing in another process.
_OF_THIS_PROCESS = ("_handle", "_destroy", "_calls", "_owner", "_changes", "_prepared_at")

#: mxl_layer_forward with plain addresses, which ctypes passes fastest.
_forward = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 5)(("mxl_layer_forward", library))


def _is_plain(array: Any) -> bool:
    """Whether the array needs no more than its address and shape to be told of."""
    return type(array) is np.ndarray and array.dtype == np.float32 and array.flags.c_contiguous


def writable(out: Any, argument: str) -> Array:
    """out, once it is an array that can be written to."""
    if not isinstance(out, np.ndarray):
        raise DTypeError("MXL_INVALID_DTYPE", f"{argument}: is a {type(out).__name__}, expected a numpy array")
    if not out.flags.writeable:
        raise ArgumentError("MXL_INVALID_ARGUMENT", f"{argument}: is read-only, expected memory to write to")
    return out


def check_accumulate(accumulate: bool, out: Any) -> None:
    """Raises ValueError where there is nothing to add to."""
    if accumulate and out is None:
        message = "accumulate: is True without out, expected what to add to"
        raise ArgumentError("MXL_INVALID_ARGUMENT", message)


class _Call:
    """The C structs of calls with one shape of x, reused by one thread."""

    def __init__(self, handle: Any, shape: tuple[int, ...], out_dim: int) -> None:
        self.out_shape = (*shape[:-1], out_dim)
        self.x = tensor_of(np.empty(0, np.float32), "x")
        self.y = tensor_of(np.empty(0, np.float32), "out")
        for tensor, sizes in ((self.x, shape), (self.y, self.out_shape)):
            tensor.rank = len(sizes)
            tensor.shape = (ctypes.c_int64 * len(sizes))(*sizes)
            tensor.strides = None
        self.error = new_error()
        self.arguments = (
            ctypes.cast(handle, ctypes.c_void_p).value,
            None,
            ctypes.addressof(self.x),
            ctypes.addressof(self.y),
            ctypes.addressof(self.error),
        )


class Module:
    """A layer with a state dict and a call.

    Filling and preparing are serialized by the library; any number of threads may call the layer at once, also while its
    weights are replaced. A layer may be pickled and copied: its weights go with it, and it is prepared where it was.

    The attributes that a layer is made of may be assigned before it is prepared: it then is made anew of the new value and of what was
    loaded. What does not fit is a `maxlinear.Error`, and so is assigning once it is prepared (RuntimeError); the layer is then as it was.
    """

    _handle: Any
    #: Attributes that the layer is made of.
    _fields: ClassVar[frozenset[str]] = frozenset()
    #: Destroys the handle. None where another layer owns it.
    _destroy: Callable[[], object] | None = None
    #: Another object after each change of the weights or of what is prepared of them. Set once the library has made the change: what somebody made
    #: of the layer with the same object at hand beforehand, during the change too, is known to be old.
    _changes: object = None
    #: What _changes was when the layer was last seen prepared.
    _prepared_at: object = ()
    #: compute and pack of the last prepare.
    _prepared_with: tuple[str | None, str | None] | None = None

    def _own(self, handle: Any) -> None:
        """Takes over a handle."""
        self._handle = handle
        self._calls = threading.local()
        self._destroy = when_gone(self, library.mxl_layer_destroy, handle)

    def __setattr__(self, name: str, value: Any) -> None:
        # A constructor sets each for the first time.
        if name in self._fields and name in self.__dict__ and self._is_made:
            self._assign(name, value)
        else:
            super().__setattr__(name, value)

    @property
    def _is_made(self) -> bool:
        return "_handle" in self.__dict__

    def _assign(self, name: str, value: Any) -> None:
        """Makes the layer anew with another value of one of its fields."""
        if library.mxl_layer_kernel(self._handle, ctypes.byref(ctypes.c_char_p()), new_error()) == constants.MXL_OK:
            message = f"{name}: is assigned to a layer that is prepared, expected one that is not yet: make another"
            raise StateError("MXL_ALREADY_PREPARED", message)
        before = dict(self.__dict__)
        try:
            self._become(name, value, self._stored())
        except BaseException:
            failed, self.__dict__ = self.__dict__, before
            if failed.get("_destroy") is not before.get("_destroy"):
                failed["_destroy"]()
            raise
        if before.get("_destroy") is not None and self._handle is not before["_handle"]:
            before["_destroy"]()
        self._changes = object()

    def _become(self, name: str, value: Any, stored: list[Stored]) -> None:
        """Makes the handle anew with another value of a field, and fills it with what was loaded."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        """Attributes, the state dict as it was loaded, and how the layer was prepared: the same bits in another process."""
        attributes = {key: value for key, value in self.__dict__.items() if key not in _OF_THIS_PROCESS}
        return {"attributes": attributes, "stored": self._stored() if hasattr(self, "_handle") else []}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state["attributes"])
        self._remake(state["stored"])
        if self._prepared_with is not None and hasattr(self, "_handle"):
            compute, pack = self._prepared_with
            self.prepare(compute=compute, pack=pack)

    def _stored(self) -> list[Stored]:
        """What was loaded."""
        stored = []
        for entry in self._entries():
            owner = _EntryOwner(entry)
            if entry.tensor.data is not None:
                encoding = entry.encoding.decode() if entry.encoding else None
                stored.append((entry.name.decode(), encoding, array_of(entry.tensor, owner)))
        return stored

    def _remake(self, stored: list[Stored]) -> None:
        """Makes the handle of a layer that is unpickled, of its attributes and of what was loaded."""
        raise NotImplementedError

    def _load_stored(
        self, stored: list[Stored], values: Mapping[str, Any] | None = None, override_encoding: bool = True
    ) -> None:
        """Fills a layer that is made anew; encodings are those that were loaded. values: what is loaded beside it, by key."""
        kept: list[Any] = []
        with forgotten_on_failure() as made:
            for name, encoding, array in stored:
                entry = structs.Entry(tensor=tensor_of(array, name), storage=constants.MXL_STORAGE_COPY)
                entry.name = name.encode()
                entry.encoding = None if encoding is None else encoding.encode()
                made.append(entry)
            for name, value in (values or {}).items():
                entry, keep = self._incoming(value, name)
                entry.name = name.encode()
                made.append(entry)
                kept.append(keep)
            if not made:
                return
            entries = (structs.Entry * len(made))(*made)
            error = new_error()
            flags = load_flags(strict=True, replace=False, override_encoding=override_encoding)
            check(library.mxl_layer_load(self._handle, entries, len(made), flags, error), error)
        if override_encoding:
            self._tell_encoding()

    def _tell_encoding(self) -> None:
        """Sets the fields that say how the weight is stored, an MLP's of its gate, to what a load that may override the encoding has left."""
        weights = {weight.name: weight for weight in self.weights}
        own = next(iter(weights.values()), None)
        fields = self.__dict__
        told = fields.get("weight")
        before = getattr(self if told is None else told, "quantization_encoding", None)
        # GPTQ's tensors have other names, and no encoding to override.
        if own is None or own.name.rpartition(".")[2] != "weight" or own.quantization_encoding == before:
            return
        if isinstance(told, Weight):
            fields["weight"] = replace(told, dtype=own.dtype, quantization_encoding=own.quantization_encoding)
        if "quantization_encoding" in fields:
            fields["quantization_encoding"] = own.quantization_encoding
        if "dtype" in fields and before is None:
            # Beside an encoding, a layer's dtype is that of its biases.
            fields["dtype"] = weights.get(f"{own.name.removesuffix('weight')}bias", own).dtype

    @property
    def _out_dim(self) -> int:
        raise NotImplementedError

    def _entries(self) -> list[structs.Entry]:
        """The state dict's entries; each is to be released."""
        count = ctypes.c_size_t()
        error = new_error()
        check(library.mxl_layer_entry_count(self._handle, ctypes.byref(count), error), error)
        entries = []
        for index in range(count.value):
            entry = structs.Entry()
            check(library.mxl_layer_entry(self._handle, index, ctypes.byref(entry), error), error)
            entries.append(entry)
        return entries

    def load_state_dict(
        self,
        state_dict: Mapping[str, Any],
        *,
        override_quantization_encoding: bool = False,
        weight_alignment: int | None = None,
        strict: bool = True,
        replace: bool = False,
    ) -> None:
        """Fills the layer. A failed load changes nothing.

        Args:
            state_dict: a value for each key of the layer: a numpy array, something with `__dlpack__` or the buffer
                protocol, a nested sequence (all copied), or a tensor of a checkpoint (mapped, not copied; one of another
                float dtype is converted, arrays are not).
            override_quantization_encoding: a weight takes the encoding of a checkpoint's tensor or of what `quantize` gave, instead of
                refusing another than its own.
            weight_alignment: a power of two, as in MAX; the kernels here take any alignment.
            strict: refuse keys that the layer does not have, instead of ignoring them with whatever their values are.
            replace: accept a layer that is prepared; calls that are running finish on the old weights.

        Raises:
            maxlinear.Error: a missing or unexpected key (KeyError), a shape (ValueError) or dtype (TypeError) that does not
                fit, a prepared layer without replace (RuntimeError), a checkpoint's file that has changed since it was opened (OSError).
        """
        if weight_alignment is not None:
            alignment = integer(weight_alignment, 64, "weight_alignment")
            if alignment < 1 or alignment & (alignment - 1):
                message = f"weight_alignment: is {alignment}, expected a power of two"
                raise ArgumentError("MXL_INVALID_ARGUMENT", message)
        if not hasattr(state_dict, "items"):
            message = f"state_dict: is a {type(state_dict).__name__}, expected a mapping of keys to values"
            raise DTypeError("MXL_INVALID_DTYPE", message)
        known = None if strict else {weight.name.encode() for weight in self.weights}
        flags = load_flags(strict, replace, override_quantization_encoding)
        kept: list[Any] = []
        with forgotten_on_failure() as made:
            for key, value in state_dict.items():
                name = encoded(key, "key of state_dict")
                try:
                    entry, keep = self._incoming(value, name.decode(errors="replace"))
                except Exception:
                    if known is None or name in known:
                        raise
                    # A key that is ignored is passed on without its value, as what a missing one may be a misspelling of.
                    entry, keep = self._incoming(_NOTHING, name.decode(errors="replace"))
                made.append(entry)
                entry.name = name
                kept.append(keep)
            entries = (structs.Entry * max(len(made), 1))(*made)
            error = new_error()
            check(library.mxl_layer_load(self._handle, entries, len(made), flags, error), error)
        self._changes = object()
        if override_quantization_encoding:
            self._tell_encoding()

    @staticmethod
    def _incoming(value: Any, key: str) -> tuple[structs.Entry, Any]:
        """An entry for the value of a key, and what keeps its memory during the call."""
        if isinstance(value, Weights):
            value = value.data()
        if isinstance(value, WeightData):
            return entry_of(value), value
        kind = key.rpartition(".")[2]
        array = whole_strides(as_array(value, key, np.int32 if kind in _WHOLE_NUMBERS else np.float32))
        if kind in _INDICES:
            array = as_int32(array, key)
        entry = structs.Entry(tensor=tensor_of(array, key), storage=constants.MXL_STORAGE_COPY)
        if isinstance(value, Blocks) and value.quantization_encoding is not None:
            entry.encoding = encoded(value.quantization_encoding.name, key)
        return entry, array

    def load_weights(
        self,
        weights: Weights,
        prefix: str = "",
        *,
        override_quantization_encoding: bool = False,
        strict: bool = False,
        replace: bool = False,
    ) -> None:
        """Fills the layer from a checkpoint's tensors named prefix + key, mapped, without a copy.

        Args:
            weights: the checkpoint, or a path into it.
            prefix: what precedes the layer's keys below that path, such as "blk.0.ffn_up.".
            override_quantization_encoding, strict, replace: as in `load_state_dict`.

        Raises:
            maxlinear.Error: as `load_state_dict`, and for what is no checkpoint (TypeError).
        """
        handle = checkpoint_of(weights).handle
        path = encoded(f"{weights.name}.{prefix}" if weights.name else prefix, "prefix")
        flags = load_flags(strict, replace, override_quantization_encoding)
        error = new_error()
        check(library.mxl_layer_load_weights(self._handle, handle, path, flags, error), error)
        self._changes = object()
        if override_quantization_encoding:
            self._tell_encoding()

    def state_dict(self, auto_initialize: bool = True) -> dict[str, Array]:
        """What was loaded, bit for bit, as read-only arrays.

        Args:
            auto_initialize: zeros for weights that are not loaded, as in MAX; the layer stays without them.

        Raises:
            maxlinear.Error: a weight is not loaded (RuntimeError), without auto_initialize.
        """
        state = {}
        entries = self._entries()
        # Where some are loaded, those without data are tensors that a state dict may lack.
        loaded = any(entry.tensor.data is not None for entry in entries)
        for entry in entries:
            owner = _EntryOwner(entry)
            key = entry.name.decode()
            if entry.tensor.data is None and loaded:
                continue
            if entry.tensor.data is None and auto_initialize:
                zeros = np.zeros(shape_of(entry.tensor), DType(entry.tensor.dtype)._to_array_dtype())
                zeros.flags.writeable = False
                state[key] = zeros
                continue
            if entry.tensor.data is None:
                raise StateError("MXL_NOT_LOADED", f"{key}: not loaded, expected a state dict that is loaded first")
            state[key] = array_of(entry.tensor, owner)
        return state

    def prepare(self, *, compute: str | None = None, pack: str | None = None, threads: int | None = None) -> None:
        """Picks kernels and packs the weights for them. The first call does it by itself, with the defaults.

        Args:
            compute: "float32" or "int8"; None for int8 where weights are encoded, float32 where they are dense.
            pack: "always" (None means it) or "never", which reads the source in place.
            threads: the most threads packing may use.

        Raises:
            maxlinear.Error: no weights yet, or prepared in another way (RuntimeError), an option that does not fit the weights
                (ValueError), a checkpoint's file that has changed since it was opened (OSError).
        """
        self._prepare(compute, pack, threads)
        self._changes = object()

    def _prepare(self, compute: str | None = None, pack: str | None = None, threads: int | None = None) -> None:
        options = prepare_options(compute, pack, threads)
        error = new_error()
        check(library.mxl_layer_prepare(self._handle, ctypes.byref(options), error), error)
        self._prepared_with = (compute, pack)

    @property
    def kernel(self) -> str:
        """The name of the kernel that runs. Raises RuntimeError (`maxlinear.Error`) before the layer is prepared."""
        name = ctypes.c_char_p()
        error = new_error()
        check(library.mxl_layer_kernel(self._handle, ctypes.byref(name), error), error)
        return (name.value or b"").decode()

    def memory(self) -> dict[str, int]:
        """Bytes held: "packed", "source" (copied or borrowed, still held) and "mapped" (resident only where touched)."""
        memory = structs.Memory(struct_size=ctypes.sizeof(structs.Memory))
        error = new_error()
        check(library.mxl_layer_memory(self._handle, ctypes.byref(memory), error), error)
        return {"packed": memory.packed, "source": memory.source, "mapped": memory.mapped}

    def __call__(
        self, x: Any, out: Array | None = None, *, accumulate: bool = False, threads: int | None = None
    ) -> Array:
        """y = layer(x).

        Args:
            x: (..., in_dim) of any rank from 1, float32, float16 or bfloat16: a numpy array or anything with `__dlpack__` or the buffer protocol,
                taken without a copy when the elements of its last dimension are adjacent.
            out: (..., out_dim), written in place; a new array when None.
            accumulate: add to out instead of writing it.
            threads: the most threads this call may use.

        Returns:
            out, or a new array of x's dtype.

        Raises:
            maxlinear.Error: a shape that does not fit (ValueError), a dtype (TypeError), no weights yet (RuntimeError).
        """
        plain = threads is None and not accumulate and (out is None or _is_plain(out))
        if plain and _is_plain(x):
            calls = self._calls.__dict__
            shape = x.shape
            call = calls.get(shape)
            if call is None and shape:
                if len(calls) > 64:
                    calls.clear()
                call = calls[shape] = _Call(self._handle, shape, self._out_dim)
            if call is not None and (out is None or (out.shape == call.out_shape and out.flags.writeable)):
                y = np.empty(call.out_shape, np.float32) if out is None else out
                call.x.data = x.__array_interface__["data"][0]
                call.y.data = y.__array_interface__["data"][0]
                if _forward(*call.arguments) == 0:
                    return y
        return self._call_checked(x, out, accumulate, threads)

    def _call_checked(self, x: Any, out: Array | None, accumulate: bool, threads: int | None) -> Array:
        """Any call; prepares the layer when that has not been done."""
        source = rows_contiguous(as_array(x, "x"))
        x_tensor = tensor_of(source, "x")
        check_accumulate(accumulate, out)
        if out is None:
            y = np.empty((*source.shape[:-1], self._out_dim), source.dtype)
        else:
            y = writable(out, "out")
        y_tensor = tensor_of(y, "out")
        options = run_options(threads, accumulate)
        error = new_error()
        arguments = (self._handle, ctypes.byref(options), ctypes.byref(x_tensor), ctypes.byref(y_tensor), error)
        status = library.mxl_layer_forward(*arguments)
        if status == constants.MXL_NOT_PREPARED:
            self._prepare_somehow()
            status = library.mxl_layer_forward(*arguments)
        check(status, error, {"y": "out"})
        return y

    def _ensure_prepared(self) -> None:
        """Prepares the layer when that has not been done since it last changed."""
        changes = self._changes
        if self._prepared_at is not changes:
            self._prepare_somehow()
            self._prepared_at = changes

    def _prepare_somehow(self) -> None:
        """Prepares the layer with the defaults, or leaves it as somebody else has prepared it."""
        try:
            self._prepare()
        except StateError as error:
            if error.status != "MXL_ALREADY_PREPARED":
                raise

    @property
    def weights(self) -> list[Weight]:
        """What the state dict holds, in order."""
        return [self._weight(entry) for entry in self._entries()]

    @staticmethod
    def _weight(entry: structs.Entry) -> Weight:
        """What an entry of the state dict is."""
        owner = _EntryOwner(entry)
        encoding = QuantizationEncoding(owner.entry.encoding.decode()) if entry.encoding else None
        shape = shape_of(entry.tensor)
        if encoding is not None:
            shape = (*shape[:-1], shape[-1] // encoding.block_size * encoding.elements_per_block)
        return Weight(entry.name.decode(), DType(entry.tensor.dtype), shape, quantization_encoding=encoding)


class _EntryOwner:
    """Releases an entry that the library gave when the last array of it goes."""

    def __init__(self, entry: structs.Entry) -> None:
        self.entry = entry
        if entry.release:
            when_gone(self, entry.release, entry.owner)


__all__ = ["Module"]

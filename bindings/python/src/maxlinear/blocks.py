"""Between arrays and the blocks of an encoding."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from ._ffi import structs
from ._ffi.library import library
from ._ffi.tensors import as_array, rows_of, tensor_of
from .dtype import DType
from .errors import ArgumentError, DTypeError, check, encoded, integer, new_error
from .graph.quantization import QuantizationConfig, QuantizationEncoding

Array = np.ndarray[Any, Any]


def _encoding(encoding: QuantizationEncoding | str, argument: str = "encoding") -> tuple[bytes, int, int]:
    """An encoding's name, and the weights and bytes of its blocks."""
    encoding = QuantizationEncoding._of(encoding, argument)
    block = encoding._block(argument)
    return encoded(encoding.name, argument), block.elements_per_block, block.block_size


def _other_shape(shape: tuple[int, ...], given: int, wanted: int, argument: str) -> tuple[int, ...]:
    """The shape whose last dimension has `wanted` where this one has `given`."""
    if shape[-1] % given:
        message = f"{argument}: shape is {list(shape)}, expected a last dimension that is a multiple of {given}"
        raise ArgumentError("MXL_INVALID_SHAPE", message)
    return (*shape[:-1], shape[-1] // given * wanted)


class Blocks(np.ndarray[Any, Any]):
    """The blocks that `quantize` gives: an array that knows the encoding it is of.

    Attributes:
        quantization_encoding: of the blocks; None of what is no longer bytes.
    """

    quantization_encoding: QuantizationEncoding | None

    def __array_finalize__(self, source: Any) -> None:
        own = getattr(source, "quantization_encoding", None)
        self.quantization_encoding = own if self.dtype == np.uint8 else None

    def __reduce__(self) -> tuple[Any, ...]:
        reduced: Any = super().__reduce__()
        make, arguments, state = reduced
        return make, arguments, (state, self.quantization_encoding)

    def __setstate__(self, state: Any) -> None:
        own, self.quantization_encoding = state
        super().__setstate__(own)


def _chosen(
    encoding: QuantizationEncoding | str, fallback: QuantizationEncoding | str | None, columns: int
) -> QuantizationEncoding:
    """The encoding that holds rows of so many values: this one or the fallback."""
    chosen = ctypes.c_char_p()
    error = new_error()
    wanted = _encoding(encoding)[0]
    other = None if fallback is None else _encoding(fallback, "fallback")[0]
    status = library.mxl_encoding_choose(wanted, other, columns, ctypes.byref(chosen), error)
    # The message is of the first of the two that stores no blocks.
    check(status, error, {} if wanted == b"GPTQ" else {"encoding": "fallback"})
    return QuantizationEncoding((chosen.value or b"").decode())


def quantize(
    array: Any,
    encoding: QuantizationEncoding | str,
    importance: Any = None,
    fallback: QuantizationEncoding | str | None = None,
    *,
    threads: int | None = None,
) -> Blocks:
    """The blocks that hold an array with a small squared error, the same bytes on every CPU and any number of threads.

    Args:
        array: (..., K) of any rank from 1, float32, float16 or bfloat16: an array, or a tensor of a checkpoint.
        encoding: such as `QuantizationEncoding.Q4_K` or "Q4_K".
        importance: (K): what a squared error in each column weighs, finite and at least 0; None for 1 each.
        fallback: what the blocks are of where K is no multiple of the encoding's block; None refuses that.
        threads: the most to use.

    Returns:
        uint8 (..., row bytes); `quantization_encoding` of it says of which encoding the blocks are.

    Raises:
        maxlinear.Error: an unknown encoding, a shape that does not fit (the message names the encodings that hold it), a
            value that is not finite or too large (ValueError), a dtype (TypeError).
    """
    values = rows_of(array, "array")
    chosen = _chosen(encoding, fallback, values.shape[-1])
    name, elements, size = _encoding(chosen)
    blocks = np.empty(_other_shape(values.shape, elements, size, "array"), np.uint8).view(Blocks)
    blocks.quantization_encoding = chosen
    options = structs.QuantizeOptions(
        struct_size=ctypes.sizeof(structs.QuantizeOptions),
        threads=0 if threads is None else integer(threads, 32, "threads"),
    )
    weights = None if importance is None else np.ascontiguousarray(as_array(importance, "importance"), np.float32)
    if weights is not None:
        options.importance = ctypes.pointer(tensor_of(weights, "importance"))
    error = new_error()
    views = (tensor_of(values, "array"), tensor_of(blocks, "blocks"))
    status = library.mxl_quantize(name, ctypes.byref(options), *(ctypes.byref(view) for view in views), error)
    check(status, error, {"values": "array"})
    return blocks


def quantize_gptq(
    array: Any, config: QuantizationConfig, scales: DType = DType.float16, *, threads: int | None = None
) -> dict[str, Array]:
    """An array rounded to the nearest codes of GPTQ or AWQ: with `sym`, zero is 2^(bits - 1) and scale the largest magnitude / ((2^bits - 1) / 2)
    over a group, else both follow from the range of w and 0. The same bytes on every CPU and any number of threads.

    Args:
        array: (out_dim, in_dim), float32, float16 or bfloat16, a tensor of a checkpoint too; dimensions as in `GPTQLinearV2`.
        config: quant_method, bits, group_size, sym and checkpoint_format of the result; desc_act is False.
        scales: the dtype of the scales: float32, float16 or bfloat16.
        threads: the most to use.

    Returns:
        What a GPTQ layer loads and a checkpoint holds: qweight, scales, qzeros and, of GPTQ, g_idx.

    Raises:
        maxlinear.Error: a config that is not served, a shape that does not fit, a value that is not finite or too large
            (ValueError), a dtype (TypeError).
    """
    DType._number(scales, "scales")
    settings = QuantizationConfig._checked(config, "config")._struct()
    values = rows_of(array, "array")
    if values.ndim != 2 or 0 in values.shape:
        message = f"array: shape is {list(values.shape)}, expected [out_dim, in_dim]"
        raise ArgumentError("MXL_INVALID_SHAPE", message)
    outputs, columns = values.shape
    size = columns if config.group_size < 1 else config.group_size
    groups = -(-columns // size)
    state: dict[str, Array] = {
        "qweight": np.empty(config._shape(columns, outputs), np.int32),
        "scales": np.empty((groups, outputs), scales.to_numpy()),
        "qzeros": np.empty((groups, config._words(outputs)), np.int32),
    }
    if config.quant_method != "awq":
        state["g_idx"] = (np.arange(columns) // size).astype(np.int32)
    options = structs.QuantizeOptions(
        struct_size=ctypes.sizeof(structs.QuantizeOptions),
        threads=0 if threads is None else integer(threads, 32, "threads"),
    )
    parts = {"array": values, **{name: state[name] for name in ("qweight", "qzeros", "scales")}}
    views = [tensor_of(part, name) for name, part in parts.items()]
    error = new_error()
    arguments = (ctypes.byref(part) for part in (settings, options, *views))
    status = library.mxl_quantize_gptq(*arguments, error)
    check(status, error, {"values": "array", "quantization_config": "config"})
    return state


def dequantize(blocks: Any, encoding: QuantizationEncoding | str | None = None, dtype: DType = DType.float32) -> Array:
    """The values of blocks, with the bits of the gguf package's dequantize.

    Args:
        blocks: uint8 (..., row bytes): an array, or a tensor of a checkpoint.
        encoding: of the blocks; None takes their own, which blocks of `quantize` and a checkpoint's tensors bring.
        dtype: of the result: float32, or rounded to float16 or bfloat16.

    Returns:
        (..., K) of dtype.

    Raises:
        maxlinear.Error: as `quantize`, and an encoding that is not the blocks' own (TypeError).
    """
    from .graph.weights import Weights

    DType._number(dtype)
    if isinstance(blocks, Weights):
        blocks = blocks.data()
    own: QuantizationEncoding | None = getattr(blocks, "quantization_encoding", None)
    if encoding is None:
        encoding = own
    if encoding is None:
        raise ArgumentError("MXL_INVALID_ARGUMENT", "encoding: is None, expected one, as the blocks bring none")
    encoding = QuantizationEncoding._of(encoding, "encoding")
    if own is not None and own != encoding:
        message = f"blocks: encoding is {own.name}, expected {encoding.name}"
        raise DTypeError("MXL_INVALID_DTYPE", message)
    name, elements, size = _encoding(encoding)
    stored = rows_of(blocks, "blocks")
    values = np.empty(_other_shape(stored.shape, size, elements, "blocks"), dtype.to_numpy())
    error = new_error()
    views = (tensor_of(stored, "blocks"), tensor_of(values, "values"))
    status = library.mxl_dequantize(name, *(ctypes.byref(view) for view in views), error)
    check(status, error, {"values: dtype": "dtype:"})
    return values

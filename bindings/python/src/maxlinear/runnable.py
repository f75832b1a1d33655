"""Whether a layer can run, asked before there are weights."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from ._ffi.library import library
from .dtype import DType
from .errors import DTypeError, Error, check, new_error
from .graph.device import DeviceRef
from .graph.quantization import QuantizationConfig, QuantizationEncoding
from .nn._options import linear_options, prepare_options


@dataclass(frozen=True)
class CanRun:
    """The answer of `can_run`: true where the layer can run.

    Attributes:
        kernel: the name of the kernel that would run; None where none would.
        error: what creating or preparing the layer would raise; None where it can run.
    """

    kernel: str | None
    error: Error | None

    def __bool__(self) -> bool:
        return self.error is None

    @property
    def status(self) -> str:
        """The status, such as "MXL_UNSUPPORTED"; "MXL_OK" where the layer can run."""
        return "MXL_OK" if self.error is None else self.error.status

    @property
    def message(self) -> str:
        """Why not: the argument, what came and what was expected; "" where the layer can run."""
        return "" if self.error is None else self.error.message


def can_run(
    in_dim: int,
    out_dim: int,
    dtype: DType,
    device: DeviceRef | None = None,
    has_bias: bool = False,
    quantization_encoding: QuantizationEncoding | str | None = None,
    clip_weight: float | None = None,
    quantization_config: QuantizationConfig | None = None,
    *,
    compute: str | None = None,
    pack: str | None = None,
    threads: int | None = None,
) -> CanRun:
    """Whether a linear layer of these parameters can be prepared so and called.

    The library's own code for both answers, up to where it reads weights, so the answer is what they do with tensors that fit: memory is
    asked for and given back, MAXLINEAR_ISA and plugins are those of this moment. GPTQ's scales are taken to be float16, and its groups
    to have group_size columns, in whatever order.

    Args:
        in_dim, out_dim, dtype, device, has_bias, clip_weight: as `LinearV2`'s.
        quantization_encoding: as `LinearV2`'s, or its name; `QuantizationEncoding.GPTQ` with a quantization_config.
        quantization_config: as `GPTQLinearV2`'s.
        compute, pack, threads: as `Module.prepare`'s.

    Returns:
        True or false with the kernel or the reason: `answer.kernel`, `answer.status`, `answer.message`.

    Raises:
        TypeError: an argument of another type; what does not fit is an answer.
    """
    kernel = ctypes.c_char_p()
    error = new_error()
    try:
        options = linear_options(
            in_dim,
            out_dim,
            dtype,
            device or DeviceRef.CPU(),
            has_bias,
            quantization_encoding,
            None,
            clip_weight,
            quantization_config,
        )
        how = prepare_options(compute, pack, threads)
    except DTypeError:
        raise
    except Error as refusal:
        return CanRun(None, refusal)
    try:
        check(library.mxl_can_run(ctypes.byref(options), ctypes.byref(how), ctypes.byref(kernel), error), error)
    except Error as refusal:
        return CanRun(None, refusal)
    return CanRun((kernel.value or b"").decode(), None)

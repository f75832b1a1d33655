"""How encoded weights are stored."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import ClassVar, overload

from .._ffi import structs
from .._ffi.info import info
from .._ffi.library import library
from ..errors import ArgumentError, DTypeError, check, encoded, flag, integer, new_error


@dataclass(frozen=True)
class BlockParameters:
    """The shape of a block.

    Attributes:
        elements_per_block: weights in it.
        block_size: its bytes.
    """

    elements_per_block: int
    block_size: int


@dataclass(frozen=True)
class QuantizationEncoding:
    """A block encoding by name: `QuantizationEncoding.Q4_K`, or `QuantizationEncoding("Q4_K")`; a plugin's by its name alone."""

    name: str

    Q4_0: ClassVar[QuantizationEncoding]
    Q4_1: ClassVar[QuantizationEncoding]
    Q5_0: ClassVar[QuantizationEncoding]
    Q5_1: ClassVar[QuantizationEncoding]
    Q8_0: ClassVar[QuantizationEncoding]
    Q2_K: ClassVar[QuantizationEncoding]
    Q3_K: ClassVar[QuantizationEncoding]
    Q4_K: ClassVar[QuantizationEncoding]
    Q5_K: ClassVar[QuantizationEncoding]
    Q6_K: ClassVar[QuantizationEncoding]
    IQ4_NL: ClassVar[QuantizationEncoding]
    IQ4_XS: ClassVar[QuantizationEncoding]
    MXFP4: ClassVar[QuantizationEncoding]
    GPTQ: ClassVar[QuantizationEncoding]

    @staticmethod
    def all() -> list[QuantizationEncoding]:
        """The encodings that store rows of blocks, which is all but GPTQ, in the order that the library registers them."""
        blocks = [facts["name"] for facts in info()["encodings"] if facts["elements_per_block"] > 1]
        return [QuantizationEncoding(name) for name in blocks if not name.startswith("GPTQ")]

    @staticmethod
    def _of(encoding: QuantizationEncoding | str, argument: str = "quantization_encoding") -> QuantizationEncoding:
        """The encoding, also of its name. TypeError (`maxlinear.Error`) for what is neither."""
        if isinstance(encoding, str):
            return QuantizationEncoding(encoding)
        if not isinstance(encoding, QuantizationEncoding):
            message = f"{argument}: is {encoding!r}, expected a QuantizationEncoding or the name of one, such as 'Q4_K'"
            raise DTypeError("MXL_INVALID_DTYPE", message)
        return encoding

    @property
    def block_parameters(self) -> BlockParameters:
        """Raises ValueError (`maxlinear.Error`) for a name that the library does not know."""
        return self._block("quantization_encoding")

    def _block(self, argument: str) -> BlockParameters:
        """`block_parameters`, with a message that names an argument."""
        elements, size = ctypes.c_int64(), ctypes.c_int64()
        error = new_error()
        views = ctypes.byref(elements), ctypes.byref(size)
        name = encoded(self.name, argument)
        check(library.mxl_encoding_block(name, *views, error), error, {"quantization_encoding": argument})
        return BlockParameters(elements.value, size.value)

    @property
    def elements_per_block(self) -> int:
        """Weights of a block."""
        return self.block_parameters.elements_per_block

    @property
    def block_size(self) -> int:
        """Bytes of a block."""
        return self.block_parameters.block_size

    @property
    def is_gguf(self) -> bool:
        """Whether it is one of GGUF's formats: neither GPTQ nor a plugin's."""
        return self.name != "GPTQ" and isinstance(vars(QuantizationEncoding).get(self.name), QuantizationEncoding)


for _name in (
    "Q4_0",
    "Q4_1",
    "Q5_0",
    "Q5_1",
    "Q8_0",
    "Q2_K",
    "Q3_K",
    "Q4_K",
    "Q5_K",
    "Q6_K",
    "IQ4_NL",
    "IQ4_XS",
    "MXFP4",
    "GPTQ",
):
    setattr(QuantizationEncoding, _name, QuantizationEncoding(_name))


@overload
def as_encoding(encoding: QuantizationEncoding | str) -> QuantizationEncoding: ...
@overload
def as_encoding(encoding: QuantizationEncoding | str | None) -> QuantizationEncoding | None: ...
def as_encoding(encoding: QuantizationEncoding | str | None) -> QuantizationEncoding | None:
    """The encoding, also of its name. TypeError (`maxlinear.Error`) for what is neither."""
    return None if encoding is None else QuantizationEncoding._of(encoding)


@dataclass(frozen=True)
class QuantizationConfig:
    """How a GPTQ or AWQ checkpoint is quantized: the fields of its quantize_config.json or quant_config.json.

    Attributes:
        quant_method: "gptq" or "awq".
        bits: 2, 3, 4 or 8; of AWQ 4.
        group_size: columns of x that share a scale; -1 for all of them.
        desc_act: groups are not of consecutive columns (act-order).
        sym: all zeros are 2^(bits - 1). AWQ's are read as they are even so.
        checkpoint_format: "gptq" (v1: qzeros hold zero - 1), "gptq_v2" (they hold zero), None for "gptq"; of AWQ its version,
            "gemm" or None.
    """

    quant_method: str
    bits: int
    group_size: int
    desc_act: bool = False
    sym: bool = False
    checkpoint_format: str | None = None

    @staticmethod
    def _checked(config: QuantizationConfig, argument: str = "quantization_config") -> QuantizationConfig:
        """The config. TypeError (`maxlinear.Error`) for what is none, as the dict in a quantize_config.json, and for one whose fields are of other
        types."""
        if not isinstance(config, QuantizationConfig):
            message = (
                f"{argument}: is a {type(config).__name__}, expected a maxlinear.graph.quantization.QuantizationConfig"
            )
            raise DTypeError("MXL_INVALID_DTYPE", message)
        config._struct()
        return config

    @classmethod
    def _from(cls, struct: structs.Quantization) -> QuantizationConfig:
        """The config of a C struct that has a quant_method."""
        version = struct.checkpoint_format
        return cls(
            quant_method=struct.quant_method.decode(),
            bits=struct.bits,
            group_size=struct.group_size,
            desc_act=bool(struct.desc_act),
            sym=bool(struct.sym),
            checkpoint_format=None if version is None else version.decode(),
        )

    def _run(self) -> tuple[int, int]:
        """Codes that fill whole words, and these words."""
        return (32, 3) if self.bits == 3 else (max(1, 32 // max(self.bits, 1)), 1)

    def _words(self, codes: int) -> int:
        """The words of so many codes side by side."""
        together, words = self._run()
        return -(-codes // together) * words

    def _shape(self, in_dim: int, out_dim: int) -> tuple[int, int]:
        """qweight's."""
        return (in_dim, self._words(out_dim)) if self.quant_method == "awq" else (self._words(in_dim), out_dim)

    def _dimensions(self, shape: tuple[int, ...], name: str) -> tuple[int, int]:
        """in_dim and out_dim of a qweight's shape."""
        together, words = self._run()
        if len(shape) != 2:
            message = f"{name}: shape is {list(shape)}, expected two dimensions"
            raise ArgumentError("MXL_INVALID_SHAPE", message)
        if self.quant_method == "awq":
            return shape[0], shape[1] * together
        if shape[0] % words:
            message = (
                f"{name}: shape is {list(shape)}, expected a multiple of 3 rows: 32 codes of 3 bits are three words"
            )
            raise ArgumentError("MXL_INVALID_SHAPE", message)
        return shape[0] // words * together, shape[1]

    def _struct(self) -> structs.Quantization:
        return structs.Quantization(
            struct_size=ctypes.sizeof(structs.Quantization),
            bits=integer(self.bits, 32, "bits"),
            group_size=integer(self.group_size, 32, "group_size"),
            desc_act=flag(self.desc_act, "desc_act"),
            sym=flag(self.sym, "sym"),
            quant_method=encoded(self.quant_method, "quant_method"),
            checkpoint_format=None
            if self.checkpoint_format is None
            else encoded(self.checkpoint_format, "checkpoint_format"),
        )

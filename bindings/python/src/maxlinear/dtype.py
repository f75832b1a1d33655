"""Element types."""

from __future__ import annotations

import builtins
from enum import Enum
from typing import Any

import numpy as np

from .errors import DTypeError

_EXTENSION = {
    "bfloat16",
    "float8_e4m3fn",
    "float8_e5m2",
    "float8_e8m0fnu",
    "float6_e2m3fn",
    "float6_e3m2fn",
    "float4_e2m1fn",
}


class DType(Enum):
    """Element types; the values are the library's numbers (mxl_dtype)."""

    float32 = 1
    float16 = 2
    bfloat16 = 3
    float64 = 4
    float8_e4m3fn = 5
    float8_e5m2 = 6
    float8_e8m0fnu = 7
    float6_e2m3fn = 8
    float6_e3m2fn = 9
    float4_e2m1fn = 10
    complex64 = 11
    bool = 20
    uint8 = 21
    int8 = 22
    uint16 = 23
    int16 = 24
    uint32 = 25
    int32 = 26
    uint64 = 27
    int64 = 28

    def to_numpy(self) -> np.dtype[Any]:
        """The numpy dtype. bfloat16 and the 8-bit floats need the package ml_dtypes; sub-byte types have none (TypeError, `maxlinear.Error`)."""
        if self.name not in _EXTENSION:
            return np.dtype(self.name)
        if self in (DType.float6_e2m3fn, DType.float6_e3m2fn, DType.float4_e2m1fn):
            message = f"dtype: is {self.name}, which is packed, expected one that numpy has"
            raise DTypeError("MXL_INVALID_DTYPE", message)
        try:
            import ml_dtypes
        except ImportError:
            message = f"dtype: is {self.name}, expected the package ml_dtypes, which it needs"
            raise DTypeError("MXL_INVALID_DTYPE", message) from None
        dtype: np.dtype[Any] = np.dtype(getattr(ml_dtypes, self.name))
        return dtype

    @staticmethod
    def _number(dtype: DType, argument: str = "dtype") -> int:
        """The library's number of a DType. TypeError (`maxlinear.Error`) for what is none, as a numpy dtype or a name."""
        if not isinstance(dtype, DType):
            message = f"{argument}: is {dtype!r}, expected a maxlinear.dtype.DType, such as DType.float32"
            raise DTypeError("MXL_INVALID_DTYPE", message)
        number: int = dtype.value
        return number

    @property
    def _is_float8(self) -> builtins.bool:
        return self in (DType.float8_e4m3fn, DType.float8_e5m2)

    def _to_array_dtype(self) -> np.dtype[Any]:
        """`to_numpy`, but uint8 for 8-bit floats where ml_dtypes is missing."""
        try:
            return self.to_numpy()
        except TypeError:
            if self._is_float8:
                return np.dtype(np.uint8)
            raise

    @classmethod
    def from_numpy(cls, dtype: np.dtype[Any]) -> DType:
        """The DType of a numpy dtype, those of ml_dtypes included. TypeError (`maxlinear.Error`) when there is none."""
        return cls._of(dtype, "dtype: is")

    @classmethod
    def _of(cls, dtype: np.dtype[Any], subject: str) -> DType:
        """`from_numpy`, with a message that begins with whose dtype it is."""
        name = np.dtype(dtype).name
        if name not in cls.__members__ or not np.dtype(dtype).isnative:
            message = f"{subject} {np.dtype(dtype)!r}, expected one of maxlinear's"
            raise DTypeError("MXL_INVALID_DTYPE", message)
        return cls[name]

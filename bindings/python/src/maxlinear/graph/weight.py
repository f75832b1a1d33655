"""The description of a layer's weight."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..dtype import DType
from .device import DeviceRef
from .quantization import QuantizationEncoding


@dataclass(frozen=True)
class Weight:
    """What a weight of a layer must be; its contents are in the layer's state dict.

    Attributes:
        name: the key in the state dict.
        dtype: of the stored elements, `DType.uint8` of blocks.
        shape: (out_dim, in_dim), encoded or not; a bias is (out_dim,).
        device: where the layer computes; weights stay in the memory of the host.
        quantization_encoding: how it is stored; None for dense.
    """

    name: str
    dtype: DType
    shape: tuple[int, ...]
    device: DeviceRef = field(default_factory=DeviceRef.CPU)
    quantization_encoding: QuantizationEncoding | None = None

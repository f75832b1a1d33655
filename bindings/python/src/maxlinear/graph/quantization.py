"""How encoded weights are stored."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class QuantizationEncoding:
    """A block encoding by name, such as `QuantizationEncoding("Q4_K")`. The library says whether it knows the name."""

    name: str


@dataclass(frozen=True)
class QuantizationConfig:
    """How a GPTQ checkpoint is quantized: the fields of its quantize_config.json."""

    quant_method: str
    bits: int
    group_size: int
    desc_act: bool = False
    sym: bool = False
    checkpoint_format: str | None = None

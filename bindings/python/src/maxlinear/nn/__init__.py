"""Layers."""

from .distributed import ColumnParallelLinear, DistributedMLP, RowParallelLinear
from .linear import GPTQLinear, GPTQLinearV2, Linear, LinearV2, QLinear
from .mlp import MLP, MLPV2
from .together import forward_together

__all__ = [
    "MLP",
    "MLPV2",
    "ColumnParallelLinear",
    "DistributedMLP",
    "GPTQLinear",
    "GPTQLinearV2",
    "Linear",
    "LinearV2",
    "QLinear",
    "RowParallelLinear",
    "forward_together",
]

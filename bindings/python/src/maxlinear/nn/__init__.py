"""Layers."""

from .distributed import ColumnParallelLinear, DistributedMLP, RowParallelLinear
from .linear import GPTQLinear, GPTQLinearV2, Linear, LinearV2, QLinear
from .mlp import MLP, MLPV2

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
]

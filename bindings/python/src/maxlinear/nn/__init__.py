"""Layers."""

from .linear import Linear, LinearV2

__all__ = ["Linear", "LinearV2"]

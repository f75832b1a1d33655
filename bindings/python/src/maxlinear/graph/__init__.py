"""Devices, weights and quantization, in MAX's module layout."""

from .device import DeviceRef
from .weight import Weight

__all__ = ["DeviceRef", "Weight"]

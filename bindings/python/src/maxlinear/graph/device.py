"""Where a layer computes."""

from __future__ import annotations

from dataclasses import dataclass

from .._ffi import constants


@dataclass(frozen=True)
class DeviceRef:
    """A device: `DeviceRef.CPU()`, or for layers on several devices `DeviceRef.CPU(id)`. A layer on another raises `maxlinear.Error`
    (MXL_NO_DEVICE).

    Attributes:
        device_type: "cpu" or "gpu".
        id: its number, from 0.
    """

    device_type: str
    id: int = 0

    @staticmethod
    def CPU(id: int = 0) -> DeviceRef:
        """The CPU."""
        return DeviceRef("cpu", id)

    @staticmethod
    def GPU(id: int = 0) -> DeviceRef:
        """A GPU, which would need a device plugin."""
        return DeviceRef("gpu", id)

    @property
    def _number(self) -> int:
        return constants.MXL_DEVICE_CPU if self.device_type == "cpu" else constants.MXL_DEVICE_CUDA

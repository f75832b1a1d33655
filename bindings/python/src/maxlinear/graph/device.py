"""Where a layer computes."""

from __future__ import annotations

from dataclasses import dataclass

from .._ffi import constants, structs
from ..errors import DTypeError, integer


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

    @staticmethod
    def _struct(device: DeviceRef, argument: str = "device") -> structs.Device:
        """The C struct of a device. TypeError (`maxlinear.Error`) for what is none, as a device's name."""
        if not isinstance(device, DeviceRef):
            message = f"{argument}: is {device!r}, expected a maxlinear.graph.DeviceRef, such as DeviceRef.CPU()"
            raise DTypeError("MXL_INVALID_DTYPE", message)
        kind = constants.MXL_DEVICE_CPU if device.device_type == "cpu" else constants.MXL_DEVICE_CUDA
        return structs.Device(kind, integer(device.id, 32, argument))

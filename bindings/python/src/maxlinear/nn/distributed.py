"""Layers on several devices: called with one x a device, they return one y a device."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .._ffi import structs
from .._ffi.library import library
from .._ffi.tensors import as_array, rows_contiguous, tensor_of
from ..communicator import Communicator
from ..dtype import DType
from ..errors import ArgumentError, DTypeError, check, flag, listed, new_error
from ..graph.device import DeviceRef
from ..graph.quantization import QuantizationConfig, QuantizationEncoding, as_encoding
from ..graph.weights import Weights
from ._options import MADE_OF, DevicesField, EncodingField, linear_options, new_handle, run_options
from .gated import activation_number
from .linear import GPTQLinearV2, LinearV2
from .mlp import MLP, MLPV2, device_array
from .module import Array, Module, Stored

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["MLP", "MLPV2", "ColumnParallelLinear", "DistributedMLP", "RowParallelLinear"]


def _shards(layer: Module) -> list[range]:
    """What each device has."""
    layer._ensure_prepared()
    count = ctypes.c_size_t()
    error = new_error()
    check(library.mxl_layer_shard(layer._handle, 0, ctypes.byref(count), None, None, error), error)
    shards = []
    for index in range(count.value):
        begin, end = ctypes.c_int64(), ctypes.c_int64()
        status = library.mxl_layer_shard(layer._handle, index, None, ctypes.byref(begin), ctypes.byref(end), error)
        check(status, error)
        shards.append(range(begin.value, end.value))
    return shards


def _arrays(xs: Any) -> list[Array]:
    """One array a device. TypeError for an array alone, of which each row would be one."""
    if not isinstance(xs, (list, tuple)):
        message = f"xs: is a {type(xs).__name__}, expected a list with one x a device"
        raise DTypeError("MXL_INVALID_DTYPE", message)
    return [as_array(x, f"xs[{device}]") for device, x in enumerate(xs)]


def _forward(layer: Module, xs: Any, out_dims: Sequence[int], threads: int | None) -> list[Array]:
    """One y for each x."""
    layer._ensure_prepared()
    sources = [rows_contiguous(array) for array in _arrays(xs)]
    widths = (*out_dims, *[0] * len(sources))
    results = [
        np.empty((*source.shape[:-1], width), source.dtype) for source, width in zip(sources, widths, strict=False)
    ]
    options = run_options(threads)
    views = [
        (structs.Tensor * max(len(arrays), 1))(
            *(tensor_of(array, f"xs[{device}]") for device, array in enumerate(arrays))
        )
        for arrays in (sources, results)
    ]
    error = new_error()
    arguments = (layer._handle, ctypes.byref(options), *views, len(sources), error)
    check(library.mxl_layer_forward_devices(*arguments), error, {"count:": "xs: length"})
    return results


def _call(layer: Module, x: Any, threads: int | None) -> Array:
    """y = layer(x), together with the other ranks."""
    return layer._call_checked(x, None, False, threads)  # once: a second try would meet the ranks in another call


def _same(xs: Any, count: int) -> list[Array]:
    """One x a device, all of the same bits."""
    arrays = _arrays(xs)
    if len(arrays) != count:
        message = f"xs: there are {len(arrays)}, expected one for each of the {count} devices"
        raise ArgumentError("MXL_INVALID_ARGUMENT", message)
    first = arrays[0]
    for device, array in enumerate(arrays):
        if array is not first and (array.shape, array.dtype, array.tobytes()) != (
            first.shape,
            first.dtype,
            first.tobytes(),
        ):
            message = f"xs[{device}]: differs from xs[0], expected the same x for every device"
            raise ArgumentError("MXL_INVALID_ARGUMENT", message)
    return arrays


def _refuse_pickling(layer: Module, communicator: Communicator | None) -> None:
    if communicator is not None:
        message = f"{type(layer).__name__}: cannot be pickled or assigned to, as its communicator is this process's end of one"
        raise ArgumentError("MXL_UNSUPPORTED", message)


def _refuse_communicator(name: str) -> None:
    if name == "communicator":
        message = "communicator: is assigned, expected another layer of it, as all ranks make theirs together"
        raise ArgumentError("MXL_UNSUPPORTED", message)


class DistributedMLP(MLPV2):
    """`MLPV2` on several devices of this process, or on several processes, with its bits for any number of them and of threads.

    A device is a part of a call's threads, which pack its shard, touch it first and compute it. All three matrices are split by their
    outputs, gate and up at multiples of 256 where h is quantized; shards may be uneven, nothing is dropped. The state dict is the
    undivided one.

    Args:
        devices: `DeviceRef.CPU(id)` with different ids; none means one.
        linear_cls: `LinearV2`, or `functools.partial(GPTQLinearV2, quantization_config=...)`. Layers of another class are not divided: each
            device gets their result.
        reduce: split down by its inputs and sum the devices' results in their order: the bits then depend on the number of devices.
        communicator: the processes that are the devices, beside no `devices`, with `LinearV2` or GPTQ: every rank makes the layer, loads the same
            checkpoint and calls it with the same x, `mlp(x)`, and each gets the whole y. A rank packs its own shard alone, and keeps the source of
            its weights: they should be mapped (`from_weights`, `load_weights`).
        others: as in `MLPV2`.

    Raises:
        maxlinear.Error: more devices than units of work, a device that comes twice, a GPU (ValueError).
    """

    _fields = MLPV2._fields | {"reduce", "communicator"}

    def __init__(
        self,
        dtype: DType,
        quantization_encoding: QuantizationEncoding | str | None,
        hidden_dim: int,
        feed_forward_length: int,
        linear_cls: Callable[..., LinearV2] = LinearV2,
        devices: Sequence[DeviceRef] = (),
        has_bias: bool = False,
        activation_function: str = "silu",
        quantization_config: QuantizationConfig | None = None,
        reduce: bool = False,
        communicator: Communicator | None = None,
    ) -> None:
        if isinstance(linear_cls, functools.partial) and linear_cls.func is GPTQLinearV2:
            quantization_config = linear_cls.keywords.get("quantization_config", quantization_config)
            quantization_encoding, linear_cls = QuantizationEncoding.GPTQ, LinearV2
        if communicator is not None and linear_cls is not LinearV2:
            message = "linear_cls: makes layers of another class, which cannot be divided among ranks"
            raise ArgumentError("MXL_UNSUPPORTED", message)
        self.reduce = reduce
        self.communicator = communicator
        self._wanted = tuple(listed(devices, "devices"))
        super().__init__(
            dtype,
            quantization_encoding,
            hidden_dim,
            feed_forward_length,
            linear_cls,
            self._wanted if linear_cls is LinearV2 else (),
            has_bias,
            activation_function,
            quantization_config,
        )
        # Not assigned, which would make the layer of them.
        self.__dict__["devices"] = self._wanted or (DeviceRef.CPU(),)

    @classmethod
    def from_weights(
        cls,
        weights: Weights,
        layer: int = 0,
        *,
        devices: Sequence[DeviceRef] = (),
        activation_function: str = "silu",
        quantization_config: QuantizationConfig | None = None,
        reduce: bool = False,
        communicator: Communicator | None = None,
    ) -> Self:
        """`MLPV2.from_weights` on all of `devices`.

        Args:
            devices, reduce, communicator: as in the constructor.
            others: as in `MLPV2.from_weights`.

        Raises:
            maxlinear.Error: as `MLPV2.from_weights` and the constructor.
        """
        devices = listed(devices, "devices")
        distribution: dict[str, Any] = {"distributed": 1, "reduce": flag(reduce, "reduce")}
        if communicator is not None:
            distribution |= {"communicator": Communicator._handle_of(communicator), "device_count": len(devices)}
        self = cls._from_weights(weights, layer, devices, activation_function, quantization_config, **distribution)
        self.reduce = reduce
        self.communicator = communicator
        return self

    def _make(self, activation: int) -> None:
        options = self._options(activation)
        options.reduce = flag(self.reduce, "reduce")
        if self.communicator is not None:
            options.communicator = Communicator._handle_of(self.communicator)
            options.device_count = len(self._wanted)
        self._own(new_handle(library.mxl_distributed_mlp_create, ctypes.byref(options)))

    def _become(self, name: str, value: Any, stored: list[Stored]) -> None:
        _refuse_communicator(name)
        super()._become(name, value, stored)

    def _stored(self) -> list[Stored]:
        _refuse_pickling(self, self.communicator)
        stored = super()._stored()
        if not self._is_uniform(stored):
            message = "DistributedMLP: cannot be pickled, expected matrices of one dtype, all with a bias or none"
            raise ArgumentError("MXL_UNSUPPORTED", message)
        own = self.quantization_encoding
        if own is not None and not self._is_of_one_encoding(stored):
            dims = (self.hidden_dim, self.feed_forward_length)
            if any(dim % own.elements_per_block for dim in dims):
                message = f"DistributedMLP: cannot be pickled, expected {list(dims)} to be multiples of {own.name}'s {own.elements_per_block}"
                raise ArgumentError("MXL_UNSUPPORTED", message)
        return stored

    def _remake(self, stored: list[Stored]) -> None:
        if self._linears is None:
            self._make(activation_number(self.activation_function))
            self._load_stored(stored)

    @property
    def shards(self) -> list[range]:
        """The columns of h that each device has. Prepares the layer. Raises ValueError (`maxlinear.Error`) where it is not divided, as
        `linear_cls` makes layers of another class."""
        if self._linears is not None:
            message = "linear_cls: makes layers of another class, which are not divided, expected LinearV2"
            raise ArgumentError("MXL_UNSUPPORTED", message)
        return _shards(self)

    def __call__(  # type: ignore[override]
        self, xs: Any, signal_buffers: Any = None, *, threads: int | None = None
    ) -> Any:
        """ys = mlp(xs), one y a device; with a communicator y = mlp(x).

        Args:
            xs: the same x (..., hidden_dim), float32, float16 or bfloat16, for each device, in a list; with a communicator this x alone, the same on
                all ranks, or a list with it.
            signal_buffers: accepted as in MAX; there is nothing to signal.
            threads: the most threads this call may use; of layers that `linear_cls` made as in `MLP`.

        Returns:
            For each device a new array (..., hidden_dim) of x's dtype; for an x alone its y.

        Raises:
            maxlinear.Error: not one x a device, xs that differ (ValueError), no list (TypeError), what `MLPV2` raises; with a communicator
                ConnectionError.
        """
        if self.communicator is not None and not isinstance(xs, (list, tuple)):
            return _call(self, xs, threads)
        if self._linears is not None:
            sources = _same(xs, len(self.devices))
            return [self._linears(x, None, False, threads) for x in sources]
        return _forward(self, xs, [self.hidden_dim] * len(self.devices), threads)


class _Parallel(Module):
    """A linear layer that is split among devices."""

    _fields = frozenset(
        (
            "in_dim",
            "out_dim",
            "dtype",
            "devices",
            "quantization_encoding",
            "quantization_config",
            "communicator",
        )
    )
    devices: DevicesField
    quantization_encoding: EncodingField

    def __init__(
        self,
        create: str,
        in_dim: int,
        out_dim: int,
        dtype: DType,
        devices: Sequence[DeviceRef],
        has_bias: bool,
        quantization_encoding: QuantizationEncoding | str | None,
        name: str | None,
        clip_weight: float | None,
        quantization_config: QuantizationConfig | None,
        gather: bool,
        communicator: Communicator | None,
    ) -> None:
        self.communicator = communicator
        quantization_encoding = as_encoding(quantization_encoding)
        quantization = (quantization_encoding, name, clip_weight, quantization_config)
        linear = (in_dim, out_dim, dtype, DeviceRef.CPU(), has_bias, *quantization)
        wanted = tuple(listed(devices, "devices"))
        self._made_of: tuple[Any, ...] = (create, linear, wanted, gather)
        self._make_handle()
        self.in_dim = in_dim
        self.out_dim = out_dim
        self.dtype = dtype
        self.devices = wanted or (DeviceRef.CPU(),)
        self.quantization_encoding = quantization_encoding
        self.quantization_config = quantization_config

    def _make_handle(self) -> None:
        create, linear, devices, gather = self._made_of
        options = structs.ParallelOptions(
            struct_size=ctypes.sizeof(structs.ParallelOptions),
            gather=flag(gather, "gather"),
            linear=ctypes.pointer(linear_options(*linear)),
            devices=device_array(devices),
            device_count=len(devices),
        )
        if self.communicator is not None:
            options.communicator = Communicator._handle_of(self.communicator)
        self._own(new_handle(getattr(library, create), ctypes.byref(options)))

    def _stored(self) -> list[Stored]:
        _refuse_pickling(self, self.communicator)
        return super()._stored()

    def _remake(self, stored: list[Stored]) -> None:
        self._make_handle()
        self._load_stored(stored)

    def _become(self, name: str, value: Any, stored: list[Stored]) -> None:
        _refuse_communicator(name)
        create, linear, devices, gather = self._made_of
        if name == "quantization_encoding":
            value = as_encoding(value)
        if name == "devices":
            devices = tuple(listed(value, "devices"))
            value = devices or (DeviceRef.CPU(),)
        elif name == "gather":
            gather = value
        else:
            linear = tuple(value if own == name else given for own, given in zip(MADE_OF, linear, strict=True))
        self._made_of = (create, linear, devices, gather)
        self.__dict__[name] = value
        self._make_handle()
        self._load_stored(stored, override_encoding=name != "quantization_encoding")

    @property
    def _out_dim(self) -> int:
        return self.out_dim

    @property
    def shards(self) -> list[range]:
        """The outputs (column-parallel) or inputs (row-parallel) of each device. Prepares the layer."""
        return _shards(self)


class ColumnParallelLinear(_Parallel):
    """y = x Wᵀ + b with W split among devices by its outputs.

    Args:
        devices: as in `DistributedMLP`.
        gather: give each device the whole y, with the bits of the undivided layer; else its own outputs.
        communicator: the processes that are the devices, as in `DistributedMLP`: `layer(x)` gives the whole y, `layer([x])` what this rank gets.
        others: as in `LinearV2` and `GPTQLinearV2`, with their state dicts.

    Raises:
        maxlinear.Error: more devices than outputs, a device that comes twice, a GPU (ValueError).
    """

    _fields = _Parallel._fields | {"gather"}

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        dtype: DType,
        devices: Sequence[DeviceRef] = (),
        *,
        has_bias: bool = False,
        quantization_encoding: QuantizationEncoding | str | None = None,
        name: str | None = None,
        clip_weight: float | None = None,
        quantization_config: QuantizationConfig | None = None,
        gather: bool = True,
        communicator: Communicator | None = None,
    ) -> None:
        create = "mxl_column_parallel_create"
        quantization = (quantization_encoding, name, clip_weight, quantization_config)
        super().__init__(create, in_dim, out_dim, dtype, devices, has_bias, *quantization, gather, communicator)
        self.gather = gather

    def __call__(  # type: ignore[override]
        self, xs: Any, signal_buffers: Any = None, *, threads: int | None = None
    ) -> Any:
        """ys = layer(xs), one y a device; with a communicator y = layer(x), too.

        Args:
            xs: the same x (..., in_dim), float32, float16 or bfloat16, for each device, in a list; with a communicator this x, the same on all ranks,
                alone or in a list.
            signal_buffers: accepted as in MAX; there is nothing to signal.
            threads: the most threads this call may use.

        Returns:
            For each device a new array of x's dtype: (..., out_dim), or without `gather` its own outputs. For an x alone its whole y.

        Raises:
            maxlinear.Error: not one x a device, xs that differ, a shape (ValueError), no list, a dtype (TypeError), no weights yet
                (RuntimeError); with a communicator ConnectionError.
        """
        if self.communicator is not None and not isinstance(xs, (list, tuple)):
            return _call(self, xs, threads)
        self._ensure_prepared()
        shards = self.shards if self.communicator is None else [self.shards[self.communicator.rank]]
        widths = [self.out_dim] * len(self.devices) if self.gather else [len(shard) for shard in shards]
        return _forward(self, xs, widths, threads)


class RowParallelLinear(_Parallel):
    """y = x Wᵀ + b with W split among devices by its inputs: each takes its own columns of x (`shards`) and gets the whole sum.

    The devices' results are summed in their order, in float32, b with the first. Arguments as in `ColumnParallelLinear`; with a communicator
    `layer(x)` takes the whole x, `layer([x])` this rank's columns.
    """

    def __init__(
        self,
        in_dim: int,
        out_dim: int,
        dtype: DType,
        devices: Sequence[DeviceRef] = (),
        *,
        has_bias: bool = False,
        quantization_encoding: QuantizationEncoding | str | None = None,
        name: str | None = None,
        clip_weight: float | None = None,
        quantization_config: QuantizationConfig | None = None,
        communicator: Communicator | None = None,
    ) -> None:
        create = "mxl_row_parallel_create"
        quantization = (quantization_encoding, name, clip_weight, quantization_config)
        super().__init__(create, in_dim, out_dim, dtype, devices, has_bias, *quantization, False, communicator)

    def __call__(  # type: ignore[override]
        self, xs: Any, signal_buffers: Any = None, *, threads: int | None = None
    ) -> Any:
        """ys = layer(xs), one y a device; with a communicator y = layer(x), too.

        Args:
            xs: for each device its own columns of x (`shards`), float32, float16 or bfloat16, in a list; with a communicator this rank's, or the whole
                x (..., in_dim), the same on all ranks, alone.
            signal_buffers: accepted as in MAX; there is nothing to signal.
            threads: the most threads this call may use.

        Returns:
            For each device a new array (..., out_dim) of x's dtype, the whole sum; for an x alone one.

        Raises:
            maxlinear.Error: not one x a device, a shape (ValueError), no list, a dtype (TypeError), no weights yet (RuntimeError); with a communicator
                ConnectionError.
        """
        if self.communicator is not None and not isinstance(xs, (list, tuple)):
            return _call(self, xs, threads)
        return _forward(self, xs, [self.out_dim] * len(self.devices), threads)

"""Bad input: the class, the status and the message, and that a failed call changes nothing."""

import contextlib
import functools
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from python_support import write_safetensors

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph import DeviceRef
from maxlinear.graph.quantization import QuantizationConfig, QuantizationEncoding
from maxlinear.graph.weights import load_weights
from maxlinear.nn import (
    MLP,
    MLPV2,
    ColumnParallelLinear,
    DistributedMLP,
    GPTQLinear,
    GPTQLinearV2,
    Linear,
    LinearV2,
    QLinear,
    RowParallelLinear,
    forward_together,
)

W = np.arange(6, dtype=np.float32).reshape(2, 3)


def loaded():
    layer = LinearV2(3, 2, DType.float32)
    layer.load_state_dict({"weight": W})
    return layer


@pytest.fixture
def layer():
    return loaded()


@contextlib.contextmanager
def raises(kind, status, *parts):
    """A maxlinear.Error that is also of that kind, with that status, whose message has these parts."""
    with pytest.raises(kind) as caught:
        yield caught
    assert isinstance(caught.value, maxlinear.Error) and caught.value.status == status
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("keywords", "status", "part"),
    [
        ({"in_dim": 0}, "MXL_INVALID_SHAPE", "in_dim"),
        ({"in_dim": -3}, "MXL_INVALID_SHAPE", "in_dim"),
        ({"out_dim": 0}, "MXL_INVALID_SHAPE", "out_dim"),
        ({"in_dim": 1 << 40, "out_dim": 1 << 40}, "MXL_INVALID_SHAPE", "weight"),
        ({"in_dim": 1 << 70}, "MXL_INVALID_ARGUMENT", "in_dim"),
        ({"clip_weight": 0.0}, "MXL_INVALID_ARGUMENT", "clip_weight"),
        ({"clip_weight": float("nan")}, "MXL_INVALID_ARGUMENT", "clip_weight"),
        ({"device": DeviceRef.GPU()}, "MXL_NO_DEVICE", "device"),
        ({"device": DeviceRef.CPU(3)}, "MXL_NO_DEVICE", "device"),
        ({"dtype": DType.int64}, "MXL_UNSUPPORTED", "int64"),
        ({"quantization_encoding": QuantizationEncoding("nonsense")}, "MXL_UNSUPPORTED", "nonsense"),
    ],
)
def test_constructor(keywords, status, part):
    with raises(ValueError, status, part):
        LinearV2(**{"in_dim": 3, "out_dim": 2, "dtype": DType.float32, **keywords})


@pytest.mark.parametrize(
    ("x", "kind", "status", "parts"),
    [
        (np.zeros(4, np.float32), ValueError, "MXL_INVALID_SHAPE", ("x: last dimension is 4", "in_dim = 3")),
        (np.float32(1), ValueError, "MXL_INVALID_SHAPE", ("x: ", "rank")),
        (np.zeros(3, np.float64), TypeError, "MXL_INVALID_DTYPE", ("float64", "float32")),
        (np.zeros(3, np.int32), TypeError, "MXL_INVALID_DTYPE", ("int32",)),
        (np.zeros((1,) * 17 + (3,), np.float32), ValueError, "MXL_INVALID_SHAPE", ("rank",)),
    ],
)
def test_x(layer, x, kind, status, parts):
    with raises(kind, status, *parts):
        layer(x)
    assert layer(np.ones(3, np.float32)).tolist() == [3, 12]


@pytest.mark.parametrize("x", ["text", object(), np.zeros(3, ">f4"), np.zeros(3, "U3")])
def test_x_of_no_dtype(layer, x):
    with raises(TypeError, "MXL_INVALID_DTYPE", "x: "):
        layer(x)


@pytest.mark.parametrize("x", [[[1, 2, 3], [1]], ["a", "b", "c"]])
def test_x_of_no_numbers(layer, x):
    with raises(ValueError, "MXL_INVALID_ARGUMENT", "x: "):
        layer(x)


@pytest.mark.parametrize("dtype", [np.float32, "float32", np.dtype("float32"), None, 1])
def test_no_dtype(dtype):
    for make in (
        lambda: LinearV2(3, 2, dtype),
        lambda: MLPV2(dtype, None, 3, 2),
        lambda: ColumnParallelLinear(3, 2, dtype),
        lambda: maxlinear.can_run(3, 2, dtype),
        lambda: maxlinear.quantize_float8(W, dtype),
        lambda: maxlinear.dequantize(maxlinear.quantize(np.zeros(32, np.float32), "Q8_0"), None, dtype),
        lambda: Linear.create(dtype, None, 3, 2, W) if dtype is not None else LinearV2(3, 2, dtype),
    ):
        with raises(TypeError, "MXL_INVALID_DTYPE", f"dtype: is {dtype!r}, expected a maxlinear.dtype.DType"):
            make()
    with raises(TypeError, "MXL_INVALID_DTYPE", "scales: is"):
        maxlinear.quantize_gptq(W, QuantizationConfig("gptq", 4, -1), dtype)


class OwnCommunicator:
    rank, size = 0, 1


CONFIG = {"bits": 4, "group_size": 32, "quant_method": "gptq"}
#: Arguments of another type, by how their messages begin; what json.load gives of a quantize_config.json is one.
OTHER_TYPES = {
    "quantization_config: is a dict, expected a maxlinear.graph.quantization.QuantizationConfig": (
        lambda: GPTQLinearV2(32, 8, DType.uint8, quantization_config=CONFIG),
        lambda: GPTQLinear(W, quantization_config=CONFIG),
        lambda: Linear.create(DType.uint8, None, 32, 8, W, quantization_config=CONFIG),
        lambda: MLPV2(DType.uint8, "GPTQ", 32, 32, quantization_config=CONFIG),
        lambda: ColumnParallelLinear(32, 8, DType.uint8, quantization_encoding="GPTQ", quantization_config=CONFIG),
        lambda: maxlinear.can_run(32, 8, DType.uint8, quantization_encoding="GPTQ", quantization_config=CONFIG),
    ),
    "config: is a dict, expected": (lambda: maxlinear.quantize_gptq(W, CONFIG),),
    "device: is 'cpu', expected a maxlinear.graph.DeviceRef": (
        lambda: LinearV2(3, 2, DType.float32, "cpu"),
        lambda: GPTQLinearV2(32, 8, DType.uint8, "cpu", quantization_config=QuantizationConfig("gptq", 4, 32)),
        lambda: maxlinear.can_run(3, 2, DType.float32, "cpu"),
    ),
    "devices[0]: is 'cpu', expected a maxlinear.graph.DeviceRef": (
        lambda: MLPV2(DType.float32, None, 3, 2, devices=["cpu"]),
        lambda: DistributedMLP(DType.float32, None, 3, 2, devices=["cpu"]),
        lambda: ColumnParallelLinear(3, 2, DType.float32, ["cpu"]),
        lambda: RowParallelLinear(3, 2, DType.float32, ["cpu"]),
    ),
    "quantization_encoding: is 5, expected a QuantizationEncoding or the name of one": (
        lambda: LinearV2(32, 2, DType.uint8, quantization_encoding=5),
        lambda: QLinear(W, quantization_encoding=5),
        lambda: GPTQLinearV2(32, 8, DType.uint8, quantization_encoding=5),
        lambda: Linear.create(DType.uint8, 5, 32, 8, W),
        lambda: MLPV2(DType.uint8, 5, 32, 32),
        lambda: RowParallelLinear(32, 8, DType.uint8, quantization_encoding=5),
        lambda: maxlinear.can_run(32, 8, DType.uint8, quantization_encoding=5),
    ),
    "encoding: is 5, expected": (
        lambda: maxlinear.quantize(W, 5),
        lambda: maxlinear.dequantize(np.zeros(34, np.uint8), 5),
    ),
    "encoding: is None, expected": (lambda: maxlinear.quantize(W, None),),
    "fallback: is 5, expected": (lambda: maxlinear.quantize(W, "Q4_K", None, 5),),
    "communicator: is a OwnCommunicator, expected a maxlinear.Communicator": (
        lambda: DistributedMLP(DType.float32, None, 3, 2, communicator=OwnCommunicator()),
        lambda: ColumnParallelLinear(3, 2, DType.float32, communicator=OwnCommunicator()),
    ),
    "key of state_dict: is 5, expected text": (
        lambda: LinearV2(3, 2, DType.float32).load_state_dict({5: W}),
        lambda: MLPV2(DType.float32, None, 3, 2, functools.partial(LinearV2)).load_state_dict({5: W}),
    ),
    "threads: is 1.5, expected an integer": (
        lambda: maxlinear.set_num_threads(1.5),
        lambda: loaded()(np.ones(3, np.float32), threads=1.5),
        lambda: loaded().prepare(threads=1.5),
        lambda: maxlinear.quantize(np.zeros(32, np.float32), "Q8_0", threads=1.5),
        lambda: maxlinear.quantize_float8(W, threads=1.5),
    ),
    "in_dim: is 3.0, expected an integer": (
        lambda: LinearV2(3.0, 2, DType.float32),
        lambda: ColumnParallelLinear(3.0, 2, DType.float32),
        lambda: maxlinear.can_run(3.0, 2, DType.float32),
    ),
    "in_dim: is 'a', expected an integer": (lambda: LinearV2("a", 2, DType.float32),),
    "hidden_dim: is 3.0, expected an integer": (lambda: MLPV2(DType.float32, None, 3.0, 2),),
    "in_features: is 'a', expected an integer": (lambda: Linear.create(DType.float32, None, "a", 2, W),),
    "device: is 1.5, expected an integer": (lambda: LinearV2(3, 2, DType.float32, DeviceRef.CPU(1.5)),),
    "weight_alignment: is 1.5, expected an integer": (
        lambda: loaded().load_state_dict({"weight": W}, weight_alignment=1.5),
    ),
    "bits: is 4.0, expected an integer": (
        lambda: GPTQLinearV2(32, 8, DType.uint8, quantization_config=QuantizationConfig("gptq", 4.0, 32)),
        lambda: GPTQLinear(W, quantization_config=QuantizationConfig("gptq", 4.0, 32)),
        lambda: maxlinear.quantize_gptq(W, QuantizationConfig("gptq", 4.0, 32)),
    ),
    "group_size: is '32', expected an integer": (
        lambda: maxlinear.quantize_gptq(W, QuantizationConfig("gptq", 4, "32")),
    ),
    "sym: is 'yes', expected True or False": (
        lambda: maxlinear.quantize_gptq(W, QuantizationConfig("gptq", 4, 32, sym="yes")),
    ),
    "has_bias: is None, expected True or False": (
        lambda: LinearV2(3, 2, DType.float32, has_bias=None),
        lambda: MLPV2(DType.float32, None, 3, 2, has_bias=None),
    ),
    "clip_weight: is 'a', expected a number": (lambda: LinearV2(3, 2, DType.float32, clip_weight="a"),),
    "devices: is 5, expected a list": (
        lambda: MLPV2(DType.float32, None, 3, 2, devices=5),
        lambda: DistributedMLP(DType.float32, None, 3, 2, devices=5),
        lambda: ColumnParallelLinear(3, 2, DType.float32, 5),
    ),
    "linear_cls: is 5, expected": (lambda: MLPV2(DType.float32, None, 3, 2, linear_cls=5),),
    "state_dict: is a list, expected a mapping": (
        lambda: loaded().load_state_dict([1]),
        lambda: MLPV2(DType.float32, None, 3, 2, functools.partial(LinearV2)).load_state_dict([1]),
    ),
    "gate_proj: is a int, expected a layer": (lambda: MLP(1, 2, 3)(np.ones(3, np.float32)),),
    "weights: is a NoneType, expected": (
        lambda: loaded().load_weights(None),
        lambda: MLPV2.from_weights(None),
    ),
    "paths: is 5, expected": (lambda: load_weights(5), lambda: load_weights([5])),
    "path: is None, expected a path": (lambda: maxlinear.load_plugin(None),),
    "layers: is 5, expected a list": (lambda: forward_together(5, W),),
    "layers[0]: is a int, expected a linear layer": (lambda: forward_together([5], W),),
    "out: is 5, expected a list": (lambda: forward_together([loaded()], W, out=5),),
    "name: is 5, expected text": (lambda: LinearV2(3, 2, DType.float32, name=5),),
    "kind: is 5, expected text": (lambda: maxlinear.Communicator(5),),
}


@pytest.mark.parametrize("message", OTHER_TYPES)
def test_another_type(message):
    for call in OTHER_TYPES[message]:
        with raises(TypeError, "MXL_INVALID_DTYPE") as caught:
            call()
        assert str(caught.value).startswith(message)


@pytest.mark.parametrize("integer", [np.int64, np.uint8, np.array])
def test_integers_of_numpy(tmp_path, integer):
    layer = LinearV2(integer(3), integer(2), DType.float32, has_bias=np.bool_(False), clip_weight=np.float32(9))
    layer.load_state_dict({"weight": W}, weight_alignment=integer(16))
    assert layer(np.ones(3, np.float32), threads=integer(1)).tolist() == [3, 12]
    tensors = {f"blk.3.ffn_{part}.weight": np.ones((3, 3), np.float32) for part in ("gate", "up", "down")}
    weights = load_weights(write_safetensors(tmp_path / "a.safetensors", tensors))
    assert MLPV2.from_weights(weights, integer(3)).hidden_dim == 3
    for wrong in ("3", 3.0, None):
        with raises(TypeError, "MXL_INVALID_DTYPE", f"layer: is {wrong!r}, expected an integer"):
            MLPV2.from_weights(weights, layer=wrong)


@pytest.mark.parametrize("value", [[], {}, 5, "nonsense"])
def test_a_choice_of_another_type(layer, value):
    with raises(ValueError, "MXL_INVALID_ARGUMENT", f"compute: is {value!r}, expected one of None, 'float32', 'int8'"):
        layer.prepare(compute=value)
    with raises(ValueError, "MXL_INVALID_ARGUMENT", f"activation_function: is {value!r}, expected one of 'silu', "):
        MLPV2(DType.float32, None, 3, 2, activation_function=value)


NAN = np.full((2, 64), np.nan, np.float32)
DOUBLE = np.zeros((2, 64))
FLOAT8 = maxlinear.quantize_float8(np.ones((2, 64), np.float32))["weight"].view(np.uint8)
BLOCKS = maxlinear.quantize(np.ones((2, 64), np.float32), "Q4_0")
SYM = QuantizationConfig("gptq", 4, 32, sym=True)
#: Calls by how their messages begin: with what Python calls the argument.
OWN_NAMES = {
    "array: row 0, column 0 is": (
        lambda: maxlinear.quantize(NAN, "Q4_0"),
        lambda: maxlinear.quantize_gptq(NAN, SYM),
        lambda: maxlinear.quantize_float8(NAN),
    ),
    "array: dtype is float64": (
        lambda: maxlinear.quantize(DOUBLE, "Q4_0"),
        lambda: maxlinear.quantize_gptq(DOUBLE, SYM),
        lambda: maxlinear.quantize_float8(DOUBLE),
    ),
    "dtype: is int32, expected float32, float16 or bfloat16": (
        lambda: maxlinear.dequantize(BLOCKS, None, DType.int32),
        lambda: maxlinear.dequantize_float8(FLOAT8, 1.0, DType.int32, float8=DType.float8_e4m3fn),
    ),
    "dtype: is float32, expected float8": (lambda: maxlinear.quantize_float8(W, DType.float32),),
    "float8: is int32, expected": (lambda: maxlinear.dequantize_float8(FLOAT8, float8=DType.int32),),
    "weight: dtype is uint8, expected": (lambda: maxlinear.dequantize_float8(FLOAT8),),
    "weight_scale: shape is [7], expected": (
        lambda: maxlinear.dequantize_float8(FLOAT8, np.ones(7, np.float32), float8=DType.float8_e4m3fn),
    ),
    "encoding: is ": (
        lambda: maxlinear.quantize(NAN, "nonsense"),
        lambda: maxlinear.quantize(NAN, "GPTQ"),
        lambda: maxlinear.quantize(NAN, "GPTQ", None, "GPTQ"),
        lambda: maxlinear.dequantize(np.zeros(34, np.uint8), "nonsense"),
    ),
    "fallback: is ": (
        lambda: maxlinear.quantize(NAN, "Q4_0", None, "nonsense"),
        lambda: maxlinear.quantize(NAN, "Q4_0", None, "GPTQ"),
    ),
    "config: bits is 5": (lambda: maxlinear.quantize_gptq(NAN, QuantizationConfig("gptq", 5, 32)),),
    "quantization_encoding: is GPTQ, expected one that stores rows of blocks": (
        lambda: QLinear(BLOCKS, None, "GPTQ"),
        lambda: QLinear(np.asarray(BLOCKS), None, QuantizationEncoding.GPTQ),
    ),
}


@pytest.mark.parametrize("message", OWN_NAMES)
def test_arguments_have_their_names_in_python(message):
    for call in OWN_NAMES[message]:
        with pytest.raises(maxlinear.Error) as caught:
            call()
        assert str(caught.value).startswith(message)


@pytest.mark.parametrize("cls", [ColumnParallelLinear, RowParallelLinear])
def test_a_list_of_another_length(cls):
    layer = cls(3, 2, DType.float32, (DeviceRef.CPU(0), DeviceRef.CPU(1)))
    layer.load_state_dict({"weight": W})
    with raises(ValueError, "MXL_INVALID_ARGUMENT", "xs: length is 1, expected the layer's 2 devices"):
        layer([np.ones((1, 3), np.float32)])


def test_a_failed_key_changes_nothing(layer):
    with raises(TypeError, "MXL_INVALID_DTYPE", "state_dict"):
        layer.load_state_dict({"weight": 2 * W, 5: W}, replace=True)
    assert layer.state_dict()["weight"].tobytes() == W.tobytes()


def test_no_checkpoint(layer):
    for load in (lambda: MLPV2.from_weights("model.safetensors"), lambda: layer.load_weights("model.safetensors")):
        with raises(TypeError, "MXL_INVALID_DTYPE", "weights: is a str, expected what load_weights returned"):
            load()


def test_out(layer):
    x = np.ones((4, 3), np.float32)
    with raises(ValueError, "MXL_INVALID_SHAPE", "out: "):
        layer(x, out=np.zeros((4, 3), np.float32))
    with raises(ValueError, "MXL_INVALID_SHAPE", "out: "):
        layer(x, out=np.zeros((3, 2), np.float32))
    with raises(TypeError, "MXL_INVALID_DTYPE", "out: ", "float64"):
        layer(x, out=np.zeros((4, 2), np.float64))
    with raises(ValueError, "MXL_INVALID_SHAPE", "out: "):
        layer(x, out=np.lib.stride_tricks.as_strided(np.zeros(2, np.float32), (4, 2), (0, 4)))
    with raises(ValueError, "MXL_INVALID_ARGUMENT", "out: "):
        layer(x, out=x.reshape(-1)[:8].reshape(4, 2))
    with pytest.raises(ValueError, match="read-only"):
        layer(x, out=np.broadcast_to(np.float32(0), (4, 2)))
    with raises(TypeError, "MXL_INVALID_DTYPE", "out: is a list"):
        layer(x, out=[0.0] * 8)
    with raises(TypeError, "MXL_INVALID_DTYPE", "out: dtype is"):
        layer(x, out=np.zeros((4, 2), ">f4"))
    with pytest.raises(ValueError, match="accumulate"):
        layer(x, accumulate=True)
    with raises(ValueError, "MXL_INVALID_ARGUMENT", "threads"):
        layer(x, threads=-1)
    with raises(ValueError, "MXL_INVALID_ARGUMENT", "threads"):
        layer(x, threads=(1 << 32) + 1)


def test_before_a_load():
    layer = LinearV2(3, 2, DType.float32)
    for call in (lambda: layer(np.ones(3, np.float32)), lambda: layer.state_dict(auto_initialize=False), layer.prepare):
        with raises(RuntimeError, "MXL_NOT_LOADED", "load"):
            call()


@pytest.mark.parametrize(
    ("state", "kind", "status", "parts"),
    [
        ({}, KeyError, "MXL_MISSING_KEY", ("weight",)),
        ({"wieght": W}, KeyError, "MXL_MISSING_KEY", ("weight", "wieght")),
        ({"weight": W, "other": W}, KeyError, "MXL_UNEXPECTED_KEY", ("other",)),
        ({"weight": W.T.copy()}, ValueError, "MXL_INVALID_SHAPE", ("weight", "3", "2")),
        ({"weight": W[0]}, ValueError, "MXL_INVALID_SHAPE", ("weight",)),
        ({"weight": W.astype(np.float64)}, TypeError, "MXL_INVALID_DTYPE", ("weight", "float64", "float32")),
    ],
)
def test_a_failed_load_changes_nothing(layer, state, kind, status, parts):
    with raises(kind, status, *parts):
        layer.load_state_dict(state)
    assert (layer.state_dict()["weight"] == W).all()
    empty = LinearV2(3, 2, DType.float32)
    with raises(kind, status, *parts):
        empty.load_state_dict(state)
    with raises(RuntimeError, "MXL_NOT_LOADED"):
        empty(np.ones(3, np.float32))
    empty.load_state_dict({"weight": W})
    assert empty(np.ones(3, np.float32)).tolist() == [3, 12]


def test_a_missing_key_names_the_nearest():
    layer = LinearV2(3, 2, DType.float32)
    with raises(KeyError, "MXL_MISSING_KEY", "weight: ", "wieght"):
        layer.load_state_dict({"wieght": W}, strict=False)


def test_extra_keys_are_ignored_when_not_strict():
    layer = LinearV2(3, 2, DType.float32)
    layer.load_state_dict({"weight": W, "other": W}, strict=False)
    assert layer(np.ones(3, np.float32)).tolist() == [3, 12]


@pytest.mark.parametrize(
    "extra", [None, "text", {}, 3, object(), np.zeros(3, np.complex128), np.zeros(3, ">f4"), [[1], [1, 2]]]
)
def test_values_of_ignored_keys_are_ignored(extra):
    layer = LinearV2(3, 2, DType.float32)
    layer.load_state_dict({"weight": W, "extra": extra}, strict=False)
    assert layer(np.ones(3, np.float32)).tolist() == [3, 12]
    with pytest.raises(maxlinear.Error, match="extra: "):
        LinearV2(3, 2, DType.float32).load_state_dict({"weight": W, "extra": extra})
    with raises(KeyError, "MXL_MISSING_KEY", "weight: ", "wieght"):
        LinearV2(3, 2, DType.float32).load_state_dict({"wieght": extra}, strict=False)
    with pytest.raises(maxlinear.Error, match="weight: "):
        LinearV2(3, 2, DType.float32).load_state_dict({"weight": extra}, strict=False)
    state = {f"{part}_proj.weight": np.ones((3, 3), np.float32) for part in ("gate", "up", "down")}
    for linear_cls in (LinearV2, functools.partial(LinearV2)):
        mlp = MLPV2(DType.float32, None, 3, 3, linear_cls)
        mlp.load_state_dict({**state, "gate_proj.extra": extra, "extra": extra}, strict=False)
        assert mlp(np.ones(3, np.float32)).shape == (3,)


def test_prepare(layer):
    with pytest.raises(ValueError, match="compute"):
        layer.prepare(compute="nonsense")
    with raises(ValueError, "MXL_UNSUPPORTED", "int8"):
        layer.prepare(compute="int8")
    with raises(RuntimeError, "MXL_NOT_PREPARED"):
        _ = layer.kernel
    layer.prepare()
    with raises(RuntimeError, "MXL_ALREADY_PREPARED"):
        layer.prepare(pack="never")


def test_linear_from_values():
    with raises(ValueError, "MXL_INVALID_SHAPE", "weight"):
        Linear(np.zeros(3, np.float32))
    with raises(ValueError, "MXL_INVALID_SHAPE", "bias"):
        Linear(W, np.zeros(3, np.float32))
    with pytest.raises(maxlinear.Error):
        Linear(W.astype(np.int32))


def test_files(tmp_path):
    with raises(OSError, "MXL_IO", "missing.safetensors"):
        load_weights(tmp_path / "missing.safetensors")
    with raises(ValueError, "MXL_INVALID_FILE", "no checkpoint"):
        load_weights(tmp_path)
    with raises(OSError, "MXL_IO"):
        load_weights([tmp_path, tmp_path])
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    with raises(ValueError, "MXL_INVALID_FILE", "junk.safetensors"):
        load_weights(tmp_path / "junk.safetensors")
    with raises(ValueError, "MXL_INVALID_ARGUMENT"):
        load_weights([])


def test_a_library_without_a_function_is_named(tmp_path):
    """As one of an older version is."""
    source = tmp_path / "old.c"
    source.write_text("int mxl_version(void) { return 1; }\n")
    old = tmp_path / "libmaxlinear.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", old, source], check=True)
    result = subprocess.run(
        [sys.executable, "-c", "import maxlinear"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "MAXLINEAR_LIBRARY": str(old)},
    )
    assert result.returncode == 1
    assert re.search(r"ImportError: .*libmaxlinear.so has no mxl_\w+: it is of an older version", result.stderr)


def test_names_with_a_nul_character(tmp_path, layer):
    """C would take them to end there."""
    path = write_safetensors(tmp_path / "a.safetensors", {"a.weight": W})
    weights = load_weights(path)
    config = QuantizationConfig("gp\0tq", 4, 32)
    calls = {
        "paths": lambda: load_weights(f"{path}\0.safetensors"),
        "name": lambda: weights["a.weight\0junk"].data(),
        "state_dict": lambda: layer.load_state_dict({"weight\0junk": W}),
        "prefix": lambda: layer.load_weights(weights, "a.\0"),
        "quantization_encoding": lambda: LinearV2(32, 2, DType.uint8, quantization_encoding="Q8_0\0"),
        "name of a layer": lambda: LinearV2(3, 2, DType.float32, name="a\0b"),
        "encoding": lambda: QuantizationEncoding("Q8_0\0").block_parameters,
        "quant_method": lambda: GPTQLinearV2(32, 8, DType.uint8, quantization_config=config),
        "path": lambda: maxlinear.load_plugin("plugin.so\0"),
    }
    for argument, call in calls.items():
        with raises(ValueError, "MXL_INVALID_ARGUMENT", argument.split()[0], "NUL"):
            call()
    assert not weights["a.weight\0junk"].exists() and weights["a.weight"].exists()
    assert layer.state_dict()["weight"].tobytes() == W.tobytes()

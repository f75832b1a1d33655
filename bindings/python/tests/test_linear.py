"""Linear and LinearV2 against MAX's golden cases, float64, and themselves."""

import array
import collections
import ctypes
import os
import subprocess
import sys
import threading
import timeit

import ml_dtypes
import numpy as np
import pytest
from python_support import relative_error

import maxlinear
from maxlinear._ffi import dlpack
from maxlinear._ffi.tensors import as_array
from maxlinear.dtype import DType
from maxlinear.graph import DeviceRef
from maxlinear.nn.linear import Linear, LinearV2


def layer_of(random, in_dim=96, out_dim=40, has_bias=True, **keywords):
    layer = LinearV2(in_dim, out_dim, DType.float32, has_bias=has_bias, **keywords)
    weight = random.standard_normal((out_dim, in_dim)).astype(np.float32)
    state = {"weight": weight}
    if has_bias:
        state["bias"] = random.standard_normal(out_dim).astype(np.float32)
    layer.load_state_dict(state)
    return layer, state


def expected(state, x):
    return x.astype(np.float64) @ state["weight"].T.astype(np.float64) + state.get("bias", np.zeros(1))


@pytest.mark.parametrize("in_dim", [1, 7, 256, 257, 4096])
def test_float64(random, in_dim):
    layer, state = layer_of(random, in_dim, 33)
    x = random.standard_normal((5, in_dim)).astype(np.float32)
    assert relative_error(layer(x), expected(state, x)) <= 6e-7


@pytest.mark.parametrize("shape", [(96,), (1, 96), (5, 96), (2, 3, 96), (2, 1, 3, 96), (0, 96), (2, 0, 96)])
def test_ranks_and_zero_rows(random, shape):
    layer, state = layer_of(random)
    x = random.standard_normal(shape).astype(np.float32)
    y = layer(x)
    assert y.shape == (*shape[:-1], 40) and y.dtype == np.float32
    rows = layer(np.ascontiguousarray(x.reshape(-1, 96)))
    assert (y.reshape(-1, 40) == rows).all()
    if x.size:
        assert relative_error(y, expected(state, x)) <= 6e-7


def test_rows_do_not_depend_on_the_batch(random):
    layer, _ = layer_of(random)
    x = random.standard_normal((67, 96)).astype(np.float32)
    y = layer(x)
    for row in range(67):
        assert (layer(x[row]) == y[row]).all()


def test_strided_rows_are_taken_as_they_are(random):
    layer, _ = layer_of(random)
    wide = random.standard_normal((6, 200)).astype(np.float32)
    x = wide[::2, 3:99]
    assert (layer(x) == layer(x.copy())).all()
    assert (layer(wide[::-1, :96]) == layer(wide[::-1, :96].copy())).all()
    assert (layer(np.asfortranarray(x)) == layer(x.copy())).all()


def test_out_and_accumulate(random):
    layer, _ = layer_of(random)
    x = random.standard_normal((5, 96)).astype(np.float32)
    y = layer(x)
    out = np.full((5, 40), np.nan, np.float32)
    assert layer(x, out=out) is out and (out == y).all()
    before = random.standard_normal((5, 40)).astype(np.float32)
    total = before.copy()
    layer(x, out=total, accumulate=True)
    assert (total == before + y).all()
    wide = np.zeros((5, 100), np.float32)
    layer(x, out=wide[:, 30:70])
    assert (wide[:, 30:70] == y).all() and not wide[:, :30].any() and not wide[:, 70:].any()


class Exporter:
    """Something that only speaks DLPack, as a tensor of another framework."""

    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **keywords):
        return self.array.__dlpack__(**keywords)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_other_kinds_of_arrays(random):
    layer, _ = layer_of(random)
    x = random.standard_normal(96).astype(np.float32)
    y = layer(x)
    assert (layer(Exporter(x)) == y).all()
    assert (layer(array.array("f", x)) == y).all()
    assert (layer(memoryview(x)) == y).all()
    assert (layer(x.tolist()) == y).all()
    x.flags.writeable = False
    assert (layer(x) == y).all()


@pytest.mark.parametrize("code", "BbHhiq")
def test_memory_keeps_its_dtype(random, code):
    """An array.array is a sequence, too."""
    values = array.array(code, [1, 2, 3])
    view = as_array(values, "x")
    assert view.dtype == np.dtype(code) and np.shares_memory(view, np.frombuffer(values, code))
    blocks = maxlinear.quantize(random.standard_normal(32).astype(np.float32), "Q8_0")
    assert (maxlinear.dequantize(array.array("B", blocks.tobytes()), "Q8_0") == maxlinear.dequantize(blocks)).all()


def test_memory_of_another_dtype_is_refused(random):
    layer, _ = layer_of(random)
    for code in ("d", "u"):
        with pytest.raises(maxlinear.Error, match="x: dtype is"):
            layer(array.array(code, ["a"] * 96 if code == "u" else [0.0] * 96))
    assert (layer(collections.UserList([1.0] * 96)) == layer([1.0] * 96)).all()


class BFloat16:
    """A bfloat16 tensor that another library exports through DLPack, in any layout."""

    deleted = 0

    def __init__(self, array, device_type=1, code=4):
        self.array = array
        self.shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        self.strides = (ctypes.c_int64 * array.ndim)(*(stride // 2 for stride in array.strides))
        tensor = (array.__array_interface__["data"][0] - 6, device_type, 0, array.ndim, code, 16, 1)
        self.managed = dlpack._Tensor(*tensor, self.shape, self.strides, 6)

    def __dlpack__(self, **keywords):
        if keywords:
            raise TypeError("an exporter of the first DLPack")
        new = ctypes.pythonapi.PyCapsule_New
        new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self.managed), b"dltensor", None)

    def __dlpack_device__(self):
        return (1, 0)


def test_bfloat16_through_dlpack(random):
    wide = random.standard_normal((8, 64)).astype(ml_dtypes.bfloat16)
    x = random.standard_normal((3, 32)).astype(ml_dtypes.bfloat16)
    for weight in (wide[:, :32], wide[:, ::2], wide[::-1, 32:]):
        y = Linear(BFloat16(weight))(BFloat16(x))
        assert y.dtype == ml_dtypes.bfloat16 and (y == Linear(weight)(x)).all()
    for other in (BFloat16(x, device_type=2), BFloat16(x, code=5)):
        with pytest.raises(TypeError, match="DLPack"):
            Linear(wide[:, :32])(other)


def test_torch_tensors_when_torch_is_there(random):
    torch = pytest.importorskip("torch")
    layer, _ = layer_of(random)
    x = torch.randn(3, 96)
    assert (layer(x) == layer(x.numpy())).all()


@pytest.mark.parametrize("pack", ["always", "never"])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_state_dict_round_trips(random, pack, clip):
    layer, state = layer_of(random, clip_weight=clip)
    for _ in range(2):
        loaded = layer.state_dict()
        assert list(loaded) == ["weight", "bias"]
        for key, value in state.items():
            assert loaded[key].tobytes() == value.tobytes() and not loaded[key].flags.writeable
        layer.prepare(pack=pack)
    clipped = np.clip(state["weight"], -clip, clip) if clip else state["weight"]
    x = random.standard_normal((3, 96)).astype(np.float32)
    assert relative_error(layer(x), expected({**state, "weight": clipped}, x)) <= 6e-7


def test_memory(random):
    layer, _ = layer_of(random, 256, 64, has_bias=False)
    assert layer.memory() == {"packed": 0, "source": 65536, "mapped": 0}
    layer.prepare()
    assert layer.memory() == {"packed": 65536, "source": 0, "mapped": 0}


def test_replace(random):
    layer, state = layer_of(random)
    x = random.standard_normal((3, 96)).astype(np.float32)
    before = layer(x)
    other = {key: -value for key, value in state.items()}
    with pytest.raises(RuntimeError, match="prepared") as failure:
        layer.load_state_dict(other)
    assert failure.value.status == "MXL_ALREADY_PREPARED"
    assert (layer(x) == before).all()
    layer.load_state_dict(other, replace=True)
    assert (layer(x) == -before).all()


def test_linear_and_create(random, tmp_path):
    weight = random.standard_normal((40, 96)).astype(np.float32)
    bias = random.standard_normal(40).astype(np.float32)
    x = random.standard_normal((3, 96)).astype(np.float32)
    y = Linear(weight, bias)(x)
    assert relative_error(y, expected({"weight": weight, "bias": bias}, x)) <= 6e-7
    assert Linear([[1, 2], [3, 4]])(np.float32([1, 1])).tolist() == [3, 7]
    assert Linear(weight).weight.shape == (40, 96) and Linear(weight).bias is None


def test_threads(random):
    layer, _ = layer_of(random, 512, 512)
    x = random.standard_normal((64, 512)).astype(np.float32)
    y = layer(x)
    results = [None] * 8

    def work(index):
        results[index] = [layer(x) for _ in range(10)]

    threads = [threading.Thread(target=work, args=(index,)) for index in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((result == y).all() for several in results for result in several)
    assert all((layer(x, threads=count) == y).all() for count in range(1, 9))


def test_set_num_threads():
    before = maxlinear.num_threads()
    try:
        maxlinear.set_num_threads(3)
        assert maxlinear.num_threads() == 3
        for bad in (0, -1, 1025):
            with pytest.raises(ValueError):
                maxlinear.set_num_threads(bad)
        assert maxlinear.num_threads() == 3
    finally:
        maxlinear.set_num_threads(before)


PROGRAM = """
import sys, numpy as np
from maxlinear.nn import LinearV2
from maxlinear.dtype import DType
random = np.random.default_rng(3)
layer = LinearV2(300, 70, DType.float32)
layer.load_state_dict({"weight": random.standard_normal((70, 300)).astype(np.float32)})
sys.stdout.buffer.write(layer(random.standard_normal((17, 300)).astype(np.float32)).tobytes())
"""


def run_with_isa(isa):
    environment = {**os.environ, "MAXLINEAR_ISA": isa}
    return subprocess.run([sys.executable, "-c", PROGRAM], check=False, capture_output=True, env=environment)


def test_every_cpu_variant_gives_the_same_bytes():
    names = maxlinear.cpu_info()["isa"]["known"]
    outputs = {run_with_isa(name).stdout for name in ["", *names]}
    assert len(outputs) == 1 and len(outputs.pop()) == 17 * 70 * 4


def test_an_unknown_cpu_variant_is_an_error_that_lists_the_known():
    result = run_with_isa("nonsense")
    assert result.returncode != 0
    assert b"scalar" in result.stderr and b"avx512" in result.stderr


@pytest.mark.alone
def test_overhead_of_a_call(random):
    layer, _ = layer_of(random, 64, 64, has_bias=False)
    x = random.standard_normal((1, 64)).astype(np.float32)
    out = np.empty((1, 64), np.float32)
    layer(x)
    # Of Python's own speed on this machine: 9 times what it takes to add up 100 numbers, measured on two CPUs.
    for call in (lambda: layer(x), lambda: layer(x, out=out)):
        for _ in range(3):
            limit = 14 * min(timeit.repeat(lambda: sum(range(100)), number=5000, repeat=5)) / 5000
            seconds = min(timeit.repeat(call, number=5000, repeat=5)) / 5000
            if seconds <= limit:
                break
        assert seconds <= limit


def test_fields(random):
    layer = LinearV2(96, 40, DType.float32, DeviceRef.CPU(), has_bias=True, name="lin", clip_weight=2.0)
    assert (layer.in_dim, layer.out_dim, layer.clip_weight, layer.name) == (96, 40, 2.0, "lin")
    assert layer.weight.name == "lin.weight" and layer.weight.shape == (40, 96)
    assert layer.bias.name == "lin.bias" and layer.bias.shape == (40,)

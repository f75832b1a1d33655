"""MLPs whose linears are of somebody's own class: what is checked, and what the MLP does for the three."""

import gc
import pickle
from pathlib import Path

import numpy as np
import pytest
from python_support import write_safetensors

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph import DeviceRef
from maxlinear.graph.weights import load_weights
from maxlinear.nn import MLP, MLPV2, DistributedMLP, LinearV2
from maxlinear.nn.mlp import gate
from maxlinear.nn.module import Module

SHAPES = {"gate_proj": (96, 64), "down_proj": (64, 96), "up_proj": (96, 64)}
CPUS = [DeviceRef.CPU(0), DeviceRef.CPU(1)]


class Own(LinearV2):
    """Of another class, but called as LinearV2 is."""


class Doubling(LinearV2):
    def __call__(self, x, *arguments, **keywords):
        return super().__call__(x, *arguments, **keywords) * 2


class Wide(LinearV2):
    """Gives columns of a wider array, which are not contiguous."""

    def __call__(self, x, *arguments, **keywords):
        y = super().__call__(x, *arguments, **keywords)
        return np.concatenate([y, y], -1)[..., : y.shape[-1]]


@pytest.fixture
def state(random):
    return {f"{part}.weight": random.standard_normal(shape).astype(np.float32) for part, shape in SHAPES.items()}


@pytest.fixture
def x(random):
    return random.standard_normal((40, 64)).astype(np.float32)


def mlp_of(state, linear_cls=LinearV2, cls=MLPV2, **options):
    mlp = cls(DType.float32, None, 64, 96, linear_cls=linear_cls, **options)
    mlp.load_state_dict(state)
    return mlp


def test_linears_that_give_views(state, x):
    expected = mlp_of(state)(x)
    mlp = mlp_of(state, Wide)
    assert all((mlp(x) == expected).all() for _ in range(5))


def test_gate_of_arrays_that_are_not_contiguous(random):
    for _ in range(5):
        gates, ups = (random.standard_normal((300, 400)).astype(np.float32).T for _ in range(2))
        assert (gate("relu", gates, ups) == np.maximum(gates, 0) * ups).all()
    with pytest.raises(maxlinear.Error, match="up: dtype is"):
        gate("relu", gates, ups.astype(np.complex128))


READ_ONLY = np.zeros((40, 64), np.float32)
READ_ONLY.flags.writeable = False


@pytest.mark.parametrize(
    ("keywords", "status"),
    [
        ({"accumulate": True}, "MXL_INVALID_ARGUMENT"),
        ({"threads": -1}, "MXL_INVALID_ARGUMENT"),
        ({"threads": 1025}, "MXL_INVALID_ARGUMENT"),
        ({"threads": 1 << 40}, "MXL_INVALID_ARGUMENT"),
        ({"out": READ_ONLY}, "MXL_INVALID_ARGUMENT"),
        ({"out": [0.0]}, "MXL_INVALID_DTYPE"),
        ({"out": np.zeros((40, 64))}, "MXL_INVALID_DTYPE"),
        ({"out": np.zeros((40, 64), "U3")}, "MXL_INVALID_DTYPE"),
        ({"out": np.zeros((5, 40, 64), np.float32)}, "MXL_INVALID_SHAPE"),
        ({"out": np.zeros((1, 64), np.float32)}, "MXL_INVALID_SHAPE"),
        ({"x": np.zeros((40, 64))}, "MXL_INVALID_DTYPE"),
        ({"x": np.zeros((40, 64), np.int32)}, "MXL_INVALID_DTYPE"),
        ({"x": np.float32(1)}, "MXL_INVALID_SHAPE"),
        ({"x": np.zeros((40, 63), np.float32)}, "MXL_INVALID_SHAPE"),
    ],
)
def test_checks_are_those_of_any_call(state, x, keywords, status):
    own = mlp_of(state, Doubling)
    for mlp in (mlp_of(state), own, MLP(*own._linears.linears)):
        with pytest.raises(maxlinear.Error) as caught:
            mlp(**{"x": x, **keywords})
        assert caught.value.status == status
        assert next(iter(keywords)) in str(caught.value) or str(caught.value).startswith("y: ")


def test_out_and_accumulate(state, x):
    mlp = mlp_of(state, Doubling)
    y = mlp(x)
    out = np.ones_like(y)
    assert mlp(x, out=out, threads=1) is out and (out == y).all()
    assert (mlp(x, out=out, accumulate=True) == y + y).all()


class Named(LinearV2):
    def __call__(self, x, *, threads=None):
        return super().__call__(x, threads=threads)


class Plain(LinearV2):
    """Has a call that takes x alone."""

    def __call__(self, x):
        return super().__call__(x)


def test_threads_of_each_linear(state, x, monkeypatch):
    told = []
    call = Module.__call__

    def noted(self, x, out=None, *, accumulate=False, threads=None):
        told.append((type(self), threads))
        return call(self, x, out, accumulate=accumulate, threads=threads)

    monkeypatch.setattr(Module, "__call__", noted)
    plain = mlp_of(state)
    for cls, expected in ((Named, 1), (Plain, None), (Doubling, 1)):
        own = mlp_of(state, cls)
        gates, down, ups = mlp_of(state, Own)._linears.linears
        for mlp, kinds in (
            (own, [(cls, expected)] * 3),
            (MLP(own._linears.linears[0], down, ups), [(cls, expected), (Own, 1), (Own, 1)]),
            (MLP(gates, own._linears.linears[1], ups), [(Own, 1), (Own, 1), (cls, expected)]),
        ):
            y = mlp(x)
            told.clear()
            assert (mlp(x, threads=1) == y).all() and told == kinds
            told.clear()
            assert (mlp(x) == y).all() and told == [(kind, None) for kind, _ in kinds]
    mlp = mlp_of(state, Named, DistributedMLP, devices=CPUS)
    told.clear()
    assert all((y == plain(x)).all() for y in mlp([x, x], threads=2))
    assert set(told) - {(MLPV2, None)} == {(Named, 2)}
    functions = [lambda x, w=state[f"{part}.weight"]: x @ w.T for part in SHAPES]
    assert (MLP(*functions)(x, threads=1) == MLP(*functions)(x)).all()


@pytest.mark.parametrize("linear_cls", [Own, Doubling])
def test_xs_of_devices(state, x, linear_cls):
    mlp = mlp_of(state, linear_cls, DistributedMLP, devices=CPUS)
    assert [y.tobytes() for y in mlp([x, x.copy()])] == [mlp_of(state, linear_cls)(x).tobytes()] * 2
    wrong = x.copy()
    wrong[3, 4] += 1
    for xs, part in (
        ([x], "xs: there are 1, expected"),
        ([x] * 3, "xs: there are 3, expected"),
        ([], "xs: there are 0, expected"),
        ([x, wrong], r"xs\[1\]: differs"),
        ([x, x.astype(np.float16)], r"xs\[1\]: differs"),
        ([x, object()], r"xs\[1\]: is a object"),
        (np.stack([x, x]), "xs: is a ndarray, expected a list with one x a device"),
    ):
        with pytest.raises(maxlinear.Error, match=part):
            mlp(xs)
    with pytest.raises(ValueError, match="linear_cls: .*, expected LinearV2") as caught:
        _ = mlp.shards
    assert caught.value.status == "MXL_UNSUPPORTED"


@pytest.mark.parametrize("linear_cls", [Own, Doubling])
def test_preparing(state, x, linear_cls):
    mlp, plain = mlp_of(state, linear_cls), mlp_of(state)
    with pytest.raises(RuntimeError, match="prepare"):
        _ = mlp.kernel
    for each in (mlp, plain):
        each.prepare(compute="float32", pack="never", threads=1)
    assert mlp.kernel == plain.kernel and mlp.memory() == plain.memory()
    with pytest.raises(RuntimeError, match="other options"):
        mlp.prepare(pack="always")
    again = pickle.loads(pickle.dumps(mlp))
    assert again.kernel == mlp.kernel and (again(x) == mlp(x)).all()


def test_load_weights(state, x, tmp_path):
    path = write_safetensors(tmp_path / "m.safetensors", {f"a.{key}": value for key, value in state.items()})
    weights = load_weights(path)
    mlp = MLPV2(DType.float32, None, 64, 96, linear_cls=Doubling)
    mlp.load_weights(weights, "a.")
    expected = mlp_of(state, Doubling)(x)
    assert (mlp(x) == expected).all() and mlp.memory()["packed"] > 0
    bad = {f"b.{key}": 3 * value for key, value in state.items() if key != "up_proj.weight"}
    missing = load_weights(write_safetensors(tmp_path / "b.safetensors", bad))
    with pytest.raises(KeyError, match=r"up_proj\.weight"):
        mlp.load_weights(missing.b, replace=True)
    assert (mlp(x) == expected).all()
    mlp.load_state_dict({key: 2 * value for key, value in state.items()}, replace=True)
    assert (mlp(x) != expected).any()
    del mlp, weights, missing
    gc.collect()
    assert str(tmp_path) not in Path("/proc/self/maps").read_text()

"""Layers that another thread loads or prepares at the worst moment."""

import threading

import numpy as np
import pytest
from python_support import write_safetensors

import maxlinear.nn.module
from maxlinear.graph.weights import load_weights
from maxlinear.nn import MLP, Linear, QLinear

X = np.ones(32, np.float32)


class Library:
    """The library, with something that happens once before a function of it is called."""

    def __init__(self, library, name, happens):
        self._library = library
        self._name = name
        self._happens = [happens]

    def __getattr__(self, name):
        function = getattr(self._library, name)

        def call(*arguments):
            if self._happens:
                thread = threading.Thread(target=self._happens.pop())
                thread.start()
                thread.join()
            return function(*arguments)

        return call if name == self._name else function


@pytest.fixture
def before(monkeypatch):
    def put(name, happens):
        monkeypatch.setattr(maxlinear.nn.module, "library", Library(maxlinear.nn.module.library, name, happens))

    return put


def ones(factor=1):
    return np.full((32, 32), factor, np.float32)


@pytest.mark.parametrize("way", ["load_state_dict", "load_weights"])
def test_a_call_during_a_load_does_not_keep_old_weights(before, tmp_path, way):
    linears = [Linear(ones()) for _ in range(3)]
    mlp = MLP(*linears)
    old = mlp(X)
    weights = load_weights(write_safetensors(tmp_path / "w.safetensors", {"weight": ones(5)}))
    before("mxl_layer_load" if way == "load_state_dict" else "mxl_layer_load_weights", lambda: mlp(X))
    if way == "load_state_dict":
        linears[1].load_state_dict({"weight": ones(5)}, replace=True)
    else:
        linears[1].load_weights(weights, replace=True)
    assert (mlp(X) == MLP(*linears)(X)).all() and (mlp(X) == 5 * old).all()


def test_loads_at_once_leave_the_newest_weights():
    linears = [Linear(ones()) for _ in range(3)]
    mlp = MLP(*linears)
    mlp(X)
    done = threading.Event()

    def call():
        while not done.is_set():
            mlp(X)

    def load(linear, factor):
        for step in range(20):
            linear.load_state_dict({"weight": ones(factor + step)}, replace=True)

    callers = [threading.Thread(target=call) for _ in range(2)]
    loaders = [threading.Thread(target=load, args=(linears[1], factor)) for factor in (2, 30)]
    for thread in (*callers, *loaders):
        thread.start()
    for thread in loaders:
        thread.join()
    done.set()
    for thread in callers:
        thread.join()
    assert (mlp(X) == MLP(*linears)(X)).all()


def test_a_first_call_while_another_thread_prepares(before):
    blocks = maxlinear.quantize(np.random.default_rng(3).standard_normal((8, 32)).astype(np.float32), "Q8_0")
    layer = QLinear(blocks)
    other = QLinear(blocks)
    other.prepare(compute="float32")
    before("mxl_layer_prepare", lambda: layer.prepare(compute="float32"))
    assert (layer(X) == other(X)).all() and layer.kernel == other.kernel

"""Attributes that a layer is made of, assigned before it is prepared: the layer is one of the new value, or says why not and is as it was."""

import copy
import functools

import numpy as np
import pytest

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph import DeviceRef
from maxlinear.graph.quantization import QuantizationConfig
from maxlinear.nn import (
    MLPV2,
    ColumnParallelLinear,
    DistributedMLP,
    GPTQLinear,
    GPTQLinearV2,
    Linear,
    LinearV2,
    QLinear,
    RowParallelLinear,
)

K, N = 256, 64
W = np.random.default_rng(1).standard_normal((N, K)).astype(np.float32)
B = np.random.default_rng(2).standard_normal(N).astype(np.float32)
X = np.random.default_rng(3).standard_normal((3, K)).astype(np.float32)
SYM = QuantizationConfig("gptq", 4, 64, sym=True)


def linear(state=None, **options):
    layer = LinearV2(K, N, DType.float32, **options)
    layer.load_state_dict(state or {"weight": W})
    return layer


def mlp(cls=MLPV2, **options):
    layer = cls(DType.float32, None, K, K, **options)
    layer.load_state_dict({f"{part}_proj.weight": np.resize(W, (K, K)) for part in ("gate", "down", "up")})
    return layer


def assigned(layer, **values):
    for name, value in values.items():
        setattr(layer, name, value)
    return layer


def same(layer, expected, x=X):
    assert np.array_equal(layer(x), expected(x))
    assert np.array_equal(copy.deepcopy(layer)(x), expected(x))


def test_values_of_a_linear():
    same(assigned(Linear(W), bias=B), Linear(W, B))
    same(assigned(Linear(W, B), bias=None), Linear(W))
    same(assigned(Linear(W), weight=2 * W), Linear(2 * W))
    layer = assigned(Linear(W, B), bias=None, weight=W[:8])
    assert layer.weight.shape == (8, K) and layer.bias is None
    same(layer, Linear(W[:8]))
    blocks = maxlinear.quantize(W, "Q8_0")
    same(assigned(QLinear(maxlinear.quantize(W, "Q4_K")), bias=B), QLinear(maxlinear.quantize(W, "Q4_K"), B))
    same(assigned(QLinear(maxlinear.quantize(W, "Q4_K")), weight=blocks), QLinear(blocks))
    same(assigned(QLinear(np.asarray(blocks), None, "Q8_0"), weight=np.asarray(blocks[:8])), QLinear(blocks[:8]))


def test_scale_of_a_float8_linear():
    parts = maxlinear.quantize_float8(W)
    expected = Linear(parts["weight"], None, parts["weight_scale"])
    same(assigned(Linear(parts["weight"]), weight_scale=parts["weight_scale"]), expected)
    layer = LinearV2(K, N, DType.float8_e4m3fn)
    layer.load_state_dict({"weight": parts["weight"]})
    same(assigned(layer, weight_scale=parts["weight_scale"]), expected)


def test_values_and_parameters_of_a_linear_v2():
    same(assigned(linear(), bias=B), Linear(W, B))
    same(assigned(linear({"weight": W, "bias": B}, has_bias=True), bias=None), Linear(W))
    same(assigned(linear(), weight=2 * W), Linear(2 * W))
    same(assigned(LinearV2(K, N, DType.float32), weight=W), Linear(W))
    same(assigned(linear(), clip_weight=0.5), linear(clip_weight=0.5))
    same(assigned(linear(clip_weight=0.5), clip_weight=None), linear())
    same(assigned(LinearV2(8, 8, DType.float16), in_dim=K, out_dim=N, dtype=DType.float32, weight=W), linear())
    named = assigned(linear({"weight": W, "bias": B}, has_bias=True), name="lin")
    assert list(named.state_dict()) == ["lin.weight", "lin.bias"] and named.weight.name == "lin.weight"
    same(assigned(named, bias=2 * B), Linear(W, 2 * B))


def test_gptq():
    state = maxlinear.quantize_gptq(W, SYM)
    layer = GPTQLinearV2(K, N, DType.uint8, quantization_config=SYM)
    layer.load_state_dict(state)
    expected = GPTQLinearV2(K, N, DType.float32, has_bias=True, quantization_config=SYM)
    expected.load_state_dict({**state, "bias": B})
    assert assigned(layer, dtype=DType.float32, bias=B).quantization_config == SYM
    same(layer, expected)
    words = state["qweight"].view(np.uint8).reshape(K // 2, N)
    array = np.concatenate([words, state["scales"].view(np.uint8).reshape(-1, N)])
    layer = GPTQLinear(array, quantization_config=SYM)
    same(assigned(layer, bias=B), GPTQLinear(array, B, quantization_config=SYM))
    for wrong, kind in (({"bits": 4}, TypeError), (None, ValueError)):
        with pytest.raises(kind, match="quantization_config: is .*, expected"):
            GPTQLinear(array, quantization_config=SYM).quantization_config = wrong
    with pytest.raises(ValueError, match="weight: is assigned, expected another GPTQLinear"):
        GPTQLinear(array, quantization_config=SYM).weight = array


def test_parameters_of_an_mlp():
    same(assigned(mlp(), activation_function="relu"), mlp(activation_function="relu"))
    layer = assigned(MLPV2(DType.float16, None, 8, 8), dtype=DType.float32, hidden_dim=K, feed_forward_length=K)
    layer.load_state_dict(mlp().state_dict())
    same(layer, mlp())
    own = functools.partial(LinearV2)
    same(assigned(mlp(linear_cls=own), activation_function="relu"), mlp(activation_function="relu"))
    with pytest.raises(ValueError, match="hidden_dim: is assigned where linear_cls"):
        mlp(linear_cls=own).hidden_dim = 8
    with pytest.raises(ValueError, match="activation_function"):
        mlp(linear_cls=own).activation_function = "nonsense"


def test_an_mlp_of_one_encoding_stays_one():
    layer = MLPV2(DType.uint8, "Q8_0", K, K)
    blocks = maxlinear.quantize(np.resize(W, (K, K)), "Q8_0")
    layer.load_state_dict({f"{part}_proj.weight": blocks for part in ("gate", "down", "up")})
    with pytest.raises(TypeError, match=r"gate_proj\.weight: encoding is Q8_0"):
        layer.quantization_encoding = "Q4_K"
    assert layer.quantization_encoding.name == "Q8_0"


def test_layers_on_devices():
    cpus = (DeviceRef.CPU(0), DeviceRef.CPU(1))
    layer = assigned(mlp(DistributedMLP, devices=cpus), activation_function="relu", devices=cpus[:1])
    assert np.array_equal(layer([X])[0], mlp(activation_function="relu")(X)) and layer.shards == [range(K)]
    for cls in (ColumnParallelLinear, RowParallelLinear):
        layer = cls(K, N, DType.float32, cpus)
        layer.load_state_dict({"weight": W})
        layer.devices = cpus[:1]
        assert layer.devices == cpus[:1] and len(layer.shards) == 1
        assert np.array_equal(layer([X])[0], Linear(W)(X))
    layer = ColumnParallelLinear(K, N, DType.float32, cpus)
    layer.gather, layer.out_dim = False, 32
    layer.load_state_dict({"weight": W[:32]})
    assert [y.shape for y in layer([X, X])] == [(3, 16), (3, 16)]
    with pytest.raises(ValueError, match="communicator: is assigned"):
        ColumnParallelLinear(K, N, DType.float32, cpus).communicator = None


@pytest.mark.parametrize(
    ("make", "name", "value", "kind"),
    [
        (lambda: Linear(W, B), "bias", B[:3], ValueError),
        (lambda: Linear(W, B), "weight", None, ValueError),
        (lambda: linear(), "weight", W[:8], ValueError),
        (lambda: linear(), "weight", "text", TypeError),
        (lambda: linear(), "in_dim", 8, ValueError),
        (lambda: linear(), "dtype", np.float32, TypeError),
        (lambda: linear(), "dtype", DType.float16, TypeError),
        (lambda: linear(), "clip_weight", 0.0, ValueError),
        (lambda: linear(), "weight_scale", 1.0, KeyError),
        (lambda: mlp(), "activation_function", "nonsense", ValueError),
        (lambda: mlp(), "hidden_dim", 8, ValueError),
        (lambda: mlp(), "has_bias", True, KeyError),
        (lambda: mlp(), "devices", [DeviceRef.GPU()], ValueError),
        (lambda: mlp(), "devices", "cpu", TypeError),
        (lambda: mlp(), "quantization_encoding", 5, TypeError),
        (lambda: linear(), "device", "cpu", TypeError),
        (lambda: linear(), "name", 5, TypeError),
    ],
)
def test_refused_and_as_it_was(make, name, value, kind):
    layer = make()
    before = getattr(layer, name)
    with pytest.raises(kind) as caught:
        setattr(layer, name, value)
    assert isinstance(caught.value, maxlinear.Error) and getattr(layer, name) is before
    same(layer, make())


@pytest.mark.parametrize(
    ("make", "name", "value"),
    [(lambda: Linear(W), "bias", B), (linear, "clip_weight", 0.5), (mlp, "activation_function", "relu")],
)
def test_a_prepared_layer_is_refused(make, name, value):
    layer = make()
    layer(X)
    with pytest.raises(RuntimeError, match=f"{name}: is assigned to a layer that is prepared, expected") as caught:
        setattr(layer, name, value)
    assert caught.value.status == "MXL_ALREADY_PREPARED"
    same(layer, make())


def test_replaced_handles_are_destroyed():
    layer = Linear(W)
    first = layer._destroy
    layer.bias = B
    assert not first.alive and layer._destroy.alive
    last = layer._destroy
    with pytest.raises(ValueError, match="bias"):
        layer.bias = B[:3]
    assert layer._destroy is last and last.alive

"""Layers go through pickle with their weights, as they were prepared, and give the same bits; so do errors."""

import copy
import functools
import json
import multiprocessing
import os
import pickle
import shutil

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from python_support import write_safetensors
from test_gguf import write

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
)

K, N = 256, 64
SYM = QuantizationConfig("gptq", 4, 64, sym=True)
ASYM = QuantizationConfig("gptq", 4, 48, sym=False, checkpoint_format="gptq_v2")
CPUS = [DeviceRef.CPU(0), DeviceRef.CPU(1)]
Q4_K = QuantizationEncoding.Q4_K


def values(*shape, seed=3):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def loaded(layer, state):
    layer.load_state_dict(state)
    return layer


def mlp_state(encode=lambda array: array, bias=False):
    state = {
        "gate_proj.weight": encode(values(512, K, seed=1)),
        "down_proj.weight": encode(values(K, 512, seed=2)),
        "up_proj.weight": encode(values(512, K, seed=3)),
    }
    if bias:
        state |= {f"{part}_proj.bias": values(512 if part != "down" else K) for part in ("gate", "down", "up")}
    return state


def gptq_mlp_state():
    parts = {"gate": (512, K), "down": (K, 512), "up": (512, K)}
    return {
        f"{part}_proj.{key}": value
        for part, shape in parts.items()
        for key, value in maxlinear.quantize_gptq(values(*shape), SYM).items()
    }


def float8_parts(scale="row"):
    return maxlinear.quantize_float8(values(N, K), scale=scale)


def max_gptq():
    """GPTQ as MAX builds it: the bytes of qweight, then of the scales, with an order of columns."""
    state = maxlinear.quantize_gptq(values(N, K), SYM)
    words = np.ascontiguousarray(state["qweight"]).view(np.uint8).reshape(K // 2, N)
    scales = np.ascontiguousarray(state["scales"]).view(np.uint8).reshape(-1, N)
    order = np.random.default_rng(5).permutation(K).astype(np.int32)
    return GPTQLinear(np.concatenate([words, scales]), values(N), quantization_config=SYM, perm_idx=order)


LAYERS = {
    "LinearV2": lambda: loaded(
        LinearV2(K, N, DType.float32, has_bias=True, name="lin"), {"lin.weight": values(N, K), "lin.bias": values(N)}
    ),
    "LinearV2-clip": lambda: loaded(LinearV2(K, N, DType.float32, clip_weight=0.5), {"weight": values(N, K)}),
    "LinearV2-bfloat16": lambda: loaded(
        LinearV2(K, N, DType.bfloat16), {"weight": values(N, K).astype(ml_dtypes.bfloat16)}
    ),
    "LinearV2-Q4_K": lambda: loaded(
        LinearV2(K, N, DType.uint8, quantization_encoding=Q4_K), {"weight": maxlinear.quantize(values(N, K), Q4_K)}
    ),
    "Linear": lambda: Linear(values(N, K), values(N)),
    "Linear-float8": lambda: Linear(**float8_parts()),
    "Linear-float8-bias": lambda: Linear(**float8_parts(), bias=values(N)),
    "Linear-float8-scale-of-all": lambda: Linear(**float8_parts("tensor")),
    "QLinear": lambda: QLinear(maxlinear.quantize(values(N, K), "Q6_K"), values(N), QuantizationEncoding.Q6_K),
    "GPTQLinear": max_gptq,
    "GPTQLinearV2": lambda: loaded(
        GPTQLinearV2(K, N, DType.uint8, quantization_config=ASYM), maxlinear.quantize_gptq(values(N, K), ASYM)
    ),
    "MLP": lambda: MLP(Linear(values(512, K)), Linear(values(K, 512)), QLinear(*blocks_of_up())),
    "MLPV2": lambda: loaded(
        MLPV2(DType.float32, None, K, 512, has_bias=True, activation_function="gelu"), mlp_state(bias=True)
    ),
    "MLPV2-Q4_K": lambda: loaded(
        MLPV2(DType.uint8, Q4_K, K, 512), mlp_state(lambda array: maxlinear.quantize(array, Q4_K))
    ),
    "MLPV2-GPTQ": lambda: loaded(
        MLPV2(DType.uint8, QuantizationEncoding.GPTQ, K, 512, quantization_config=SYM), gptq_mlp_state()
    ),
    "MLPV2-linear_cls": lambda: loaded(
        MLPV2(DType.uint8, None, K, 512, functools.partial(GPTQLinearV2, quantization_config=SYM)), gptq_mlp_state()
    ),
}


def blocks_of_up():
    return maxlinear.quantize(values(512, K), "Q8_0"), None, QuantizationEncoding.Q8_0


def same(layer, other, xs):
    for x in xs:
        y, z = layer(x), other(x)
        assert y.dtype == z.dtype and y.tobytes() == z.tobytes()


@pytest.mark.parametrize("name", LAYERS)
def test_same_bits(name):
    layer = LAYERS[name]()
    xs = [values(1, K), values(3, 5, K)]
    same(layer, pickle.loads(pickle.dumps(layer)), xs)  # the second call: now both are prepared
    other = pickle.loads(pickle.dumps(layer))
    same(layer, other, xs)
    same(layer, copy.deepcopy(other), xs)
    if hasattr(layer, "state_dict"):
        ours, theirs = layer.state_dict(), other.state_dict()
        assert list(ours) == list(theirs)
        assert all(ours[key].tobytes() == theirs[key].tobytes() for key in ours)
    assert type(other) is type(layer)


@pytest.mark.parametrize(
    "prepared", [{"compute": "float32"}, {"pack": "never"}, {"compute": "float32", "pack": "never"}, {}]
)
@pytest.mark.parametrize("name", ["LinearV2-Q4_K", "QLinear", "MLPV2-Q4_K"])
def test_prepared_as_it_was(name, prepared):
    layer = LAYERS[name]()
    layer.prepare(**prepared)
    other = pickle.loads(pickle.dumps(layer))
    assert other.kernel == layer.kernel and other.memory() == layer.memory()
    same(layer, other, [values(4, K)])


def test_not_prepared_and_not_loaded():
    layer = LAYERS["LinearV2-Q4_K"]()
    other = pickle.loads(pickle.dumps(layer))
    for each in (layer, other):
        with pytest.raises(maxlinear.Error) as raised:
            _ = each.kernel
        assert raised.value.status == "MXL_NOT_PREPARED"
    empty = pickle.loads(pickle.dumps(LinearV2(K, N, DType.float32, has_bias=True)))
    with pytest.raises(maxlinear.Error):
        empty(values(1, K))
    same(loaded(empty, {"weight": values(N, K), "bias": values(N)}), Linear(values(N, K), values(N)), [values(2, K)])


def test_a_replaced_encoding():
    layer = LAYERS["LinearV2-Q4_K"]()
    layer.prepare()
    layer.load_state_dict({"weight": maxlinear.quantize(values(N, K, seed=9), "Q4_K")}, replace=True)
    same(layer, pickle.loads(pickle.dumps(layer)), [values(2, K)])


class Doubled(LinearV2):
    """A user's layer, with an attribute of its own."""

    factor = 1.0

    def __call__(self, x, out=None, **options):
        return self.factor * super().__call__(x, out, **options)


def test_a_users_class():
    layer = loaded(Doubled(K, N, DType.float32), {"weight": values(N, K)})
    layer.factor = 2.0
    other = pickle.loads(pickle.dumps(layer))
    assert type(other) is Doubled
    same(layer, other, [values(2, K)])


@pytest.mark.parametrize("make", [DistributedMLP, ColumnParallelLinear, RowParallelLinear])
@pytest.mark.parametrize("encoding", [None, Q4_K])
def test_devices(make, encoding):
    encode = (lambda array: array) if encoding is None else (lambda array: maxlinear.quantize(array, encoding))
    dtype = DType.float32 if encoding is None else DType.uint8
    if make is DistributedMLP:
        layer = loaded(make(dtype, encoding, K, 512, devices=CPUS), mlp_state(encode))
    else:
        layer = loaded(make(512, N, dtype, CPUS, quantization_encoding=encoding), {"weight": encode(values(N, 512))})
    xs = [values(2, 256)] * 2 if make is not ColumnParallelLinear else [values(2, 512)] * 2
    other = pickle.loads(pickle.dumps(layer))
    assert [y.tobytes() for y in other(xs)] == [y.tobytes() for y in layer(xs)]
    assert other.shards == layer.shards and other.devices == layer.devices


def checkpoint_of(path, length, gate, up, down):
    """A checkpoint whose three matrices are in these block encodings."""
    kinds = {"gate": (gate, (length, K)), "up": (up, (length, K)), "down": (down, (K, length))}
    tensors = {
        f"blk.0.ffn_{part}.weight": (maxlinear.quantize(values(*shape), encoding), encoding)
        for part, (encoding, shape) in kinds.items()
    }
    return load_weights(write(path, tensors))


@pytest.fixture
def mixed(tmp_path):
    return checkpoint_of(tmp_path / "mixed.gguf", 512, "Q4_K", "Q4_K", "Q6_K")


def test_a_checkpoints_mlp(mixed):
    x = values(3, K)
    layer = MLPV2.from_weights(mixed, 0)
    same(layer, pickle.loads(pickle.dumps(layer)), [x])
    divided = DistributedMLP.from_weights(mixed, 0, devices=CPUS)
    ys = pickle.loads(pickle.dumps(divided))([x, x])
    assert all(y.tobytes() == layer(x).tobytes() for y in ys)


@pytest.mark.parametrize("encodings", [("Q4_K", "Q4_K", "Q8_0"), ("Q4_K", "Q6_K", "Q5_0"), ("Q8_0", "Q4_K", "Q4_0")])
def test_a_checkpoints_mlp_whose_rows_not_every_encoding_holds(tmp_path, encodings):
    weights = checkpoint_of(tmp_path / "m.gguf", 96, *encodings)
    layer = MLPV2.from_weights(weights, 0)
    other = pickle.loads(pickle.dumps(layer))
    same(layer, other, [values(3, K)])
    same(layer, copy.deepcopy(other), [values(3, K)])
    assert [weight.quantization_encoding for weight in other.weights] == [
        weight.quantization_encoding for weight in layer.weights
    ]
    divided = DistributedMLP.from_weights(weights, 0, devices=CPUS[:1])
    if encodings[0] == "Q8_0":
        x = values(3, K)
        assert pickle.loads(pickle.dumps(divided))([x])[0].tobytes() == layer(x).tobytes()
    else:
        with pytest.raises(ValueError, match="cannot be pickled, expected .* Q4_K's 256"):
            pickle.dumps(divided)


def test_blocks():
    blocks = maxlinear.quantize(values(N, K), Q4_K)
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        for array in (blocks, blocks[::3], blocks[:, :144]):
            other = pickle.loads(pickle.dumps(array, protocol))
            assert type(other) is type(blocks) and other.quantization_encoding == Q4_K
            assert other.tobytes() == array.tobytes()
    assert pickle.loads(pickle.dumps(blocks.astype(np.float32))).quantization_encoding is None
    same(QLinear(blocks), QLinear(copy.deepcopy(blocks)), [values(2, K)])


def test_a_checkpoints_mlp_with_one_bias(tmp_path):
    names = {"gate_proj": (512, K), "up_proj": (512, K), "down_proj": (K, 512)}
    tensors = {f"model.layers.0.mlp.{name}.weight": values(*shape) for name, shape in names.items()}
    tensors["model.layers.0.mlp.down_proj.bias"] = values(K)
    weights = load_weights(write_safetensors(tmp_path / "one.safetensors", tensors))
    layer = MLPV2.from_weights(weights, 0)
    same(layer, pickle.loads(pickle.dumps(layer)), [values(3, K)])
    with pytest.raises(maxlinear.Error, match="cannot be pickled"):
        pickle.dumps(DistributedMLP.from_weights(weights, 0, devices=CPUS))


def test_mapped_weights_go_along(mixed, tmp_path):
    layer = QLinear(mixed.blk[0].ffn_gate.weight)
    text = pickle.dumps(layer)
    (tmp_path / "mixed.gguf").unlink()
    same(layer, pickle.loads(text), [values(3, K)])


def test_another_process():
    layer = LAYERS["QLinear"]()
    x = values(3, K)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        y = pool.apply(layer, (x,))
        assert y.tobytes() == layer(x).tobytes()
        with pytest.raises(maxlinear.Error, match="last dimension") as raised:
            pool.apply(layer, (x[:, :3],))
    assert raised.value.status == "MXL_INVALID_SHAPE" and isinstance(raised.value, ValueError)


@pytest.mark.parametrize(
    "config",
    [QuantizationConfig("gptq", bits, 64, sym=True) for bits in (2, 3, 4, 8)]
    + [QuantizationConfig("awq", 4, 64, checkpoint_format="gemm")],
)
def test_gptq_beside_a_dense_matrix(tmp_path, config):
    state = {"model.layers.0.mlp.down_proj.weight": values(K, 512)}
    for part in ("gate_proj", "up_proj"):
        for key, value in maxlinear.quantize_gptq(values(512, K), config).items():
            state[f"model.layers.0.mlp.{part}.{key}"] = value
    path = tmp_path / "a.safetensors"
    safetensors.numpy.save_file(state, path)
    mlp = MLPV2.from_weights(load_weights(path), quantization_config=config)
    x = values(2, K)
    assert (copy.deepcopy(mlp)(x) == mlp(x)).all()


def fields(**other):
    return {"bits": 4, "group_size": 64, **other}


#: The files in a checkpoint's folder, and what they say, which the first of them does.
FOLDERS = {
    "gptq": (
        {"quantize_config.json": fields(sym=True, desc_act=None, checkpoint_format=None), "config.json": {}},
        QuantizationConfig("gptq", 4, 64, sym=True),
    ),
    "gptq_v2": (
        {"quantize_config.json": fields(quant_method="GPTQ", sym=False, checkpoint_format="gptq_v2")},
        QuantizationConfig("gptq", 4, 64, checkpoint_format="gptq_v2"),
    ),
    "model": (
        {"config.json": {"nan": float("nan"), "quantization_config": fields(quant_method=None, sym=None)}},
        QuantizationConfig("gptq", 4, 64),
    ),
    "awq": (
        {"quant_config.json": {"w_bit": 4, "q_group_size": 64, "zero_point": True, "version": "GEMM"}},
        QuantizationConfig("awq", 4, 64, checkpoint_format="gemm"),
    ),
    "awq-sym": (
        {"quant_config.json": {"w_bit": 4, "q_group_size": 64, "zero_point": False, "version": None}},
        QuantizationConfig("awq", 4, 64, sym=True),
    ),
    "awq-model": (
        {"config.json": {"quantization_config": fields(quant_method="awq", zero_point=True, version="gemm")}},
        QuantizationConfig("awq", 4, 64, checkpoint_format="gemm"),
    ),
}


@pytest.mark.parametrize("parts", [("gate_proj", "down_proj", "up_proj"), ("down_proj",)])
@pytest.mark.parametrize("name", FOLDERS)
def test_a_folders_quantization_config_goes_along(tmp_path, monkeypatch, name, parts):
    files, config = FOLDERS[name]
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    state = {}
    for part, shape in {"gate_proj": (512, K), "down_proj": (K, 512), "up_proj": (512, K)}.items():
        array = values(*shape, seed=len(part))
        own = maxlinear.quantize_gptq(array, config) if part in parts else {"weight": array}
        state |= {f"model.layers.0.mlp.{part}.{key}": value for key, value in own.items()}
    safetensors.numpy.save_file(state, folder / "a.safetensors")
    for file, text in files.items():
        (folder / file).write_text(json.dumps(text))
    monkeypatch.chdir(tmp_path)
    x = values(3, K)
    expected = MLPV2.from_weights(load_weights(folder / "a.safetensors"), quantization_config=config)(x)
    for path in ("checkpoint", "checkpoint/a.safetensors", folder, os.fsencode(folder / "a.safetensors")):
        mlp = MLPV2.from_weights(load_weights(path))
        assert mlp.quantization_config == config and (mlp(x) == expected).all()
    layers = [cls.from_weights(load_weights(folder)) for cls in (MLPV2, DistributedMLP)]
    monkeypatch.chdir(folder)
    layers.append(MLPV2.from_weights(load_weights("a.safetensors")))
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(folder)
    if len(parts) == 1:
        del layers[1]  # Of several dtypes, which is not pickled.
    for layer in layers:
        for other in (pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer)):
            assert np.array_equal(other([x])[0] if isinstance(other, DistributedMLP) else other(x), expected)
            other.load_state_dict(layer.state_dict(), replace=True)
    relu = copy.copy(layers[0])
    relu.activation_function = "relu"
    assert (relu(x) != expected).any()

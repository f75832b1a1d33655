"""Loads with override_quantization_encoding: what the layer's fields say afterwards is what is there."""

import functools
import pickle

import gguf
import numpy as np
import pytest

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph import DeviceRef
from maxlinear.graph.weights import load_weights
from maxlinear.nn import MLPV2, ColumnParallelLinear, DistributedMLP, Linear, LinearV2, QLinear, RowParallelLinear

K = 64
W = np.random.default_rng(1).standard_normal((K, K)).astype(np.float32)
B = np.random.default_rng(2).standard_normal(K).astype(np.float32)
X = np.random.default_rng(3).standard_normal((2, K)).astype(np.float32)
PARTS = ("gate", "down", "up")


def blocks(encoding):
    return maxlinear.quantize(W, encoding)


def mlp_state(*encodings):
    return {f"{part}_proj.weight": blocks(encoding) for part, encoding in zip(PARTS, encodings, strict=True)}


def override(layer, state):
    layer.load_state_dict(state, override_quantization_encoding=True)
    return layer


def told(layer):
    """The encoding and dtypes that the fields say."""
    encoding = layer.weight.quantization_encoding if hasattr(layer, "weight") else layer.quantization_encoding
    return encoding and encoding.name, getattr(layer, "dtype", None)


def names(layer):
    return [weight.quantization_encoding and weight.quantization_encoding.name for weight in layer.weights]


@pytest.mark.parametrize("name", [None, "lin"])
def test_linear_v2(name):
    layer = LinearV2(K, K, DType.uint8, quantization_encoding="Q5_1", name=name)
    override(layer, {layer.weight.name: blocks("Q8_0")})
    assert told(layer) == ("Q8_0", DType.uint8) and layer.weight == layer.weights[0]
    copy = pickle.loads(pickle.dumps(layer))
    assert copy.weight == layer.weight
    layer.bias = B
    assert told(layer) == ("Q8_0", DType.uint8)
    assert np.array_equal(layer(X), QLinear(blocks("Q8_0"), B)(X))
    assert np.array_equal(copy(X), QLinear(blocks("Q8_0"))(X))


def test_a_dense_linear_v2():
    layer = override(LinearV2(K, K, DType.float32), {"weight": blocks("Q8_0")})
    assert told(layer) == ("Q8_0", DType.uint8) and layer.weight == layer.weights[0]
    for dtype, bias in ((DType.float32, B), (DType.float8_e4m3fn, B.astype(np.float16))):
        layer = override(LinearV2(K, K, dtype, has_bias=True), {"weight": blocks("Q8_0"), "bias": bias})
        assert told(layer) == ("Q8_0", DType.from_numpy(bias.dtype)) and layer.weight == layer.weights[0]
        assert told(pickle.loads(pickle.dumps(layer))) == told(layer)


def test_without_another_encoding():
    layer = override(LinearV2(K, K, DType.float32), {"weight": W})
    assert told(layer) == (None, DType.float32)
    layer = LinearV2(K, K, DType.uint8, quantization_encoding="Q8_0")
    with pytest.raises(TypeError, match="weight: encoding is Q5_1, expected Q8_0"):
        layer.load_state_dict({"weight": blocks("Q5_1")})
    with pytest.raises(KeyError):
        override(layer, {"weigth": blocks("Q5_1")})
    assert told(layer) == ("Q8_0", DType.uint8)


def test_values_that_are_replaced():
    layer = QLinear(blocks("Q8_0"))
    layer.load_state_dict({"weight": blocks("Q4_0")}, override_quantization_encoding=True, replace=True)
    assert told(layer)[0] == "Q4_0"
    layer = Linear(W)
    layer.load_state_dict({"weight": blocks("Q4_0")}, override_quantization_encoding=True, replace=True)
    assert layer.weight == layer.weights[0] and told(layer)[0] == "Q4_0"


@pytest.mark.parametrize("cls", [ColumnParallelLinear, RowParallelLinear])
def test_parallel(cls):
    layer = cls(K, K, DType.uint8, (DeviceRef.CPU(),), quantization_encoding="Q5_1")
    override(layer, {"weight": blocks("Q8_0")})
    assert told(layer) == ("Q8_0", DType.uint8)
    assert told(pickle.loads(pickle.dumps(layer))) == ("Q8_0", DType.uint8)
    layer = override(cls(K, K, DType.float32), {"weight": blocks("Q8_0")})
    assert told(layer) == ("Q8_0", DType.uint8)


@pytest.mark.parametrize("dtype", [DType.uint8, DType.float32])
@pytest.mark.parametrize(
    "cls", [MLPV2, DistributedMLP, functools.partial(MLPV2, linear_cls=functools.partial(LinearV2))]
)
def test_mlp(cls, dtype):
    layer = cls(dtype, "Q5_1" if dtype is DType.uint8 else None, K, K)
    override(layer, mlp_state("Q8_0", "Q4_0", "Q4_1"))
    assert told(layer) == ("Q8_0", DType.uint8) and names(layer) == ["Q8_0", "Q4_0", "Q4_1"]
    copy = pickle.loads(pickle.dumps(layer))
    assert told(copy) == told(layer) and names(copy) == names(layer)
    x = [X] if cls is DistributedMLP else X
    assert np.array_equal(layer(x), copy(x))


def test_checkpoint(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "a.gguf", "test")
    for part in ("weight", *(f"{part}_proj.weight" for part in PARTS)):
        writer.add_tensor(part, np.asarray(blocks("Q8_0")), raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    weights = load_weights(tmp_path / "a.gguf")
    for linear_cls in (LinearV2, functools.partial(LinearV2)):
        mlp = MLPV2(DType.uint8, "Q5_1", K, K, linear_cls)
        mlp.load_weights(weights, override_quantization_encoding=True)
        assert told(mlp) == ("Q8_0", DType.uint8)
    layer = LinearV2(K, K, DType.uint8, quantization_encoding="Q5_1")
    layer.load_weights(weights, override_quantization_encoding=True)
    assert told(layer) == ("Q8_0", DType.uint8)
    with pytest.raises(TypeError, match="blocks: encoding is Q8_0, expected IQ4_NL") as caught:
        maxlinear.dequantize(weights["weight"], "IQ4_NL")
    assert isinstance(caught.value, maxlinear.Error)


def test_dequantize_refuses_another_encoding():
    own = blocks("Q4_0")
    for wrong in ("IQ4_NL", maxlinear.graph.quantization.QuantizationEncoding("Q8_0")):
        with pytest.raises(TypeError, match="blocks: encoding is Q4_0, expected") as caught:
            maxlinear.dequantize(own, wrong)
        assert caught.value.status == "MXL_INVALID_DTYPE"
    expected = maxlinear.dequantize(own)
    assert np.array_equal(maxlinear.dequantize(own, "Q4_0"), expected)
    assert np.array_equal(maxlinear.dequantize(np.asarray(own), "Q4_0"), expected)
    assert maxlinear.dequantize(np.asarray(own).copy(), "IQ4_NL").shape == expected.shape


def test_star_import():
    names = {name: getattr(maxlinear.nn.linear, name) for name in maxlinear.nn.linear.__all__}
    for name in ("MLP", "MLPV2", "DistributedMLP", "ColumnParallelLinear", "RowParallelLinear", "LinearV2"):
        assert names[name] is getattr(maxlinear.nn, name)

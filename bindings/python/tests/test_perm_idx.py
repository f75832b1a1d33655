"""GPTQLinear's perm_idx: beside a checkpoint's tensors and beside MAX's one array, as arrays and as numbers."""

import dataclasses

import numpy as np
import pytest
import safetensors.numpy

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationConfig
from maxlinear.graph.weights import load_weights
from maxlinear.nn import GPTQLinear, GPTQLinearV2

SYM = QuantizationConfig("gptq", 4, 64, sym=True)


@pytest.mark.parametrize("desc_act", [False, True])
def test_perm_idx_of_a_path(tmp_path, random, desc_act):
    plain = QuantizationConfig("gptq", 4, 64, sym=True)
    config = dataclasses.replace(plain, desc_act=desc_act)
    state = maxlinear.quantize_gptq(random.standard_normal((64, 256)).astype(np.float32), plain)
    groups = state.pop("g_idx")
    order = random.permutation(256).astype(np.int32)
    path = tmp_path / "a.safetensors"
    safetensors.numpy.save_file({f"q.{key}": value for key, value in state.items()}, path)
    x = random.standard_normal((2, 256)).astype(np.float32)
    expected = GPTQLinearV2(256, 64, DType.uint8, quantization_config=config)
    expected.load_state_dict({**state, "perm_idx": order})
    for given in (order, order.tolist(), tuple(order.tolist())):
        layer = GPTQLinear(load_weights(path).q, quantization_config=config, perm_idx=given)
        assert (layer(x) == expected(x)).all()
    safetensors.numpy.save_file({f"q.{key}": value for key, value in {**state, "g_idx": groups}.items()}, path)
    with pytest.raises(ValueError, match="perm_idx: contradicts g_idx"):
        GPTQLinear(load_weights(path).q, quantization_config=config, perm_idx=order)


@pytest.mark.parametrize("order", [list(range(256)), tuple(range(256)), range(256)])
def test_perm_idx_of_whole_numbers(order):
    array = np.zeros((256 // 2 + 8, 64), np.uint8)
    layer = GPTQLinear(array, quantization_config=QuantizationConfig("gptq", 4, 64, sym=True), perm_idx=order)
    assert layer.state_dict()["perm_idx"].tolist() == list(order)


@pytest.mark.parametrize("dtype", ["int64", "uint64", "int16", "uint8", ">i4", "int32"])
def test_indices_of_any_integers(random, dtype):
    config = QuantizationConfig("gptq", 4, 64, desc_act=True)
    order = random.permutation(256)
    array = np.zeros((256 // 2 + 8, 64), np.uint8)
    sym = dataclasses.replace(config, sym=True)
    layer = GPTQLinear(array, quantization_config=sym, perm_idx=order.astype(dtype))
    assert layer.state_dict()["perm_idx"].tolist() == order.tolist()
    state = maxlinear.quantize_gptq(random.standard_normal((64, 256)).astype(np.float32), SYM)
    layer = GPTQLinearV2(256, 64, DType.uint8, quantization_config=config)
    groups = order // 64
    layer.load_state_dict({**state, "g_idx": groups.astype(dtype)})
    assert layer.state_dict()["g_idx"].tolist() == groups.tolist()


@pytest.mark.parametrize(
    ("order", "kind"),
    [
        (np.full(256, 1 << 40), ValueError),
        (np.full(256, (1 << 64) - 1, np.uint64), ValueError),
        (np.zeros(256), TypeError),
        (np.zeros(256, bool), TypeError),
    ],
)
def test_indices_that_are_no_int32(order, kind):
    array = np.zeros((256 // 2 + 8, 64), np.uint8)
    with pytest.raises(kind, match="perm_idx: ") as caught:
        GPTQLinear(array, quantization_config=SYM, perm_idx=order)
    assert isinstance(caught.value, maxlinear.Error)


@pytest.mark.parametrize(("order", "kind"), [([0.5] * 256, TypeError), ([1 << 40] * 256, ValueError)])
def test_perm_idx_of_other_numbers(order, kind):
    array = np.zeros((256 // 2 + 8, 64), np.uint8)
    with pytest.raises(kind, match="perm_idx: "):
        GPTQLinear(array, quantization_config=QuantizationConfig("gptq", 4, 64, sym=True), perm_idx=order)

"""A test for each way in which the layers differ from MAX's, by name (docs/NUMERICS.md and the layers' documentation say why)."""

import functools

import numpy as np
import pytest
import safetensors.numpy
from gptq_format import dequantized as gptq_dequantized
from gptq_format import tensors as gptq_tensors
from python_support import relative_error
from test_encodings import blocks, dequantized

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph import DeviceRef
from maxlinear.graph.quantization import QuantizationConfig, QuantizationEncoding
from maxlinear.graph.weights import load_weights
from maxlinear.nn import MLP, MLPV2, DistributedMLP, GPTQLinearV2, Linear, LinearV2, QLinear

ENCODED = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS", "MXFP4"]


def normal(random, *shape):
    return random.standard_normal(shape).astype(np.float32)


def test_q5_k_has_a_matmul(random):
    data = blocks(random, "Q5_K", 40, 512)
    x = normal(random, 7, 512)
    y = QLinear(data, None, QuantizationEncoding.Q5_K)(x)
    assert relative_error(y, x.astype(np.float64) @ dequantized(data, "Q5_K").T) <= 1e-2


@pytest.mark.parametrize("encoding", ENCODED)
@pytest.mark.parametrize("last", [255, 257, 512, 1, 0])
def test_x_with_a_wrong_last_dimension_is_an_error_for_quantized_weights(random, encoding, last):
    layer = QLinear(blocks(random, encoding, 8, 256), None, QuantizationEncoding(encoding))
    with pytest.raises(ValueError, match=f"last dimension is {last}, expected in_dim = 256"):
        layer(np.zeros((2, last), np.float32))


def mlp_state(random, hidden, length, has_bias=False):
    shapes = {"gate_proj": (length, hidden), "down_proj": (hidden, length), "up_proj": (length, hidden)}
    state = {f"{part}.weight": normal(random, *shape) / 8 for part, shape in shapes.items()}
    if has_bias:
        state |= {f"{part}.bias": normal(random, shape[0]) for part, shape in shapes.items()}
    return state


def exact_mlp(x, state, clip=np.inf):
    """In float64, silu."""

    def linear(x, part):
        weight = np.clip(state[f"{part}.weight"].astype(np.float64), -clip, clip)
        return x @ weight.T + state.get(f"{part}.bias", np.zeros(1)).astype(np.float64)

    gates = linear(x.astype(np.float64), "gate_proj")
    return linear(gates / (1 + np.exp(-gates)) * linear(x.astype(np.float64), "up_proj"), "down_proj")


@pytest.mark.parametrize("leading", [(), (1,), (2, 3), (2, 1, 3), (1, 2, 1, 2, 1)])
@pytest.mark.parametrize("has_bias", [False, True])
def test_mlp_v2_takes_any_rank(random, leading, has_bias):
    state = mlp_state(random, 48, 80, has_bias)
    mlp = MLPV2(DType.float32, None, 48, 80, has_bias=has_bias)
    mlp.load_state_dict(state)
    x = normal(random, *leading, 48)
    y = mlp(x)
    assert y.shape == x.shape and relative_error(y, exact_mlp(x, state)) <= 2e-6


def test_clip_weight_is_honoured_in_an_mlp_of_dense_weights(random):
    state = mlp_state(random, 48, 80)
    mlp = MLPV2(DType.float32, None, 48, 80, linear_cls=functools.partial(LinearV2, clip_weight=0.1))
    mlp.load_state_dict(state)
    x = normal(random, 5, 48)
    assert relative_error(mlp(x), exact_mlp(x, state, 0.1)) <= 2e-6
    assert all((mlp.state_dict()[key] == value).all() for key, value in state.items())


@pytest.mark.parametrize("encoding", ENCODED)
def test_clip_weight_on_quantized_weights_is_an_error_that_says_so(encoding):
    with pytest.raises(ValueError, match="clip_weight: encoded weights cannot be clipped"):
        LinearV2(256, 8, DType.uint8, quantization_encoding=QuantizationEncoding(encoding), clip_weight=1.0)


@pytest.mark.parametrize("clip", [0.0, -1.0, float("inf"), float("nan")])
def test_a_clip_weight_of_zero_is_an_error(clip):
    with pytest.raises(ValueError, match="clip_weight"):
        LinearV2(4, 8, DType.float32, clip_weight=clip)


def test_a_clip_weight_of_none_is_off(random):
    weight, x = normal(random, 8, 4) * 100, normal(random, 4)
    layer = LinearV2(4, 8, DType.float32, clip_weight=None)
    layer.load_state_dict({"weight": weight})
    assert (layer(x) == Linear(weight)(x)).all()


@pytest.mark.parametrize("biased", ["gate_proj", "up_proj"])
def test_a_bias_of_gate_or_up_alone_is_honoured(random, biased):
    state = mlp_state(random, 48, 80)
    state[f"{biased}.bias"] = normal(random, 80)
    parts = [
        Linear(state[f"{part}.weight"], state.get(f"{part}.bias")) for part in ("gate_proj", "down_proj", "up_proj")
    ]
    x = normal(random, 5, 48)
    assert relative_error(MLP(*parts)(x), exact_mlp(x, state)) <= 2e-6


def test_create_accepts_its_features_in_either_order(tmp_path, random):
    weight = normal(random, 6, 4)
    data = blocks(random, "Q4_K", 6, 256)
    safetensors.numpy.save_file({"a.weight": weight}, tmp_path / "m.safetensors")
    weights = load_weights(tmp_path / "m.safetensors")
    x = normal(random, 3, 4)
    for features in ((4, 6), (6, 4)):
        layer = Linear.create(DType.float32, None, *features, weights.a.weight)
        assert (layer(x) == Linear(weight)(x)).all() and layer.weight.shape == (6, 4)
    for features in ((4, 4), (6, 6), (24, 1), (5, 6)):
        with pytest.raises(ValueError, match="in either order"):
            Linear.create(DType.float32, None, *features, weights.a.weight)
    assert QLinear(data, None, QuantizationEncoding.Q4_K).weight.shape == (6, 256)


@pytest.mark.parametrize("devices", [(), [], (DeviceRef.CPU(),)])
def test_no_devices_mean_the_cpu(random, devices):
    state = mlp_state(random, 48, 80)
    mlp = MLPV2(DType.float32, None, 48, 80, devices=devices)
    mlp.load_state_dict(state)
    x = normal(random, 2, 48)
    assert relative_error(mlp(x), exact_mlp(x, state)) <= 2e-6


def test_another_device_is_an_error_that_names_it():
    for make in (
        lambda device: MLPV2(DType.float32, None, 4, 8, devices=[device]),
        lambda device: LinearV2(4, 8, DType.float32, device),
    ):
        with pytest.raises(ValueError, match="cuda|gpu|GPU") as caught:
            make(DeviceRef.GPU(1))
        assert caught.value.status == "MXL_NO_DEVICE" and isinstance(caught.value, maxlinear.Error)


@pytest.mark.parametrize("group_size", [32, 100, 128, -1])
@pytest.mark.parametrize("sym", [False, True])
def test_gptq_runs_on_cpu_with_any_group_and_either_symmetry(random, group_size, sym):
    state = gptq_tensors(random, 256, 40, group_size, sym=sym)
    layer = GPTQLinearV2(
        256, 40, DType.uint8, quantization_config=QuantizationConfig("gptq", 4, group_size, False, sym)
    )
    layer.load_state_dict(state)
    x = normal(random, 5, 256)
    assert relative_error(layer(x), x.astype(np.float64) @ gptq_dequantized(state).T) <= 1.2e-2


def test_gptq_reads_qzeros(random):
    state = gptq_tensors(random, 256, 40, 128)
    shifted = {**state, "qzeros": state["qzeros"] ^ np.int32(0x11111111)}
    x = normal(random, 5, 256)
    layer = GPTQLinearV2(256, 40, DType.uint8, quantization_config=QuantizationConfig("gptq", 4, 128))
    for each in (state, shifted):
        layer.load_state_dict(each, replace=True)
        assert relative_error(layer(x), x.astype(np.float64) @ gptq_dequantized(each).T) <= 1.2e-2


def test_gptq_takes_a_bias(random):
    state = gptq_tensors(random, 256, 40, 128)
    x, bias = normal(random, 5, 256), normal(random, 40)
    config = QuantizationConfig("gptq", 4, 128)
    layers = [GPTQLinearV2(256, 40, DType.float32, has_bias=has, quantization_config=config) for has in (False, True)]
    layers[0].load_state_dict(state)
    layers[1].load_state_dict({**state, "bias": bias})
    assert (layers[1](x) == layers[0](x) + bias).all()


def cpus(count):
    return [DeviceRef.CPU(index) for index in range(count)]


@pytest.mark.parametrize("devices", [2, 3, 7])
def test_distributed_mlp_drops_nothing_where_shards_are_uneven(random, devices):
    state = mlp_state(random, 47, 83)
    whole, parts = (
        MLPV2(DType.float32, None, 47, 83),
        DistributedMLP(DType.float32, None, 47, 83, devices=cpus(devices)),
    )
    x = normal(random, 5, 47)
    for mlp in (whole, parts):
        mlp.load_state_dict(state)
    assert all((y == whole(x)).all() for y in parts([x] * devices))
    assert all((parts.state_dict()[key] == value).all() for key, value in state.items())


def test_more_devices_than_units_of_work_is_an_error():
    DistributedMLP(DType.float32, None, 4, 8, devices=cpus(4))
    with pytest.raises(ValueError, match="devices: there are 5, expected at most 4"):
        DistributedMLP(DType.float32, None, 4, 8, devices=cpus(5))


@pytest.mark.parametrize("by_position", [False, True])
@pytest.mark.parametrize("reduce", [False, True])
def test_distributed_mlp_runs_on_cpus_and_adds_its_bias_once(random, by_position, reduce):
    state = mlp_state(random, 48, 80, has_bias=True)
    if by_position:
        mlp = DistributedMLP(DType.float32, None, 48, 80, LinearV2, cpus(3), True, "silu", reduce=reduce)
    else:
        mlp = DistributedMLP(DType.float32, None, 48, 80, devices=cpus(3), has_bias=True, reduce=reduce)
    mlp.load_state_dict(state)
    x = normal(random, 5, 48)
    assert all(relative_error(y, exact_mlp(x, state)) <= 2e-6 for y in mlp([x] * 3))

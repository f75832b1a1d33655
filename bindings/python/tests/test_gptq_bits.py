"""GPTQ of 2, 3 and 8 bits, and AWQ: against a dequantization in numpy from the formats' definitions, and what is refused."""

import json

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from gptq_format import dequantized, groups_of, pack, pack_awq, tensors, unpack, unpack_awq
from python_support import relative_error
from test_gptq import nearest

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationConfig
from maxlinear.graph.weights import load_weights
from maxlinear.nn import MLPV2, ColumnParallelLinear, GPTQLinear, GPTQLinearV2, RowParallelLinear

#: What is stored, in how many bits.
FORMATS = [
    ("gptq", 2),
    ("gptq", 3),
    ("gptq", 8),
    ("gptq_v2", 2),
    ("gptq_v2", 3),
    ("gptq_v2", 8),
    ("awq", 4),
]


def config(stored, bits, group_size, **arguments):
    if stored == "awq":
        return QuantizationConfig("awq", bits, group_size, **{"checkpoint_format": "gemm", **arguments})
    return QuantizationConfig("gptq", bits, group_size, **{"checkpoint_format": stored, **arguments})


def dimensions(state, stored, bits):
    rows, out_dim = state["qweight"].shape[0], state["scales"].shape[1]
    return (rows if stored == "awq" else 32 * rows // bits), out_dim


def layer_of(state, settings):
    in_dim, out_dim = dimensions(state, settings.quant_method, settings.bits)
    layer = GPTQLinearV2(in_dim, out_dim, DType.float32, has_bias="bias" in state, quantization_config=settings)
    layer.load_state_dict(state)
    return layer


@pytest.mark.parametrize(("stored", "bits"), FORMATS)
@pytest.mark.parametrize("group_size", [32, 64, 128, 256, 512, -1])
@pytest.mark.parametrize("sym", [False, True])
@pytest.mark.parametrize("act_order", [False, True])
def test_float64(random, stored, bits, group_size, sym, act_order):
    if stored == "awq" and act_order:
        pytest.skip("AWQ has no act-order")
    state = tensors(random, 1024, 88, group_size, sym=sym, act_order=act_order, stored=stored, bits=bits)
    state["bias"] = random.standard_normal(88).astype(np.float32)
    weight = dequantized(state, stored, bits)
    x = random.standard_normal((19, 1024)).astype(np.float32)
    exact = x.astype(np.float64) @ weight.T + state["bias"]
    settings = config(stored, bits, group_size, sym=sym, desc_act=act_order)
    for compute, tolerance in (("float32", 6e-7), ("int8", 1.2e-2)):
        layer = layer_of(state, settings)
        layer.prepare(compute=compute)
        y = layer(x)
        assert relative_error(y, exact) <= tolerance
        assert all((layer(x[row]) == y[row]).all() for row in range(19))
        assert all((layer(x, threads=threads) == y).all() for threads in range(1, 9))
        saved = layer.state_dict()
        assert saved.keys() == state.keys()
        assert all(value.dtype == state[key].dtype and (value == state[key]).all() for key, value in saved.items())


@pytest.mark.parametrize(("stored", "bits"), FORMATS)
@pytest.mark.parametrize(
    ("in_dim", "group_size", "group"),
    [(1056, 128, 32), (1088, 128, 64), (4864, 384, 128), (960, 96, 32), (1024, 5000, 256), (1024, 8, 0), (992, 100, 0)],
)
@pytest.mark.parametrize("act_order", [False, True])
def test_odd_and_ragged_groups(random, stored, bits, in_dim, group_size, group, act_order):
    if stored == "awq" and act_order:
        pytest.skip("AWQ has no act-order")
    state = tensors(random, in_dim, 40, group_size, act_order=act_order, stored=stored, bits=bits)
    layer = layer_of(state, config(stored, bits, group_size, desc_act=act_order))
    layer.prepare()
    name = {2: "gptq2", 8: "gptq8"}.get(bits, "gptq")
    assert (f"{name}_{group}_int8" if group else "f32_f32") in layer.kernel
    whole = {**state, "g_idx": state.get("g_idx", np.arange(in_dim) // group_size)}
    x = random.standard_normal((5, in_dim)).astype(np.float32)
    exact = x.astype(np.float64) @ dequantized(whole, stored, bits).T
    assert relative_error(layer(x), exact) <= (1.2e-2 if group else 6e-7)
    assert all((value == state[key]).all() for key, value in layer.state_dict().items())


@pytest.mark.parametrize(("stored", "bits"), FORMATS)
@pytest.mark.parametrize("scales", [np.float16, ml_dtypes.bfloat16, np.float32])
@pytest.mark.parametrize("out_dim", [1, 7, 8, 31, 33, 96, 200])
def test_scales_and_widths(random, stored, bits, scales, out_dim):
    """Any number of outputs, of AWQ whole words: the padding columns of qzeros are ignored."""
    if stored == "awq" and out_dim % 8:
        with pytest.raises(ValueError, match=f"out_dim: is {out_dim}, expected a multiple of 8"):
            GPTQLinearV2(256, out_dim, DType.float32, quantization_config=config(stored, bits, 64))
        return
    state = tensors(random, 256, out_dim, 64, stored=stored, bits=bits, scales=scales)
    if stored != "awq":
        width = state["qzeros"].shape[1] * 32 // bits
        zeros = np.full((4, width), (1 << bits) - 1)
        zeros[:, :out_dim] = unpack(state["qzeros"], out_dim, bits)
        state["qzeros"] = pack(zeros, bits)
    layer = layer_of(state, config(stored, bits, 64))
    x = random.standard_normal((3, 256)).astype(np.float32)
    assert relative_error(layer(x), x.astype(np.float64) @ dequantized(state, stored, bits).T) <= 1.2e-2
    assert all(value.tobytes() == state[key].tobytes() for key, value in layer.state_dict().items())


@pytest.mark.parametrize("bits", [2, 3, 8])
@pytest.mark.parametrize("code", [0, -1])
@pytest.mark.parametrize("stored_zero", [0, -1])
@pytest.mark.parametrize("stored", ["gptq", "gptq_v2"])
def test_extremes(bits, code, stored_zero, stored):
    """All codes and zeros at an end, all of x alike: the largest integers there can be, and a zero of 2^bits, which is legal."""
    top = (1 << bits) - 1
    codes, zeros = np.full((40, 512), code % (top + 1)), np.full((2, 40), stored_zero % (top + 1))
    state = {
        "qweight": pack(codes, bits).T.copy(),
        "qzeros": pack(zeros, bits),
        "scales": np.ones((2, 40), np.float16),
        "g_idx": np.arange(512, dtype=np.int32) // 256,
    }
    layer = layer_of(state, config(stored, bits, 256))
    layer.prepare(compute="int8")
    for sign in (1, -1):
        y = layer(np.full((3, 512), sign, np.float32))
        exact = sign * 512 * (codes[0, 0] - zeros[0, 0] - (stored == "gptq"))
        assert np.allclose(y, exact, rtol=1e-6)
    assert all((value == state[key]).all() for key, value in layer.state_dict().items())


def test_3_bits_are_a_stream():
    """The first words of a tensor, written out: codes 0 to 7 four times."""
    codes = np.arange(32) % 8
    words = np.array([[0x88FAC688], [0xC688FAC6], [0xFAC688FA]], np.uint32).view(np.int32)
    assert (pack(codes, 3) == words[:, 0]).all() and (unpack(words[:, 0], 32, 3) == codes).all()
    state = {"qweight": words, "scales": np.ones((1, 1), np.float16), "g_idx": np.zeros(32, np.int32)}
    layer = layer_of(state, config("gptq", 3, -1, sym=True))
    assert (layer(np.eye(32, dtype=np.float32))[:, 0] == codes - 4).all()


def test_awq_order():
    """A word written out: nibble i holds output 0 2 4 6 1 3 5 7."""
    assert (unpack_awq(np.array([[0x75316420]], np.uint32).view(np.int32)) == np.arange(8)).all()
    words = np.tile(np.array([[0x75316420]], np.uint32).view(np.int32), (4, 1))
    state = {"qweight": words, "scales": np.ones((1, 8), np.float16), "qzeros": words[:1]}
    layer = layer_of(state, config("awq", 4, -1))
    state["qzeros"] = np.zeros((1, 1), np.int32)
    assert (layer(np.eye(4, dtype=np.float32)) == 0).all()
    assert (layer_of(state, config("awq", 4, -1))(np.eye(4, dtype=np.float32)) == np.arange(8)).all()


def test_awq_takes_any_in_dim(random):
    state = tensors(random, 100, 16, -1, stored="awq")
    layer = layer_of(state, config("awq", 4, -1))
    x = random.standard_normal((3, 100)).astype(np.float32)
    assert relative_error(layer(x), x.astype(np.float64) @ dequantized(state, "awq").T) <= 6e-7
    assert all((value == state[key]).all() for key, value in layer.state_dict().items())


def test_symmetric_zeros_decide_their_format_themselves(random):
    for bits in (2, 3, 8):
        for stored in ("gptq", "gptq_v2"):
            state = tensors(random, 256, 40, 128, sym=True, stored=stored, bits=bits)
            x = random.standard_normal((3, 256)).astype(np.float32)
            y = layer_of(state, config("gptq", bits, 128, sym=True))(x)
            assert relative_error(y, x.astype(np.float64) @ dequantized(state, stored, bits).T) <= 1.2e-2
            zeros = unpack(state["qzeros"], 40, bits)
            zeros[1, 33] += 1 if stored == "gptq" else -1
            state["qzeros"] = pack(zeros, bits)
            with pytest.raises(ValueError, match="qzeros: group 1, output 33 holds"):
                layer_of(state, config("gptq", bits, 128, sym=True))


def test_packed_size(random):
    for stored, bits, bound in (("gptq", 2, 1.02), ("gptq", 3, 1.34), ("gptq", 8, 1.02), ("awq", 4, 1.02)):
        state = tensors(random, 2048, 512, 128, stored=stored, bits=bits)
        layer = layer_of(state, config(stored, bits, 128))
        layer.prepare()
        encoded = sum(state[key].nbytes for key in ("qweight", "scales", "qzeros"))
        assert round(layer.memory()["packed"] / encoded, 2) <= bound


@pytest.mark.parametrize(("stored", "bits"), FORMATS)
@pytest.mark.parametrize("cls", [ColumnParallelLinear, RowParallelLinear])
def test_several_devices(random, stored, bits, cls):
    state = tensors(random, 1024, 200, 128, stored=stored, bits=bits)
    devices = [maxlinear.graph.DeviceRef.CPU(number) for number in range(3)]
    settings = config(stored, bits, 128)
    layer = cls(
        1024,
        200,
        DType.float32,
        devices=devices,
        quantization_encoding=maxlinear.graph.quantization.QuantizationEncoding.GPTQ,
        quantization_config=settings,
    )
    layer.load_state_dict(state)
    x = random.standard_normal((5, 1024)).astype(np.float32)
    parts = [x] * 3 if cls is ColumnParallelLinear else list(np.split(x, [512, 768], axis=1))
    y = layer(parts)[0]
    whole = layer_of(state, settings)(x)
    if cls is ColumnParallelLinear:
        assert (y == whole).all()
    else:
        assert relative_error(y, whole.astype(np.float64)) <= 1e-6
    assert all((value == state[key]).all() for key, value in layer.state_dict().items())


FILES = {
    "quantize_config.json": ("gptq", 3, lambda f: f),
    "config.json": ("gptq", 8, lambda f: {"quantization_config": f}),
    "awq in config.json": (
        "awq",
        4,
        lambda f: {
            "quantization_config": {
                "quant_method": "awq",
                "bits": 4,
                "group_size": 128,
                "zero_point": True,
                "version": "gemm",
                "modules_to_not_convert": None,
            }
        },
    ),
    "quant_config.json": (
        "awq",
        4,
        lambda f: {"w_bit": 4, "q_group_size": 128, "zero_point": True, "version": "GEMM"},
    ),
}


def save(path, stored, bits, random):
    shapes = {"gate_proj": (256, 512), "down_proj": (512, 256), "up_proj": (256, 512)}
    layers = {part: tensors(random, *shape, 128, stored=stored, bits=bits) for part, shape in shapes.items()}
    named = {
        f"model.layers.0.mlp.{part}.{key}": value for part, state in layers.items() for key, value in state.items()
    }
    safetensors.numpy.save_file(named, path / "model.safetensors")
    return layers


@pytest.mark.parametrize("name", FILES)
def test_mlp_from_weights(tmp_path, random, name):
    stored, bits, make = FILES[name]
    layers = save(tmp_path, stored, bits, random)
    fields = {"bits": bits, "group_size": 128, "desc_act": False, "sym": False, "quant_method": "gptq"}
    (tmp_path / name.split()[-1]).write_text(json.dumps(make(fields)))
    weights = load_weights(tmp_path / "model.safetensors")
    mlp = MLPV2.from_weights(weights)
    assert (mlp.hidden_dim, mlp.feed_forward_length) == (256, 512)
    settings = config(stored, bits, 128)
    gate, down, up = (layer_of(layers[part], settings) for part in ("gate_proj", "down_proj", "up_proj"))
    x = random.standard_normal((5, 256)).astype(np.float32)
    assert (mlp(x) == down(maxlinear.nn.mlp.gate("silu", gate(x), up(x)))).all()
    alone = GPTQLinear(weights.model.layers[0].mlp.up_proj, quantization_config=settings)
    assert (alone(x) == up(x)).all() and alone.weight.shape == (512, 256)
    saved = mlp.state_dict()
    assert len(saved) == sum(len(state) for state in layers.values())
    for part, state in layers.items():
        assert all(saved[f"{part}.{key}"].tobytes() == value.tobytes() for key, value in state.items())


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemv"},
            'version is "gemv".*expected "gemm"',
        ),
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "version": "marlin"}, 'version is "marlin"'),
        ({"quant_method": "awq", "bits": 3, "group_size": 128}, "bits is 3, expected 4 of AWQ"),
        (
            {"quant_method": "awq", "w_bit": "4", "q_group_size": 128},
            '"w_bit" is missing or something else, expected an integer',
        ),
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": 1}, '"zero_point"'),
        ({"quant_method": "awq", "bits": 4, "group_size": 128, "desc_act": True}, "desc_act"),
        ({"quant_method": "hqq", "bits": 4, "group_size": 128}, 'quant_method is "hqq"'),
        ({"bits": 5, "group_size": 128}, "bits is 5, expected 2, 3, 4 or 8"),
        ({"bits": 2, "group_size": 128}, "shape is"),
        ({"bits": 3, "group_size": 128}, "expected a multiple of 3 rows"),
    ],
)
def test_bad_config_files(tmp_path, random, fields, message):
    save(tmp_path, "gptq", 4, random)
    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": fields}))
    with pytest.raises(ValueError, match=message):
        MLPV2.from_weights(load_weights(tmp_path / "model.safetensors"))


@pytest.mark.parametrize(
    ("stored", "bits", "in_dim", "message"),
    [
        ("gptq", 2, 40, "multiple of 16: so many codes are one word"),
        ("gptq", 3, 40, "multiple of 32: so many codes are three words"),
        ("gptq", 8, 42, "multiple of 4: so many codes are one word"),
        ("gptq", 5, 64, "bits is 5"),
        ("gptq", 0, 64, "bits is 0"),
        ("gptq", -4, 64, "bits is -4"),
        ("awq", 8, 64, "bits is 8, expected 4 of AWQ"),
    ],
)
def test_refused(random, stored, bits, in_dim, message):
    settings = config(stored, bits, 32)
    with pytest.raises(ValueError, match=message):
        GPTQLinearV2(in_dim, 40, DType.float32, quantization_config=settings)
    with pytest.raises(ValueError, match=message):
        maxlinear.quantize_gptq(random.standard_normal((40, in_dim)).astype(np.float32), settings)


@pytest.mark.parametrize(("stored", "bits"), FORMATS)
def test_bad_tensors(random, stored, bits):
    good = tensors(random, 256, 40, 128, stored=stored, bits=bits)
    layer = layer_of(good, config(stored, bits, 128))
    x = random.standard_normal((2, 256)).astype(np.float32)
    y = layer(x)
    for key in ("qweight", "qzeros", "scales"):
        for wrong in (good[key][:-1], good[key][:, :-1], good[key].T.copy(), good[key].reshape(-1)):
            with pytest.raises(ValueError, match=f"{key}: shape is"):
                layer.load_state_dict({**good, key: wrong}, replace=True)
        with pytest.raises(TypeError, match=f"{key}: dtype"):
            layer.load_state_dict({**good, key: good[key].astype(np.int16)}, replace=True)
    assert (layer(x) == y).all()


def test_one_tensor_as_max_builds_it_has_4_bits():
    for settings in (config("gptq", 8, 128), config("awq", 4, 128)):
        with pytest.raises(ValueError, match="one tensor as MAX builds it is GPTQ of 4 bits"):
            GPTQLinear(np.zeros((132, 40), np.uint8), quantization_config=settings)


@pytest.mark.parametrize(("stored", "bits"), FORMATS)
@pytest.mark.parametrize("group_size", [1, 32, 100, 128, 5000, -1])
@pytest.mark.parametrize("sym", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_quantize_rounds_to_nearest(random, stored, bits, group_size, sym, dtype):
    out_dim = 72 if stored == "awq" else 75
    in_dim = 289 if stored == "awq" else 288
    weight = random.standard_normal((out_dim, in_dim)).astype(dtype)
    weight[3] = np.abs(weight[3])
    weight[4] = -np.abs(weight[4])
    weight[5] = 0
    settings = config(stored, bits, group_size, sym=sym)
    state = maxlinear.quantize_gptq(weight, settings, threads=1)
    low = 1 if stored == "gptq" else 0
    codes, zeros, scales = nearest(weight, group_size, sym, low, bits)
    assert state["qweight"].tobytes() == (
        pack_awq(codes.astype(np.int64)) if stored == "awq" else pack(codes.T.astype(np.int64), bits).T
    ).tobytes(order="C")
    stored_zeros = (zeros - low).astype(np.int64)
    assert (state["qzeros"] == (pack_awq(stored_zeros) if stored == "awq" else pack(stored_zeros, bits))).all()
    assert (state["scales"] == scales).all() and ("g_idx" in state) == (stored != "awq")
    for threads in (2, 3, 8):
        again = maxlinear.quantize_gptq(weight, settings, threads=threads)
        assert all((again[key] == value).all() for key, value in state.items())
    layer = layer_of(state, settings)
    layer.prepare(compute="float32")
    x = random.standard_normal((3, in_dim)).astype(np.float32)
    whole = {"g_idx": np.arange(in_dim) // (in_dim if group_size == -1 else group_size), **state}
    exact = x.astype(np.float64) @ dequantized(whole, stored, bits).T
    assert relative_error(layer(x), exact) <= 6e-7
    assert groups_of(in_dim, group_size) == len(state["scales"])


@pytest.mark.parametrize(
    ("stored", "bits", "sym", "most"),
    [
        ("gptq", 2, True, 0.56),
        ("gptq", 2, False, 0.56),
        ("gptq", 3, True, 0.26),
        ("gptq", 3, False, 0.25),
        ("gptq", 8, True, 0.0068),
        ("gptq", 8, False, 0.0062),
        ("awq", 4, False, 0.102),
    ],
)
def test_quantize_is_near(random, stored, bits, sym, most):
    weight = random.standard_normal((64, 1024)).astype(np.float32)
    state = maxlinear.quantize_gptq(weight, config(stored, bits, 128, sym=sym))
    assert relative_error(dequantized(state, stored, bits), weight.astype(np.float64)) <= most

"""GPTQ: against a dequantization in numpy from the format's definition, and what is refused."""

import functools
import json

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from gptq_format import dequantized, groups_of, tensors, unpack
from python_support import relative_error

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationConfig, QuantizationEncoding
from maxlinear.graph.weights import load_weights
from maxlinear.nn import MLP, MLPV2, GPTQLinear, GPTQLinearV2, Linear, LinearV2, QLinear


def config(group_size, *, sym=False, desc_act=False, checkpoint_format="gptq", bits=4):
    return QuantizationConfig("gptq", bits, group_size, desc_act, sym, checkpoint_format)


def layer_of(state, group_size, **arguments):
    words, out_dim = state["qweight"].shape
    bias = "bias" in state
    layer = GPTQLinearV2(
        8 * words, out_dim, DType.float32, has_bias=bias, quantization_config=config(group_size, **arguments)
    )
    layer.load_state_dict(state)
    return layer


@pytest.mark.parametrize("group_size", [32, 64, 128, 256, 512, -1])
@pytest.mark.parametrize("sym", [False, True])
@pytest.mark.parametrize("act_order", [False, True])
@pytest.mark.parametrize("stored", ["gptq", "gptq_v2"])
@pytest.mark.parametrize("has_bias", [False, True])
def test_float64(random, group_size, sym, act_order, stored, has_bias):
    state = tensors(random, 1024, 88, group_size, sym=sym, act_order=act_order, stored=stored)
    weight = dequantized(state, stored)
    bias = random.standard_normal(88).astype(np.float32)
    if has_bias:
        state["bias"] = bias
    x = random.standard_normal((19, 1024)).astype(np.float32)
    exact = x.astype(np.float64) @ weight.T + (bias if has_bias else 0)
    for compute, tolerance in (("float32", 6e-7), ("int8", 1.2e-2)):
        layer = layer_of(state, group_size, sym=sym, desc_act=act_order, checkpoint_format=stored)
        layer.prepare(compute=compute)
        y = layer(x)
        assert relative_error(y, exact) <= tolerance
        assert all((layer(x[row]) == y[row]).all() for row in range(19))
        assert all((layer(x, threads=threads) == y).all() for threads in range(1, 9))
        for key, value in layer.state_dict().items():
            assert value.dtype == state[key].dtype and (value == state[key]).all()
        assert list(layer.state_dict()) == [
            key for key in ("qweight", "scales", "qzeros", "g_idx", "bias") if key in state
        ]


@pytest.mark.parametrize(
    ("in_dim", "group_size", "kernel"),
    [
        (1056, 128, "gptq_32_int8"),  # a last group of 32
        (1088, 128, "gptq_64_int8"),
        (4864, 384, "gptq_128_int8"),  # a last group of 256
        (1056, -1, "gptq_32_int8"),
        (960, 96, "gptq_32_int8"),
        (1000, 128, "f32_f32"),  # 1000 is no multiple of 32
        (1024, 8, "f32_f32"),
        (1024, 100, "f32_f32"),
        (1024, 1, "f32_f32"),
        (1024, 5000, "gptq_256_int8"),
    ],
)
@pytest.mark.parametrize("act_order", [False, True])
def test_odd_and_ragged_groups(random, in_dim, group_size, kernel, act_order):
    state = tensors(random, in_dim, 40, group_size, act_order=act_order)
    layer = layer_of(state, group_size, desc_act=act_order)
    layer.prepare()
    assert kernel in layer.kernel
    x = random.standard_normal((5, in_dim)).astype(np.float32)
    tolerance = 6e-7 if "f32_f32" in kernel else 1.2e-2
    assert relative_error(layer(x), x.astype(np.float64) @ dequantized(state).T) <= tolerance
    assert all((value == state[key]).all() for key, value in layer.state_dict().items())
    if "f32_f32" in kernel:
        with pytest.raises(ValueError, match="multiple of 32 columns"):
            layer_of(state, group_size, desc_act=act_order).prepare(compute="int8")


@pytest.mark.parametrize("scales", [np.float16, ml_dtypes.bfloat16, np.float32])
@pytest.mark.parametrize("out_dim", [1, 7, 8, 31, 33, 100])
@pytest.mark.parametrize("sym", [False, True])
def test_scales_and_widths(random, scales, out_dim, sym):
    """Any number of outputs: the padding columns of qzeros are ignored."""
    state = tensors(random, 256, out_dim, 64, sym=sym, scales=scales)
    if out_dim % 8:
        state["qzeros"][:, -1] |= np.int32(-1) << np.int32(4 * (out_dim % 8))
    layer = layer_of(state, 64, sym=sym)
    x = random.standard_normal((3, 256)).astype(np.float32)
    assert relative_error(layer(x), x.astype(np.float64) @ dequantized(state).T) <= 1.2e-2
    saved = layer.state_dict()
    assert (
        saved["scales"].tobytes() == state["scales"].tobytes()
        and saved["qzeros"].tobytes() == state["qzeros"].tobytes()
    )


def test_a_zero_of_16_is_legal(random):
    state = tensors(random, 64, 8, 32)
    state["qzeros"][:] = -1
    x = random.standard_normal((3, 64)).astype(np.float32)
    layer = layer_of(state, 32)
    layer.prepare(compute="float32")
    assert relative_error(layer(x), x.astype(np.float64) @ dequantized(state).T) <= 6e-7


@pytest.mark.parametrize("stored", ["gptq", "gptq_v2"])
@pytest.mark.parametrize("said", ["gptq", "gptq_v2", None])
def test_symmetric_zeros_decide_their_format_themselves(random, stored, said):
    state = tensors(random, 256, 16, 128, sym=True, stored=stored)
    x = random.standard_normal((3, 256)).astype(np.float32)
    exact = x.astype(np.float64) @ dequantized(state, stored).T
    layer = layer_of(state, 128, sym=True, checkpoint_format=said)
    assert relative_error(layer(x), exact) <= 1.2e-2
    del state["qzeros"]
    assert (layer_of(state, 128, sym=True)(x) == layer(x)).all()


def test_perm_idx_and_g_idx_give_the_same_bits(random):
    state = tensors(random, 1024, 40, 128, act_order=True)
    x = random.standard_normal((5, 1024)).astype(np.float32)
    y = layer_of(state, 128, desc_act=True)(x)
    assert (layer_of(state, 128)(x) == y).all()  # g_idx wins over desc_act
    order = np.argsort(state["g_idx"], kind="stable").astype(np.int32)
    both = {**state, "perm_idx": order}
    assert (layer_of(both, 128, desc_act=True)(x) == y).all()
    del state["g_idx"]
    other = order.reshape(-1, 128)[:, ::-1].reshape(-1).copy()  # another way to sort
    for permutation in (order, other):
        assert (layer_of({**state, "perm_idx": permutation}, 128, desc_act=True)(x) == y).all()


def max_weight(state):
    """The one tensor that MAX builds."""
    out_dim = state["scales"].shape[1]
    parts = (state["qweight"].view(np.uint8).reshape(-1), state["scales"].view(np.uint8).reshape(-1))
    return np.concatenate(parts).reshape(-1, out_dim)


@pytest.mark.parametrize(("in_dim", "group_size"), [(1024, 128), (1024, -1), (1056, 128), (512, 32)])
@pytest.mark.parametrize("act_order", [False, True])
def test_one_tensor_as_max_builds_it(random, in_dim, group_size, act_order):
    state = tensors(random, in_dim, 40, group_size, sym=True, act_order=act_order)
    x = random.standard_normal((5, in_dim)).astype(np.float32)
    bias = random.standard_normal(40).astype(np.float32)
    order = np.argsort(state["g_idx"], kind="stable").astype(np.int32) if act_order else None
    layer = GPTQLinear(
        max_weight(state), bias, QuantizationEncoding.GPTQ, config(group_size, sym=True, desc_act=act_order), order
    )
    assert layer.weight.shape == (40, in_dim) and isinstance(layer, QLinear) and isinstance(layer, Linear)
    assert relative_error(layer(x), x.astype(np.float64) @ dequantized(state).T + bias) <= 1.2e-2
    assert (layer(x) == layer_of({**state, "bias": bias}, group_size, sym=True, desc_act=act_order)(x)).all()


def save(path, layers, config_name=None, extra=None):
    named = {f"{prefix}.{key}": value for prefix, state in layers.items() for key, value in state.items()}
    safetensors.numpy.save_file({**named, **(extra or {})}, path / "model.safetensors")
    fields = {"bits": 4, "group_size": 128, "desc_act": True, "sym": False, "quant_method": "gptq"}
    if config_name == "quantize_config.json":
        (path / config_name).write_text(json.dumps(fields))
    if config_name == "config.json":
        (path / config_name).write_text(json.dumps({"model_type": "llama", "quantization_config": fields}))
    return load_weights(path / "model.safetensors")


def test_a_prefix_of_a_checkpoint(tmp_path, random):
    state = tensors(random, 256, 40, 128, act_order=True)
    state["bias"] = random.standard_normal(40).astype(np.float16)
    dense = random.standard_normal((40, 256)).astype(np.float16)
    weights = save(tmp_path, {"a": state}, extra={"b.weight": dense})
    x = random.standard_normal((5, 256)).astype(np.float32)
    exact = x.astype(np.float64) @ dequantized(state).T + state["bias"].astype(np.float64)
    own = config(128, desc_act=True)
    direct = GPTQLinear(weights.a, quantization_config=own)
    created = Linear.create(DType.float16, QuantizationEncoding.GPTQ, 256, 40, weights.a, weights.a, own)
    assert isinstance(created, GPTQLinear) and direct.weight.shape == (40, 256)
    assert relative_error(direct(x), exact) <= 1.2e-2 and (created(x) == direct(x)).all()
    plain = Linear.create(DType.float16, QuantizationEncoding.GPTQ, 256, 40, weights.b, None, own)
    assert type(plain) is Linear and (plain(x) == Linear(dense)(x)).all()
    with pytest.raises(ValueError, match="either order"):
        Linear.create(DType.float16, None, 256, 41, weights.a, None, own)


@pytest.mark.parametrize("config_name", ["quantize_config.json", "config.json", None])
def test_mlp_from_weights(tmp_path, random, config_name):
    shapes = {"gate_proj": (256, 512), "down_proj": (512, 256), "up_proj": (256, 512)}
    layers = {part: tensors(random, *shape, 128, act_order=True) for part, shape in shapes.items()}
    layers["up_proj"]["g_idx"] = layers["gate_proj"]["g_idx"]
    weights = save(tmp_path, {f"model.layers.0.mlp.{part}": state for part, state in layers.items()}, config_name)
    own = config(128, desc_act=True)
    if config_name is None:
        with pytest.raises(ValueError, match="quantization_config"):
            MLPV2.from_weights(weights)
        mlp = MLPV2.from_weights(weights, quantization_config=own)
    else:
        mlp = MLPV2.from_weights(weights)
    assert mlp.quantization_encoding == QuantizationEncoding.GPTQ and (mlp.hidden_dim, mlp.feed_forward_length) == (
        256,
        512,
    )
    composed = MLP(*(layer_of(state, 128, desc_act=True) for state in layers.values()))
    made = MLPV2(
        DType.float32,
        QuantizationEncoding.GPTQ,
        256,
        512,
        linear_cls=functools.partial(GPTQLinearV2, quantization_config=own),
    )
    made.load_state_dict({f"{part}.{key}": value for part, state in layers.items() for key, value in state.items()})
    for rows in (1, 5, 40):
        x = random.standard_normal((rows, 256)).astype(np.float32)
        gates = layer_of(layers["gate_proj"], 128, desc_act=True)(x)
        hidden = maxlinear.nn.mlp.gate("silu", gates, layer_of(layers["up_proj"], 128, desc_act=True)(x))
        expected = layer_of(layers["down_proj"], 128, desc_act=True)(hidden)
        for other in (mlp, composed, made):
            assert (other(x) == expected).all()
    saved = mlp.state_dict()
    assert all(
        (saved[f"{part}.{key}"] == value).all() for part, state in layers.items() for key, value in state.items()
    )


def test_x_of_other_dtypes_and_layouts(random):
    state = tensors(random, 256, 40, 64, act_order=True)
    layer = layer_of(state, 64, desc_act=True)
    wide = random.standard_normal((6, 300)).astype(np.float32)
    x = wide[::2, 17:273]
    y = layer(x)
    assert (layer(np.ascontiguousarray(x)) == y).all()
    half = np.ascontiguousarray(x).astype(np.float16)
    assert (layer(half) == layer(half.astype(np.float32)).astype(np.float16)).all()
    exact = layer_of(state, 64, desc_act=True)
    exact.prepare(compute="float32")
    for rows in (1, 2, 3):
        assert relative_error(exact(x[:rows]), x[:rows].astype(np.float64) @ dequantized(state).T) <= 6e-7


def test_packed_size(random):
    for group_size, sym, bound in ((128, True, 1.02), (128, False, 1.02), (32, False, 1.04), (-1, False, 1.04)):
        state = tensors(random, 2048, 512, group_size, sym=sym)
        layer = layer_of(state, group_size, sym=sym)
        layer.prepare()
        stored = sum(state[key].nbytes for key in ("qweight", "scales", "qzeros"))
        # To two decimals: a superblock of a panel is filled up to whole vectors.
        assert round(layer.memory()["packed"] / stored, 2) <= bound


CHANGES = {
    "index out of range": (lambda s: s["g_idx"].__setitem__(3, 2), ValueError, "g_idx: column 3 is in group 2"),
    "negative index": (lambda s: s["g_idx"].__setitem__(0, -1), ValueError, "g_idx: column 0 is in group -1"),
    "short g_idx": (lambda s: s.update(g_idx=s["g_idx"][:-1]), ValueError, "g_idx: shape is"),
    "g_idx of floats": (lambda s: s.update(g_idx=s["g_idx"].astype(np.float32)), TypeError, "g_idx: dtype"),
    "perm_idx twice": (lambda s: s.update(perm_idx=np.zeros(256, np.int32)), ValueError, "perm_idx: place 1"),
    "perm_idx against g_idx": (
        lambda s: s.update(perm_idx=np.arange(256, dtype=np.int32)[::-1].copy()),
        ValueError,
        "contradicts g_idx",
    ),
    "fewer groups": (lambda s: s.update(scales=s["scales"][:1]), ValueError, "scales: shape is"),
    "scales of integers": (lambda s: s.update(scales=s["scales"].astype(np.int32)), TypeError, "scales: dtype"),
    "wider zeros": (lambda s: s.update(qzeros=np.zeros((2, 6), np.int32)), ValueError, "qzeros: shape is"),
    "other codes": (lambda s: s.update(qweight=s["qweight"].astype(np.int64)), TypeError, "qweight: dtype"),
    "no scales": (lambda s: s.pop("scales"), KeyError, "scales: missing"),
    "no zeros": (lambda s: s.pop("qzeros"), KeyError, "qzeros: missing"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_bad_tensors(random, name):
    change, kind, message = CHANGES[name]
    good = tensors(random, 256, 40, 128)
    layer = layer_of(good, 128)
    x = random.standard_normal((2, 256)).astype(np.float32)
    y = layer(x)
    bad = {key: value.copy() for key, value in good.items()}
    change(bad)
    with pytest.raises(kind, match=message) as caught:
        layer.load_state_dict(bad, replace=True)
    assert isinstance(caught.value, maxlinear.Error)
    assert (layer(x) == y).all() and all((layer.state_dict()[key] == value).all() for key, value in good.items())


def test_zeros_that_fit_no_format(random):
    state = tensors(random, 256, 40, 128, sym=True)
    for word in (0x77777777, 0x88888888 - (1 << 32), 0x77777778):
        bad = {**state, "qzeros": state["qzeros"].copy()}
        bad["qzeros"][1, 2] = word
        if word == 0x77777777:
            layer_of(bad, 128, sym=True)
            continue
        with pytest.raises(ValueError, match="qzeros: group 1, output 16 holds 8"):
            layer_of(bad, 128, sym=True)


def test_act_order_without_an_index(random):
    state = tensors(random, 256, 40, 128)
    del state["g_idx"]
    assert layer_of(state, 128)(np.ones(256, np.float32)).shape == (40,)
    with pytest.raises(KeyError, match="g_idx: missing, and perm_idx too"):
        layer_of(state, 128, desc_act=True)


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        ({"bits": 5}, "UNSUPPORTED", "bits is 5"),
        ({"bits": 16}, "UNSUPPORTED", "bits is 16"),
        ({"group_size": 0}, "INVALID_ARGUMENT", "group_size is 0"),
        ({"group_size": -2}, "INVALID_ARGUMENT", "group_size is -2"),
        ({"quant_method": "hqq"}, "UNSUPPORTED", 'quant_method is "hqq"'),
        ({"checkpoint_format": "marlin"}, "UNSUPPORTED", 'checkpoint_format is "marlin"'),
    ],
)
def test_bad_configs(arguments, status, message):
    own = QuantizationConfig(**{"quant_method": "gptq", "bits": 4, "group_size": 128, **arguments})
    for make in (
        lambda: GPTQLinearV2(256, 40, DType.float32, quantization_config=own),
        lambda: GPTQLinear(np.zeros((132, 40), np.uint8), quantization_config=own),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            make()
        assert caught.value.status == f"MXL_{status}"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GPTQLinearV2(100, 40, DType.float32, quantization_config=config(128)), "multiple of 8"),
        (lambda: GPTQLinearV2(0, 40, DType.float32, quantization_config=config(128)), "in_dim"),
        (lambda: GPTQLinearV2(256, 40, DType.int32, quantization_config=config(128)), "dtype"),
        (lambda: GPTQLinearV2(256, 40, DType.float32), "quantization"),
        (
            lambda: GPTQLinearV2(256, 40, DType.float32, None, False, QuantizationEncoding.Q4_0, config(128)),
            "expected GPTQ",
        ),
        (lambda: LinearV2(256, 40, DType.uint8, quantization_encoding=QuantizationEncoding.GPTQ), "quantization"),
        (lambda: GPTQLinear(np.zeros((131, 40), np.uint8), quantization_config=config(128)), "rows for groups"),
        (lambda: GPTQLinear(np.zeros((132, 40), np.float32), quantization_config=config(128)), "expected uint8"),
        (lambda: GPTQLinear(np.zeros((132, 40), np.uint8)), "quantization_config"),
    ],
)
def test_refused(make, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make()


def test_in_place_is_refused(random):
    with pytest.raises(ValueError, match="pack"):
        layer_of(tensors(random, 256, 40, 128), 128).prepare(pack="never")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "quantize_config.json"),
        ("[]", "bits"),
        ('{"bits": 4}', "group_size"),
        ('{"bits": "4", "group_size": 128}', "bits"),
        ('{"bits": 4, "group_size": 128, "sym": 1}', "sym"),
        ('{"bits": 4, "group_size": 128, "quant_method": "hqq"}', "hqq"),
    ],
)
def test_bad_config_files(tmp_path, random, text, message):
    layers = {f"layers.0.mlp.{part}": tensors(random, 256, 256, 128) for part in ("gate_proj", "down_proj", "up_proj")}
    weights = save(tmp_path, layers)
    (tmp_path / "quantize_config.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        MLPV2.from_weights(weights)


def test_codes_are_packed_least_significant_first():
    """The first words of a tensor, written out."""
    state = {
        "qweight": np.array([[0x76543210, 0x0FEDCBA9]], np.uint32).view(np.int32),
        "scales": np.ones((1, 2), np.float16),
        "qzeros": np.array([[0x00000007]], np.uint32).view(np.int32),
        "g_idx": np.zeros(8, np.int32),
    }
    assert groups_of(8, -1) == 1 and (unpack(state["qweight"].T.copy(), 8)[0] == np.arange(8)).all()
    layer = layer_of(state, -1)
    y = layer(np.eye(8, dtype=np.float32))
    assert (y[:, 0] == np.arange(8) - 8).all() and (y[:, 1] == np.array([9, 10, 11, 12, 13, 14, 15, 0]) - 1).all()


def nearest(weight, group_size, sym, low, bits=4):
    """Codes, zeros and float16 scales by the definition: every value goes to the nearest code, ties to even."""
    out_dim, in_dim = weight.shape
    size = in_dim if group_size == -1 else group_size
    groups, top = groups_of(in_dim, group_size), np.float32((1 << bits) - 1)
    codes, zeros, scales = np.zeros((in_dim, out_dim)), np.zeros((groups, out_dim)), np.zeros((groups, out_dim))
    for group in range(groups):
        part = weight[:, group * size : (group + 1) * size].astype(np.float32)
        least = np.minimum(part.min(1), np.float32(0))
        most = np.maximum(part.max(1), np.float32(0))
        if low:
            least = np.where(-least < most / (top - 1), -most / (top - 1), least)
        both = np.maximum(-least, most)
        scale = both / (top / 2) if sym else most / top - least / top
        scale = np.minimum(scale, np.float32(65504)).astype(np.float16).astype(np.float32)
        with np.errstate(divide="ignore"):
            inverse = np.where(scale > 0, np.float32(1) / scale, np.float32(0)).astype(np.float32)
        inverse[~np.isfinite(inverse)] = 0
        zero = np.full(out_dim, 2.0 ** (bits - 1)) if sym else np.clip(np.rint(-least * inverse), low, top)
        code = np.clip(np.rint(part * inverse[:, None] + zero.astype(np.float32)[:, None]), 0, top)
        codes[group * size : (group + 1) * size] = code.T
        zeros[group], scales[group] = zero, scale
    return codes, zeros, scales


@pytest.mark.parametrize("group_size", [1, 32, 100, 128, 5000, -1])
@pytest.mark.parametrize("sym", [False, True])
@pytest.mark.parametrize("stored", ["gptq", "gptq_v2", None])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_quantize_rounds_to_nearest(random, group_size, sym, stored, dtype):
    weight = random.standard_normal((37, 264)).astype(dtype)
    weight[3] = np.abs(weight[3])
    weight[4] = -np.abs(weight[4])
    weight[5] = 0
    settings = config(group_size, sym=sym, checkpoint_format=stored)
    state = maxlinear.quantize_gptq(weight, settings, threads=1)
    low = 0 if stored == "gptq_v2" else 1
    codes, zeros, scales = nearest(weight, group_size, sym, low)
    assert (unpack(np.ascontiguousarray(state["qweight"].T), 264).T == codes).all()
    assert (unpack(state["qzeros"], 37) + low == zeros).all()
    assert state["scales"].dtype == np.float16 and (state["scales"] == scales).all()
    assert (state["g_idx"] == np.arange(264) // (264 if group_size == -1 else group_size)).all()
    for threads in range(2, 9):
        again = maxlinear.quantize_gptq(weight, settings, threads=threads)
        assert all((again[key] == value).all() for key, value in state.items())
    layer = layer_of(state, group_size, sym=sym, checkpoint_format=stored)
    layer.prepare(compute="float32")
    x = random.standard_normal((3, 264)).astype(np.float32)
    exact = x.astype(np.float64) @ dequantized(state, "gptq" if low else stored).T
    assert relative_error(layer(x), exact) <= 6e-7


@pytest.mark.parametrize("scales", [DType.float16, DType.bfloat16, DType.float32])
@pytest.mark.parametrize(("sym", "most"), [(True, 0.112), (False, 0.102)])
def test_quantize_is_near(random, scales, sym, most):
    weight = random.standard_normal((64, 1024)).astype(np.float32)
    state = maxlinear.quantize_gptq(weight, config(128, sym=sym), scales)
    assert state["scales"].dtype == scales.to_numpy()
    assert relative_error(dequantized(state), weight.astype(np.float64)) <= most


def test_quantize_refuses(random):
    weight = random.standard_normal((8, 64)).astype(np.float32)
    cases = [
        (weight, config(32, bits=5), "MXL_UNSUPPORTED"),
        (weight, config(32, desc_act=True), "MXL_UNSUPPORTED"),
        (weight, config(0), "MXL_INVALID_ARGUMENT"),
        (weight, config(-2), "MXL_INVALID_ARGUMENT"),
        (weight[:, :63], config(32), "MXL_INVALID_SHAPE"),
        (weight[0], config(32), "MXL_INVALID_SHAPE"),
        (weight[:0], config(32), "MXL_INVALID_SHAPE"),
        (weight.astype(np.int32), config(32), "MXL_INVALID_DTYPE"),
        (np.where(np.arange(64) == 9, np.nan, weight).astype(np.float32), config(32), "MXL_INVALID_ARGUMENT"),
        (weight * np.float32(1e6), config(32), "MXL_INVALID_ARGUMENT"),
    ]
    for array, settings, status in cases:
        with pytest.raises(maxlinear.Error) as caught:
            maxlinear.quantize_gptq(array, settings)
        assert caught.value.status == status
    assert np.isfinite(maxlinear.quantize_gptq(weight * np.float32(1e30), config(32), DType.float32)["scales"]).all()

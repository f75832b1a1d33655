"""MLPs: from three layers, of somebody's own linear class, from a checkpoint by its usual names."""

import functools

import gguf
import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from python_support import relative_error, write_safetensors
from test_encodings import blocks
from test_gguf import write

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationEncoding
from maxlinear.graph.weights import load_weights
from maxlinear.nn import MLP, MLPV2, DistributedMLP, Linear, LinearV2, QLinear

SHAPES = {"gate_proj": (512, 256), "down_proj": (256, 512), "up_proj": (512, 256)}
GGUF = {"gate_proj": "ffn_gate", "down_proj": "ffn_down", "up_proj": "ffn_up"}


def dense(random, dtype=np.float32):
    return {part: (random.standard_normal(shape) / 16).astype(dtype) for part, shape in SHAPES.items()}


def linears(weights):
    return [Linear(weights[part]) for part in SHAPES]


def state(weights):
    return {f"{part}.weight": value for part, value in weights.items()}


def x_of(random, rows=3):
    return random.standard_normal((rows, 256)).astype(np.float32)


def silu_mlp(x, gate, down, up):
    """In float64."""
    x, gate, down, up = (value.astype(np.float64) for value in (x, gate, down, up))
    gates = x @ gate.T
    return (gates / (1 + np.exp(-gates)) * (x @ up.T)) @ down.T


def test_three_layers_run_as_one(random):
    weights = dense(random)
    fused = MLPV2(DType.float32, None, 256, 512)
    fused.load_state_dict(state(weights))
    gate, down, up = linears(weights)
    mlp = MLP(gate, down, up)
    for rows in (1, 7, 40):
        x = x_of(random, rows)
        assert (mlp(x) == fused(x)).all()
    out = np.ones((3, 256), np.float32)
    x = x_of(random)
    assert mlp(x, out=out) is out and (out == fused(x)).all()
    assert (mlp(x, out=out, accumulate=True, threads=2) == fused(x) + fused(x)).all()
    half = x.astype(np.float16)
    assert (mlp(half) == fused(half)).all() and mlp(half).dtype == np.float16


def test_a_layer_that_changes_changes_the_mlp(random):
    weights, others = dense(random), dense(random)
    x = x_of(random)
    mlp = MLP(*linears(weights))
    before = mlp(x)
    mlp.up_proj.load_state_dict({"weight": others["up_proj"]}, replace=True)
    expected = MLP(*linears({**weights, "up_proj": others["up_proj"]}))(x)
    assert (mlp(x) == expected).all() and (expected != before).any()
    mlp.down_proj = Linear(others["down_proj"])
    assert (mlp(x) == MLP(*linears({**others, "gate_proj": weights["gate_proj"]}))(x)).all()


def test_layers_keep_what_they_were_prepared_for(random):
    data = {part: blocks(random, "Q4_0", *shape) for part, shape in SHAPES.items()}
    layers = [QLinear(data[part], None, QuantizationEncoding.Q4_0) for part in SHAPES]
    for layer in layers:
        layer.prepare(compute="float32")
    exact = MLPV2(DType.uint8, QuantizationEncoding.Q4_0, 256, 512)
    exact.load_state_dict(state(data))
    exact.prepare(compute="float32")
    x = x_of(random)
    assert (MLP(*layers)(x) == exact(x)).all()


def test_mixed_encodings_run_as_one(random):
    weights = dense(random)
    gate = Linear(weights["gate_proj"])
    down = QLinear(maxlinear.quantize(weights["down_proj"], "Q8_0"), None, QuantizationEncoding.Q8_0)
    up = QLinear(maxlinear.quantize(weights["up_proj"], "Q6_K"), None, QuantizationEncoding.Q6_K)
    x = x_of(random)
    gates = gate(x)
    hidden = maxlinear.nn.mlp.gate("silu", gates, up(x))
    assert (MLP(gate, down, up)(x) == down(hidden)).all()


def test_three_layers_that_do_not_fit(random):
    gate, down, up = linears(dense(random))
    for layers, part in (((gate, gate, up), "down"), ((gate, down, down), "up")):
        with pytest.raises(ValueError, match=part) as caught:
            MLP(*layers)(x_of(random))
        assert caught.value.status == "MXL_INVALID_SHAPE"


@pytest.mark.parametrize("linear_cls", [LinearV2, functools.partial(LinearV2, clip_weight=0.05)])
def test_linear_cls(random, linear_cls):
    """Anything that can be called by keyword; each linear's own options are honoured."""
    clip = 0.05 if isinstance(linear_cls, functools.partial) else np.inf
    calls = []

    def make(**arguments):
        calls.append((arguments["in_dim"], arguments["out_dim"], sorted(arguments)))
        return linear_cls(**arguments)

    weights = dense(random)
    mlp = MLPV2(DType.float32, None, 256, 512, linear_cls=make)
    mlp.load_state_dict(state(weights))
    names = ["device", "dtype", "has_bias", "in_dim", "out_dim", "quantization_encoding"]
    assert calls == [(256, 512, names), (512, 256, names), (256, 512, names)]
    x = x_of(random)
    exact = silu_mlp(x, *(np.clip(value, -clip, clip) for value in weights.values()))
    assert relative_error(mlp(x), exact) <= 2e-6
    assert list(mlp.state_dict()) == ["gate_proj.weight", "down_proj.weight", "up_proj.weight"]
    assert [weight.name for weight in mlp.weights] == list(mlp.state_dict())


def test_an_overridden_call_is_always_called(random):
    calls = []

    class Doubling(LinearV2):
        def __call__(self, x, *arguments, **keywords):
            calls.append(x.dtype)
            return super().__call__(x, *arguments, **keywords) * 2

    class Plain(LinearV2):
        pass

    weights = dense(random)
    x = x_of(random)
    mlps = [
        MLPV2(DType.float32, None, 256, 512, linear_cls=cls, activation_function="relu") for cls in (Plain, Doubling)
    ]
    for mlp in mlps:
        mlp.load_state_dict(state(weights))
    assert (mlps[1](x) == 8 * mlps[0](x)).all()
    assert calls == [np.float32] * 3


def test_a_failed_load_of_own_linears_changes_nothing(random):
    class Own(LinearV2):
        pass

    weights = dense(random)
    mlp = MLPV2(DType.float32, None, 256, 512, linear_cls=Own)
    mlp.load_state_dict(state(weights))
    x = x_of(random)
    before = mlp(x)
    good = state(dense(random))
    bad = [
        ({**good, "up_proj.weight": good["down_proj.weight"]}, ValueError, "up_proj.weight"),
        ({key: good[key] for key in list(good)[:2]}, KeyError, "up_proj.weight"),
        ({**good, "other": good["up_proj.weight"]}, KeyError, "other"),
    ]
    for wrong, kind, part in bad:
        with pytest.raises(kind, match=part):
            mlp.load_state_dict(wrong, replace=True)
        assert (mlp(x) == before).all()


@pytest.mark.parametrize("prefix", ["model.", "language_model.model.", ""])
@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_from_hugging_face_names(tmp_path, random, prefix, dtype):
    layers = [dense(random, dtype) for _ in range(3)]
    tensors = {f"{prefix}layers.{n}.mlp.{part}.weight": layers[n][part] for n in range(3) for part in SHAPES}
    tensors[f"{prefix}layers.1.mlp.down_proj.bias"] = random.standard_normal(256).astype(dtype)
    safetensors.numpy.save_file(tensors, tmp_path / "model.safetensors")
    weights = load_weights(tmp_path / "model.safetensors")
    x = x_of(random)
    for n in range(3):
        mlp = MLPV2.from_weights(weights, layer=n)
        assert (mlp.hidden_dim, mlp.feed_forward_length, mlp.dtype) == (256, 512, DType.from_numpy(np.dtype(dtype)))
        exact = silu_mlp(x, *layers[n].values())
        if n == 1:
            exact = exact + tensors[f"{prefix}layers.1.mlp.down_proj.bias"].astype(np.float64)
        assert relative_error(mlp(x), exact) <= 2e-6
        for key, value in mlp.state_dict().items():
            assert value.tobytes() == tensors[f"{prefix}layers.{n}.mlp.{key}"].tobytes()
    with pytest.raises(KeyError, match="layer: is 3, .*; it has 3 of numbers 0 to 2"):
        MLPV2.from_weights(weights, layer=3)


def test_from_gguf_names_with_an_encoding_each(tmp_path, random):
    encodings = {"gate_proj": "Q4_K", "down_proj": "Q6_K", "up_proj": "Q4_K"}
    data = {part: blocks(random, encodings[part], *shape) for part, shape in SHAPES.items()}
    tensors = {f"blk.7.{GGUF[part]}.weight": (data[part], encodings[part]) for part in SHAPES}
    weights = load_weights(write(tmp_path / "m.gguf", tensors))
    mlp = MLPV2.from_weights(weights, 7, activation_function="gelu")
    assert mlp.quantization_encoding == QuantizationEncoding.Q4_K
    assert {weight.name: weight.quantization_encoding.name for weight in mlp.weights} == {
        f"{part}.weight": encoding for part, encoding in encodings.items()
    }
    x = x_of(random)
    parts = [QLinear(data[part], None, QuantizationEncoding(encodings[part])) for part in SHAPES]
    expected = parts[1](maxlinear.nn.mlp.gate("gelu", parts[0](x), parts[2](x)))
    assert (mlp(x) == expected).all()
    assert mlp.memory()["mapped"] == 0 and mlp.memory()["packed"] > 0


@pytest.mark.parametrize(
    ("names", "kind", "message"),
    [
        (["a.weight"], KeyError, "none under a known name"),
        (["model.layers.0.mlp.gate_proj.weight"], KeyError, "down_proj.weight: missing"),
        (
            ["text.layers.0.mlp.gate_proj.weight", "vision.layers.0.mlp.gate_proj.weight"],
            ValueError,
            "which several are",
        ),
    ],
)
def test_checkpoints_without_the_mlp(tmp_path, random, names, kind, message):
    tensors = {name: random.standard_normal((8, 4)).astype(np.float32) for name in names}
    safetensors.numpy.save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(kind, match=message):
        MLPV2.from_weights(load_weights(tmp_path / "model.safetensors"))


def test_parts_of_a_checkpoint_that_do_not_fit(tmp_path, random):
    tensors = {f"blk.0.{GGUF[part]}.weight": random.standard_normal((512, 256)).astype(np.float32) for part in SHAPES}
    with pytest.raises(ValueError, match=r"ffn_down.weight: shape is \[512, 256\], expected \[256, 512\]"):
        MLPV2.from_weights(load_weights(write(tmp_path / "m.gguf", tensors)))


def test_state_dict_of_a_layer_without_weights():
    mlp = MLPV2(DType.uint8, QuantizationEncoding.Q4_K, 256, 512, has_bias=True)
    zeros = mlp.state_dict()
    assert [(key, value.shape, value.any()) for key, value in zeros.items()][:2] == [
        ("gate_proj.weight", (512, 144), False),
        ("gate_proj.bias", (512,), False),
    ]
    with pytest.raises(RuntimeError, match="not loaded"):
        mlp.state_dict(auto_initialize=False)
    with pytest.raises(RuntimeError, match="not loaded"):
        mlp(np.ones(256, np.float32))


def test_a_checkpoints_floats_are_cast_and_arrays_are_not(tmp_path, random):
    wide = random.standard_normal((6, 5)).astype(np.float32)
    tensors = {"a": wide, "b": wide.astype(np.float16), "c": wide.astype(ml_dtypes.bfloat16)}
    safetensors.numpy.save_file(tensors, tmp_path / "m.safetensors")
    weights = load_weights(tmp_path / "m.safetensors")
    for dtype in (np.float32, np.float16, ml_dtypes.bfloat16):
        for name, tensor in tensors.items():
            layer = LinearV2(5, 6, DType.from_numpy(np.dtype(dtype)))
            layer.load_state_dict({"weight": weights[name]})
            assert layer.state_dict()["weight"].tobytes() == tensor.astype(dtype).tobytes()
            if tensor.dtype != dtype:
                with pytest.raises(TypeError, match="dtype"):
                    layer.load_state_dict({"weight": tensor})


def test_override_quantization_encoding(tmp_path, random):
    data = {part: blocks(random, "Q6_K", *shape) for part, shape in SHAPES.items()}
    tensors = {f"blk.0.{GGUF[part]}.weight": (data[part], "Q6_K") for part in SHAPES}
    weights = load_weights(write(tmp_path / "m.gguf", tensors))
    named = {f"{part}.weight": weights.blk[0][GGUF[part]].weight for part in SHAPES}
    mlp = MLPV2(DType.uint8, QuantizationEncoding.Q4_K, 256, 512)
    with pytest.raises(TypeError, match="encoding is Q6_K, expected Q4_K"):
        mlp.load_state_dict(named)
    mlp.load_state_dict(named, override_quantization_encoding=True, weight_alignment=64)
    assert {weight.quantization_encoding.name for weight in mlp.weights} == {"Q6_K"}
    x = x_of(random)
    assert (mlp(x) == MLPV2.from_weights(weights)(x)).all()
    with pytest.raises(ValueError, match="weight_alignment"):
        mlp.load_state_dict(named, weight_alignment=3)


def test_gguf_names_are_those_of_the_gguf_package():
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 1)
    for part, name in GGUF.items():
        assert names.get_name(f"model.layers.0.mlp.{part}") == f"blk.0.{name}"


def test_a_path_is_no_checkpoint(tmp_path, random):
    names = [f"{model}.layers.{layer}.mlp" for model, layer in (("draft", 0), ("model", 0), ("model", 1))]
    state = {
        f"{name}.{part}_proj.weight": random.standard_normal((8, 8)).astype(np.float32)
        for name in names
        for part in ("gate", "up", "down")
    }
    weights = load_weights(write_safetensors(tmp_path / "a.safetensors", state))
    assert np.array_equal(
        MLPV2.from_weights(weights, 1).state_dict()["up_proj.weight"], state["model.layers.1.mlp.up_proj.weight"]
    )
    for cls in (MLPV2, DistributedMLP):
        with pytest.raises(ValueError, match="weights: is the path 'draft', expected the whole checkpoint"):
            cls.from_weights(weights.draft, 1)

"""Float8 weights with their scales: against float64, ml_dtypes and the undivided layer, and what is refused."""

import itertools
import subprocess
import sys

import ml_dtypes
import numpy as np
import pytest
from python_support import relative_error
from safetensors.numpy import save_file

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph import DeviceRef
from maxlinear.graph.weights import load_weights
from maxlinear.nn import MLPV2, ColumnParallelLinear, DistributedMLP, Linear, LinearV2, RowParallelLinear

FLOAT8 = [DType.float8_e4m3fn, DType.float8_e5m2]
SHAPES = ["none", (), (1,), "rows", "rows, 1"]


def state_of(random, dtype, out_dim, in_dim, shape="rows, 1", bias=None):
    """Random weights, their scale of that shape, and a bias of that dtype."""
    values = random.standard_normal((out_dim, in_dim)).astype(np.float32) / 16
    kind = None if shape == "none" else "row" if isinstance(shape, str) else "tensor"
    state = maxlinear.quantize_float8(values * (1 if kind else 16), dtype, kind)
    if kind:
        state["weight_scale"] = state["weight_scale"].reshape(
            (out_dim,) if shape == "rows" else shape if kind == "tensor" else (-1, 1)
        )
    if bias is not None:
        state["bias"] = random.standard_normal(out_dim).astype(bias)
    return state


def exact(x, state):
    """The formula in float64."""
    weight = state["weight"].astype(np.float64)
    y = x.astype(np.float64) @ weight.T
    if "weight_scale" in state:
        y = y * np.broadcast_to(state["weight_scale"].astype(np.float64).reshape(-1), (weight.shape[0],))
    return y + (state["bias"].astype(np.float64) if "bias" in state else 0)


def layer_of(state, dtype, **options):
    out_dim, in_dim = state["weight"].shape
    layer = LinearV2(in_dim, out_dim, dtype, has_bias="bias" in state, **options)
    layer.load_state_dict(state)
    return layer


@pytest.mark.parametrize("dtype", FLOAT8)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bias", [None, np.float32, ml_dtypes.bfloat16])
def test_float64(random, dtype, shape, bias):
    state = state_of(random, dtype, 88, 1000, shape, bias)
    layer = layer_of(state, dtype)
    x = random.standard_normal((19, 1000)).astype(np.float32)
    y = layer(x)
    assert relative_error(y, exact(x, state)) <= 6e-7
    assert all((layer(x[row]) == y[row]).all() for row in range(19))
    assert all((layer(x, threads=threads) == y).all() for threads in range(1, 9))
    for key, value in layer.state_dict().items():
        assert value.dtype == state[key].dtype and value.shape == state[key].shape
        assert value.tobytes() == state[key].tobytes()
    assert list(layer.state_dict()) == [key for key in ("weight", "bias", "weight_scale") if key in state]
    unpacked = layer_of(state, dtype)
    unpacked.prepare(pack="never")
    assert (unpacked(x) == y).all()
    arrays = Linear(state["weight"], state.get("bias"), state.get("weight_scale"))
    assert (arrays(x) == y).all()


@pytest.mark.parametrize("dtype", FLOAT8)
def test_scale_rounds_once(random, dtype):
    """The scale comes after the sum, one rounding, and ahead of the bias, another."""
    state = state_of(random, dtype, 40, 600, bias=np.float32)
    x = random.standard_normal((7, 600)).astype(np.float32)
    sums = layer_of({"weight": state["weight"]}, dtype)(x)
    scale = state["weight_scale"][:, 0]
    assert (layer_of(state, dtype)(x) == sums * scale + state["bias"]).all()


@pytest.mark.parametrize("dtype", FLOAT8)
@pytest.mark.parametrize("narrow", [np.float16, ml_dtypes.bfloat16])
def test_narrow_x_is_widened(random, dtype, narrow):
    layer = layer_of(state_of(random, dtype, 40, 600), dtype)
    x = random.standard_normal((7, 600)).astype(narrow)
    assert (layer(x) == layer(x.astype(np.float32)).astype(narrow)).all()


@pytest.mark.parametrize("dtype", FLOAT8)
def test_bytes(random, dtype):
    state = state_of(random, dtype, 40, 600)
    x = random.standard_normal((7, 600)).astype(np.float32)
    layer = layer_of(state | {"weight": state["weight"].view(np.uint8)}, dtype)
    assert (layer(x) == layer_of(state, dtype)(x)).all()
    assert layer.state_dict()["weight"].dtype == state["weight"].dtype


@pytest.mark.parametrize("dtype", FLOAT8)
def test_replaced_scale(random, dtype):
    """Another shape and dtype of scale, or none, takes the place of the first; a failed load leaves it."""
    state = state_of(random, dtype, 40, 600)
    x = random.standard_normal((7, 600)).astype(np.float32)
    layer = layer_of(state, dtype)
    first = layer(x)
    with pytest.raises(ValueError, match="finite"):
        layer.load_state_dict(state | {"weight_scale": np.float32(np.nan)}, replace=True)
    assert (layer(x) == first).all() and layer.state_dict()["weight_scale"].shape == (40, 1)
    other = state | {"weight_scale": np.array([0.5], ml_dtypes.bfloat16)}
    layer.load_state_dict(other, replace=True)
    assert (layer(x) == layer_of(other, dtype)(x)).all()
    assert layer.state_dict()["weight_scale"].dtype == ml_dtypes.bfloat16
    layer.load_state_dict({"weight": state["weight"]}, replace=True)
    assert (layer(x) == layer_of({"weight": state["weight"]}, dtype)(x)).all()
    assert list(layer.state_dict()) == ["weight"]


@pytest.mark.parametrize(
    ("scale", "error", "message"),
    [
        (np.ones((5, 5), np.float32), ValueError, r"weight_scale: shape is \[5, 5\], expected one of"),
        (np.ones(39, np.float32), ValueError, r"weight_scale: shape is \[39\]"),
        (np.ones((1, 40), np.float32), ValueError, r"weight_scale: shape is \[1, 40\]"),
        (np.ones(40, np.float64), TypeError, "weight_scale: dtype is float64"),
        (np.array([1, np.inf] * 20, np.float32), ValueError, "weight_scale: number 1 is inf"),
        (np.array([np.nan], np.float32), ValueError, "weight_scale: number 0 is nan"),
    ],
)
def test_refused_scales(random, scale, error, message):
    dtype = DType.float8_e4m3fn
    state = state_of(random, dtype, 40, 600) | {"weight_scale": scale}
    with pytest.raises(error, match=message):
        layer_of(state, dtype)
    with pytest.raises(error, match="weight_scale"):
        Linear(state["weight"], None, scale)


def test_refusals(random):
    state = state_of(random, DType.float8_e4m3fn, 256, 256)
    blocks = {"weight": state["weight"], "weight_scale_inv": np.ones((2, 2), np.float32)}
    layer = LinearV2(256, 256, DType.float8_e4m3fn)
    with pytest.raises(ValueError, match=r"weight_scale_inv: shape is \[2, 2\], expected weight_scale"):
        layer.load_state_dict(blocks, strict=False)
    with pytest.raises(TypeError, match="weight: dtype is float8_e5m2, expected float8_e4m3fn"):
        layer.load_state_dict(state_of(random, DType.float8_e5m2, 256, 256))
    with pytest.raises(TypeError, match="weight: dtype is float32"):
        layer.load_state_dict({"weight": np.ones((256, 256), np.float32)})
    with pytest.raises(ValueError, match="clip_weight: float8 weights cannot be clipped"):
        LinearV2(256, 256, DType.float8_e4m3fn, clip_weight=1.0)
    with pytest.raises(ValueError, match="weight_scale: weight is float32, which has no scale"):
        Linear(np.ones((2, 2), np.float32), None, np.float32(1))
    with pytest.raises(KeyError, match="weight_scale"):
        LinearV2(256, 256, DType.float32).load_state_dict(
            {"weight": np.ones((256, 256), np.float32), "weight_scale": np.float32(1)}
        )
    layer.load_state_dict(state)
    with pytest.raises(ValueError, match="compute: is int8"):
        layer.prepare(compute="int8")
    with pytest.raises(TypeError, match="bias: dtype is float8_e4m3fn"):
        Linear(state["weight"], state["weight"][0])


def checkpoint(path, random, dtype, *, scale="rows, 1", narrow=np.float32, names=True):
    """Two layers' MLPs as Hugging Face names them; the scales of that dtype."""
    tensors = {}
    for layer, (part, shape) in itertools.product(
        range(2), {"gate_proj": (320, 192), "up_proj": (320, 192), "down_proj": (192, 320)}.items()
    ):
        state = state_of(random, dtype, *shape, scale, np.float32)
        for key, value in state.items():
            tensors[f"model.layers.{layer}.mlp.{part}.{key}"] = (
                value.astype(narrow) if key in ("weight_scale", "bias") else value
            )
    save_file(tensors, path)
    return tensors


@pytest.mark.parametrize("dtype", FLOAT8)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("narrow", [np.float32, ml_dtypes.bfloat16])
def test_checkpoint(tmp_path, random, dtype, shape, narrow):
    tensors = checkpoint(tmp_path / "m.safetensors", random, dtype, scale=shape, narrow=narrow)
    weights = load_weights(tmp_path / "m.safetensors")
    x = random.standard_normal((5, 192)).astype(np.float32)
    prefix = "model.layers.1.mlp."
    state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    mlp = MLPV2.from_weights(weights, 1)
    assert mlp.dtype is dtype
    y = mlp(x)
    parts = {
        part: {key.split(".")[1]: value for key, value in state.items() if key.startswith(part)}
        for part in ("gate_proj", "up_proj", "down_proj")
    }
    gate = exact(x, parts["gate_proj"])
    hidden = gate / (1 + np.exp(-gate)) * exact(x, parts["up_proj"])
    assert relative_error(y, exact(hidden, parts["down_proj"])) <= 2e-6
    for key, value in mlp.state_dict().items():
        assert value.tobytes() == state[key].tobytes() and value.dtype == state[key].dtype
    assert set(mlp.state_dict()) == set(state)

    # The MLP from a state dict, from three linears, and a linear by the path.
    same = MLPV2(dtype, None, 192, 320, has_bias=True)
    same.load_state_dict(state)
    assert (same(x) == y).all()
    path = weights[prefix + "gate_proj"]
    linear = Linear(path["weight"], path["bias"])
    assert (linear(x) == layer_of(parts["gate_proj"], dtype)(x)).all()
    assert (Linear(path["weight"].data(), path["bias"])(x) == linear(x)).all()
    created = Linear.create(dtype, None, 192, 320, path, path)
    assert (created(x) == linear(x)).all()
    loaded = LinearV2(192, 320, dtype, has_bias=True)
    loaded.load_weights(weights, prefix + "gate_proj.")
    assert (loaded(x) == linear(x)).all()


@pytest.mark.parametrize("devices", [1, 2, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_devices(tmp_path, random, devices, shape):
    dtype = DType.float8_e4m3fn
    tensors = checkpoint(tmp_path / "m.safetensors", random, dtype, scale=shape)
    weights = load_weights(tmp_path / "m.safetensors")
    cpus = [DeviceRef.CPU(index) for index in range(devices)]
    x = random.standard_normal((5, 192)).astype(np.float32)
    y = MLPV2.from_weights(weights, 0)(x)
    assert all((part == y).all() for part in DistributedMLP.from_weights(weights, 0, devices=cpus)([x] * devices))
    reduced = DistributedMLP.from_weights(weights, 0, devices=cpus, reduce=True)
    ys = reduced([x] * devices)
    assert relative_error(ys[0], y) <= 1e-6 and all((part == ys[0]).all() for part in ys)
    prefix = "model.layers.0.mlp.gate_proj."
    state = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    column = ColumnParallelLinear(192, 320, dtype, cpus, has_bias=True)
    column.load_state_dict(state)
    whole = layer_of(state, dtype)(x)
    assert all((part == whole).all() for part in column([x] * devices))
    row = RowParallelLinear(192, 320, dtype, cpus, has_bias=True)
    row.load_state_dict(state)
    xs = [np.ascontiguousarray(x[:, part.start : part.stop]) for part in row.shards]
    sums = sum(
        layer_of({"weight": np.ascontiguousarray(state["weight"][:, part.start : part.stop])}, dtype)(piece)
        for part, piece in zip(row.shards, xs, strict=True)
    )
    scale = state.get("weight_scale", np.float32(1)).reshape(-1)
    assert all((part == sums * scale + state["bias"]).all() for part in row(xs))
    for key, value in row.state_dict().items():
        assert value.tobytes() == state[key].tobytes()


def test_blocks_of_a_checkpoint_are_refused(tmp_path, random):
    tensors = checkpoint(tmp_path / "m.safetensors", random, DType.float8_e4m3fn)
    tensors = {key.replace("weight_scale", "weight_scale_inv"): value for key, value in tensors.items()}
    save_file(tensors, tmp_path / "blocks.safetensors")
    weights = load_weights(tmp_path / "blocks.safetensors")
    path = weights["model.layers.0.mlp.gate_proj"]
    message = r"gate_proj.weight_scale_inv: shape is \[320, 1\], expected (gate_proj.|model.layers.0.mlp.gate_proj.)?weight_scale"
    for make in (
        lambda: MLPV2.from_weights(weights, 0),
        lambda: Linear(path["weight"]),
        lambda: Linear.create(DType.float8_e4m3fn, None, 192, 320, path),
        lambda: LinearV2(192, 320, DType.float8_e4m3fn).load_weights(weights, "model.layers.0.mlp.gate_proj."),
    ):
        with pytest.raises(ValueError, match=message):
            make()


def numpy_of(dtype):
    return dtype.to_numpy()


@pytest.mark.parametrize("dtype", FLOAT8)
def test_all_codes(dtype):
    codes = np.arange(256, dtype=np.uint8)
    expected = codes.view(numpy_of(dtype)).astype(np.float32)
    for got in (
        maxlinear.dequantize_float8(codes, float8=dtype),
        maxlinear.dequantize_float8(codes.view(numpy_of(dtype))),
    ):
        assert ((got == expected) | (np.isnan(got) & np.isnan(expected))).all()
        assert (np.signbit(got) == np.signbit(expected)).all()
    # The codes as a layer's weight, one at a time: x picks it.
    weight = codes.view(numpy_of(dtype)).reshape(256, 1)
    y = layer_of({"weight": weight}, dtype)(np.ones(1, np.float32))
    assert ((y == expected) | (np.isnan(y) & np.isnan(expected))).all()


@pytest.mark.parametrize("dtype", FLOAT8)
def test_cast_has_the_bits_of_ml_dtypes(random, dtype):
    halves = np.arange(65536, dtype=np.uint16).view(np.float16)
    floats = random.integers(0, 1 << 32, 1 << 20, dtype=np.uint64).astype(np.uint32).view(np.float32)
    near = (random.standard_normal(1 << 20) * 2.0 ** random.integers(-20, 20, 1 << 20)).astype(np.float32)
    codes = np.arange(256, dtype=np.uint8).view(numpy_of(dtype)).astype(np.float32)
    codes = np.sort(codes[np.isfinite(codes)])
    ties = ((codes[1:].astype(np.float64) + codes[:-1]) / 2).astype(np.float32)
    ties = np.concatenate([ties, np.nextafter(ties, np.inf), np.nextafter(ties, -np.inf)])
    edge = np.float32([464, 480, 61440, 65536, -464, -480, -61440, np.inf, -np.inf, np.nan, 0.0, -0.0])
    edges = np.concatenate([np.nextafter(edge, np.inf), np.nextafter(edge, -np.inf), edge])
    narrow = near.astype(ml_dtypes.bfloat16)
    for values in (halves, floats, near, ties, edges, narrow):
        with np.errstate(all="ignore"):
            expected = values.astype(np.float32).astype(numpy_of(dtype)).view(np.uint8)
        got = maxlinear.quantize_float8(values, dtype, None)["weight"].view(np.uint8)
        assert (got == expected).all()


@pytest.mark.parametrize("dtype", FLOAT8)
@pytest.mark.parametrize("scale", ["row", "tensor"])
def test_scales(random, dtype, scale):
    largest = 448 if dtype is DType.float8_e4m3fn else 57344
    values = random.standard_normal((300, 700)).astype(np.float32)
    values[7] = 0
    values[8] = values[8] * 1e-41
    state = maxlinear.quantize_float8(values, dtype, scale)
    for threads in range(1, 5):
        again = maxlinear.quantize_float8(values, dtype, scale, threads=threads)
        assert all(again[key].tobytes() == state[key].tobytes() for key in state)
    most = np.abs(values).max(axis=1, keepdims=True) if scale == "row" else np.abs(values).max()
    expected = np.where(most == 0, np.float32(1), np.maximum(most / np.float32(largest), np.float32(2.0**-126)))
    assert (state["weight_scale"] == expected.astype(np.float32)).all()
    wide = state["weight"].astype(np.float32)
    assert np.isfinite(wide).all() and np.abs(wide).max() == largest
    assert (
        state["weight"].view(np.uint8) == (values / state["weight_scale"]).astype(numpy_of(dtype)).view(np.uint8)
    ).all()
    back = maxlinear.dequantize_float8(state["weight"], state["weight_scale"])
    assert (back == wide * state["weight_scale"]).all()
    # A fraction of 3 or 2 bits, rounded, is off by 2^-4 or 2^-3 at most.
    ordinary = np.abs(wide) >= 2.0**-6
    bound = 2.0**-4 if dtype is DType.float8_e4m3fn else 2.0**-3
    assert (np.abs(back - values)[ordinary] <= bound * 1.001 * np.abs(values)[ordinary]).all()


def test_quantize_refusals():
    values = np.ones((3, 4), np.float32)
    with pytest.raises(ValueError, match="scale: is 'block'"):
        maxlinear.quantize_float8(values, DType.float8_e4m3fn, "block")
    with pytest.raises(TypeError, match="^dtype: is float16"):
        maxlinear.quantize_float8(values, DType.float16)
    with pytest.raises(TypeError, match="array: dtype is float64"):
        maxlinear.quantize_float8(values.astype(np.float64))
    for wrong in (np.nan, np.inf, -np.inf):
        values[1, 2] = values[2, 3] = wrong
        for scale in ("row", "tensor"):
            with pytest.raises(ValueError, match="row 1, column 2 is not finite"):
                maxlinear.quantize_float8(values, scale=scale)
    weight = maxlinear.quantize_float8(np.ones((3, 4), np.float32))["weight"]
    with pytest.raises(ValueError, match=r"scale: shape is \[4\]"):
        maxlinear.dequantize_float8(weight, np.ones(4, np.float32))


def test_empty():
    for shape in ((0, 4), (3, 0)):
        state = maxlinear.quantize_float8(np.ones(shape, np.float32))
        assert state["weight"].shape == shape and (state["weight_scale"] == 1).all()
        assert maxlinear.dequantize_float8(state["weight"]).shape == shape


def test_without_ml_dtypes(tmp_path):
    """Bytes take the place of numpy's missing dtype."""
    code = """
import sys
sys.modules["ml_dtypes"] = None
import pickle
import numpy as np, maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.weights import load_weights
from maxlinear.nn import Linear, LinearV2, MLPV2
state = maxlinear.quantize_float8(np.eye(3, dtype=np.float32) * 2)
assert state["weight"].dtype == np.uint8
layer = LinearV2(3, 3, DType.float8_e4m3fn)
layer.load_state_dict(state)
assert (layer(np.arange(3, dtype=np.float32)) == [0, 2, 4]).all()
assert layer.state_dict()["weight"].tobytes() == state["weight"].tobytes()
assert (maxlinear.dequantize_float8(state["weight"], state["weight_scale"], float8=DType.float8_e4m3fn) == np.eye(3) * 2).all()
layer = pickle.loads(pickle.dumps(Linear(load_weights(sys.argv[1]).w.weight)))
assert (layer(np.arange(3, dtype=np.float32)) == [0, 2, 4]).all()
mlp = MLPV2(DType.float8_e4m3fn, None, 3, 3, activation_function="relu")
mlp.load_state_dict({f"{part}_proj.{key}": value for part in ("gate", "down", "up") for key, value in state.items()})
assert (pickle.loads(pickle.dumps(mlp))(np.arange(3, dtype=np.float32)) == [0, 8, 32]).all()
"""
    state = maxlinear.quantize_float8(np.eye(3, dtype=np.float32) * 2)
    save_file({f"w.{key}": value for key, value in state.items()}, tmp_path / "w.safetensors")
    subprocess.run([sys.executable, "-c", code, tmp_path / "w.safetensors"], check=True)

"""Layers on several devices: the undivided layer's bits, sums in rank order, what is refused."""

import functools

import ml_dtypes
import numpy as np
import pytest
import safetensors.numpy
from gptq_format import dequantized as gptq_dequantized
from gptq_format import tensors as gptq_tensors
from python_support import relative_error
from test_encodings import blocks

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph import DeviceRef
from maxlinear.graph.quantization import QuantizationConfig, QuantizationEncoding
from maxlinear.graph.weights import load_weights
from maxlinear.nn import (
    MLPV2,
    ColumnParallelLinear,
    DistributedMLP,
    GPTQLinearV2,
    LinearV2,
    RowParallelLinear,
)

HIDDEN, LENGTH = 512, 2048
SHAPES = {"gate_proj": (LENGTH, HIDDEN), "down_proj": (HIDDEN, LENGTH), "up_proj": (LENGTH, HIDDEN)}
KINDS = [
    "F32",
    "F16",
    "BF16",
    "Q4_0",
    "Q4_1",
    "Q5_0",
    "Q5_1",
    "Q8_0",
    "Q2_K",
    "Q3_K",
    "Q4_K",
    "Q5_K",
    "Q6_K",
    "IQ4_NL",
    "IQ4_XS",
    "MXFP4",
    "GPTQ",
]
NARROW = {"F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
GPTQ = QuantizationConfig("gptq", 4, 128, True, False)


def cpus(count):
    return [DeviceRef.CPU(index) for index in range(count)]


def entry(random, kind, out_dim, in_dim):
    """A linear layer's tensors by their keys, without a prefix."""
    if kind == "GPTQ":
        return gptq_tensors(random, in_dim, out_dim, 128, act_order=True)
    if kind in NARROW:
        return {"weight": (random.standard_normal((out_dim, in_dim)) / 16).astype(NARROW[kind])}
    return {"weight": blocks(random, kind, out_dim, in_dim)}


def state_of(random, kind, shapes=SHAPES, has_bias=False):
    state = {f"{part}.{key}": v for part, shape in shapes.items() for key, v in entry(random, kind, *shape).items()}
    if has_bias:
        dtype = NARROW.get(kind, np.float32)
        state |= {f"{part}.bias": random.standard_normal(shape[0]).astype(dtype) for part, shape in shapes.items()}
    return state


def arguments_of(kind):
    """dtype and encoding, and the config where there is one."""
    if kind in NARROW:
        return {"dtype": DType.from_numpy(np.dtype(NARROW[kind])), "quantization_encoding": None}
    config = {"quantization_config": GPTQ} if kind == "GPTQ" else {}
    return {"dtype": DType.uint8, "quantization_encoding": QuantizationEncoding(kind), **config}


def mlp_of(cls, kind, state, shapes=SHAPES, **arguments):
    length, hidden = shapes["gate_proj"]
    mlp = cls(hidden_dim=hidden, feed_forward_length=length, **arguments_of(kind), **arguments)
    mlp.load_state_dict(state)
    return mlp


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("has_bias", [False, True])
def test_the_bits_of_the_undivided_mlp(random, kind, has_bias):
    state = state_of(random, kind, has_bias=has_bias)
    whole = mlp_of(MLPV2, kind, state, has_bias=has_bias, activation_function="gelu")
    for devices in (1, 2, 3, 5, 7):
        mlp = mlp_of(DistributedMLP, kind, state, has_bias=has_bias, activation_function="gelu", devices=cpus(devices))
        for rows in (1, 2, 37):
            x = random.standard_normal((rows, HIDDEN)).astype(np.float32)
            expected = whole(x)
            for threads in (1, 2, 3, 8):
                ys = mlp([x] * devices, threads=threads)
                assert len(ys) == devices and all((y == expected).all() for y in ys)
        assert [len(shard) for shard in mlp.shards] and sum(len(shard) for shard in mlp.shards) == LENGTH
        for key, value in mlp.state_dict().items():
            assert value.tobytes() == state[key].tobytes() and value.shape == state[key].shape
        assert list(mlp.state_dict()) == list(whole.state_dict())


@pytest.mark.parametrize("kind", ["F32", "Q4_0", "Q4_K", "GPTQ"])
def test_uneven_shards_drop_nothing(random, kind):
    """Dimensions that no number of devices divides."""
    unit = 1 if kind == "F32" else 256
    hidden, length = (131, 257) if kind == "F32" else (256, 5 * 256)
    shapes = {"gate_proj": (length, hidden), "down_proj": (hidden, length), "up_proj": (length, hidden)}
    state = state_of(random, kind, shapes)
    whole = mlp_of(MLPV2, kind, state, shapes)
    x = random.standard_normal((3, hidden)).astype(np.float32)
    for devices in (2, 3, 4, 5):
        mlp = mlp_of(DistributedMLP, kind, state, shapes, devices=cpus(devices))
        assert all((y == whole(x)).all() for y in mlp([x] * devices))
        lengths = [len(shard) for shard in mlp.shards]
        assert sum(lengths) == length and max(lengths) - min(lengths) in (0, unit)
        assert all(shard.start % unit == 0 for shard in mlp.shards)


@pytest.mark.parametrize(("kind", "most"), [("F32", 31), ("Q4_K", 5), ("GPTQ", 5)])
def test_more_devices_than_units_of_work(random, kind, most):
    hidden, length = (31, 257) if kind == "F32" else (256, 5 * 256)
    mlp_of_devices = functools.partial(
        DistributedMLP, hidden_dim=hidden, feed_forward_length=length, **arguments_of(kind)
    )
    mlp_of_devices(devices=cpus(most))
    with pytest.raises(ValueError, match=f"devices: there are {most + 1}, expected at most {most}"):
        mlp_of_devices(devices=cpus(most + 1))


@pytest.mark.parametrize(
    ("devices", "status", "message"),
    [
        ([DeviceRef.CPU(0), DeviceRef.CPU(0)], "INVALID_ARGUMENT", "cpu:0 comes twice"),
        ([DeviceRef.CPU(0), DeviceRef.GPU(0)], "NO_DEVICE", r"devices\[1\]: is gpu:0"),
        ([DeviceRef.CPU(-1)], "INVALID_ARGUMENT", "id is -1"),
        (cpus(65), "INVALID_ARGUMENT", "there are 65, expected at most 64"),
    ],
)
def test_bad_devices(devices, status, message):
    for make in (
        lambda: DistributedMLP(DType.float32, None, 64, 128, devices=devices),
        lambda: ColumnParallelLinear(64, 128, DType.float32, devices),
        lambda: RowParallelLinear(64, 128, DType.float32, devices),
    ):
        with pytest.raises(ValueError, match=message) as caught:
            make()
        assert caught.value.status == f"MXL_{status}"


def test_bad_calls(random):
    state = state_of(random, "F32")
    mlp = mlp_of(DistributedMLP, "F32", state, devices=cpus(3))
    x = random.standard_normal((4, HIDDEN)).astype(np.float32)
    other = x.copy()
    other[2, 5] += 1
    bad = [
        ([x, x], ValueError, "expected the layer's 3 devices|expected one for each"),
        ([x, x, x[:, :-1]], ValueError, "last dimension is 511"),
        ([x, x, x[:3]], ValueError, r"xs\[2\]"),
        ([x, x, other], ValueError, r"xs\[2\]: differs from xs\[0\]"),
        ([x, x, x.astype(np.float16)], ValueError, r"xs\[2\]"),
        ([], ValueError, "devices"),
    ]
    for xs, kind, message in bad:
        with pytest.raises(kind, match=message):
            mlp(xs)
    assert all((y == mlp_of(MLPV2, "F32", state)(x)).all() for y in mlp([x, x.copy(), np.asfortranarray(x)]))


@pytest.mark.parametrize("count", [1, 2])
def test_an_array_alone_is_no_list_of_its_rows(count):
    w = np.ones((64, 64), np.float32)
    mlp = DistributedMLP(DType.float32, None, 64, 64, devices=cpus(count))
    mlp.load_state_dict({f"{part}.weight": w for part in SHAPES})
    layers = [mlp]
    for cls in (ColumnParallelLinear, RowParallelLinear):
        layers.append(cls(64, 64, DType.float32, cpus(count)))
        layers[-1].load_state_dict({"weight": w})
    for layer in layers:
        for x in (np.ones((count, 64), np.float32), memoryview(np.ones((count, 64), np.float32)), iter([w] * count)):
            with pytest.raises(TypeError, match=f"xs: is a {type(x).__name__}, expected a list with one x a device"):
                layer(x)
    assert [y.shape for y in mlp((w[:1],) * count)] == [(1, 64)] * count


def test_signal_buffers_are_accepted_and_ignored(random):
    mlp = mlp_of(DistributedMLP, "F32", state_of(random, "F32"), devices=cpus(2))
    x = random.standard_normal((2, HIDDEN)).astype(np.float32)
    assert (mlp([x, x], [np.zeros(1), np.zeros(1)])[0] == mlp([x, x])[1]).all()


def test_a_distributed_mlp_is_an_mlp_v2_and_takes_its_linear_cls(random):
    state = state_of(random, "GPTQ")
    made = DistributedMLP(
        DType.float32,
        QuantizationEncoding.GPTQ,
        HIDDEN,
        LENGTH,
        linear_cls=functools.partial(GPTQLinearV2, quantization_config=GPTQ),
        devices=cpus(2),
    )
    made.load_state_dict(state)
    x = random.standard_normal((2, HIDDEN)).astype(np.float32)
    expected = mlp_of(MLPV2, "GPTQ", state)(x)
    assert isinstance(made, MLPV2) and len(made.shards) == 2
    assert all((y == expected).all() for y in made([x, x]))

    class Own(LinearV2):
        def __call__(self, *arguments, **keywords):
            return 2 * super().__call__(*arguments, **keywords)

    dense = state_of(random, "F32")
    plain = mlp_of(MLPV2, "F32", dense, activation_function="relu")(x)
    own = mlp_of(DistributedMLP, "F32", dense, activation_function="relu", devices=cpus(2), linear_cls=Own)
    assert all((y == 8 * plain).all() for y in own([x, x]))


@pytest.mark.parametrize("kind", KINDS)
def test_reduce(random, kind):
    """A sum in rank order: near the undivided layer, and the same from run to run."""
    state = state_of(random, kind, has_bias=True)
    whole = mlp_of(MLPV2, kind, state, has_bias=True)
    x = random.standard_normal((5, HIDDEN)).astype(np.float32)
    expected = whole(x)
    for devices in (1, 2, 3):
        mlp = mlp_of(DistributedMLP, kind, state, has_bias=True, devices=cpus(devices), reduce=True)
        ys = mlp([x] * devices)
        assert all((y == ys[0]).all() for y in ys)
        assert all((mlp([x] * devices, threads=threads)[0] == ys[0]).all() for threads in (1, 2, 5))
        assert relative_error(ys[0], expected.astype(np.float64)) <= (2e-6 if kind in NARROW else 2e-2)
        assert all(value.tobytes() == state[key].tobytes() for key, value in mlp.state_dict().items())


def linear_of(cls, kind, state, in_dim, out_dim, **arguments):
    layer = cls(in_dim, out_dim, **arguments_of(kind), has_bias="bias" in state, **arguments)
    layer.load_state_dict(state)
    return layer


def undivided(kind, state, in_dim, out_dim):
    cls = GPTQLinearV2 if kind == "GPTQ" else LinearV2
    return linear_of(cls, kind, state, in_dim, out_dim)


@pytest.mark.parametrize("kind", KINDS)
def test_column_parallel(random, kind):
    state = entry(random, kind, 152, 512) | {"bias": random.standard_normal(152).astype(NARROW.get(kind, np.float32))}
    x = random.standard_normal((2, 3, 512)).astype(np.float32)
    expected = undivided(kind, state, 512, 152)(x)
    for devices in (1, 2, 3, 7):
        gathered = linear_of(ColumnParallelLinear, kind, state, 512, 152, devices=cpus(devices))
        assert all((y == expected).all() for y in gathered([x] * devices))
        assert all(value.tobytes() == state[key].tobytes() for key, value in gathered.state_dict().items())
        own = linear_of(ColumnParallelLinear, kind, state, 512, 152, devices=cpus(devices), gather=False)
        ys = own([x] * devices)
        assert [y.shape[-1] for y in ys] == [len(shard) for shard in own.shards]
        assert (np.concatenate(ys, axis=-1) == expected).all()


@pytest.mark.parametrize("kind", KINDS)
def test_row_parallel(random, kind):
    """The sum of the devices' own columns, in their order."""
    state = entry(random, kind, 40, 1024) | {"bias": random.standard_normal(40).astype(NARROW.get(kind, np.float32))}
    x = random.standard_normal((2, 3, 1024)).astype(np.float32)
    expected = undivided(kind, state, 1024, 40)(x)
    for devices in (1, 2, 3, 4):
        layer = linear_of(RowParallelLinear, kind, state, 1024, 40, devices=cpus(devices))
        xs = [x[..., shard.start : shard.stop] for shard in layer.shards]
        ys = layer(xs)
        assert all((y == ys[0]).all() for y in ys)
        assert relative_error(ys[0], expected.astype(np.float64)) <= (1e-6 if kind in NARROW else 1.5e-2)
        assert (layer([np.ascontiguousarray(part) for part in xs], threads=1)[0] == ys[0]).all()
        if devices == 1:
            assert (ys[0] == expected).all()
        assert all(value.tobytes() == state[key].tobytes() for key, value in layer.state_dict().items())


def test_row_parallel_is_the_sum_of_its_parts(random):
    """Dense weights: each device's product in the canonical arithmetic, then added in float32."""
    weight = random.standard_normal((40, 700)).astype(np.float32)
    bias = random.standard_normal(40).astype(np.float32)
    x = random.standard_normal((3, 700)).astype(np.float32)
    layer = linear_of(RowParallelLinear, "F32", {"weight": weight, "bias": bias}, 700, 40, devices=cpus(3))
    total = None
    for index, shard in enumerate(layer.shards):
        state = {"weight": weight[:, shard.start : shard.stop]} | ({"bias": bias} if index == 0 else {})
        part = linear_of(LinearV2, "F32", state, len(shard), 40)(x[:, shard.start : shard.stop].copy())
        total = part if total is None else total + part
    assert (layer([x[:, shard.start : shard.stop] for shard in layer.shards])[2] == total).all()


@pytest.mark.parametrize("compute", ["float32", "int8"])
def test_act_order_keeps_each_columns_group_under_every_split(random, compute):
    state = entry(random, "GPTQ", 40, 1024)
    x = random.standard_normal((3, 1024)).astype(np.float32)
    exact = x.astype(np.float64) @ gptq_dequantized(state).T
    for cls in (ColumnParallelLinear, RowParallelLinear):
        layer = linear_of(cls, "GPTQ", state, 1024, 40, devices=cpus(3))
        layer.prepare(compute=compute if cls is ColumnParallelLinear else None)
        xs = [x] * 3 if cls is ColumnParallelLinear else [x[:, shard.start : shard.stop] for shard in layer.shards]
        tolerance = 6e-7 if compute == "float32" and cls is ColumnParallelLinear else 1.2e-2
        assert relative_error(layer(xs)[0], exact) <= tolerance


def test_a_column_then_a_row(random):
    """The two halves of a tensor parallel MLP."""
    up = {"weight": random.standard_normal((300, 64)).astype(np.float32)}
    down = {"weight": random.standard_normal((64, 300)).astype(np.float32)}
    x = random.standard_normal((5, 64)).astype(np.float32)
    first = linear_of(ColumnParallelLinear, "F32", up, 64, 300, devices=cpus(4), gather=False)
    second = linear_of(RowParallelLinear, "F32", down, 300, 64, devices=cpus(4))
    ys = second(first([x] * 4))
    exact = x.astype(np.float64) @ up["weight"].T.astype(np.float64) @ down["weight"].T.astype(np.float64)
    assert first.shards == second.shards and relative_error(ys[3], exact) <= 2e-6


def test_narrow_x(random):
    state = state_of(random, "Q4_K")
    mlp = mlp_of(DistributedMLP, "Q4_K", state, devices=cpus(3))
    whole = mlp_of(MLPV2, "Q4_K", state)
    for dtype in (np.float16, ml_dtypes.bfloat16):
        x = random.standard_normal((3, HIDDEN)).astype(dtype)
        assert all((y == whole(x)).all() and y.dtype == dtype for y in mlp([x] * 3))


def test_replacing_the_weights(random):
    first, second = state_of(random, "Q4_0"), state_of(random, "Q4_0")
    mlp = mlp_of(DistributedMLP, "Q4_0", first, devices=cpus(2))
    x = random.standard_normal((3, HIDDEN)).astype(np.float32)
    mlp([x, x])
    with pytest.raises(RuntimeError, match="prepared"):
        mlp.load_state_dict(second)
    mlp.load_state_dict(second, replace=True)
    assert (mlp([x, x])[1] == mlp_of(MLPV2, "Q4_0", second)(x)).all()
    assert maxlinear.num_threads() >= 1


@pytest.mark.parametrize("reduce", [False, True])
@pytest.mark.parametrize("dense", [None, "gate_proj", "down_proj", "up_proj"])
def test_from_weights(tmp_path, random, reduce, dense):
    """A checkpoint whose linears are not all of one kind."""
    state = {}
    for part, shape in SHAPES.items():
        kind = "F32" if part == dense else "GPTQ"
        state |= {f"model.layers.2.mlp.{part}.{key}": value for key, value in entry(random, kind, *shape).items()}
    safetensors.numpy.save_file(state, tmp_path / "m.safetensors")
    weights = load_weights(tmp_path / "m.safetensors")
    whole = MLPV2.from_weights(weights, 2, quantization_config=GPTQ, activation_function="relu")
    x = random.standard_normal((5, HIDDEN)).astype(np.float32)
    for devices in (1, 3, 7):
        mlp = DistributedMLP.from_weights(
            weights,
            2,
            quantization_config=GPTQ,
            activation_function="relu",
            devices=cpus(devices),
            reduce=reduce,
        )
        assert isinstance(mlp, DistributedMLP) and mlp.reduce == reduce and len(mlp.devices) == devices
        for y in mlp([x] * devices):
            assert relative_error(y, whole(x).astype(np.float64)) <= 2e-2 if reduce else (y == whole(x)).all()
    too_many = 9 if dense != "down_proj" else 65
    with pytest.raises(ValueError, match=f"devices: there are {too_many}, expected at most"):
        DistributedMLP.from_weights(weights, 2, quantization_config=GPTQ, devices=cpus(too_many), reduce=reduce)

"""Encoded and 16-bit weights: against float64 on weights that the gguf package dequantized, and against themselves."""

import os
import subprocess
import sys

import gguf
import ml_dtypes
import numpy as np
import pytest
from python_support import relative_error

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationEncoding
from maxlinear.nn import MLPV2, ColumnParallelLinear, GPTQLinearV2, LinearV2, QLinear, RowParallelLinear

#: Where a block's float16 scales are, and their size.
SCALES = {
    "Q4_0": ([0], 1e-2),
    "Q4_1": ([0, 2], 1e-2),
    "Q5_0": ([0], 1e-2),
    "Q5_1": ([0, 2], 1e-2),
    "Q8_0": ([0], 1e-3),
    "Q2_K": ([80, 82], 1e-2),
    "Q3_K": ([108], 1e-3),
    "Q4_K": ([0, 2], 1e-3),
    "Q5_K": ([0, 2], 1e-3),
    "Q6_K": ([208], 1e-4),
    "IQ4_NL": ([0], 1e-3),
    "IQ4_XS": ([0], 1e-4),
    "MXFP4": ([], 1e-3),
}
#: Where a block has a power of two, a byte of E8M0.
POWERS = {"MXFP4": 0}


def blocks(random, encoding, out_dim, in_dim):
    """Random codes with scales of ordinary size."""
    encoding = QuantizationEncoding(encoding)
    data = random.integers(0, 256, (out_dim, in_dim // encoding.elements_per_block, encoding.block_size), np.uint8)
    offsets, size = SCALES[encoding.name]
    for offset in offsets:
        scale = (random.standard_normal(data.shape[:2]) * size).astype(np.float16)
        data[:, :, offset : offset + 2] = scale[..., None].view(np.uint8)
    if encoding.name in POWERS:
        data[:, :, POWERS[encoding.name]] = random.integers(117, 123, data.shape[:2])
    return data.reshape(out_dim, -1)


def dequantized(data, encoding):
    return gguf.dequantize(data, gguf.GGMLQuantizationType[encoding]).astype(np.float64)


def outliers(x, random):
    x[:, random.choice(x.shape[1], max(1, x.shape[1] // 1000), replace=False)] *= 100
    return x


@pytest.mark.parametrize("encoding", SCALES)
@pytest.mark.parametrize(
    ("compute", "tolerance", "with_outliers"),
    [("float32", 6e-7, False), (None, 1e-2, False), ("int8", 1.6e-2, True)],
)
@pytest.mark.parametrize("pack", ["always", "never"])
def test_float64(random, encoding, compute, tolerance, with_outliers, pack):
    data = blocks(random, encoding, 96, 1024)
    layer = LinearV2(1024, 96, DType.uint8, has_bias=True, quantization_encoding=QuantizationEncoding(encoding))
    bias = random.standard_normal(96).astype(np.float32)
    layer.load_state_dict({"weight": data, "bias": bias})
    layer.prepare(compute=compute, pack=pack)
    x = random.standard_normal((19, 1024)).astype(np.float32)
    if with_outliers:
        x = outliers(x, random)
    y = layer(x)
    assert relative_error(y, x.astype(np.float64) @ dequantized(data, encoding).T + bias) <= tolerance
    assert (layer.state_dict()["weight"] == data).all()
    for row in range(19):
        assert (layer(x[row]) == y[row]).all()
    assert all((layer(x, threads=threads) == y).all() for threads in range(1, 9))


@pytest.mark.parametrize("encoding", SCALES)
def test_packed_size(random, encoding):
    layer = QLinear(blocks(random, encoding, 512, 1024), None, QuantizationEncoding(encoding))
    layer.prepare()
    stored = layer.state_dict()["weight"].size
    assert layer.memory()["packed"] <= 1.04 * stored


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("x_dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_narrow_weights(random, dtype, x_dtype):
    weight = random.standard_normal((70, 300)).astype(dtype)
    bias = random.standard_normal(70).astype(dtype)
    layer = LinearV2(300, 70, DType.from_numpy(np.dtype(dtype)), has_bias=True)
    layer.load_state_dict({"weight": weight, "bias": bias})
    x = random.standard_normal((9, 300)).astype(x_dtype)
    y = layer(x)
    exact = x.astype(np.float64) @ weight.astype(np.float64).T + bias.astype(np.float64)
    assert y.dtype == x_dtype
    if x_dtype is np.float32:
        assert relative_error(y, exact) <= 6e-7
    else:
        wide = np.empty((9, 70), np.float32)
        assert relative_error(layer(x, out=wide), exact) <= 6e-7
        assert (wide.astype(x_dtype) == y).all()
    assert all((layer(x[row]) == y[row]).all() for row in range(9))
    assert (layer.state_dict()["weight"].view(np.uint16) == weight.view(np.uint16)).all()


@pytest.mark.parametrize("encoding", ["Q4_0", "Q4_K", "Q6_K"])
def test_fused_mlp_equals_its_linears(random, encoding):
    name = QuantizationEncoding(encoding)
    parts = {"gate_proj": (512, 256), "down_proj": (256, 512), "up_proj": (512, 256)}
    data = {part: blocks(random, encoding, *shape) for part, shape in parts.items()}
    fused = MLPV2(DType.uint8, name, 256, 512)
    fused.load_state_dict({f"{part}.weight": value for part, value in data.items()})

    class Own(LinearV2):
        """A linear class of one's own: the MLP is then composed of its calls."""

    composed = MLPV2(DType.uint8, name, 256, 512, linear_cls=Own)
    composed.load_state_dict(fused.state_dict())
    for rows in (1, 2, 7, 40):
        x = random.standard_normal((rows, 256)).astype(np.float32)
        assert (fused(x) == composed(x)).all()


PROGRAM = """
import sys, hashlib, numpy as np
from test_encodings import SCALES, blocks
from maxlinear.nn import LinearV2, MLPV2
from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationEncoding
random = np.random.default_rng(3)
for encoding in SCALES:
    for compute in ("int8", "float32"):
        layer = LinearV2(512, 70, DType.uint8, quantization_encoding=QuantizationEncoding(encoding))
        layer.load_state_dict({"weight": blocks(random, encoding, 70, 512)})
        layer.prepare(compute=compute)
        sys.stdout.buffer.write(layer(random.standard_normal((9, 512)).astype(np.float32)).tobytes())
for activation in ("silu", "gelu", "gelu_tanh", "relu", "tanh", "sigmoid"):
    mlp = MLPV2(DType.uint8, QuantizationEncoding("Q4_K"), 256, 512, activation_function=activation)
    shapes = {"gate_proj": (512, 256), "down_proj": (256, 512), "up_proj": (512, 256)}
    mlp.load_state_dict({f"{part}.weight": blocks(random, "Q4_K", *shape) for part, shape in shapes.items()})
    sys.stdout.buffer.write(mlp(random.standard_normal((5, 256)).astype(np.float32)).tobytes())
"""


def test_every_cpu_variant_gives_the_same_bytes():
    path = os.pathsep.join([os.path.dirname(__file__), *sys.path])
    outputs = set()
    for isa in maxlinear.cpu_info()["isa"]["available"]:
        environment = {**os.environ, "MAXLINEAR_ISA": isa, "PYTHONPATH": path}
        result = subprocess.run([sys.executable, "-c", PROGRAM], check=True, capture_output=True, env=environment)
        outputs.add(result.stdout)
    assert len(outputs) == 1 and len(outputs.pop()) > 10000


@pytest.mark.parametrize(
    ("make", "status", "part"),
    [
        (
            lambda: LinearV2(384, 8, DType.uint8, quantization_encoding=QuantizationEncoding.Q4_K),
            "INVALID_SHAPE",
            "256",
        ),
        (
            lambda: LinearV2(32, 8, DType.uint8, quantization_encoding=QuantizationEncoding.Q4_0, clip_weight=1.0),
            "UNSUPPORTED",
            "clip_weight",
        ),
        (lambda: LinearV2(32, 8, DType.uint8), "UNSUPPORTED", "uint8"),
        (lambda: QLinear(np.zeros((2, 18), np.uint8)), "INVALID_ARGUMENT", "quantization_encoding"),
        (lambda: QLinear(np.zeros((2, 19), np.uint8), None, QuantizationEncoding.Q4_0), "INVALID_SHAPE", "18"),
        (lambda: MLPV2(DType.float32, None, 4, 8, activation_function="no"), "INVALID_ARGUMENT", "gelu_tanh"),
        (lambda: MLPV2(DType.float32, None, 0, 8), "INVALID_SHAPE", "hidden_dim"),
    ],
)
def test_refusals(make, status, part):
    with pytest.raises(ValueError) as caught:
        make()
    assert caught.value.status == f"MXL_{status}" and part in str(caught.value)


def test_x_of_a_wrong_last_dimension_is_refused(random):
    layer = QLinear(blocks(random, "Q4_0", 8, 64), None, QuantizationEncoding.Q4_0)
    with pytest.raises(ValueError, match="in_dim = 64"):
        layer(np.zeros((2, 96), np.float32))


def test_an_encoding_by_its_name(random):
    values = random.standard_normal((64, 64)).astype(np.float32)
    data = maxlinear.quantize(values, "Q8_0")
    raw = np.array(data)
    x = random.standard_normal((2, 64)).astype(np.float32)
    expected = QLinear(data)(x)
    assert (QLinear(raw, quantization_encoding="Q8_0")(x) == expected).all()
    for make in (LinearV2, ColumnParallelLinear, RowParallelLinear):
        layer = make(64, 64, DType.uint8, quantization_encoding="Q8_0")
        layer.load_state_dict({"weight": raw})
        y = layer(x) if make is LinearV2 else layer([x])[0]
        assert (y == expected).all()
    state = {f"{part}_proj.weight": data for part in ("gate", "down", "up")}
    mlps = [MLPV2(DType.uint8, encoding, 64, 64) for encoding in ("Q8_0", QuantizationEncoding.Q8_0)]
    for mlp in mlps:
        mlp.load_state_dict(state)
    assert mlps[0].quantization_encoding == QuantizationEncoding.Q8_0 and (mlps[0](x) == mlps[1](x)).all()
    with pytest.raises(ValueError, match="nonsense"):
        LinearV2(64, 64, DType.uint8, quantization_encoding="nonsense")
    with pytest.raises(ValueError, match="expected GPTQ or None"):
        GPTQLinearV2(64, 64, DType.uint8, quantization_encoding="Q8_0")

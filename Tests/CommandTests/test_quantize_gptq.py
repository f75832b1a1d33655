"""`maxlinear quantize --gptq`, read back by safetensors' own package and compared with the library's own tensors."""

import json
import os
import resource
import subprocess

import command_support
import gguf
import ml_dtypes
import numpy as np
import pytest
from command_support import printed, refused
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from test_quantize import ENDING, broken, quantize, quantized

import maxlinear
from maxlinear.graph.quantization import QuantizationConfig
from maxlinear.graph.weights import load_weights
from maxlinear.nn import MLPV2, GPTQLinear

#: The fixture, which pytest looks for in this file.
command = command_support.command

PARTS = ("gate_proj", "down_proj", "up_proj")
LAYER = "model.layers.0.mlp"


def tensors():
    random = np.random.default_rng(5)
    shapes = {"gate_proj": (96, 64), "down_proj": (64, 96), "up_proj": (96, 64)}
    result = {
        f"{LAYER}.{part}.weight": random.standard_normal(shapes[part]).astype(kind)
        for part, kind in zip(PARTS, (np.float32, np.float16, ml_dtypes.bfloat16), strict=True)
    }
    return result | {
        f"{LAYER}.up_proj.bias": random.standard_normal(96).astype(np.float16),
        "model.embed_tokens.weight": random.standard_normal((31, 64)).astype(np.float16),
        "lm_head.weight": random.standard_normal((31, 64)).astype(ml_dtypes.bfloat16),
        "model.norm.weight": random.standard_normal(3).astype(np.float32),
        "experts": random.standard_normal((2, 3, 64)).astype(np.float32),
        "positions": np.arange(15, dtype=np.int64).reshape(3, 5),
        "mask": np.array([True, False, True]),
        "empty": np.zeros((0, 64), np.float32),
    }


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("quantize") / "model.safetensors"
    save_file(tensors(), path, metadata={"author": 'wörld "quoted" \\ \n'})
    return path


def contents(path):
    """By name dtype, shape and bytes, as safetensors' own package reads them. numpy has no bfloat16 of its own."""
    return {name: (array.dtype, array.shape, array.tobytes()) for name, array in load_file(path).items()}


def check_quantized(found, name, array, config):
    state = maxlinear.quantize_gptq(array, config)
    for key, value in state.items():
        assert found.pop(name.removesuffix("weight") + key) == (value.dtype, value.shape, value.tobytes()), (name, key)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("group_size", [32, 20, -1])
@pytest.mark.parametrize("sym", [True, False])
def test_safetensors(command, source, tmp_path, bits, group_size, sym):
    out = tmp_path / "model.safetensors"
    arguments = [
        "--bits",
        bits,
        "--group-size",
        group_size,
        "--sym" if sym else "--asym",
        "--desc-act",
        "no",
        "--quiet",
    ]
    assert quantized(command, source, out, "--gptq", *arguments) == ""
    assert sorted(os.listdir(tmp_path)) == ["model.safetensors", "quantize_config.json"]
    assert json.loads((tmp_path / "quantize_config.json").read_text()) == {
        "bits": bits,
        "group_size": group_size,
        "desc_act": False,
        "sym": sym,
        "quant_method": "gptq",
        "checkpoint_format": "gptq",
    }
    config = QuantizationConfig("gptq", bits, group_size, False, sym, "gptq")
    found = contents(out)
    for part in PARTS:
        name = f"{LAYER}.{part}.weight"
        check_quantized(found, name, tensors()[name], config)
    rest = {name: array for name, array in tensors().items() if ".mlp." not in name or name.endswith("bias")}
    assert found == {name: (array.dtype, array.shape, array.tobytes()) for name, array in rest.items()}
    with safe_open(out, "numpy") as file:
        assert file.metadata() == {"author": 'wörld "quoted" \\ \n', "format": "pt"}
    weights = load_weights(out)
    mlp = MLPV2.from_weights(weights)
    assert (mlp.hidden_dim, mlp.feed_forward_length) == (64, 96)
    x = np.random.default_rng(1).standard_normal((3, 64)).astype(np.float32)
    layer = GPTQLinear(weights.model.layers[0].mlp.gate_proj, quantization_config=config)
    layer.prepare(compute="float32")
    near = np.linalg.norm(layer(x) - x @ tensors()[f"{LAYER}.gate_proj.weight"].T) / np.linalg.norm(layer(x))
    assert near < {2: 0.8, 3: 0.4, 4: 0.2, 8: 0.02}[bits] and np.isfinite(mlp(x)).all()


def test_the_data_are_aligned(command, source, tmp_path):
    out = tmp_path / "out.safetensors"
    quantized(command, source, out, "--gptq")
    raw = out.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + length])
    assert length % 8 == 0
    sizes = {"I64": 8, "I32": 4, "F32": 4, "F16": 2, "BF16": 2, "BOOL": 1}
    for name, entry in header.items():
        assert name == "__metadata__" or entry["data_offsets"][0] % sizes[entry["dtype"]] == 0


def test_gguf(command, tmp_path):
    """Blocks are quantized from their values, or kept as them."""
    random = np.random.default_rng(3)
    array, norm = random.standard_normal((96, 256), np.float32), random.standard_normal(7, np.float32)
    blocks = {name: maxlinear.quantize(array, name) for name in ("Q8_0", "Q4_K")}
    writer = gguf.GGUFWriter(tmp_path / "in.gguf", "llama")
    writer.add_tensor("blk.0.ffn_up.weight", blocks["Q8_0"], raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.add_tensor("blk.0.ffn_gate.weight", array.astype(np.float16))
    writer.add_tensor("token_embd.weight", blocks["Q4_K"], raw_dtype=gguf.GGMLQuantizationType.Q4_K)
    writer.add_tensor("output.weight", array)
    writer.add_tensor("blk.0.ffn_norm.weight", norm)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    out = tmp_path / "out.safetensors"
    printed = quantized(command, tmp_path / "in.gguf", out, "--gptq", "--bits", "3")
    found, config = contents(out), QuantizationConfig("gptq", 3, 128, False, True, "gptq")
    check_quantized(found, "blk.0.ffn_up.weight", maxlinear.dequantize(blocks["Q8_0"], "Q8_0"), config)
    check_quantized(found, "blk.0.ffn_gate.weight", array.astype(np.float16), config)
    embedding = maxlinear.dequantize(blocks["Q4_K"], "Q4_K")
    assert found == {
        name: (value.dtype, value.shape, value.tobytes())
        for name, value in {
            "token_embd.weight": embedding,
            "output.weight": array,
            "blk.0.ffn_norm.weight": norm,
        }.items()
    }
    assert "blk.0.ffn_up.weight: 96 x 256 Q8_0 -> GPTQ of 3 bits" in printed.splitlines()
    assert "token_embd.weight: 96 x 256 Q4_K -> float32" in printed.splitlines()
    assert printed.splitlines()[-1].endswith("5 tensors, 2 of them quantized")


def test_layers(command, source, tmp_path):
    out = tmp_path / "out.safetensors"
    quantized(command, source, out, "--gptq", "--bits", "8", "--layers", "*e*_*s.weight")
    found = contents(out)
    config = QuantizationConfig("gptq", 8, 128, False, True, "gptq")
    check_quantized(found, "model.embed_tokens.weight", tensors()["model.embed_tokens.weight"], config)
    assert found.keys() == tensors().keys() - {"model.embed_tokens.weight"}


def test_in_place(command, source, tmp_path):
    """The output may be the input, and what was made with other options: it is replaced once the new one is whole."""
    path = tmp_path / "model.safetensors"
    path.write_bytes(source.read_bytes())
    quantized(command, path, path, "--gptq", "--quiet")
    quantized(command, source, path, "--gptq", "--quiet", "--bits", "8")
    assert json.loads((tmp_path / "quantize_config.json").read_text())["bits"] == 8
    MLPV2.from_weights(load_weights(path))


REFUSALS = {
    "layers": (
        np.ones((2, 64)),
        ["--layers", "zzz*"],
        '--layers: is "zzz*", expected a pattern that a tensor\'s name matches',
    ),
    "columns": (np.ones((2, 40)), ["--bits", "3"], 'tensor "w.weight": in_dim: is 40, expected a multiple of 32'),
    "nan": (broken(2, 64, np.nan), [], 'tensor "w.weight": values: row 1, column 3 is too large or not finite'),
    "large": (broken(2, 64, 1e30), [], 'tensor "w.weight": values: row 1, column 3 is too large or not finite'),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_refuses(command, tmp_path, name):
    array, arguments, message = REFUSALS[name]
    path, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    save_file({"a.weight": np.ones((4, 64), np.float32), "w.weight": array.astype(np.float32)}, path)
    out.write_text("what was there")
    refused(quantize(command, path, out, "--gptq", *arguments, "--quiet"), message)
    assert sorted(os.listdir(tmp_path)) == ["in.safetensors", "out.safetensors"]
    assert out.read_text() == "what was there"


@pytest.mark.parametrize("layers", [[], ["--layers", "*"]])
def test_refuses_float8_alone(command, tmp_path, layers):
    state = maxlinear.quantize_float8(np.ones((64, 64), np.float32), scale="row")
    save_file({f"a.{name}": array for name, array in state.items()}, tmp_path / "in.safetensors")
    result = quantize(command, tmp_path / "in.safetensors", tmp_path / "out.safetensors", "--gptq", *layers)
    refused(result, "can be quantized, expected one that is chosen and has values to quantize: they are float8_e4m3fn")
    assert os.listdir(tmp_path) == ["in.safetensors"]


@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_refuses_what_is_quantized_already(command, tmp_path, method):
    config = QuantizationConfig(method, 4, 32, False, False, "gptq" if method == "gptq" else "gemm")
    state = maxlinear.quantize_gptq(np.ones((64, 64), np.float32), config)
    tensors = {f"a.{name}": array for name, array in state.items()} | {"b.weight": np.ones((64, 64), np.float32)}
    save_file(tensors, tmp_path / "in.safetensors")
    result = quantize(command, tmp_path / "in.safetensors", tmp_path / "out.safetensors", "--gptq")
    refused(result, 'tensor "a.qweight": is quantized already, expected a checkpoint without GPTQ or AWQ')
    assert os.listdir(tmp_path) == ["in.safetensors"]


def test_another_checkpoints_config_stays(command, source, tmp_path):
    config = tmp_path / "quantize_config.json"
    config.write_text('{"bits": 4, "group_size": 32}')
    refused(quantize(command, source, tmp_path / "out.safetensors", "--gptq"), "is there and says something else")
    assert os.listdir(tmp_path) == ["quantize_config.json"] and config.read_text() == '{"bits": 4, "group_size": 32}'


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("quant_config.json", {"w_bit": 4, "q_group_size": 32, "zero_point": True}),
        ("config.json", {"quantization_config": {"bits": 4, "group_size": 32, "quant_method": "gptq"}}),
    ],
)
def test_a_folder_says_one_thing(command, source, tmp_path, name, text):
    """Whichever file says it, and whether OUT is there: another checkpoint beside it would be read otherwise."""
    (tmp_path / name).write_text(json.dumps(text))
    out = tmp_path / "out.safetensors"
    words = [source, out, "--gptq", "--group-size", 64]
    refused(quantize(command, *words), "is there and says something else")
    save_file({"w": np.ones(3, np.float32)}, out)
    (tmp_path / "other.safetensors").write_bytes(out.read_bytes())
    refused(quantize(command, *words), "is there and says something else")
    (tmp_path / "other.safetensors").unlink()
    quantized(command, *words)
    assert load_weights(out).quantization_config().group_size == 64


def test_what_the_folder_says_already_is_left(command, source, tmp_path):
    text = '{"bits": 4, "group_size": 128, "sym": true, "damp_percent": 0.1}'
    (tmp_path / "quantize_config.json").write_text(text)
    quantized(command, source, tmp_path / "out.safetensors", "--gptq")
    assert (tmp_path / "quantize_config.json").read_text() == text


def test_names_that_readers_find(command, tmp_path):
    matrix = np.random.default_rng(6).standard_normal((8, 128), np.float32)
    save_file({"attention.in_proj_weight": matrix, "weight": matrix}, tmp_path / "in.safetensors")
    out = tmp_path / "out" / "out.safetensors"
    out.parent.mkdir()
    quantized(command, tmp_path / "in.safetensors", out, "--gptq", "--layers", "*")
    assert {"attention.in_proj_weight.qweight", "qweight"} <= contents(out).keys()
    found = json.loads(printed(command, "compare", tmp_path / "in.safetensors", out, "--json"))
    assert found["matrices"][0]["name"] == "attention.in_proj_weight"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--gptq", "--encoding", "Q4_K"], "not both"),
        ([], "--encoding or --gptq"),
        (["--encoding", "Q4_K", "--bits", "4"], "belong to --gptq"),
        (["--gptq", "--fallback", "Q8_0"], "--fallback belongs to --encoding"),
        (["--gptq", "--desc-act", "yes"], "--desc-act can only be no"),
        (["--gptq", "--sym", "--asym"], "--asym"),
        (["--gptq", "--bits", "5"], "--bits: is 5, expected 2, 3, 4 or 8"),
        (["--gptq", "--bits", "-4"], "--bits: is -4, expected 2, 3, 4 or 8"),
        (["--gptq", "--group-size", "0"], "--group-size: is 0, expected 1 or more, or -1 for all columns"),
        (["--gptq", "--group-size", "-2"], "--group-size: is -2, expected 1 or more, or -1 for all columns"),
    ],
)
def test_options_that_do_not_fit(command, source, tmp_path, words, message):
    result = quantize(command, source, tmp_path / "out", *words)
    assert result.returncode == 64 and message in result.stderr and os.listdir(tmp_path) == []


def test_full_disk(command, tmp_path):
    path = tmp_path / "in.safetensors"
    save_file({"a.weight": np.ones((4096, 1024), np.float32)}, path)

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    result = quantize(command, path, tmp_path / "out.safetensors", "--gptq", preexec_fn=limit)
    refused(result, "out.safetensors: File too large, expected a file that can be written")
    assert os.listdir(tmp_path) == ["in.safetensors"]


@pytest.mark.parametrize("number", ENDING)
def test_interrupted(command, tmp_path, number):
    """After a tensor: neither the file nor its quantize_config.json is there, and what was stays."""
    matrix = np.tile(np.random.default_rng(2).standard_normal((64, 1024), np.float32), (32, 1))
    save_file({f"{index:02}.weight": matrix for index in range(12)}, tmp_path / "in.safetensors")
    (tmp_path / "out.safetensors").write_text("what was there")
    words = ["prlimit", "--core=0", "env", f"--default-signal={int(number)}", command, "quantize"]
    words += [tmp_path / "in.safetensors", tmp_path / "out.safetensors", "--gptq"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline()
        assert len([name for name in os.listdir(tmp_path) if name.endswith(".partial")]) == 1
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == -number
    assert sorted(os.listdir(tmp_path)) == ["in.safetensors", "out.safetensors"]
    assert (tmp_path / "out.safetensors").read_text() == "what was there"

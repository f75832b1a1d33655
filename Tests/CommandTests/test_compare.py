"""`maxlinear compare` against numpy in float64, and its heat map as matplotlib reads it."""

import json
import os

import command_support
import ml_dtypes
import numpy as np
import pytest
from command_support import misused, on_a_terminal, printed, printed_json, refused, run
from matplotlib.image import imread
from safetensors.numpy import save_file

import maxlinear
from maxlinear.dtype import DType
from maxlinear.graph.quantization import QuantizationConfig
from maxlinear.nn import GPTQLinearV2

#: The fixture, which pytest looks for in this file.
command = command_support.command

DTYPES = (np.float32, np.float16, ml_dtypes.bfloat16)


def tensors():
    random = np.random.default_rng(7)
    found = {
        f"model.layers.{layer}.{part}.weight": random.standard_normal((40, 512)).astype(DTYPES[layer])
        for layer in range(3)
        for part in ("mlp.up_proj", "self_attn.q_proj")
    }
    # More values than are decoded at a time.
    found["model.embed_tokens.weight"] = random.standard_normal((9000, 512)).astype(np.float16)
    return found | {"model.norm.weight": np.ones(5, np.float32), "positions": np.arange(6).reshape(2, 3)}


NAMES = sorted(name.removesuffix(".weight") for name, array in tensors().items() if array.ndim == 2 and "." in name)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("compare") / "model.safetensors"
    save_file(tensors(), path)
    return path


def errors(reference, values):
    w, v = (np.asarray(array).astype(np.float64).ravel() for array in (reference, values))
    return {
        "relative_rms": np.linalg.norm(v - w) / np.linalg.norm(w),
        "largest": np.abs(v - w).max(),
        "cosine": v @ w / np.linalg.norm(v) / np.linalg.norm(w),
    }


def check(found, values):
    """Each matrix and all of them, against the values that the file should have."""
    items = {item["name"]: item for item in found["matrices"]}
    assert sorted(items) == sorted(values)
    for name, array in values.items():
        expected = errors(tensors()[f"{name}.weight"], array)
        assert items[name]["errors"] == pytest.approx(expected, rel=1e-9)
        assert items[name]["shape"] == list(array.shape)
    references = [tensors()[f"{name}.weight"].astype(np.float64).ravel() for name in values]
    arrays = [np.asarray(array).astype(np.float64).ravel() for array in values.values()]
    assert found["all"] == pytest.approx(errors(np.concatenate(references), np.concatenate(arrays)), rel=1e-9)


def test_blocks(command, checkpoint, tmp_path):
    out = tmp_path / "out.gguf"
    printed(command, "quantize", checkpoint, out, "--encoding", "Q4_K", "--quiet")
    found = printed_json(command, "compare", checkpoint, out)
    blocks = {name: maxlinear.quantize(tensors()[f"{name}.weight"], "Q4_K") for name in NAMES}
    check(found, {name: maxlinear.dequantize(array, "Q4_K") for name, array in blocks.items()})
    assert {(item["reference"], item["file"]) for item in found["matrices"]} == {
        (name, "Q4_K") for name in ("float32", "float16", "bfloat16")
    }
    assert (found["reference"], found["file"]) == (str(checkpoint), str(out))
    # positions is of integers, no matrix of either.
    assert found["only_in_reference"] == found["only_in_file"] == []


@pytest.mark.parametrize("bits, group", [(4, 128), (3, 64), (8, -1), (2, 20)])
def test_gptq(command, checkpoint, tmp_path, bits, group):
    """Against the values of the definition, scale * (code - zero), by way of a layer on the identity."""
    out = tmp_path / "out.safetensors"
    printed(
        command, "quantize", checkpoint, out, "--gptq", "--asym", "--bits", bits, f"--group-size={group}", "--quiet"
    )
    found = printed_json(command, "compare", checkpoint, out, "--layers", "model.layers.*")
    config = QuantizationConfig("gptq", bits, group, False, False, "gptq")
    values = {}
    for name in NAMES:
        if name.startswith("model.layers."):
            layer = GPTQLinearV2(512, 40, DType.uint8, quantization_config=config)
            layer.load_state_dict(maxlinear.quantize_gptq(tensors()[f"{name}.weight"], config))
            layer.prepare(compute="float32")
            values[name] = layer(np.eye(512, dtype=np.float32)).T
    check(found, values)
    assert {item["file"] for item in found["matrices"]} == {"GPTQ"}


@pytest.mark.parametrize("method", ["gptq", "awq"])
def test_act_order_and_awq(command, tmp_path, method):
    """Columns whose groups are in no order, and the other way of packing."""
    random = np.random.default_rng(9)
    weight = random.standard_normal((40, 512), np.float32)
    plain = QuantizationConfig(method, 4, 128, False, False, "gptq" if method == "gptq" else "gemm")
    state = maxlinear.quantize_gptq(weight, plain)
    config = plain
    if method == "gptq":
        config = QuantizationConfig(method, 4, 128, True, False, "gptq")
        state["g_idx"] = random.permutation(state["g_idx"])
        file = {"bits": 4, "group_size": 128, "desc_act": True, "sym": False, "quant_method": "gptq"}
        (tmp_path / "quantize_config.json").write_text(json.dumps(file))
    else:
        file = {"w_bit": 4, "q_group_size": 128, "zero_point": True, "version": "gemm"}
        (tmp_path / "quant_config.json").write_text(json.dumps(file))
    layer = GPTQLinearV2(512, 40, DType.uint8, quantization_config=config)
    layer.load_state_dict(state)
    layer.prepare(compute="float32")
    save_file({f"w.{part}": array for part, array in state.items()}, tmp_path / "out.safetensors")
    reference = write(tmp_path, "w.safetensors", weight)
    found = printed_json(command, "compare", reference, tmp_path / "out.safetensors")
    expected = errors(weight, layer(np.eye(512, dtype=np.float32)).T)
    assert found["matrices"][0]["errors"] == pytest.approx(expected, rel=1e-9)
    assert found["matrices"][0]["file"] == method.upper() and (expected["relative_rms"] < 0.2) == (method == "awq")


@pytest.mark.parametrize("scale", ["row", "tensor", None])
def test_float8(command, checkpoint, tmp_path, scale):
    save, values = {}, {}
    for name in NAMES[1:]:
        state = maxlinear.quantize_float8(tensors()[f"{name}.weight"], scale=scale)
        save |= {f"{name}.{part}": array for part, array in state.items()}
        values[name] = maxlinear.dequantize_float8(*state.values())
    save_file(save, tmp_path / "out.safetensors")
    found = printed_json(command, "compare", checkpoint, tmp_path / "out.safetensors")
    check(found, values)
    assert found["only_in_reference"] == NAMES[:1] and found["only_in_file"] == []


def test_float8_with_scales_of_blocks_is_refused(command, tmp_path):
    """weight_scale_inv, as DeepSeek-V3 has it: without it the values would be wrong."""
    reference = write(tmp_path, "w.safetensors", np.full((256, 256), 0.5, np.float32))
    codes = np.full((256, 256), 1, ml_dtypes.float8_e4m3fn)
    save_file({"w.weight": codes, "w.weight_scale_inv": np.full((2, 2), 0.5, np.float32)}, tmp_path / "f8.safetensors")
    result = run(command, "compare", reference, tmp_path / "f8.safetensors")
    refused(result, '"w": w.weight_scale_inv: shape is [2, 2], expected w.weight_scale')


@pytest.mark.parametrize("pattern", ["*mlp.up_proj", "*mlp.up_proj.weight", "*mlp.up_proj.qweight"])
def test_layers_by_the_names_of_matrices_and_of_tensors(command, checkpoint, tmp_path, pattern):
    out = tmp_path / "out.safetensors"
    printed(command, "quantize", checkpoint, out, "--gptq", "--quiet")
    found = printed_json(command, "compare", checkpoint, out, "--layers", pattern)
    assert {item["name"] for item in found["matrices"]} == {name for name in NAMES if name.endswith("up_proj")}
    assert found["only_in_reference"] == found["only_in_file"] == []


def test_the_same_file(command, checkpoint):
    found = printed_json(command, "compare", checkpoint, checkpoint, "--limit", "0")
    assert all(item["errors"]["relative_rms"] == 0 == item["errors"]["largest"] for item in found["matrices"])
    assert found["all"]["cosine"] == pytest.approx(1, abs=1e-12)


def write(folder, name, array):
    save_file({"w.weight": array}, folder / name)
    return folder / name


def test_what_is_not_finite(command, tmp_path):
    good, bad = np.ones((2, 3), np.float32), np.ones((2, 3), np.float32)
    bad[1, 2] = np.nan
    zeros = write(tmp_path, "zeros.safetensors", np.zeros((2, 3), np.float32))
    good, bad = write(tmp_path, "good.safetensors", good), write(tmp_path, "bad.safetensors", bad)
    nothing = {"relative_rms": None, "largest": None, "cosine": None}
    assert printed_json(command, "compare", good, bad)["matrices"][0]["errors"] == nothing
    assert printed(command, "compare", good, bad).splitlines()[-1].split() == ["all", "-", "-", "-"]
    assert printed_json(command, "compare", zeros, good)["all"] == nothing | {"largest": 1}
    assert printed_json(command, "compare", zeros, zeros)["all"] == nothing | {"relative_rms": 0, "largest": 0}
    result = run(command, "compare", good, bad, "--limit", "1e9")
    assert result.returncode == 2 and "1 matrix is above the limit" in result.stderr


def test_limit(command, checkpoint, tmp_path):
    changed = {
        name: array + np.asarray(name == "model.layers.1.mlp.up_proj.weight", array.dtype)
        for name, array in tensors().items()
    }
    save_file(changed, tmp_path / "out.safetensors")
    words = [command, "compare", checkpoint, tmp_path / "out.safetensors", "--limit"]
    result = run(*words, "0.5")
    assert result.returncode == 2 and result.stdout.splitlines()[-1].startswith("all ")
    assert result.stderr == "1 matrix is above the limit of 0.5, the worst is model.layers.1.mlp.up_proj\n"
    assert run(*words, "2").returncode == 0


def test_text_and_terminal(command, checkpoint, tmp_path):
    part = {name: array for name, array in tensors().items() if "layers.1" not in name}
    save_file(part | {"more.weight": np.ones((2, 2), np.float32)}, tmp_path / "out.safetensors")
    words = [command, "compare", checkpoint, tmp_path / "out.safetensors"]
    lines = printed(*words).splitlines()
    assert lines[0].split() == ["matrix", "shape", "reference", "file", "relative", "RMS", "largest", "cosine"]
    line = next(line for line in lines if line.startswith("model.layers.2.mlp.up_proj"))
    assert line.split() == f"{NAMES[5]} 40 x 512 bfloat16 bfloat16 0.000e+00 0.000e+00 1.0000000".split()
    assert len({len(line) for line in lines[:7]}) == 1
    assert lines[-2] == f"only in {checkpoint}: 2, the first is model.layers.1.mlp.up_proj"
    assert lines[-1] == f"only in {tmp_path / 'out.safetensors'}: 1, the first is more"
    text = on_a_terminal(*words)
    assert "[########################] 100 %" in text
    assert [line.split("\r")[-1] for line in text.replace("\r\n", "\n").split("\n")[:-1]] == lines


def test_plot(command, tmp_path):
    """A cell each, the same colour for the same error, white where there is no matrix."""
    random = np.random.default_rng(8)
    arrays = {
        f"blk.{layer}.{part}.weight": random.standard_normal((4, 32), np.float32)
        for layer in (0, 1, 7)
        for part in "ab"
    }
    arrays["output.weight"] = arrays["blk.0.a.weight"]
    changed = {name: array.copy() for name, array in arrays.items()}
    changed["blk.1.b.weight"] *= 1.5
    changed["blk.7.a.weight"] *= 1.02
    changed["output.weight"] = changed["output.weight"] * np.float32("nan")
    save_file(arrays, tmp_path / "a.safetensors")
    save_file(changed, tmp_path / "b.safetensors")
    printed(command, "compare", tmp_path / "a.safetensors", tmp_path / "b.safetensors", "--plot", tmp_path / "out.png")
    picture = (imread(tmp_path / "out.png")[:, :, :3] * 255).round().astype(int)
    # Letters of 5 by 7 at twice their size: cells of 22 pixels, right of the longest label and below the numbers.
    left, top, cell = 16 + len("output") * 12 + 8, 16 + 22, 22
    rows, columns = ["a", "b", "output"], [None, 0, 1, 7]
    colors = {
        (row, column): tuple(picture[top + y * cell + 10, left + x * cell + 10])
        for y, row in enumerate(rows)
        for x, column in enumerate(columns)
    }
    white, gray, none = (255, 255, 255), (170, 170, 170), colors["a", 0]
    assert none == colors["b", 0] == colors["a", 1] == colors["b", 7]
    assert len({none, colors["b", 1], colors["a", 7], white, gray}) == 5
    assert colors["output", None] == gray and colors["a", None] == colors["output", 1] == white
    # The scale from 1e-2 to 1 lies below, as wide as its words take, dark at its beginning and light at its end.
    scale = picture[top + 3 * cell + cell + 5, left : left + 288]
    assert tuple(scale[0]) == none and scale[0].sum() < scale[100].sum() < scale[287].sum()
    assert os.listdir(tmp_path).count("out.png") == 1 and len(os.listdir(tmp_path)) == 3


def test_refusals(command, checkpoint, tmp_path):
    other = write(tmp_path, "w.safetensors", np.ones((2, 3), np.float32))
    refused(run(command, "compare", checkpoint, other), "has no matrix in common with")
    refused(run(command, "compare", checkpoint, checkpoint, "--layers", "x*"), 'whose name matches "x*"')
    longer = write(tmp_path, "longer.safetensors", np.ones((2, 4), np.float32))
    refused(run(command, "compare", other, longer), f'"w": shape is [2, 4] in {longer}, expected [2, 3] of {other}')
    refused(run(command, "compare", other, tmp_path / "none"), "No such file or directory")
    result = run(command, "compare", other, other, "--plot", tmp_path / "none" / "out.png")
    refused(result, "No such file or directory")
    assert result.stdout == ""
    save_file({"w.qweight": np.zeros((4, 32), np.int32)}, tmp_path / "gptq.safetensors")
    refused(run(command, "compare", other, tmp_path / "gptq.safetensors"), "no quantize_config.json")
    (tmp_path / "quantize_config.json").write_text(json.dumps({"bits": 4, "group_size": 32}))
    save_file({"w.weight": np.ones((32, 32), np.float32)}, tmp_path / "square.safetensors")
    result = run(command, "compare", tmp_path / "square.safetensors", tmp_path / "gptq.safetensors")
    refused(result, "scales")
    misused(run(command, "compare", other), "Missing expected argument '<file>'")
    misused(run(command, "compare", other, other, "--limit", -1), "limit must not be negative")


def test_layers_leave_out_what_cannot_be_read(command, tmp_path):
    matrix = np.ones((4, 32), np.float32)
    (tmp_path / "gptq").mkdir()
    save_file({"a.weight": matrix, "b.weight": matrix}, tmp_path / "floats.safetensors")
    save_file({"a.weight": matrix, "b.qweight": np.zeros((4, 32), np.int32)}, tmp_path / "gptq" / "w.safetensors")
    words = [command, "compare", tmp_path / "floats.safetensors", tmp_path / "gptq"]
    refused(run(*words), "no quantize_config.json")
    assert [found["name"] for found in printed_json(*words, "--layers", "a")["matrices"]] == ["a"]


def test_tensors_of_one_stem(command, tmp_path):
    tensors = {"a": np.ones((8, 32), np.float32), "a.weight": np.full((4, 32), 2, np.float32)}
    save_file(tensors, tmp_path / "w.safetensors")
    found = printed_json(command, "compare", tmp_path / "w.safetensors", tmp_path / "w.safetensors")
    assert [(matrix["shape"], matrix["errors"]["relative_rms"]) for matrix in found["matrices"]] == [
        ([8, 32], 0),
        ([4, 32], 0),
    ]

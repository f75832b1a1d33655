"""`maxlinear inspect`, beside the safetensors, gguf and xxhash packages."""

import json

import command_support
import gguf
import ml_dtypes
import numpy as np
import pytest
import xxhash
from command_support import misused, on_a_terminal, printed, printed_json, refused, run
from safetensors.numpy import save_file

import maxlinear

#: The fixture, which pytest looks for in this file.
command = command_support.command


def tensors():
    random = np.random.default_rng(3)
    # Numbers of bytes around the hash's words and stripes.
    odd = {
        f"bytes.{count}": random.integers(0, 256, count, np.uint8) for count in (0, 1, 3, 4, 7, 8, 31, 32, 33, 63, 77)
    }
    return odd | {
        "model.layers.0.up.weight": random.standard_normal((37, 512), np.float32),
        "model.layers.1.up.weight": random.standard_normal((8, 256)).astype(ml_dtypes.bfloat16),
        # More than is read at a time.
        "large": random.integers(0, 256, (5 << 20) + 5, np.uint8),
        "scalar": np.array(7, np.int64),
        "wörld": np.array([True, False]),
    }


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("inspect") / "model.safetensors"
    save_file(tensors(), path, metadata={"format": "pt", "author": "somebody"})
    return path


def digest(data):
    return xxhash.xxh64(data).hexdigest()


def whole(items):
    """The checksum of all tensors, as the help describes it."""
    lines = [
        f"{item['name']} {item['encoding']} {'x'.join(map(str, item['shape'])) or 'scalar'} {item['xxh64']}\n"
        for item in sorted(items, key=lambda item: item["name"].encode())
    ]
    return digest("".join(lines).encode())


def test_safetensors(command, checkpoint):
    found = printed_json(command, "inspect", checkpoint)
    items = {item["name"]: item for item in found["tensors"]}
    assert items.keys() == tensors().keys()
    for name, array in tensors().items():
        assert items[name] == {
            "name": name,
            "encoding": array.dtype.name,
            "shape": list(array.shape),
            "bytes": array.nbytes,
            "xxh64": digest(array.tobytes()),
        }
    assert found["files"] == [{"path": str(checkpoint), "bytes": checkpoint.stat().st_size}]
    assert found["bytes"] == sum(array.nbytes for array in tensors().values())
    assert found["xxh64"] == whole(found["tensors"])
    alike = {item["encoding"]: item for item in found["encodings"]}
    assert alike["float32"] == {"encoding": "float32", "tensors": 1, "values": 37 * 512, "bytes": 4 * 37 * 512}
    assert sum(item["bytes"] for item in found["encodings"]) == found["bytes"]


def split(folder):
    """The same tensors in two files, in another order, and their index."""
    items = list(tensors().items())
    parts = {"model-2.safetensors": dict(items[::2]), "model-1.safetensors": dict(reversed(items[1::2]))}
    for name, part in parts.items():
        save_file(part, folder / name)
    index = {"weight_map": {key: name for name, part in parts.items() for key in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_files_do_not_change_the_checksum(command, checkpoint, tmp_path):
    split(tmp_path)
    wanted = printed_json(command, "inspect", checkpoint)["xxh64"]
    for path in (tmp_path / "model.safetensors.index.json", tmp_path):
        found = printed_json(command, "inspect", path)
        assert found["xxh64"] == wanted
        assert [file["path"][-19:] for file in found["files"]] == ["model-1.safetensors", "model-2.safetensors"]
    (tmp_path / "model.safetensors.index.json").unlink()
    assert printed_json(command, "inspect", tmp_path)["xxh64"] == wanted


def test_a_bit_changes_the_checksum(command, checkpoint, tmp_path):
    changed = tensors()
    changed["large"][-1] ^= 1
    save_file(changed, tmp_path / "model.safetensors")
    before, after = (printed_json(command, "inspect", path) for path in (checkpoint, tmp_path / "model.safetensors"))
    assert before["xxh64"] != after["xxh64"]
    differs = [
        old["name"]
        for old, new in zip(before["tensors"], after["tensors"], strict=True)
        if old["xxh64"] != new["xxh64"]
    ]
    assert differs == ["large"]


def write_gguf(path, **keywords):
    blocks = maxlinear.quantize(tensors()["model.layers.0.up.weight"], "Q4_K")
    writer = gguf.GGUFWriter(path, "llama", **keywords)
    writer.add_uint32("llama.block_count", 2)
    writer.add_array("tokens", ["one", "two", "three"])
    writer.add_tensor("blk.0.ffn_up.weight", blocks, raw_dtype=gguf.GGMLQuantizationType.Q4_K)
    writer.add_tensor("norm", np.arange(5, dtype=np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return blocks


def test_gguf(command, tmp_path):
    path = tmp_path / "model.gguf"
    blocks = write_gguf(path)
    found = printed_json(command, "inspect", path, "--metadata")
    assert found["tensors"][0] == {
        "name": "blk.0.ffn_up.weight",
        "encoding": "Q4_K",
        "shape": [37, 512],
        "bytes": blocks.nbytes,
        "xxh64": digest(blocks.tobytes()),
    }
    assert found["metadata"]["tokens"] is None
    assert "tokens = [3 x string]" in printed(command, "inspect", path, "--metadata").splitlines()
    assert found["metadata"]["llama.block_count"] == "2" and "4.500 bits a value" in printed(command, "inspect", path)
    # The folder stands for its one file, and for the parts of a split.
    assert printed_json(command, "inspect", tmp_path)["xxh64"] == found["xxh64"]
    path.unlink()
    write_gguf(path, split_max_tensors=1)
    parts = printed_json(command, "inspect", tmp_path)
    assert parts["xxh64"] == found["xxh64"] and len(parts["files"]) == 2


def test_text(command, checkpoint):
    lines = printed(command, "inspect", checkpoint, "--metadata").splitlines()
    assert lines[0].split() == ["tensor", "encoding", "shape", "bytes", "xxh64"]
    assert len({len(line) for line in lines[: 1 + len(tensors())]}) == 1
    line = next(line for line in lines if line.startswith("model.layers.0.up.weight"))
    assert line.split()[1:6] == ["float32", "37", "x", "512", "75776"]
    assert "author = somebody" in lines and lines[-1].startswith(f"{len(tensors())} tensors, ")


def test_layers_and_no_checksum(command, checkpoint):
    found = printed_json(command, "inspect", checkpoint, "--layers", "model.*", "--no-checksum")
    assert [item["name"] for item in found["tensors"]] == ["model.layers.0.up.weight", "model.layers.1.up.weight"]
    assert "xxh64" not in found and not any("xxh64" in item for item in found["tensors"])
    text = printed(command, "inspect", checkpoint, "--no-checksum")
    assert "xxh64" not in text


def test_terminal(command, checkpoint):
    """The bar comes and goes; the lines are those of a pipe."""
    text = on_a_terminal(command, "inspect", checkpoint)
    assert "[########################] 100 %" in text
    lines = [line.split("\r")[-1] for line in text.replace("\r\n", "\n").split("\n")[:-1]]
    assert lines == printed(command, "inspect", checkpoint).splitlines()


def test_control_characters_do_not_reach_the_terminal(command, tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"red\x1b[31m": np.zeros((2, 3), np.float32)}, path)
    assert "\x1b" not in printed(command, "inspect", path)
    assert printed_json(command, "inspect", path)["tensors"][0]["name"] == "red\x1b[31m"
    for words in (
        ["inspect", path],
        ["compare", path, path],
        ["quantize", path, tmp_path / "o.gguf", "--encoding", "f16"],
    ):
        text = on_a_terminal(command, *words)
        assert "red\N{REPLACEMENT CHARACTER}[31m" in text and "\x1b" not in text
    path.write_bytes(path.read_bytes().replace(b'"F32"', b'"F99"'))
    refused(run(command, "inspect", path), "red\N{REPLACEMENT CHARACTER}[31m")


def test_refusals(command, checkpoint, tmp_path):
    refused(run(command, "inspect", tmp_path / "none"), "No such file or directory")
    refused(run(command, "inspect", tmp_path), "the folder has no checkpoint")
    for name in ("a.gguf", "b.gguf"):
        write_gguf(tmp_path / name)
    refused(run(command, "inspect", tmp_path), "the folder has a.gguf, b.gguf, expected one of them")
    (tmp_path / "broken.safetensors").write_bytes(checkpoint.read_bytes()[:-1])
    refused(run(command, "inspect", tmp_path), "expected them within the file")
    refused(run(command, "inspect", checkpoint, "--layers", "x*"), "expected a pattern that a tensor's name matches")
    misused(run(command, "inspect"), "Missing expected argument")
    misused(run(command, "inspect", checkpoint, "--checksums"), "Unknown option")

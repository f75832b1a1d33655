"""Checkpoints that change while they are mapped, that may not be read, or whose headers claim too much."""

import json
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from c_support import LIBRARY
from safetensors.numpy import save_file

import maxlinear
from maxlinear.graph.weights import load_weights

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ENVIRONMENT = {
    **os.environ,
    "PYTHONPATH": str(ROOT / "bindings" / "python" / "src"),
    "MAXLINEAR_LIBRARY": str(LIBRARY),
}
#: Root, and yet bound by the modes of files.
WITHOUT_OVERRIDE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
MILLION = 1_000_000


def python(*words, before=(), code=0):
    """What a Python of its own prints."""
    words = [*before, sys.executable, *map(str, words)]
    result = subprocess.run(words, check=False, capture_output=True, text=True, timeout=120, env=ENVIRONMENT)
    assert result.returncode == code, f"{result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "model.safetensors"
    weight = np.random.default_rng(4).standard_normal((512, 256), np.float32)
    save_file({"weight": weight}, path)
    return path


@pytest.mark.parametrize("how", ["truncated", "emptied", "grown", "written"])
@pytest.mark.parametrize("when", ["open", "convert", "load", "prepare without packing"])
def test_changed_files_are_an_error(checkpoint, when, how):
    """Each call that would read the file is refused and changes nothing; nothing raises SIGBUS."""
    size = checkpoint.stat().st_size
    lines = python(HERE / "changing.py", checkpoint, when, how).splitlines()
    now = {"truncated": 4096, "emptied": 0, "grown": size + 1}.get(how)
    difference = "was written to" if now is None else f"had {size} bytes and has {now}"
    error = f"FileError {checkpoint}: the file {difference} since it was opened, expected it unchanged: open it again"
    unloaded = "StateError weight: not loaded"
    assert lines[-1] == "y: untouched"
    if when in ("open", "convert"):
        assert lines[0] == f"load: {error}" and all(unloaded in line for line in lines[1:3]), lines
    elif when == "load":
        assert lines[:4] == ["load: done", f"prepare: {error}", "held: the same", f"forward: {error}"], lines
    else:
        assert lines[:3] == ["load: done", "prepare: done", f"forward: {error}"], lines


@pytest.mark.parametrize("how", ["truncated", "emptied", "grown", "written"])
def test_packed_layers_need_no_file(checkpoint, how):
    python(HERE / "changing.py", checkpoint, "prepare", "left alone")
    expected = np.load(f"{checkpoint}.npy")
    assert python(HERE / "changing.py", checkpoint, "prepare", how).endswith("forward: done\n")
    assert (np.load(f"{checkpoint}.npy") == expected).all()


@pytest.mark.parametrize("how", ["renamed over", "removed", "made unreadable"])
@pytest.mark.parametrize("when", ["open", "load", "prepare without packing"])
def test_mapped_files_may_be_replaced(checkpoint, when, how):
    """What was opened stays readable whatever becomes of its name and mode."""
    twin = checkpoint.with_name("twin.safetensors")
    shutil.copy(checkpoint, twin)
    python(HERE / "changing.py", twin, when, "left alone")
    assert "Error" not in python(HERE / "changing.py", checkpoint, when, how)
    assert (np.load(f"{checkpoint}.npy") == np.load(f"{twin}.npy")).all()


def test_a_file_that_may_not_be_read(checkpoint):
    checkpoint.chmod(0)
    program = f"from maxlinear.graph.weights import load_weights\nload_weights({str(checkpoint)!r})"
    words = [*WITHOUT_OVERRIDE, sys.executable, "-c", program]
    result = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60, env=ENVIRONMENT)
    assert f"{checkpoint}: Permission denied, expected a file that can be opened" in result.stderr


def test_folders_in_place_of_files(tmp_path):
    for name in ["model.safetensors", "model.gguf", "model.safetensors.index.json"]:
        (tmp_path / name).mkdir()
        with pytest.raises(maxlinear.Error, match=f"{name}: the folder has no checkpoint, expected"):
            load_weights(tmp_path / name)
    index = tmp_path / "index.json"
    index.write_text(json.dumps({"weight_map": {"weight": "model.safetensors"}}))
    with pytest.raises(maxlinear.Error, match="model.safetensors: is a folder or device, expected a regular file"):
        load_weights(index)


def test_no_descriptors_left(checkpoint, tmp_path):
    """A checkpoint is one descriptor as long as something refers to it, and none where opening fails; without any more, it is an error."""
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(checkpoint.read_bytes()[:-1])
    before = os.listdir("/proc/self/fd")
    weights = [load_weights(checkpoint) for _ in range(3)]
    assert len(os.listdir("/proc/self/fd")) == len(before) + 3
    del weights
    with pytest.raises(maxlinear.Error):
        load_weights(broken)
    assert os.listdir("/proc/self/fd") == before
    program = (
        "import resource\nfrom maxlinear.graph.weights import load_weights\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (16, 16))\n"
        f"held = []\ntry:\n  while True: held.append(load_weights({str(checkpoint)!r}))\n"
        "except OSError as error: print(len(held) > 2, error)"
    )
    assert "True " in (said := python("-c", program)) and "Too many open files" in said


def gguf_header(tensors=0, entries=0):
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, entries)


def gguf_string(text, length=None):
    return struct.pack("<Q", len(text) if length is None else length) + text


FOUR_GB = 1 << 32
CLAIMS = {
    "length.safetensors": struct.pack("<Q", FOUR_GB) + b"{}",
    "whole_length.safetensors": struct.pack("<Q", 2**64 - 1) + b"{}",
    "deep.safetensors": struct.pack("<Q", 90_000_000) + b'{"a":' + b"[" * 89_999_995,
    "deep_objects.safetensors": struct.pack("<Q", 60_000_000) + b'{"a":' * 12_000_000,
    "deep.index.json": b'{"a":' * 10_000_000,
    "long_number.safetensors": struct.pack("<Q", 50_000_000) + b'{"a":{"dtype":"U8","shape":[' + b"9" * 49_999_972,
    "tensors.gguf": gguf_header(tensors=FOUR_GB) + bytes(64),
    "all_tensors.gguf": gguf_header(tensors=2**64 - 1) + bytes(64),
    "entries.gguf": gguf_header(entries=FOUR_GB) + bytes(64),
    "key.gguf": gguf_header(entries=1) + gguf_string(b"key", FOUR_GB),
    "name.gguf": gguf_header(tensors=1) + gguf_string(b"name", FOUR_GB),
    "string.gguf": gguf_header(entries=1) + gguf_string(b"key") + struct.pack("<I", 8) + gguf_string(b"v", FOUR_GB),
    "array.gguf": gguf_header(entries=1) + gguf_string(b"key") + struct.pack("<IIQ", 9, 4, FOUR_GB) + bytes(64),
    "deep_array.gguf": gguf_header(entries=1)
    + gguf_string(b"key")
    + struct.pack("<I", 9)
    + struct.pack("<IQ", 9, 1) * 1_000_000,
    "tensor.gguf": gguf_header(tensors=1) + gguf_string(b"t") + struct.pack("<IQIQ", 1, FOUR_GB, 0, 0) + bytes(64),
}

MEASURE = """
import resource, sys, time
from maxlinear.graph.weights import load_weights
def most(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
path, names = sys.argv[1], sys.argv[2:]
before, start = most(), time.process_time()
try:
    weights = load_weights(path)
    print("opened", *(weights[name].data().numpy()[0] for name in names if name != "none"))
    for name in names:
        if name == "none": weights[name].data()
except Exception as error:
    print(type(error).__name__, str(error)[:300])
print(most() - before, time.process_time() - start)
"""


def measured(path, *names):
    """What opening the file said, how many MiB it took at most, and how many seconds of this process's time."""
    said, numbers = python("-c", MEASURE, path, *names).rstrip().rsplit("\n", 1)
    memory, seconds = map(float, numbers.split())
    return said, memory, seconds


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_beyond_the_file(tmp_path, name):
    """Refused with little more memory than the file's pages, before much of it is read."""
    path = tmp_path / name
    path.write_bytes(CLAIMS[name])
    said, memory, seconds = measured(path)
    assert said.startswith("FormatError "), said
    assert memory < len(CLAIMS[name]) / 2**20 + 30 and seconds < 5


def many_tensors(kind):
    """A million tensors of one byte."""
    if kind == "gguf":
        infos = [gguf_string(b"t%d" % index) + struct.pack("<IQIQ", 1, 1, 24, 32 * index) for index in range(MILLION)]
        header = gguf_header(tensors=MILLION) + b"".join(infos)
        return (
            header + bytes(-len(header) % 32) + b"".join(b"%c" % (index % 100) + bytes(31) for index in range(MILLION))
        )
    entries = ",".join(
        f'"t{index}":{{"dtype":"I8","shape":[1],"data_offsets":[{index},{index + 1}]}}' for index in range(MILLION)
    )
    header = f"{{{entries}}}".encode()
    return struct.pack("<Q", len(header)) + header + bytes(index % 100 for index in range(MILLION))


@pytest.mark.parametrize("kind", ["safetensors", "gguf"])
def test_a_million_tensors(tmp_path, record_property, kind):
    path = tmp_path / f"model.{kind}"
    path.write_bytes(many_tensors(kind))
    start = time.monotonic()
    said, memory, seconds = measured(path, "t0", "t999998", "none")
    record_property("MiB, seconds, with the start of Python", (memory, seconds, time.monotonic() - start))
    opened, missing = said.split("\n")
    assert opened == "opened 0 98"
    assert missing.startswith("StateDictError none: ")
    # The file's own pages are a part of it.
    assert memory < 600 and seconds < 60

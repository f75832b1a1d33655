"""`maxlinear quantize` where the disk is full, files may not be read or written, the input changes, or the process is killed."""

import contextlib
import os
import signal
import subprocess
import time

import numpy as np
import pytest
import test_quantize
from safetensors.numpy import save_file
from test_quantize import quantize, quantized, refused

from maxlinear.graph.weights import load_weights

#: The fixture, which pytest looks for in this file.
command = test_quantize.command

#: Root, and yet bound by the modes of files.
WITHOUT_OVERRIDE = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
#: Of either kind of output: the file's name, and the options that make it.
KINDS = {"gguf": ("out.gguf", ["--encoding", "Q8_0"]), "gptq": ("out.safetensors", ["--gptq"])}


@pytest.fixture(params=KINDS)
def kind(request):
    return KINDS[request.param]


@pytest.fixture
def model(tmp_path):
    """Twelve matrices of 2 MiB, of which every row is needed."""
    path = tmp_path / "in.safetensors"
    matrix = np.random.default_rng(2).standard_normal((512, 1024), np.float32)
    save_file({f"{index:02}.weight": matrix + index for index in range(12)}, path)
    return path


def test_full_disk(command, model, kind, tmp_path):
    """A file system of 1 MiB, which ends with the command: what fails leaves it empty."""
    name, options = kind
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    script = 'mount -t tmpfs -o size=1m tmpfs "$0" || exit 77; "$@"; code=$?; ls -A "$0"; exit $code'
    words += ["sh", "-c", script, disk, command, "quantize", model, disk / name, *options, "--quiet"]
    result = subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)
    if result.returncode == 77 or "unshare failed" in result.stderr:
        pytest.skip("may not mount a file system here: " + result.stderr)
    refused(result, f"{name}: No space left on device, expected a file that can be written")
    assert result.stdout == ""


def test_modes(command, model, kind, tmp_path):
    """An input that may not be read, a folder that may not be written to, an output that may not: only the last is replaced."""
    name, options = kind
    folder = tmp_path / "folder"
    folder.mkdir(mode=0o500)

    def attempt(out):
        words = [*WITHOUT_OVERRIDE, command, "quantize", model, out, *options, "--quiet"]
        return subprocess.run(words, check=False, capture_output=True, text=True, timeout=60)

    refused(attempt(folder / name), f"{folder}/{name}: Permission denied, expected a file that can be made")
    model.chmod(0)
    refused(attempt(tmp_path / name), f"{model}: Permission denied, expected a file that can be opened")
    model.chmod(0o600)
    assert os.listdir(folder) == [] and sorted(os.listdir(tmp_path)) == ["folder", "in.safetensors"]
    out = tmp_path / name
    out.write_text("what was there")
    out.chmod(0)
    assert attempt(out).returncode == 0
    assert len(list(load_weights(out).items())) >= 12


def test_folders_in_place_of_files(command, model, kind, tmp_path):
    name, options = kind
    (tmp_path / name).mkdir()
    refused(
        quantize(command, model, tmp_path / name, *options),
        f"{tmp_path}/{name}: is a folder or device, expected a regular file or none",
    )
    refused(
        quantize(command, tmp_path / name, tmp_path / f"other.{name}", *options),
        f"{name}: the folder has no checkpoint, expected a ",
    )
    assert sorted(os.listdir(tmp_path)) == ["in.safetensors", name]


def test_killed(command, model, kind, tmp_path):
    """What was there stays, and the next run does not mind what the killed one left."""
    name, options = kind
    out = tmp_path / name
    out.write_text("what was there")
    words = [command, "quantize", model, out, *options]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL and out.read_text() == "what was there"
    left = [entry for entry in os.listdir(tmp_path) if entry.endswith(".partial")]
    assert len(left) == 1
    quantized(command, model, out, *options, "--quiet")
    again = tmp_path / "again"
    again.mkdir()
    quantized(command, model, again / name, *options, "--quiet")
    assert out.read_bytes() == (again / name).read_bytes()


@contextlib.contextmanager
def held(words):
    """The command, which waits for a reader when it has done its first tensor; then it goes on."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, b"\n" * 512)
    os.set_blocking(writing, True)
    with subprocess.Popen(words, stdout=writing, stderr=subprocess.PIPE, text=True) as process:
        os.close(writing)
        switches, since = None, time.monotonic()
        while time.monotonic() - since < 0.5:
            with open(f"/proc/{process.pid}/status") as file:
                lines = file.read().splitlines()
            now = [line for line in lines if line.startswith(("State", "voluntary"))]
            if now != switches or "sleeping" not in now[0]:
                switches, since = now, time.monotonic()
            time.sleep(0.02)
        yield process
        with open(reading, "rb") as file:
            process.printed = file.read().decode().strip().splitlines()
        process.said = process.stderr.read()


@pytest.mark.parametrize("change", ["truncated", "written"])
def test_input_that_changes(command, model, kind, tmp_path, change):
    name, options = kind
    size = model.stat().st_size
    with held([command, "quantize", model, tmp_path / name, *options]) as process:
        assert len(os.listdir(tmp_path)) == 2
        if change == "truncated":
            os.truncate(model, size // 2)
        else:
            with open(model, "r+b") as file:
                file.seek(-4, os.SEEK_END)
                file.write(bytes(4))
    difference = f"had {size} bytes and has {size // 2}" if change == "truncated" else "was written to"
    assert process.returncode == 1 and len(process.printed) == 1
    assert f"{model}: the file {difference} since it was opened, expected it unchanged: open it again" in process.said
    assert os.listdir(tmp_path) == ["in.safetensors"]

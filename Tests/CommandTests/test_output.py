"""The command's standard output: closed, full, or a pipe that nobody reads any more."""

import os
import signal
import subprocess
import time

import command_support
import numpy as np
import pytest
from command_support import misused, printed, refused, run
from safetensors.numpy import save_file

#: The fixture, which pytest looks for in this file.
command = command_support.command

SHAPE = (64, 256)
#: Each prints a few lines, with and without JSON. In a folder with w.safetensors and x.npy.
COMMANDS = {
    "bench": "bench --encoding Q8_0 --m 1 --k 256 --n 64 --seconds 0 --rotate 0 --copies 1 --threads 1",
    "compare": "compare w.safetensors w.safetensors",
    "info": "info",
    "inspect": "inspect w.safetensors",
    "quantize": "quantize w.safetensors out.gguf --encoding Q8_0",
    "quantize_gptq": "quantize w.safetensors out.safetensors --gptq",
    "run": "run w.safetensors --tensor w -i x.npy -o y.npy",
}
#: Those that a reader's end ends too, as it does most filters; the others go on for the file that they make.
ENDED = ("bench", "info", "inspect")


@pytest.fixture
def folder(tmp_path):
    random = np.random.default_rng(8)
    save_file({"w.weight": random.standard_normal(SHAPE, np.float32)}, tmp_path / "w.safetensors")
    np.save(tmp_path / "x.npy", random.standard_normal((1, SHAPE[1]), np.float32))
    return tmp_path


def redirected(command, redirection, words, folder):
    return run("sh", "-c", f'exec "$@" {redirection}', "sh", command, *words, cwd=folder)


@pytest.mark.parametrize("redirection", [">&-", "<&- >&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("name", ["quantize", "quantize_gptq", "run"])
def test_closed(command, folder, redirection, name):
    """Nothing but the result is in the file that is made."""
    words = COMMANDS[name].split()
    made = folder / next(word for word in words if word in ("out.gguf", "out.safetensors", "y.npy"))
    printed(command, *words, cwd=folder)
    wanted = made.read_bytes()
    made.unlink()
    result = redirected(command, redirection, words, folder)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    assert made.read_bytes() == wanted


def test_closed_input(command, folder):
    """What is printed is so all the same, and a failure said."""
    wanted = printed(command, "inspect", "w.safetensors", cwd=folder)
    result = redirected(command, "<&-", ["inspect", "w.safetensors"], folder)
    assert (result.returncode, result.stdout, result.stderr) == (0, wanted, "")
    refused(redirected(command, "<&- >&-", ["inspect", "none"], folder), "No such file or directory")
    misused(redirected(command, "<&- >&-", ["inspect"], folder), "Missing expected argument")


@pytest.mark.parametrize("json", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("name", COMMANDS)
def test_full(command, folder, name, json):
    result = redirected(command, "> /dev/full", [*COMMANDS[name].split(), *json], folder)
    refused(result, "standard output: No space left on device, expected one that can be written")


def test_full_but_for_the_work(command, folder):
    """What is made does not suffer, and neither does what has nothing to print."""
    words = COMMANDS["quantize"].split()
    printed(command, *words, cwd=folder)
    wanted = (folder / "out.gguf").read_bytes()
    (folder / "out.gguf").unlink()
    assert redirected(command, "> /dev/full", words, folder).returncode == 1
    assert (folder / "out.gguf").read_bytes() == wanted
    assert redirected(command, "> /dev/full", [*words, "--quiet"], folder).returncode == 0
    # An error above the limit, which nobody could read, is a failure like others.
    limited = ["compare", "w.safetensors", "out.gguf", "--limit", 0]
    assert run(command, *limited, cwd=folder).returncode == 2
    refused(redirected(command, "> /dev/full", limited, folder), "standard output: No space left on device")


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["help", "run"], [], ["--generate-completion-script"]])
def test_full_for_help(command, folder, words):
    if words == ["--generate-completion-script"]:
        words.append("bash")
    refused(redirected(command, "> /dev/full", words, folder), "standard output: No space left on device")


@pytest.mark.parametrize("ignored", [False, True])
@pytest.mark.parametrize("json", [[], ["--json"]], ids=["text", "json"])
@pytest.mark.parametrize("name", COMMANDS)
def test_reader_that_went_away(command, folder, name, json, ignored):
    """No message: it has read what it wanted. Whoever starts the command may ignore the signal."""
    reading, writing = os.pipe()
    os.close(reading)
    words = [command, *COMMANDS[name].split(), *json]
    result = subprocess.run(
        words,
        check=False,
        cwd=folder,
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        restore_signals=not ignored,
    )
    os.close(writing)
    ended = name in ENDED and not ignored
    assert (result.returncode, result.stderr) == (-signal.SIGPIPE if ended else 0, b"")


def test_output_that_does_not_wait(command, folder):
    """A pipe that is full for a while, made non-blocking by whoever shares it."""
    tensors = {f"{index:04}": np.full(3, index, np.float32) for index in range(2000)}
    save_file(tensors, folder / "many.safetensors")
    words = [command, "inspect", "many.safetensors", "--json"]
    wanted = printed(*words, cwd=folder)
    assert len(wanted) > 1 << 17
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with subprocess.Popen(words, cwd=folder, stdout=writing, stderr=subprocess.PIPE) as process:
        os.close(writing)
        with open(reading, "rb", buffering=0) as file:
            first = file.read(1)
            # Long enough for the pipe to be full again.
            time.sleep(0.2)
            assert (first + file.readall()).decode() == wanted
        assert process.stderr.read() == b""
    assert process.returncode == 0


@pytest.mark.parametrize("name", ["quantize", "quantize_gptq", "run"])
def test_a_link_stays(command, folder, name):
    """What it leads to is replaced, or made into what it was to be."""
    words = COMMANDS[name].split()
    out = folder / next(word for word in words if word in ("out.gguf", "out.safetensors", "y.npy"))
    printed(command, *words, cwd=folder)
    wanted = out.read_bytes()
    out.unlink()
    (folder / "elsewhere").mkdir()
    target = folder / "elsewhere" / "target"
    out.symlink_to(target)
    refused(run(command, *words, cwd=folder), "is a link that leads nowhere")
    target.write_text("what was there")
    printed(command, *words, cwd=folder)
    assert out.is_symlink() and target.read_bytes() == wanted and os.listdir(folder / "elsewhere") == ["target"]


def test_quiet_is_quiet(command, folder):
    for name in ("quantize", "quantize_gptq", "run"):
        assert printed(command, *COMMANDS[name].split(), "--quiet", "--json", cwd=folder) == ""


def test_arguments_of_other_bytes(command, folder):
    misused(run(command, "inspect", os.fsdecode(b"w\xff.safetensors"), cwd=folder), "argument 2: is w")


def test_what_is_read_is_not_written_over(command, folder):
    """But by `quantize`, whose result is a checkpoint again."""
    before = (folder / "w.safetensors").read_bytes()
    (folder / "link").symlink_to("w.safetensors")
    for out in ("w.safetensors", "./w.safetensors", "link"):
        words = ["run", "w.safetensors", "--tensor", "w", "-i", "x.npy", "-o", out]
        refused(run(command, *words, cwd=folder), "--output: is w.safetensors, a file of the checkpoint that is read")
        words = ["compare", "w.safetensors", "w.safetensors", "--plot", out]
        refused(run(command, *words, cwd=folder), "--plot: is w.safetensors, a file of the checkpoint that is read")
    assert (folder / "w.safetensors").read_bytes() == before

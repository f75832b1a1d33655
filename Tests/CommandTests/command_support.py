"""The command `maxlinear`, as the tests run it."""

import contextlib
import json
import os
import pty
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRATCH = ROOT / "build" / "test"


@pytest.fixture(scope="session")
def command():
    """The command as `swift test` has built it: this only brings it up to date."""
    build = [str(ROOT / "scripts" / "swift"), str(SCRATCH), "build", "--product", "maxlinear-cli"]
    result = subprocess.run(build, cwd=ROOT, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return str(SCRATCH / "debug" / "maxlinear-cli")


def run(*words, **keywords):
    """Whatever becomes of it."""
    words = [str(word) for word in words]
    return subprocess.run(words, check=False, capture_output=True, text=True, timeout=60, **keywords)


def printed(*words, **keywords):
    """What it prints, when all goes well."""
    result = run(*words, **keywords)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


def printed_json(*words):
    return json.loads(printed(*words, "--json"))


def refused(result, message):
    """A failure: one line on standard error."""
    assert result.returncode == 1 and message in result.stderr and result.stderr.count("\n") == 1, result.stderr


def misused(result, message):
    """Arguments that do not fit."""
    assert result.returncode == 64 and message in result.stderr, result.stderr


def on_a_terminal(*words):
    """What it prints on a terminal."""
    terminal, side = pty.openpty()
    subprocess.run([str(word) for word in words], check=True, stdout=side, timeout=60)
    os.close(side)
    text = b""
    # Linux says EIO where there is no more.
    with contextlib.suppress(OSError):
        while part := os.read(terminal, 1 << 16):
            text += part
    os.close(terminal)
    return text.decode()

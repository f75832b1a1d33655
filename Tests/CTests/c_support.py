"""Compiling and running C against the library, as the tests of this folder do."""

import json
import os
import struct
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "Tests" / "CTests"
INCLUDE = ROOT / "include"
LIBRARY = Path(os.environ.get("MAXLINEAR_LIBRARY", ROOT / "build" / "lib" / "libmaxlinear.so")).resolve()
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
#: What a machine without a Swift toolchain has.
PLAIN = {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": str(LIBRARY.parent)}


def run(command, environment=None, **keywords):
    """The command's output; fails the test with all it said when it fails."""
    command = [str(part) for part in command]
    result = subprocess.run(
        command, check=False, capture_output=True, text=True, env=environment, timeout=300, **keywords
    )
    assert result.returncode == 0, f"{' '.join(command)}: {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout


def build(sources, program, *flags, compiler="gcc", include=INCLUDE):
    """Builds a C program against the library, without any of the Swift toolchain's paths."""
    if isinstance(sources, (str, Path)):
        sources = [sources]
    link = [f"-L{LIBRARY.parent}", "-lmaxlinear"]
    run([compiler, "-std=c11", "-O1", *WARNINGS, f"-I{include}", *flags, *sources, "-o", program, *link], PLAIN)
    return program


def memory_plugin(folder):
    """A plugin with the tests' own communicator, "memory"."""
    plugin = folder / "memory.so"
    source = HERE.parent / "DistributedTests" / "memory.c"
    run(["gcc", "-std=c11", "-shared", "-fPIC", f"-I{INCLUDE}", source, "-o", plugin], PLAIN)
    return plugin


def weight_checkpoint(folder):
    """A checkpoint with one tensor, "weight", float32 (3, 4)."""
    header = json.dumps({"weight": {"dtype": "F32", "shape": [3, 4], "data_offsets": [0, 48]}}).encode()
    checkpoint = folder / "weight.safetensors"
    checkpoint.write_bytes(struct.pack("<Q", len(header)) + header + bytes(48))
    return checkpoint

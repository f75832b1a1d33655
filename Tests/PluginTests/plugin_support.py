"""Building plugins by gcc, against include/ alone, and running Python in a process of its own, where they are loaded: a plugin stays until
the process ends."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "Tests" / "PluginTests"
EXAMPLE = ROOT / "plugins" / "example-encoding"
LIBRARY = Path(os.environ.get("MAXLINEAR_LIBRARY", ROOT / "build" / "lib" / "libmaxlinear.so")).resolve()
sys.path.insert(0, str(ROOT / "Tests"))
from messages import has_three_parts  # noqa: F401

WARNINGS = ["-Wall", "-Wextra", "-Werror"]


def build(output, *arguments):
    """A shared library at `output`: gcc, include/, and no library of ours."""
    command = ["gcc", "-std=c11", "-shared", "-fPIC", "-O2", "-ffp-contract=off", f"-I{ROOT / 'include'}"]
    command += [*WARNINGS, *map(str, arguments), "-o", str(output)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return output


def build_case(output, change="", *arguments):
    flags = ["-Wno-unused-function", "-Wno-unused-variable", "-Wno-pedantic"]
    return build(output, *flags, *([f"-DCHANGE={change}"] if change else []), *arguments, HERE / "case.c")


def run(command, **environment):
    """What the command prints; fails the test with all it said when it fails."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "bindings" / "python" / "src"),
        "MAXLINEAR_LIBRARY": str(LIBRARY),
        **environment,
    }
    result = subprocess.run(
        [str(part) for part in command], check=False, capture_output=True, text=True, env=environment, timeout=300
    )
    assert result.returncode == 0, f"{command}: {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout


def python(source, *arguments, **environment):
    """What a Python program prints last, read as JSON."""
    return json.loads(run([sys.executable, "-c", source, *arguments], **environment).splitlines()[-1])


def load_all(paths):
    return json.loads(run([sys.executable, HERE / "loader.py", *paths]))

"""Every example is built and run as a user would; test_pages.py holds the code of the pages to them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = ROOT / "build" / "lib"
NUMBERS = [16.0, 35.0]


def run(command, **keywords):
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=900, **keywords)
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout


def numbers(text):
    return [float(number) for number in re.findall(r"[-+]?\d+\.?\d*", text)]


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (["gcc", "-std=c11", "examples/c/linear.c"], NUMBERS),
        (["g++", "-std=c++17", "examples/cpp/linear.cpp"], NUMBERS),
        (["gcc", "-std=c11", "examples/c/blocks.c"], [4064.0, -1016.0, 2032.0, -508.0]),
    ],
    ids=["c", "cpp", "blocks"],
)
def test_c_and_cpp(command, expected, tmp_path):
    flags = ["-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers", f"-I{ROOT / 'include'}"]
    link = [f"-L{LIBRARY}", f"-Wl,-rpath,{LIBRARY}", "-lmaxlinear", "-o", str(tmp_path / "linear")]
    run([*command, *flags, *link], cwd=ROOT)
    assert numbers(run([str(tmp_path / "linear")])) == expected


@pytest.mark.parametrize(("example", "expected"), [("linear", NUMBERS), ("tasks", [917504.0])])
def test_swift(example, expected):
    swift = [str(ROOT / "scripts" / "swift"), str(ROOT / "build" / "example-swift"), "run"]
    assert numbers(run([*swift, "--package-path", str(ROOT / "examples" / "swift"), example])) == expected


def python(example):
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "bindings" / "python" / "src")}
    environment.setdefault("MAXLINEAR_LIBRARY", str(LIBRARY / "libmaxlinear.so"))
    return run([sys.executable, str(ROOT / "examples" / "python" / example)], env=environment)


def test_python():
    assert numbers(python("linear.py")) == NUMBERS


def test_can_run():
    refused, kernel = python("can_run.py").splitlines()
    assert refused.startswith("weight: last dimension is 384, expected a multiple of Q4_K's 256; Q4_0, Q4_1, ")
    assert kernel.startswith("mxlk_linear_q8_0_int8_")

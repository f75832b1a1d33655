"""Every example is built and run as a user would, and every code block of README.md is one of them, to the letter."""

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
    "command",
    [["gcc", "-std=c11", "examples/c/linear.c"], ["g++", "-std=c++17", "examples/cpp/linear.cpp"]],
    ids=["c", "cpp"],
)
def test_c_and_cpp(command, tmp_path):
    flags = ["-Wall", "-Wextra", "-Werror", "-Wno-missing-field-initializers", f"-I{ROOT / 'include'}"]
    link = [f"-L{LIBRARY}", f"-Wl,-rpath,{LIBRARY}", "-lmaxlinear", "-o", str(tmp_path / "linear")]
    run([*command, *flags, *link], cwd=ROOT)
    assert numbers(run([str(tmp_path / "linear")])) == NUMBERS


def test_swift():
    swift = [str(ROOT / "scripts" / "swift"), str(ROOT / "build" / "example-swift"), "run"]
    assert numbers(run([*swift, "--package-path", str(ROOT / "examples" / "swift"), "linear"])) == NUMBERS


def test_python():
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "bindings" / "python" / "src")}
    environment.setdefault("MAXLINEAR_LIBRARY", str(LIBRARY / "libmaxlinear.so"))
    assert numbers(run([sys.executable, str(ROOT / "examples" / "python" / "linear.py")], env=environment)) == NUMBERS


FILES = {
    "c": "examples/c/linear.c",
    "cpp": "examples/cpp/linear.cpp",
    "swift": "examples/swift/Sources/linear/main.swift",
    "python": "examples/python/linear.py",
}
#: The examples that a language's blocks may come from.
ALL_FILES = {
    language: [
        path.replace("linear.", f"{name}.").replace("/linear/", f"/{name}/") for name in ("linear", "mlp", "ranks")
    ]
    for language, path in FILES.items()
}


@pytest.mark.parametrize("language", FILES)
def test_readme_block_is_in_the_example(language):
    blocks = re.findall(rf"```{language}\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks, f"README.md has no {language} block"
    for block in blocks:
        lines = [line.strip() for line in block.splitlines() if line.strip() not in ("", "...", "// ...", "# ...")]
        files = [ROOT / path for path in ALL_FILES[language] if (ROOT / path).exists()]
        missing = [first_missing(lines, path.read_text()) for path in files]
        assert None in missing, f"not in the {language} examples, or not in this order: {missing}"


def first_missing(lines, source):
    """The first line that does not follow the ones before it; None when all do."""
    position = 0
    for line in lines:
        found = source.find(line, position)
        if found < 0:
            return line
        position = found + len(line)
    return None


def test_readme_paths_exist():
    for path in re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert (ROOT / path).exists(), f"README.md links to {path}"


def test_readme_make_targets_exist():
    makefile = (ROOT / "Makefile").read_text()
    for target in set(re.findall(r"\bmake ([a-z-]+)", (ROOT / "README.md").read_text())):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"README.md names make {target}"

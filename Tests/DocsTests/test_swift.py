"""The Swift documentation builds without a warning and has words for every public symbol; that layers are not Sendable is the compiler's to say."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "swift" / "Sources" / "tasks" / "main.swift"

pytestmark = pytest.mark.skipif(shutil.which("docc") is None, reason="this Swift toolchain has no docc")


def run(*command):
    return subprocess.run(list(map(str, command)), cwd=ROOT, check=False, capture_output=True, text=True)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Leaves the module in build/swift-docs, as declarations."""
    output = tmp_path_factory.mktemp("swift") / "site"
    result = run("scripts/build-swift-docs", output)
    assert result.returncode == 0, result.stdout + result.stderr
    return output


def test_every_class_has_a_page(site):
    for name in (
        "linear",
        "linearv2",
        "qlinear",
        "gptqlinearv2",
        "mlpv2",
        "distributedmlp",
        "preparedlayer",
        "weights",
    ):
        assert (site / "documentation" / "maxlinear" / name / "index.html").exists()


def checked(source):
    """What the compiler says of a program."""
    folder = ROOT / "build" / "swift-docs"
    modules = [
        "-I",
        folder,
        "-I",
        "include",
        "-Xcc",
        "-Iinclude",
        "-Xcc",
        f"-fmodule-map-file={folder}/module.modulemap",
    ]
    # What is sent from where is found behind the type checker.
    return run("swiftc", "-emit-sil", "-o", "/dev/null", "-swift-version", "6", *modules, source)


@pytest.mark.usefixtures("site")
def test_prepared_layers_may_be_sent():
    result = checked(EXAMPLE)
    assert result.returncode == 0, result.stderr


@pytest.mark.usefixtures("site")
def test_layers_may_not(tmp_path):
    source = tmp_path / "main.swift"
    program = EXAMPLE.read_text()
    assert program.count("try prepared(x, threads: 1)") == 1
    source.write_text(program.replace("try prepared(x, threads: 1)", "try layer(x)"))
    result = checked(source)
    assert result.returncode != 0 and "non-Sendable type 'LinearV2'" in result.stderr, result.stderr

"""The source distribution: it holds what the build needs, and says so where Swift is missing."""

import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from package_support import PYTHON_PACKAGE, ROOT, attempt, run


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    environment = {key: value for key, value in os.environ.items() if key != "MAXLINEAR_LIBRARY"}
    run(
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--sdist",
        "-o",
        folder,
        PYTHON_PACKAGE,
        environment=environment,
    )
    (found,) = folder.iterdir()
    return found


def pip_wheel(sdist, folder, environment):
    flags = ["--no-build-isolation", "--no-deps", "--no-index", "-w", folder]
    return attempt(sys.executable, "-m", "pip", "wheel", *flags, sdist, environment=environment, timeout=900)


def test_contents(sdist):
    """The Swift package as git has it, the Python package, and no links that lead out of it."""
    with tarfile.open(sdist) as archive:
        members = archive.getmembers()
    assert all(member.isfile() for member in members), [member.name for member in members if not member.isfile()]
    names = {member.name.split("/", 1)[1] for member in members}
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    parts = (
        "Package.swift",
        "Sources/",
        "include/",
        "Tests/KernelChecks/",
        "Tests/KernelTests/",
        "Tests/MaxLinearTests/",
    )
    wanted = {f"swift/{name}" for name in tracked if name.startswith(parts)}
    wanted |= {f"swift/{name}" for name in ("abi/libmaxlinear.map", "scripts/build-library", "scripts/swift")}
    start = "bindings/python/"
    python = [name.removeprefix(start) for name in tracked if name.startswith(f"{start}src/")]
    others = {
        "hatch_build.py",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "THIRD_PARTY_NOTICES.md",
        "licenses/libomp.txt",
        "licenses/swift.txt",
    }
    assert wanted | set(python) | others <= names
    assert {name for name in names - wanted - set(python) - others} <= {"PKG-INFO", ".gitignore"}


def test_without_swift(sdist, tmp_path):
    result = pip_wheel(sdist, tmp_path, {"PATH": "/usr/bin:/bin"})
    assert result.returncode != 0
    assert "needs a Swift toolchain of 6.2 or later" in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr


def test_old_swift(sdist, tmp_path):
    (tmp_path / "swift").write_text("#!/bin/sh\necho 'Swift version 5.10 (swift-5.10-RELEASE)'\n")
    (tmp_path / "swift").chmod(0o755)
    result = pip_wheel(sdist, tmp_path, {"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert result.returncode != 0 and "This is: Swift version 5.10" in result.stdout + result.stderr


@pytest.mark.skipif("MAXLINEAR_TEST_SDIST" not in os.environ, reason="takes a whole Swift build: make test-sdist")
def test_builds_from_source(sdist, tmp_path):
    result = pip_wheel(sdist, tmp_path, {key: value for key, value in os.environ.items() if key != "MAXLINEAR_LIBRARY"})
    assert result.returncode == 0, result.stdout + result.stderr
    (wheel,) = tmp_path.glob("*.whl")
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", tmp_path / "site", wheel)
    example = Path(ROOT / "examples" / "python" / "linear.py")
    assert (
        run(sys.executable, example, environment={"PYTHONPATH": str(tmp_path / "site")}, cwd=tmp_path) == "[16. 35.]\n"
    )

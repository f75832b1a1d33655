"""The C interface as C and C++ compilers and a plain C program see it."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import abi

HERE = Path(__file__).parent
ROOT = abi.ROOT
GOLDEN = ROOT / "Tests" / "Golden" / "linear_v2.safetensors"
FIXTURE = HERE / "abi-v0.1"
HEADERS = ["maxlinear.h", *(f"maxlinear/{path.name}" for path in sorted((abi.INCLUDE / "maxlinear").glob("*.h")))]
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
#: No variable and no search path leads to the Swift toolchain.
CLEAN = {"PATH": "/usr/bin:/bin", "LD_LIBRARY_PATH": str(abi.LIBRARY.parent)}


def run(*command, **keywords):
    result = subprocess.run([str(part) for part in command], check=False, capture_output=True, text=True, **keywords)
    assert result.returncode == 0, f"{command}\n{result.stdout}{result.stderr}"
    return result.stdout


def swift_clang():
    """The clang beside swift."""
    swift = run("sh", "-c", "command -v swift").strip()
    return str(Path(os.path.realpath(swift)).parent / "clang")


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize(
    "compiler", ["gcc -std=c11", "g++ -std=c++11 -x c++", "g++ -std=c++17 -x c++", "clang -std=c11"]
)
def test_each_header_stands_alone(header, compiler, tmp_path):
    source = tmp_path / "header.c"
    source.write_text(f"#include <{header}>\nint main(void) {{ return 0; }}\n")
    command = compiler.split()
    if command[0] == "clang":
        command[0] = swift_clang()
    run(*command, *WARNINGS, "-fsyntax-only", f"-I{abi.INCLUDE}", source)


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    program = tmp_path_factory.mktemp("client") / "client"
    link = [f"-L{abi.LIBRARY.parent}", "-lmaxlinear", "-lm"]
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{abi.INCLUDE}"]
    run("gcc", *flags, HERE / "client.c", *link, "-o", program, env=CLEAN)
    return program


def test_a_plain_client(client):
    assert run(client, GOLDEN, env=CLEAN) == "ok\n"


@pytest.mark.parametrize("isa", ["scalar", "avx2", "amx"])
def test_a_plain_client_on_lower_variants(client, isa):
    assert run(client, GOLDEN, env={**CLEAN, "MAXLINEAR_ISA": isa}) == "ok\n"


def test_the_library_needs_no_swift_library():
    needed = run("ldd", abi.LIBRARY)
    assert "swift" not in needed.lower() and "libomp" in needed


def test_symbols():
    exported = abi.exported_symbols()
    assert exported == abi.declared_functions(), "declared and exported functions differ"
    assert exported == (ROOT / "abi" / "symbols.txt").read_text().split(), "run `make abi` and say so in CHANGELOG.md"


def test_structs():
    assert abi.layout() == (ROOT / "abi" / "structs.txt").read_text(), "run `make abi` and say so in CHANGELOG.md"


def test_speed(tmp_path):
    program = tmp_path / "speed"
    run("gcc", "-std=c11", "-O2", "-Wall", "-Wextra", f"-I{abi.INCLUDE}", HERE / "speed.c", "-ldl", "-o", program)
    for _ in range(5):
        first, each = map(float, run(program, abi.LIBRARY).split())
        if first < 20 and each <= 1500:
            break
    assert first < 20, "milliseconds from dlopen to the first result"
    assert each <= 1500, "nanoseconds a forward"


def test_an_older_client_builds_against_its_headers(tmp_path):
    program = tmp_path / "client"
    link = [f"-L{abi.LIBRARY.parent}", "-lmaxlinear", "-lm", "-o", program]
    run("gcc", "-std=c11", f"-I{FIXTURE / 'include'}", FIXTURE / "client.c", *link)
    assert run(program, GOLDEN, env=CLEAN) == "ok\n"


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the binary is for x86-64")
def test_an_older_client_runs_as_it_is():
    assert run(FIXTURE / "client", GOLDEN, env=CLEAN) == "ok\n"

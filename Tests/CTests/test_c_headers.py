"""Each header stands alone, in C and in C++, without a warning."""

import shutil

import pytest
from c_support import INCLUDE, PLAIN, WARNINGS, run

HEADERS = sorted(str(path.relative_to(INCLUDE)) for path in INCLUDE.rglob("*.h"))
COMPILERS = {
    "gcc": ["gcc", "-x", "c", "-std=c11"],
    "gcc-c17": ["gcc", "-x", "c", "-std=c17"],
    "g++-c++11": ["g++", "-x", "c++", "-std=c++11"],
    "g++-c++17": ["g++", "-x", "c++", "-std=c++17"],
    "clang": ["clang", "-x", "c", "-std=c11"],
    "clang-c++11": ["clang", "-x", "c++", "-std=c++11"],
}


def test_headers_are_found():
    assert "maxlinear.h" in HEADERS and len(HEADERS) >= 7


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("header", HEADERS)
def test_header_alone(header, compiler, tmp_path):
    command, environment = COMPILERS[compiler], PLAIN
    if command[0] == "clang":
        if not shutil.which("clang"):
            pytest.skip("no clang")
        environment = None
    source = tmp_path / "alone"
    source.write_text(f"#include <{header}>\n#include <{header}>\n")
    run([*command, *WARNINGS, f"-I{INCLUDE}", "-fsyntax-only", source], environment)


CPP_HEADERS = sorted(str(path.relative_to(INCLUDE)) for path in INCLUDE.rglob("*.hpp"))
CPP_COMPILERS = [(compiler, standard) for compiler in ("g++", "clang++") for standard in ("c++17", "c++20")]


@pytest.mark.parametrize("compiler, standard", CPP_COMPILERS)
@pytest.mark.parametrize("header", CPP_HEADERS)
def test_cpp_header_alone(header, compiler, standard, tmp_path):
    if not shutil.which(compiler):
        pytest.skip(f"no {compiler}")
    source = tmp_path / "alone.cpp"
    source.write_text(f"#include <{header}>\n#include <{header}>\n")
    environment = PLAIN if compiler == "g++" else None
    run(
        [compiler, f"-std={standard}", *WARNINGS, "-Wold-style-cast", f"-I{INCLUDE}", "-fsyntax-only", source],
        environment,
    )


def test_cpp_headers_are_found():
    assert CPP_HEADERS == ["maxlinear.hpp", "maxlinear/encodings.hpp", "maxlinear/layers.hpp"]


def test_umbrella_has_every_header():
    text = (INCLUDE / "maxlinear.h").read_text()
    for header in HEADERS:
        assert header == "maxlinear.h" or f'#include "{header}"' in text, header

"""`make install` into a temporary prefix: what C and C++ users find there, by pkg-config and by CMake, and `make uninstall`."""

import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CMAKE = Path(sys.executable).parent / "cmake"
#: What a machine without a Swift toolchain has.
PLAIN = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
VERSION = "0.1.0"


def run(*command, environment=PLAIN, **keywords):
    words = [str(word) for word in command]
    result = subprocess.run(
        words, check=False, capture_output=True, text=True, timeout=300, env=environment, **keywords
    )
    assert result.returncode == 0, f"{' '.join(words)}\n{result.stdout}{result.stderr}"
    return result.stdout


def make(*arguments):
    """Make, on what has been built: the library and the command are not brought up to date."""
    built = ["-o", "build/lib/libmaxlinear.so", "-o", "build/release/release/maxlinear-cli"]
    environment = {key: value for key, value in os.environ.items() if key not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    return run("make", *built, *arguments, environment=environment, cwd=ROOT)


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    """Installed into one place by way of DESTDIR, then moved to another: nothing may remember the first."""
    if not (ROOT / "build/release/release/maxlinear-cli").exists():
        pytest.skip("needs the command: make build/release/release/maxlinear-cli")
    stage = tmp_path_factory.mktemp("stage")
    make("install", "PREFIX=/opt/there", f"DESTDIR={stage}")
    moved = tmp_path_factory.mktemp("moved") / "a prefix"
    shutil.move(stage / "opt" / "there", moved)
    return moved


def pkg_config(prefix, *arguments):
    return run(
        "pkg-config", *arguments, "maxlinear", environment={**PLAIN, "PKG_CONFIG_PATH": str(prefix / "lib/pkgconfig")}
    )


def test_files(prefix):
    lib = prefix / "lib"
    assert os.readlink(lib / "libmaxlinear.so") == "libmaxlinear.so.0"
    assert os.readlink(lib / "libmaxlinear.so.0") == f"libmaxlinear.so.{VERSION}"
    assert not (lib / f"libmaxlinear.so.{VERSION}").is_symlink()
    headers = [path for path in files(ROOT / "include") if path.endswith((".h", ".hpp"))]
    assert files(prefix / "include") == headers
    assert files(prefix / "share/doc/maxlinear") == [
        "LICENSE",
        "THIRD_PARTY_NOTICES.md",
        "licenses/libomp.txt",
        "licenses/swift.txt",
    ]


def test_manual_and_completions(prefix):
    """Where shells and man look for them."""
    assert (prefix / "share/man/man1/maxlinear.1").read_text() == (ROOT / "docs/maxlinear.1").read_text()
    places = {
        "bash": "bash-completion/completions/maxlinear",
        "zsh": "zsh/site-functions/_maxlinear",
        "fish": "fish/vendor_completions.d/maxlinear.fish",
    }
    for shell, place in places.items():
        script = run(prefix / "bin/maxlinear", "--generate-completion-script", shell)
        assert (prefix / "share" / place).read_text() == script and "inspect" in script
    assert len(files(prefix / "share")) == len(files(prefix / "share/doc")) + 4


def test_command_needs_no_swift(prefix):
    needed = re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", prefix / "bin/maxlinear"))
    assert needed and not [name for name in needed if "swift" in name or "Foundation" in name or "dispatch" in name]
    assert run(prefix / "bin/maxlinear", "info").startswith(f"maxlinear      {VERSION}")


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_pkg_config(prefix, language, tmp_path):
    compiler = {"c": ["gcc", "-std=c11"], "cpp": ["g++", "-std=c++17"]}[language]
    # pkg-config writes for a shell, which takes its escapes away again.
    flags = pkg_config(prefix, "--cflags", "--libs").strip()
    warnings = "-Wall -Wextra -Werror -Wno-missing-field-initializers"
    source = ROOT / "examples" / language / f"linear.{language}"
    run("sh", "-c", f"{' '.join(compiler)} {warnings} {source} {flags} -o {tmp_path}/linear")
    assert run(tmp_path / "linear", environment={**PLAIN, "LD_LIBRARY_PATH": str(prefix / "lib")}) == "16 35\n"
    assert pkg_config(prefix, "--modversion") == f"{VERSION}\n"


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_cmake(prefix, language, tmp_path):
    source = ROOT / "examples" / language
    run(CMAKE, "-S", source, "-B", tmp_path, f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_BUILD_TYPE=Release")
    run(CMAKE, "--build", tmp_path)
    # CMake leaves the library's folder in what it builds.
    assert run(tmp_path / "linear") == "16 35\n"
    assert (tmp_path / "mlp").exists()


def test_cmake_through_a_link(prefix, tmp_path):
    """As on systems whose /lib is a link to usr/lib, where CMake may find the package below /lib."""
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "usr").symlink_to(prefix)
    (tmp_path / "root" / "lib").symlink_to("usr/lib")
    source = ROOT / "examples" / "c"
    run(CMAKE, "-S", source, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={tmp_path / 'root'}")
    run(CMAKE, "--build", tmp_path / "build")
    assert run(tmp_path / "build" / "linear") == "16 35\n"


@pytest.mark.parametrize(
    "wanted, found",
    [("0.1", True), ("0.0.9", True), ("0.1.0 EXACT", True), ("0.2", False), ("1.0", False), ("0.0...0.1", True)],
)
def test_cmake_version(prefix, wanted, found, tmp_path):
    (tmp_path / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.19)\nproject(versions LANGUAGES NONE)\n"
        f'find_package(maxlinear {wanted})\nmessage(STATUS "found=${{maxlinear_FOUND}}")\n'
    )
    output = run(CMAKE, "-S", tmp_path, "-B", tmp_path / "build", f"-DCMAKE_PREFIX_PATH={prefix}")
    assert f"found={int(found)}" in output


def test_cpp_client(prefix, tmp_path):
    """All of maxlinear.hpp, from the installed headers; twice, so that what is inline is inline."""
    header = b'{"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}}'
    checkpoint = tmp_path / "w.safetensors"
    checkpoint.write_bytes(struct.pack("<Q", len(header)) + header + struct.pack("<6f", 1, 2, 3, 4, 5, 6))
    (tmp_path / "second.cpp").write_text("#include <maxlinear.hpp>\nint second() { return maxlinear::threads(); }\n")
    sources = [ROOT / "Tests/CTests/client.cpp", tmp_path / "second.cpp"]
    warnings = ["-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wold-style-cast", "-Werror"]
    flags = ["-std=c++17", "-O1", *warnings, f"-I{prefix / 'include'}"]
    run("g++", *flags, *sources, f"-L{prefix / 'lib'}", "-lmaxlinear", "-o", tmp_path / "client")
    plugin = [ROOT / "Tests/DistributedTests/memory.c", "-o", tmp_path / "memory.so"]
    run("gcc", "-std=c11", "-shared", "-fPIC", f"-I{prefix / 'include'}", *plugin)
    environment = {**PLAIN, "LD_LIBRARY_PATH": str(prefix / "lib")}
    arguments = [checkpoint, tmp_path / "memory.so", f"{tmp_path / 'shared'} 0 1"]
    assert run(tmp_path / "client", *arguments, environment=environment) == f"{VERSION}\n"


def test_uninstall_takes_its_own_files_only(tmp_path):
    where = [f"PREFIX={tmp_path}/usr", "LIBDIR=lib/x86_64-linux-gnu"]
    (tmp_path / "usr/include/maxlinear").mkdir(parents=True)
    (tmp_path / "usr/include/maxlinear/mine.h").write_text("")
    make("install", *where)
    assert (tmp_path / "usr/lib/x86_64-linux-gnu/libmaxlinear.so.0").exists()
    environment = {**PLAIN, "PKG_CONFIG_PATH": str(tmp_path / "usr/lib/x86_64-linux-gnu/pkgconfig")}
    libdir = run("pkg-config", "--variable=libdir", "maxlinear", environment=environment).strip()
    assert Path(libdir).resolve() == (tmp_path / "usr/lib/x86_64-linux-gnu").resolve()
    make("uninstall", *where)
    assert files(tmp_path) == ["usr/include/maxlinear/mine.h"]


def test_refusals(tmp_path):
    for arguments in (["PREFIX=there"], [f"PREFIX={tmp_path}", "LIBDIR=/lib"]):
        with pytest.raises(AssertionError, match="expected a"):
            make("install", *arguments)
    assert files(tmp_path) == []

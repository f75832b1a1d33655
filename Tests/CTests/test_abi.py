"""The binary interface against its snapshots, against the library, and against what v0.1's clients were built with."""

import platform
import re
import shutil

import abi
import pytest
from c_support import HERE, LIBRARY, PLAIN, build, run

VERSION_0_1 = HERE / "abi-v0.1"
#: plugin.h, which was frozen with its own version 1.0, after that client.
UNFROZEN = re.compile(r"mxl_(op|encoding|source|tile|kernel_row|plugin)\b|MXL_(OP|CPU|PLUGIN|SUPERBLOCK)")


@pytest.mark.parametrize("path", [abi.SYMBOLS, abi.STRUCTS], ids=["symbols", "structs"])
def test_snapshot(path):
    assert path.read_text() == abi.snapshots()[path], (
        f"the interface changed: if rightly so, run `make abi` ({path.name})"
    )


def test_exports_are_the_declared_functions():
    output = run(["nm", "-D", "--defined-only", LIBRARY])
    assert sorted(line.split()[-1] for line in output.splitlines()) == list(abi.prototypes())


def test_soname_and_needed_libraries():
    dynamic = run(["readelf", "-d", "-W", LIBRARY])
    assert re.findall(r"\(SONAME\).*\[(.*)\]", dynamic) == ["libmaxlinear.so.0"]
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic)
    assert needed and not [name for name in needed if "swift" in name.lower() or "Foundation" in name]
    assert not re.search(r"\((RPATH|RUNPATH)\).*swift", dynamic)
    assert "NODELETE" in dynamic


def test_nothing_of_version_0_1_moved():
    """Struct sizes may grow where a struct begins with struct_size; all else that was there is there as it was."""
    then, now = abi.structs(VERSION_0_1 / "include"), set(abi.structs())
    growing = {line.split(".")[0] for line in then if ".struct_size " in line}
    lost = [line for line in then if line not in now and not UNFROZEN.match(line)]
    assert [line for line in lost if " size " not in line or "." in line or line.split()[0] not in growing] == []
    # A parameter's name is no part of the interface.
    assert set(abi.prototypes(VERSION_0_1 / "include")) <= set(abi.prototypes())


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the client was built for x86-64")
def test_binary_of_version_0_1_runs():
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run(["readelf", "-d", "-W", VERSION_0_1 / "client"]))
    assert "libmaxlinear.so.0" in needed
    assert run([VERSION_0_1 / "client"], PLAIN).endswith("all is well\n")


def test_source_of_version_0_1_builds_and_runs(tmp_path):
    program = build(VERSION_0_1 / "client.c", tmp_path / "client", include=VERSION_0_1 / "include")
    assert run([program], PLAIN).endswith("all is well\n")


def test_snapshots_notice_changes(tmp_path):
    """The snapshots see a moved field, a renumbered enumerator, another size and another parameter."""
    shutil.copytree(abi.INCLUDE, tmp_path / "include")
    changes = {
        "types.h": [("int32_t rank;", "int16_t rank;"), ("MXL_FLOAT64 = 4,", "MXL_FLOAT64 = 40,")],
        "status.h": [("char message[504]", "char message[505]")],
        "layers.h": [("int32_t mxl_threads(void)", "int64_t mxl_threads(void)")],
    }
    for name, pairs in changes.items():
        path = tmp_path / "include" / "maxlinear" / name
        for old, new in pairs:
            assert old in path.read_text()
            path.write_text(path.read_text().replace(old, new))
    changed = set(abi.structs(tmp_path / "include")) ^ set(abi.structs())
    for start in ("mxl_tensor.rank ", "MXL_FLOAT64 ", "mxl_error size "):
        assert [line for line in changed if line.startswith(start)], start
    assert abi.prototypes(tmp_path / "include")["mxl_threads"] != abi.prototypes()["mxl_threads"]
